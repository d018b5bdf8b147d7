# SPDX-License-Identifier: MIT
"""Searches for notebook 03: resumed by key, and what they gained."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vgic_lib import search_runs
from vgic_lib.errors import ParameterError
from vgic_lib.latent_model import Setting, VaeGan
from vgic_lib.results import make_picture

METHODS = ["straight-through", "from-noise"]


@pytest.fixture(scope="module")
def model():
    model = VaeGan([2]).eval().requires_grad_(False)
    model.name = "tiny"
    return model


@pytest.fixture(scope="module")
def pictures():
    pixels = np.random.default_rng(0).integers(0, 256, (18, 22, 3), dtype=np.uint8)
    return [make_picture(name, "test", Image.fromarray(pixels)) for name in ("a", "007")]


def run(model, pictures, path, methods=METHODS, steps=3, **options):
    return search_runs.run(
        model, [Setting(2, 6)], pictures, methods, path, steps=steps, doubling_gain_db=3.0, **options
    )


def test_one_line_for_each_step(model, pictures, tmp_path):
    traces = run(model, pictures, tmp_path / "traces.csv")
    assert len(traces) == len(pictures) * len(METHODS) * 4
    assert set(traces["image"]) == {"a", "007"}
    assert traces["bpp_estimated"].gt(0).all()


def test_what_is_finished_is_not_searched_again(model, pictures, tmp_path, monkeypatch):
    path = tmp_path / "traces.csv"
    first = run(model, pictures[:1], path)
    searched = []
    search = search_runs.search
    monkeypatch.setattr(search_runs, "search", lambda *words: searched.append(words) or search(*words))
    both = run(model, pictures, path)
    assert len(searched) == len(METHODS)
    pd.testing.assert_frame_equal(
        both[both["image"] == "a"].reset_index(drop=True), first.reset_index(drop=True)
    )
    run(model, pictures[:1], path, overwrite=True)
    assert len(searched) == 2 * len(METHODS)


def test_other_steps_are_another_search(model, pictures, tmp_path):
    path = tmp_path / "traces.csv"
    run(model, pictures[:1], path)
    assert len(run(model, pictures[:1], path, steps=1)) == len(METHODS) * 2
    assert len(pd.read_csv(path)) == len(METHODS) * (4 + 2)


def test_unknown_method_is_refused(model, pictures, tmp_path):
    with pytest.raises(ParameterError, match="from-noise"):
        run(model, pictures, tmp_path / "traces.csv", methods=["magic"])


def test_unknown_setting_is_refused(model, pictures, tmp_path):
    with pytest.raises(ParameterError, match="n=2 with 6 bits"):
        search_runs.run(
            model, [Setting(2, 5)], pictures, METHODS, tmp_path / "t.csv", steps=1, doubling_gain_db=3.0
        )


def test_gains_are_measured_against_the_encoder():
    lines = [("a", "gumbel", 0, 30.0, 2.0), ("a", "gumbel", 9, 31.0, 1.0), ("a", "from-noise", 9, 29.0, 4.0)]
    traces = pd.DataFrame(lines, columns=["image", "method", "step", "psnr_db", "bpp_estimated"])
    traces = traces.assign(num_channels=2, bits=6, time_s=1.0)
    gains = search_runs.gains(traces, 3.0)
    assert gains.loc[("gumbel", 2, 6)].tolist() == [1.0, -50.0, 4.0, 1.0]
    assert gains.loc[("from-noise", 2, 6)].tolist() == [-1.0, 100.0, -4.0, 1.0]

# SPDX-License-Identifier: MIT
"""Searches for notebook 03: resumed by key, and what they gained."""

import numpy as np
import pandas as pd
import pytest
from helpers.samples import smooth_pictures
from helpers.tiny_hyperprior import tiny_model
from PIL import Image

from vgic_lib.errors import ParameterError
from vgic_lib.evaluation import search_methods
from vgic_lib.evaluation.measure import make_picture
from vgic_lib.evaluation.points import operating_points
from vgic_lib.models.vaegan import VaeGan

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
    points = operating_points(model, [50], [6])
    return search_methods.run(
        model, points, pictures, methods, path, steps=steps, doubling_gain_db=3.0, **options
    )


def test_one_line_for_each_step(model, pictures, tmp_path):
    traces = run(model, pictures, tmp_path / "traces.csv")
    assert len(traces) == len(pictures) * len(METHODS) * 4
    assert set(traces["image"]) == {"a", "007"}
    assert traces["bpp_estimated"].gt(0).all()


def test_tunes_are_kept_apart(pictures, tmp_path):
    path, codec = tmp_path / "traces.csv", tiny_model()
    traces = pd.concat(
        run(codec, pictures[:1], path, ["gumbel"], tune=tune, steps=10) for tune in ("psnr", "eye")
    )
    assert list(traces["trade"].unique()) == ["lambda", "lambda, tune eye"]
    assert len(traces) == len(pd.read_csv(path)) == 22
    with pytest.raises(ParameterError, match="unknown tune"):
        run(codec, pictures, path, tune="ear")


def test_what_is_finished_is_not_searched_again(model, pictures, tmp_path, monkeypatch):
    path = tmp_path / "traces.csv"
    first = run(model, pictures[:1], path)
    searched = []
    search = search_methods.search
    monkeypatch.setattr(search_methods, "search", lambda *words: searched.append(words) or search(*words))
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


def test_a_model_with_its_own_trade_uses_it(pictures, tmp_path):
    traces = run(tiny_model(), pictures[:1], tmp_path / "t.csv", ["gumbel", "soft-rounding"])
    assert set(traces["trade"]) == {"lambda"}
    assert set(traces["setting"]) == {"q443"}
    assert len(traces) == 2 * 4
    assert traces.groupby("method")["bpp_estimated"].last().gt(0).all()


def test_a_model_that_needs_its_encoder_says_so(pictures, tmp_path):
    with pytest.raises(ParameterError, match="encoder"):
        run(tiny_model(), pictures[:1], tmp_path / "t.csv", ["from-noise"])


def test_encoder_curves_rise():
    smooth = Image.fromarray(smooth_pictures(1, 40, 48)[0])
    curves = search_methods.encoder_curves(
        tiny_model(), [make_picture(name, "test", smooth) for name in "ab"]
    )
    assert list(curves["image"].unique()) == ["a", "b"]
    one = curves[curves["image"] == "a"]
    assert len(one) == search_methods.CURVE_POINTS
    assert one["bpp_estimated"].is_monotonic_increasing
    assert one["psnr_db"].iloc[-1] > one["psnr_db"].iloc[0]


def line(bpp):
    """PSNR of a made-up encoder: 6 dB for twice the rate."""
    return 32 + 6 * np.log2(bpp)


CURVES = pd.DataFrame(
    [("a", bpp, line(bpp)) for bpp in (0.25, 0.5, 1.0, 2.0, 4.0)],
    columns=["image", "bpp_estimated", "psnr_db"],
)


def test_savings_are_measured_at_equal_psnr():
    lines = [
        ("a", 0, line(0.7), 0.7),
        ("a", 1, line(0.7), 0.63),
        ("a", 2, line(1.5), 0.75),
        ("a", 3, 99.0, 1.0),
    ]
    traces = pd.DataFrame(lines, columns=["image", "step", "psnr_db", "bpp_estimated"])
    found = search_methods.savings(traces, CURVES)["saving_percent"]
    assert found.tolist() == pytest.approx([0, 10, 50, np.nan], abs=1e-6, nan_ok=True)


def test_savings_by_steps_are_those_of_the_ends():
    lines = [
        (image, "gumbel", f"q{bpp}", steps, step, line(bpp), bpp * (1 - saving * step / steps), step / 4)
        for image, steps, saving in (("a", 20, 0.3), ("a", 4, 0.1), ("b", 20, 0.4), ("b", 4, 0.2))
        for bpp in (0.6, 1.2)
        for step in (0, 4, steps)
    ]
    names = ["image", "method", "setting", "steps", "step", "psnr_db", "bpp_estimated", "time_s"]
    curves = pd.concat([CURVES, CURVES.assign(image="b")])
    traces = search_methods.savings(pd.DataFrame(lines, columns=names), curves)
    table = search_methods.savings_by_steps(traces)
    assert list(table.columns) == ["steps", "time_s", "saving_percent", "searches"]
    assert table.to_numpy().tolist() == [pytest.approx([4, 1, 15, 4]), pytest.approx([20, 5, 35, 4])]


def test_bd_rates_are_means_over_photographs():
    lines = [
        (image, "gumbel", f"q{bpp}", step, line(bpp), bpp * (1 - saving * step), step * 2.0)
        for image, saving in (("a", 0.1), ("b", 0.2)) for bpp in (0.6, 1.2, 2.4) for step in (0, 1)
    ]  # fmt: skip
    names = ["image", "method", "setting", "step", "psnr_db", "bpp_estimated", "time_s"]
    curves = pd.concat([CURVES, CURVES.assign(image="b")])
    table = search_methods.bd_rates(pd.DataFrame(lines, columns=names), curves)
    assert table.loc["gumbel"].tolist() == pytest.approx([-15, 2], abs=0.2)


def test_gains_are_measured_against_the_encoder():
    lines = [("a", "gumbel", 0, 30.0, 2.0), ("a", "gumbel", 9, 31.0, 1.0), ("a", "from-noise", 9, 29.0, 4.0)]
    traces = pd.DataFrame(lines, columns=["image", "method", "step", "psnr_db", "bpp_estimated"])
    traces = traces.assign(setting="b6", time_s=1.0)
    gains = search_methods.gains(traces, 3.0)
    assert gains.loc[("gumbel", "b6")].tolist() == [1.0, -50.0, 4.0, 1.0]
    assert gains.loc[("from-noise", "b6")].tolist() == [-1.0, 100.0, -4.0, 1.0]

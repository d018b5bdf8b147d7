# SPDX-License-Identifier: MIT
"""The figure of 2020, and what it shows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.figures import texts
from PIL import Image

from vgic_lib.errors import ParameterError
from vgic_lib.evaluation.measure import original_path, reconstruction_path
from vgic_lib.reporting import reconstructions


def test_reconstructions_show_what_is_on_disk(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (60, 48, 3), np.uint8)
    lines = [("vaegan-8", 8, 6, 0, "", "b6-s0", 1500), ("hyperprior", 0, 0, 0, "", "q350-s0", 600)]
    lines += [
        ("jpeg", 0, 0, 0, "vaegan-8/b6-s0", "q9", 1490),
        ("jpeg", 0, 0, 0, "hyperprior/q350-s0", "q4", 610),
    ]
    names = ["codec", "num_channels", "bits", "search_steps", "matched_to", "setting", "bytes"]
    shown = pd.DataFrame(lines, columns=names).assign(image="a", image_id="00", psnr_db=30.0, quality=40.0)
    shown["file"] = [f"files/a.00/{number}.bin" for number in range(len(shown))]
    for path in (
        original_path(tmp_path, "a", "00"),
        *(reconstruction_path(f, tmp_path) for f in shown["file"]),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    figure = reconstructions.reconstructions(shown, tmp_path)
    words = " ".join(texts(figure)).replace("\N{NARROW NO-BREAK SPACE}", "")
    for word in (
        "8 channels",
        "quality 40",
        "JPEG",
        "30.00 dB, 1500 bytes",
        "30.00 dB, 610 bytes",
        "8640 bytes",
    ):
        assert word in words
    whole, detail = (ax.images[0].get_array() for ax in (figure.axes[1], figure.axes[4]))
    assert np.array_equal(whole, pixels) and detail.shape == (20, 16, 3)


def test_the_picture_that_was_kept_is_chosen(tmp_path):
    rows = pd.DataFrame([("a", "files/a.0/x.vgic"), ("b", "files/b.1/x.vgic")], columns=["image", "file"])
    with pytest.raises(ParameterError, match="notebook 04"):
        reconstructions.choose_picture(rows, tmp_path)
    path = reconstruction_path("files/b.1/x.vgic", tmp_path)
    path.parent.mkdir(parents=True)
    path.touch()
    assert reconstructions.choose_picture(rows, tmp_path) == "b"
    with pytest.raises(ParameterError, match="of a are kept"):
        reconstructions.choose_picture(rows, tmp_path, "a")


def test_showcase_of_the_codec_takes_the_lower_searched_qualities(codec_rows: pd.DataFrame) -> None:
    shown = reconstructions.showcase(codec_rows, "a")
    assert shown["quality"].tolist()[:3] == [25, 50, 75] and set(shown["search_steps"][:3]) == {300}
    assert shown["matched_to"].tolist()[3:] == [f"hyperprior/q{quality}-s300" for quality in (25, 50, 75)]


def test_showcase_takes_the_longest_search_of_the_nearest_depth(rows: pd.DataFrame) -> None:
    shown = reconstructions.showcase(rows, "b", bits=5)
    assert shown["image"].unique().tolist() == ["b"]
    assert shown["codec"].tolist() == ["vaegan-8", "vaegan-2", "jpeg", "jpeg"]
    assert shown["search_steps"].tolist()[:2] == [20, 20]
    assert shown["matched_to"].tolist()[2:] == ["vaegan-2/b6-s20", "vaegan-8/b6-s20"]
    with pytest.raises(ParameterError, match="'c' was not compressed"):
        reconstructions.showcase(rows, "c")

# SPDX-License-Identifier: MIT
"""The first picture of README shows the pixels and numbers of the tracked figure."""

import runpy

import numpy as np
from helpers import PROJECT
from PIL import Image

TOOL = runpy.run_path(str(PROJECT / "tools" / "first_picture.py"))


def test_the_picture_is_what_the_figure_shows():
    """If not, run: tools/first_picture.py."""
    figure = np.asarray(Image.open(TOOL["FIGURE"].with_suffix(".png")).convert("RGB"))
    picture = np.asarray(Image.open(PROJECT / "docs" / "picture.png").convert("RGB"))
    panels = TOOL["panels"](figure)
    width, height = TOOL["DETAIL"]
    gap = (picture.shape[1] - 3 * width) // 2
    for number, panel in enumerate(panels):
        left = number * (width + gap)
        assert np.array_equal(picture[:height, left : left + width], panel)


def test_captions_tell_bytes_and_quality():
    whole, *coded = TOOL["captions"]()
    assert whole == "photograph: 1,179,648 bytes"
    assert [caption.split(":")[0] for caption in coded] == ["JPEG", "VGIC"]
    assert all(caption.endswith("dB") for caption in coded)

# SPDX-License-Identifier: MIT
"""Crops at 1:1: what is drawn is what was decoded, pixel for pixel."""

import io

import numpy as np
import pandas as pd
import pytest
from helpers.figures import texts
from PIL import Image

from vgic_lib.evaluation.measure import original_path, reconstruction_path
from vgic_lib.figures import style
from vgic_lib.reporting import crops

ARMS = (  # codec, setting, matched_to
    ("hyperprior", "r240-s0", ""), ("hyperprior", "r240-s0+r1", ""), ("avif", "q9", "hyperprior/r240-s0"),
)  # fmt: skip


@pytest.fixture
def shown(tmp_path):
    """Rows at two rates, their pictures noise on the left and flat on the right; one has no head there."""
    lines = [(*arm, 0.1) for arm in ARMS] + [(*arm, 0.2) for arm in ARMS[::2]]
    rows = pd.DataFrame(lines, columns=["codec", "setting", "matched_to", "asked_bpp"]).assign(
        image="a", image_id="00", bits=0, search_steps=0, bytes=1234
    )
    rows["bpp"] = rows["asked_bpp"] * 0.99
    rows["file"] = [f"files/a.00/{number}.vgic" for number in range(len(rows))]
    random = np.random.default_rng(0)
    for path in (
        original_path(tmp_path, "a", "00"),
        *(reconstruction_path(f, tmp_path) for f in rows["file"]),
    ):
        pixels = np.full((200, 600, 3), 90, np.uint8)
        pixels[:, :300] = random.integers(0, 255, (200, 300, 3))
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return rows


def test_crops_are_shown_pixel_for_pixel(shown, tmp_path):
    figure = crops.crops(shown, tmp_path)
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="png")
    with Image.open(buffer) as image:
        png = np.asarray(image.convert("RGB"))
    width, height = crops.CROP
    assert png.shape[1] == crops.LABEL + 4 * (width + crops.GAP)
    assert len(figure.axes) == 2 * 4 + 2 * 3
    for number, ax in enumerate(figure.axes):
        drawn = np.asarray(ax.images[0].get_array())
        row, column = (number // 4, number % 4) if number < 8 else (2 + (number - 8) // 3, (number - 8) % 3)
        y, x = crops.HEADER + row * (height + crops.CAPTION), crops.LABEL + column * (width + crops.GAP)
        assert drawn.shape == (height, width, 3) and (drawn.std() > 50) == (row % 2 == 0)
        assert np.array_equal(png[y : y + height, x : x + width], drawn)


def test_arms_are_named_with_their_bytes(shown, tmp_path):
    words = [word.replace("\N{NARROW NO-BREAK SPACE}", "") for word in texts(crops.crops(shown, tmp_path))]
    assert [words.count(word) for word in ("original", "AVIF", "VGIC")] == [4, 4, 6]
    assert words.count("0.099 bpp, 1234 bytes\n") == 4 and words.count("0.198 bpp, 1234 bytes\n") == 4
    assert words.count("0.099 bpp, 1234 bytes\nrealism 1") == 2
    assert words.count("about 0.1 bpp") == words.count("about 0.2 bpp") == 2

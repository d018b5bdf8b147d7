# SPDX-License-Identifier: MIT
"""The contact sheet."""

from pathlib import Path

from helpers.figures import texts
from PIL import Image

from vgic_lib.datasets import preview
from vgic_lib.datasets.photographs import Photograph


def test_preview_names_every_photograph(tmp_path: Path) -> None:
    Image.new("RGB", (80, 60), (200, 10, 10)).save(tmp_path / "a.png")
    photographs = [
        Photograph(f"picture{number}", str(tmp_path / "a.png"), "", 80, 60, 1, "train", "folder", "")
        for number in range(8)
    ]
    words = texts(preview.preview(photographs, limit=7))
    assert {f"picture{number}" for number in range(7)} <= set(words) and "picture7" not in words
    assert "the first 7 of 8 photographs" in words and "80 × 60, train" in words

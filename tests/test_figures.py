# SPDX-License-Identifier: MIT
"""Figures: every one is drawn from small data, saved with its rows, and looks the same each time."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from vgic_lib import figures


def drawing(rows: pd.DataFrame) -> figures.Figure:
    with figures.style():
        figure = figures.Figure()
        figure.subplots().plot(rows["bpp"], rows["psnr_db"], label="rate and distortion")
        figure.legend()
    return figure


def test_saved_figures_are_opaque_reproducible_and_carry_their_rows(tmp_path: Path) -> None:
    points = pd.DataFrame({"bpp": [0.2, 0.5, 1.0], "psnr_db": [27.3, 30.123456, 33.1]})
    for name in ("one", "two"):
        path = figures.save_figure(drawing(points), tmp_path / name / "rd", points)
        assert path == tmp_path / name / "rd.png"
    for suffix in (".png", ".pdf", ".csv"):
        first, second = ((tmp_path / name / f"rd{suffix}").read_bytes() for name in ("one", "two"))
        assert first == second and first
    assert pd.read_csv(tmp_path / "one/rd.csv")["psnr_db"].tolist() == pytest.approx(
        points["psnr_db"].tolist(), rel=1e-5
    )
    with Image.open(tmp_path / "one/rd.png") as image:
        assert image.convert("RGBA").getpixel((1, 1)) == (255, 255, 255, 255)

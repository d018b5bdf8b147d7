# SPDX-License-Identifier: MIT
"""Rate-distortion curves: what is drawn, and how it is named."""

import numpy as np
import pandas as pd
import pytest
from helpers.figures import texts

from vgic_lib.evaluation import rate_distortion
from vgic_lib.reporting import rate_curves


def test_rate_distortion_shows_every_curve_and_names_the_channels(points: pd.DataFrame) -> None:
    figure = rate_curves.rate_distortion(points)
    words = texts(figure)
    assert {"JPEG", "VGIC", "VAE-GAN, 4 bits", "n=2", "n=8", "n=16", "PSNR (dB)", "SSIM"} <= set(words)
    assert "n=0" not in words
    in_db = points.assign(ms_ssim=-10 * np.log10(1 - points["ms_ssim"]))
    for ax, metric in zip(figure.axes, ("psnr_db", "ms_ssim", "ssim"), strict=True):
        drawn = np.concatenate([line.get_ydata() for line in ax.lines])
        assert sorted(drawn) == pytest.approx(sorted(in_db[metric]))


def test_perceptual_metrics_have_a_panel_each(points: pd.DataFrame) -> None:
    scores = {"ssimulacra2": points["psnr_db"], "st_lpips": -points["psnr_db"]}
    figure = rate_curves.perceptual(points.assign(**scores, cvvdp=np.nan, patch_distance=np.nan))
    assert len(figure.axes) == 3
    assert {"SSIMULACRA2", "MS-SSIM (dB)", "ST-LPIPS (lower is better)", "VGIC"} <= set(texts(figure))


def test_no_two_curves_of_ours_look_alike(points: pd.DataFrame) -> None:
    ours = points[points["curve"] == "VGIC"]
    kinds = [
        ours.assign(curve=f"{setting} {steps}", setting=setting, search_steps=steps)
        for setting in ("q10", "q10+r0.7", "q10+r1")
        for steps in (0, 300)
    ]
    lines = rate_curves.rate_distortion(pd.concat(kinds)).axes[0].lines
    looks = {(line.get_color(), line.get_linestyle(), str(line.get_marker())) for line in lines}
    assert len(lines) == len(looks) == 6


def test_small_pictures_have_no_panel_of_ms_ssim(points: pd.DataFrame) -> None:
    assert len(rate_curves.rate_distortion(points.assign(ms_ssim=np.nan)).axes) == 2


def test_published_curves_are_dashed_and_labelled(points: pd.DataFrame) -> None:
    published = rate_distortion.published_points()
    over_rate, _, relative = rate_curves.among_published(points, published).axes
    looks = {line.get_label(): line.get_linestyle() for line in over_rate.lines}
    assert set(looks) == {*points["curve"], *published["curve"]}
    assert all((name in set(points["curve"])) or look != "-" for name, look in looks.items())
    assert all(name.endswith("(published)") for name in published["curve"])
    assert len(relative.lines) == len(looks) - 2
    ours = relative.lines[1].get_ydata()
    assert ours == pytest.approx(np.full(len(ours), 100 * 2**-0.5))


def test_notebooks_show_figures_without_pyplot(points: pd.DataFrame) -> None:
    png, size = rate_curves.rate_distortion(points)._repr_png_()
    assert png.startswith(b"\x89PNG") and size == {"width": 1430}


def test_rate_distortion_of_classical_codecs_alone(points: pd.DataFrame) -> None:
    figure = rate_curves.rate_distortion(points[points["kind"] == "classical"])
    assert [len(ax.lines) for ax in figure.axes] == [1, 1, 1]

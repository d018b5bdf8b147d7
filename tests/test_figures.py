# SPDX-License-Identifier: MIT
"""Figures: every one is drawn from small data, saved with its rows, and looks the same each time."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from vgic_lib import figures
from vgic_lib.datasets import preview
from vgic_lib.datasets.photographs import Photograph
from vgic_lib.errors import ParameterError
from vgic_lib.evaluation import rate_distortion
from vgic_lib.evaluation.measure import original_path, reconstruction_path
from vgic_lib.reporting import rate_curves, reconstructions, search_curves
from vgic_lib.training.curves import RATE_CURVES, training_curves


def texts(figure: Figure) -> list[str]:
    """Every word in a figure."""
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


@pytest.fixture
def points() -> pd.DataFrame:
    lines = [("JPEG", "jpeg", "classical", 0, 0, 0, bpp, 32 + 4 * np.log2(bpp)) for bpp in (0.2, 0.5, 1, 2)]
    lines += [("VAE-GAN, 4 bits", f"vaegan-{n}", "ours", n, 4, 0, 0.1 * n, 25.0 + n / 4) for n in (2, 8, 16)]
    lines += [("VGIC", "hyperprior", "ours", 0, 0, 0, bpp, 34 + 4 * np.log2(bpp)) for bpp in (0.2, 1.6)]
    names = ["curve", "codec", "kind", "num_channels", "bits", "search_steps", "bpp", "psnr_db"]
    grown = {metric: np.linspace(0.5, 0.9, len(lines)) for metric in ("ssim", "ms_ssim")}
    return pd.DataFrame(lines, columns=names).assign(**grown, ms_ssim_db=-10 * np.log10(1 - grown["ms_ssim"]))


@pytest.fixture
def traces() -> pd.DataFrame:
    lines = [
        (image, method, f"b{bits}", step, step / 10, 20 + bits / 4 + step / 50, 1 - step / 1000)
        for image in "ab" for method in ("gumbel", "noise") for bits in (4, 6) for step in range(0, 101, 10)
    ]  # fmt: skip
    names = "image,method,setting,step,time_s,psnr_db,bpp_estimated"
    return pd.DataFrame(lines, columns=names.split(","))


@pytest.fixture
def training() -> pd.DataFrame:
    steps = np.arange(0, 400, 20)
    metrics = pd.DataFrame({"step": steps, "distortion": np.exp(-steps / 100)})
    metrics["generator_loss"] = np.where(steps < 200, np.nan, 1.0)
    metrics["validation_psnr_db_28"] = np.where(steps % 100, np.nan, 25 + steps / 100)
    metrics["validation_psnr_db_4"] = np.where(steps % 100, np.nan, 21 + steps / 100)
    metrics["validation_psnr_db_2"] = np.nan
    return metrics


def test_saved_figures_are_opaque_reproducible_and_carry_their_rows(
    points: pd.DataFrame, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        path = figures.save_figure(rate_curves.rate_distortion(points), tmp_path / name / "rd", points)
        assert path == tmp_path / name / "rd.png"
    for suffix in (".png", ".pdf", ".csv"):
        first, second = ((tmp_path / name / f"rd{suffix}").read_bytes() for name in ("one", "two"))
        assert first == second and first
    assert pd.read_csv(tmp_path / "one/rd.csv")["psnr_db"].tolist() == pytest.approx(
        points["psnr_db"].tolist(), rel=1e-5
    )
    with Image.open(tmp_path / "one/rd.png") as image:
        assert image.convert("RGBA").getpixel((1, 1)) == (255, 255, 255, 255)


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
    figure = rate_curves.perceptual(points.assign(ssimulacra2=points["psnr_db"], st_lpips=-points["psnr_db"]))
    assert len(figure.axes) == 3
    assert {"SSIMULACRA2", "MS-SSIM (dB)", "ST-LPIPS (lower is better)", "VGIC"} <= set(texts(figure))


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


def test_search_curves_are_means_over_pictures(traces: pd.DataFrame) -> None:
    traces.loc[traces["image"] == "a", "psnr_db"] += 1
    figure = search_curves.search_curves(traces)
    assert [len(ax.lines) for ax in figure.axes] == [4] * 4
    first = figure.axes[0].lines[0]
    assert first.get_label() == "gumbel, b4"
    assert first.get_ydata()[0] == pytest.approx(21.5) and first.get_xdata()[-1] == 100
    assert figure.axes[1].lines[0].get_xdata()[-1] == pytest.approx(10)


def test_saving_curves_are_means_over_pictures_and_settings(traces: pd.DataFrame) -> None:
    saving = traces["step"] / 10 + 2 * (traces["image"] == "a") + 4 * (traces["setting"] == "b4")
    figure = search_curves.saving_curves(traces.assign(saving_percent=saving))
    assert [len(ax.lines) for ax in figure.axes] == [2] * 2
    over_steps, over_seconds = (ax.lines[1] for ax in figure.axes)
    assert over_steps.get_label() == "noise"
    assert over_steps.get_ydata()[[0, -1]] == pytest.approx([3, 13])
    assert (over_steps.get_xdata()[-1], over_seconds.get_xdata()[-1]) == (100, 10)


def test_training_curves_leave_empty_columns_out(training: pd.DataFrame) -> None:
    figure = training_curves(training)
    words = texts(figure)
    assert {"n=4", "n=28", "distortion", "generator"} <= set(words)
    assert not {"n=2", "discriminator"} & set(words)
    assert len(training_curves(training[["step", "distortion"]]).axes) == 1


def test_training_curves_of_a_model_for_many_rates_show_rate_and_distortion() -> None:
    steps = np.arange(20, 401, 20)
    metrics = pd.DataFrame({"step": steps, "loss": 400 / steps})
    for place, quality in enumerate(("0", "2", "4.5", "7")):
        values = {"bpp": 0.1 * 3**place, "psnr_db": 25 + 3 * place + steps / 100}
        for name, value in values.items():
            metrics[f"validation_{name}_{quality}"] = np.where(steps % 40, np.nan, value)
    figure = training_curves(metrics)
    curves = figure.axes[1].lines
    assert [curve.get_label() for curve in curves][:: len(curves) - 1] == ["step 40", "step 400"]
    assert len(curves) == RATE_CURVES
    assert list(curves[-1].get_xdata()) == pytest.approx([0.1, 0.3, 0.9, 2.7])
    assert list(curves[-1].get_ydata()) == pytest.approx([29, 32, 35, 38])
    assert "training" in texts(figure)


def test_preview_names_every_photograph(tmp_path: Path) -> None:
    Image.new("RGB", (80, 60), (200, 10, 10)).save(tmp_path / "a.png")
    photographs = [
        Photograph(f"picture{number}", str(tmp_path / "a.png"), "", 80, 60, 1, "train", "folder", "")
        for number in range(8)
    ]
    words = texts(preview.preview(photographs, limit=7))
    assert {f"picture{number}" for number in range(7)} <= set(words) and "picture7" not in words
    assert "the first 7 of 8 photographs" in words and "80 × 60, train" in words


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

# SPDX-License-Identifier: MIT
"""The figure of 2020: one picture at several rates, with details and classical codecs beside."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from vgic_lib.errors import ParameterError
from vgic_lib.evaluation.classical import CLASSICAL
from vgic_lib.evaluation.measure import original_path, reconstruction_path
from vgic_lib.evaluation.rate_distortion import curve_title
from vgic_lib.evaluation.results import asked_ratio, faithful
from vgic_lib.figures import ACCENT, Figure, blank, style
from vgic_lib.images import read_image, to_array

WIDTH = 10.5  # inches


def choose_picture(rows: pd.DataFrame, folder: Path, wanted: str = "") -> str:
    """Name of a picture whose reconstructions notebook 04 kept: `wanted`, or the first.

    Args:
        rows: as `results.to_frame` makes them.
        folder: of the rows.
        wanted: name of a picture, or nothing.

    Raises:
        ParameterError: there are none, or none of `wanted`.
    """
    files = rows.groupby("image", sort=False)["file"].first()
    kept = [image for image, file in files.items() if reconstruction_path(file, folder).exists()]
    if not kept or wanted and wanted not in kept:
        names = ", ".join(kept) or "none are there"
        raise ParameterError(
            f"no reconstructions of {wanted or 'any picture'} are kept ({names}); "
            "run notebook 04 with it as figure_image"
        )
    return wanted or kept[0]


def reconstructions(shown: pd.DataFrame, folder: Path) -> Figure:
    """One picture as in 2020: the original and each of our files, whole and enlarged.

    Below, the same detail from each classical codec at equal bytes.

    Args:
        shown: rows of one picture as `results_table.showcase` chooses them.
        folder: of the rows.
    """
    classical = shown["codec"].isin(list(CLASSICAL))
    ours, beside = shown[~classical], shown[classical]
    first = ours.iloc[0]
    original = _pixels(original_path(folder, first["image"], first["image_id"]))
    size = tuple(max(1, round(side / 3)) for side in original.shape[1::-1])
    corner = window(original, size)
    codecs = list(dict.fromkeys(beside["codec"]))
    with style():
        figure, grid = _grid(original, lines=2 + len(codecs), columns=len(ours) + 1)
        _show(grid[0, 0], original, "original", bytes_text(original.size))
        for colour, width in (("white", 2.6), (ACCENT, 1.3)):
            grid[0, 0].add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=width))
        _show(grid[1, 0], cut(original, corner, size), "", "detail of the original")
        for column, line in enumerate(ours.to_dict("records"), 1):
            x_hat = _pixels(reconstruction_path(line["file"], folder))
            _show(grid[0, column], x_hat, _title(line), _caption(line))
            _show(grid[1, column], cut(x_hat, corner, size), "", "")
            equal = beside[beside["matched_to"] == f"{line['codec']}/{line['setting']}"]
            for other in equal.to_dict("records"):
                x_hat = _pixels(reconstruction_path(other["file"], folder))
                row = 2 + codecs.index(other["codec"])
                _show(grid[row, column], cut(x_hat, corner, size), "", _caption(other))
        for ax, codec in zip(grid[2:, 0], codecs, strict=True):
            text = f"{CLASSICAL[codec].title}\nat (nearly)\nequal bytes"
            ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes)
        figure.suptitle(
            curve_title(first["codec"], first["bits"], first["search_steps"], first["setting"]), fontsize=10
        )
    return figure


def _grid(original: np.ndarray, lines: int, columns: int) -> tuple[Figure, np.ndarray]:
    """Empty cells (lines, columns) of the picture's shape, with room for captions."""
    height, width, _ = original.shape
    panel = min(WIDTH / columns, 3.0)  # inches
    tall = panel * height / width + 0.22
    figure = Figure(figsize=(panel * columns, tall * lines + 0.45), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    blank(grid.ravel())
    return figure, grid


def _pixels(path: Path) -> np.ndarray:
    return to_array(read_image(path))


def _show(ax: Axes, pixels: np.ndarray, title: str, caption: str) -> None:
    ax.imshow(pixels)
    ax.set_title(title, loc="center", pad=4)
    ax.set_xlabel(caption, fontsize=8, labelpad=3)


def _title(line: dict) -> str:
    return f"{line['num_channels']} channels" if line["num_channels"] else f"quality {line['quality']:g}"


def _caption(line: dict) -> str:
    return f"{line['psnr_db']:.2f} dB, {bytes_text(line['bytes'])}"


def bytes_text(number: int) -> str:
    """A number of bytes for readers."""
    return f"{number:,} bytes".replace(",", "\N{NARROW NO-BREAK SPACE}")


def window(pixels: np.ndarray, size: tuple[int, int], smooth: bool = False) -> tuple[int, int]:
    """Corner (x, y) of the part with the strongest edges; if `smooth`, with the weakest.

    Args:
        pixels: (H, W, 3), sides of at least 2.
        size: width and height of the part.
        smooth: see above.
    """
    luma = pixels.mean(axis=2)
    edges, (width, height) = np.hypot(*np.gradient(luma)), size
    corners = [
        (x, y)
        for y in range(0, luma.shape[0] - height + 1, max(1, height // 4))
        for x in range(0, luma.shape[1] - width + 1, max(1, width // 4))
    ]
    choose = min if smooth else max
    return choose(corners, key=lambda c: edges[c[1] : c[1] + height, c[0] : c[0] + width].sum())


def cut(pixels: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """The part of a picture (H, W, 3) at a corner (x, y), of a size (width, height)."""
    return pixels[corner[1] : corner[1] + size[1], corner[0] : corner[0] + size[0]]


SHOWN = 3  # qualities in the figure of reconstructions


def showcase(
    rows: pd.DataFrame, image: str = "", bits: int = 6, beside: Sequence[str] = ("jpeg", "avif")
) -> pd.DataFrame:
    """Rows of one picture for the figure of reconstructions.

    Of the codec, if it is there, some of the lower qualities, with the longest search; else a VAE-GAN
    at every channel count.

    Args:
        rows: as `results.to_frame` makes them.
        image: name of the picture; empty for the first.
        bits: bit depth of a VAE-GAN, or else the nearest there is; of its searches the longest.
        beside: classical codecs to show at equal bytes.

    Raises:
        ParameterError: there is no such picture.
    """
    image = image or rows["image"].iloc[0]
    rows = faithful(rows[rows["image"] == image])
    ours = rows[~rows["codec"].isin(list(CLASSICAL)) & asked_ratio(rows["setting"]).isna()]
    if ours.empty:
        raise ParameterError(
            f"picture {image!r} was not compressed; name one of the manifest, or leave it empty"
        )
    by_quality = ours[ours["bits"] == 0]
    ours = _by_channels(ours, bits) if by_quality.empty else _by_quality(by_quality)
    targets = ours["codec"] + "/" + ours["setting"]
    return pd.concat([ours, rows[rows["matched_to"].isin(targets) & rows["codec"].isin(beside)]])


def _by_channels(ours: pd.DataFrame, bits: int) -> pd.DataFrame:
    ours = ours[(ours["bits"] - bits).abs() == (ours["bits"] - bits).abs().min()]
    ours = ours.sort_values(["num_channels", "search_steps"], ascending=False)
    return ours.drop_duplicates("num_channels")


def _by_quality(ours: pd.DataFrame) -> pd.DataFrame:
    """The lower qualities, where differences show; all of one model with equally many steps of search."""
    ours = ours[ours["codec"] == ours["codec"].iloc[0]]
    ours = ours[ours["search_steps"] == ours["search_steps"].max()].sort_values("quality")
    last = max(len(ours) // 2, min(SHOWN, len(ours)) - 1)
    return ours.iloc[np.linspace(0, last, min(SHOWN, len(ours))).round().astype(int)]

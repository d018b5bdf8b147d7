# SPDX-License-Identifier: MIT
"""Figures at 1:1: crops of one picture at equal bytes, arm beside arm, each pixel one pixel of the PNG."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from vgic_lib.evaluation.measure import original_path, reconstruction_path
from vgic_lib.evaluation.rate_distortion import curve_title
from vgic_lib.figures import STYLE, Figure, blank, style
from vgic_lib.images import read_image, to_array
from vgic_lib.reporting.reconstructions import bytes_text, cut, window

CROP = 256, 192  # width and height in pixels, where the picture has them
GAP, CAPTION, HEADER, LABEL = 8, 62, 24, 26  # pixels between crops, for text below, above and at the left
SMALL = 5  # points


class _Crop(NamedTuple):
    """One cell of the figure."""

    pixels: np.ndarray
    title: str
    caption: str


def crops(shown: pd.DataFrame, folder: Path) -> Figure:
    """The part with the most detail and the smoothest one, of the original and of every arm, rate by rate.

    Args:
        shown: rows of one picture as `crop_files.load` gives them.
        folder: of the rows.
    """
    first = shown.iloc[0]
    original = to_array(read_image(original_path(folder, first["image"], first["image_id"])))
    size = tuple(min(pair) for pair in zip(CROP, original.shape[1::-1], strict=True))
    corners = [window(original, size, smooth) for smooth in (False, True)]
    lines = [
        (f"about {bpp:g} bpp", [*_line(original, own, folder, corner, size)])
        for bpp, own in shown.groupby("asked_bpp")
        for corner in corners
    ]
    columns = max(len(cells) for _, cells in lines)
    width, height = LABEL + columns * (size[0] + GAP), HEADER + len(lines) * (size[1] + CAPTION)
    with style():
        figure = Figure(figsize=(width / STYLE["savefig.dpi"], height / STYLE["savefig.dpi"]))
        for row, (label, cells) in enumerate(lines):
            top = HEADER + row * (size[1] + CAPTION)
            middle = 1 - (top + size[1] / 2) / height
            figure.text(
                LABEL / 2 / width, middle, label, rotation=90, ha="center", va="center", fontsize=SMALL
            )
            for column, cell in enumerate(cells):
                _draw(figure, cell, (LABEL + column * (size[0] + GAP), top), (width, height))
    return figure


def _line(
    original: np.ndarray, rows: pd.DataFrame, folder: Path, corner: tuple[int, int], size: tuple[int, int]
) -> Iterator[_Crop]:
    """The original and every arm at one rate: classical codecs, then ours as they were measured."""
    yield _Crop(cut(original, corner, size), "original", f"24 bpp, {bytes_text(original.size)}")
    rows = rows.sort_values("matched_to", ascending=False, kind="stable")
    for row in rows.to_dict("records"):
        x_hat = to_array(read_image(reconstruction_path(row["file"], folder)))
        curve = curve_title(row["codec"], row["bits"], row["search_steps"], row["setting"])
        title, _, arm = curve.partition(", ")
        caption = f"{row['bpp']:.3f} bpp, {bytes_text(row['bytes'])}\n{arm}"
        yield _Crop(cut(x_hat, corner, size), title, caption)


def _draw(figure: Figure, crop: _Crop, place: tuple[int, int], whole: tuple[int, int]) -> None:
    """Put a crop at its place, in pixels from the left and the top, so that none of it is resampled."""
    (x, y), (width, height), (tall, wide) = place, whole, crop.pixels.shape[:2]
    ax = figure.add_axes((x / width, 1 - (y + tall) / height, wide / width, tall / height))
    blank([ax])
    ax.imshow(crop.pixels, aspect="auto", interpolation="nearest")
    ax.set_title(crop.title, fontsize=SMALL, loc="left", pad=2)
    ax.set_xlabel(crop.caption, fontsize=SMALL, labelpad=1, loc="left")

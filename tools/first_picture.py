# SPDX-License-Identifier: MIT
"""Draws docs/picture.png for README: one detail, 1:1, of a photograph, of JPEG and of VGIC at equal bytes.

All of it comes from the tracked figure kodak/figures/reconstructions: each pixel of its enlarged panels is
taken once, so what is shown are the decoded pixels themselves, and the numbers are those of its CSV.

    python tools/first_picture.py
"""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from vgic_lib.figures import Figure, blank, style
from vgic_lib.files import atomic_path

PROJECT = Path(__file__).resolve().parents[1]
FIGURE = PROJECT / "outputs" / "results" / "kodak" / "figures" / "reconstructions"
DETAIL = 256, 171  # width and height of a panel, in pixels of the photograph
COLUMN = 2  # of the figure: the setting that is shown
PLACES = (1, 0), (2, COLUMN), (1, COLUMN)  # line and column of each panel in the figure
SETTING = "q253-s300"


def panels(figure: np.ndarray) -> list[np.ndarray]:
    """Details (H, W, 3) of the original, JPEG and VGIC, of the size they have in the photograph."""
    ink = (figure < 255).any(axis=2)
    middle = figure.shape[0] // 2
    columns = _spans(ink[middle : middle + 100].any(axis=0), 300)
    lines = _spans(ink[:, slice(*columns[COLUMN])].sum(axis=1) > 300, 200)
    cut = [figure[slice(*lines[line]), slice(*columns[column])] for line, column in PLACES]
    firsts = [_firsts(cut[0], axis) for axis in (0, 1)]
    if tuple(map(len, firsts)) != DETAIL[::-1]:
        raise SystemExit(f"the panels of {FIGURE} are not {DETAIL} pixels enlarged; look at the figure")
    return [enlarged[np.ix_(*firsts)] for enlarged in cut]


def _firsts(enlarged: np.ndarray, axis: int) -> np.ndarray:
    """Where the pixels of an enlarged picture begin: lines along an axis that differ from the line before."""
    differs = np.diff(enlarged.astype(int), axis=axis).any(axis=(1 - axis, 2))
    return np.flatnonzero(np.concatenate([[True], differs]))


def _spans(mask: np.ndarray, shortest: int) -> list[tuple[int, int]]:
    """Starts and ends of the long runs of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]]))).reshape(-1, 2)
    return [(int(a), int(b)) for a, b in edges if b - a >= shortest]


def captions() -> list[str]:
    """What stands below the panels."""
    with open(FIGURE.with_suffix(".csv"), encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    ours = next(row for row in rows if row["setting"] == SETTING)
    jpeg = next(row for row in rows if row["matched_to"] == f"{ours['codec']}/{SETTING}")
    whole = f"photograph: {3 * int(ours['width']) * int(ours['height']):,} bytes"
    named = ((jpeg, "JPEG"), (ours, "VGIC"))
    numbers = [f"{name}: {int(row['bytes']):,} bytes, {float(row['psnr_db']):.1f} dB" for row, name in named]
    return [whole, *numbers]


def main() -> None:
    """Write docs/picture.png."""
    figure = np.asarray(Image.open(FIGURE.with_suffix(".png")).convert("RGB"))
    width, height, gap, foot, dpi = *DETAIL, 8, 24, 100
    total = 3 * width + 2 * gap
    with style():
        drawn = Figure(figsize=(total / dpi, (height + foot) / dpi))
        for number, (pixels, text) in enumerate(zip(panels(figure), captions(), strict=True)):
            place = (
                number * (width + gap) / total,
                foot / (height + foot),
                width / total,
                height / (height + foot),
            )
            ax = drawn.add_axes(place)
            blank([ax])
            ax.imshow(pixels, aspect="auto")
            ax.set_xlabel(text, fontsize=8, labelpad=4)
        with atomic_path(PROJECT / "docs" / "picture.png") as temporary:
            drawn.savefig(temporary, format="png", dpi=dpi, metadata={"Software": None})


if __name__ == "__main__":
    main()

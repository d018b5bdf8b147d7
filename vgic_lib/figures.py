# SPDX-License-Identifier: MIT
"""Figures in one style. Functions return a matplotlib figure; `save_figure` is the only way to a file."""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure

from vgic_lib.files import atomic_path, write_text

ACCENT = "#be123c"
INK, GRAY, GRID = "#1f2328", "#6b7280", "#e5e7eb"
STYLE = {
    "figure.facecolor": "white", "savefig.facecolor": "white", "axes.facecolor": "white",
    "figure.dpi": 110, "savefig.dpi": 200, "pdf.fonttype": 42, "svg.hashsalt": "vgic",
    "font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 10, "axes.labelsize": 9,
    "legend.fontsize": 8.5, "legend.frameon": False,
    "legend.handlelength": 2.6, "xtick.labelsize": 8.5, "ytick.labelsize": 8.5,
    "text.color": INK, "axes.labelcolor": INK, "axes.titlecolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.edgecolor": GRAY, "axes.linewidth": 0.8, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.7, "axes.axisbelow": True,
    "axes.titlelocation": "left", "axes.titleweight": "bold", "lines.linewidth": 1.8, "lines.markersize": 5,
    "image.interpolation": "nearest",
}  # fmt: skip
CYCLE = ("#be123c", "#0284c7", "#d97706", "#0f766e", "#7c3aed", "#6b7280", "#92400e", "#db2777")
CHANNEL_COLOURS = {2: "#f59e0b", 4: "#ea580c", 8: "#be123c", 16: "#7e22ce", 28: "#1e3a8a"}
SCREEN_DPI = 100  # pixels an inch on the screen


@contextmanager
def style() -> Iterator[None]:
    """Use the project's style, and only it, for what is drawn inside."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


class Figure(MatplotlibFigure):
    """A figure that a notebook shows without pyplot, which would keep every figure in memory."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        buffer = io.BytesIO()
        with style():
            self.savefig(buffer, format="png")
        return buffer.getvalue(), {"width": round(self.get_figwidth() * SCREEN_DPI)}


def save_figure(figure: Figure, stem: str | Path, rows: pd.DataFrame) -> Path:
    """Write `stem`.png, `stem`.pdf and `stem`.csv, the numbers that the figure shows.

    The same figure gives the same files, byte for byte.

    Returns:
        Path of the PNG.

    Raises:
        StorageError: the folder cannot be written.
    """
    stem = Path(stem)
    write_text(stem.with_name(f"{stem.name}.csv"), rows.to_csv(index=False, float_format="%.6g"))
    with style():
        for kind, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
            with atomic_path(stem.with_name(f"{stem.name}.{kind}")) as temporary:
                figure.savefig(temporary, format=kind, metadata=metadata)
    return stem.with_name(f"{stem.name}.png")


def blank(axes: Iterable[Axes]) -> None:
    """Take frame, ticks and grid away, for pictures and for cells that stay empty."""
    for ax in axes:
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
        ax.spines[:].set_visible(False)

# SPDX-License-Identifier: MIT
"""Figures in one style. Functions return a matplotlib figure; `save_figure` is the only way to a file."""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure

from vgic_lib.datasets.photographs import Photograph
from vgic_lib.files import atomic_path, write_text
from vgic_lib.images import read_image

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
RATE_CURVES = 5  # of a training run
VISIBLE_DB = 8  # curves of a search are shown this far below the best
SPLIT_COLOURS = {"train": "#4b5563", "validation": "#b45309", "test": "#1d4ed8"}


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


def preview(photographs: Sequence[Photograph], limit: int = 24, columns: int = 6) -> Figure:
    """Contact sheet: the first `limit` photographs with name, size and split.

    Raises:
        ImageError: a file is missing or unreadable.
    """
    shown = photographs[:limit]
    lines = max(1, -(-len(shown) // columns))
    columns = max(1, -(-len(shown) // lines))  # as even a block as the number allows
    with style():
        figure = Figure(figsize=(1.75 * columns, 1.85 * lines + 0.3), layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False).ravel()
        blank(grid)
        for ax, photograph in zip(grid, shown, strict=False):
            image = read_image(photograph.path).convert("RGB")
            image.thumbnail((480, 480))
            ax.imshow(image, interpolation="antialiased")
            colour = SPLIT_COLOURS.get(photograph.split, INK)
            ax.set_title(_shorten(photograph.name, 20), fontsize=8.5, loc="center", pad=3)
            size = f"{photograph.width} × {photograph.height}"
            ax.set_xlabel(f"{size}, {photograph.split}", fontsize=7.5, color=colour, labelpad=3)
        if len(shown) < len(photographs):
            figure.supxlabel(
                f"the first {len(shown)} of {len(photographs)} photographs", fontsize=8, color=GRAY
            )
    return figure


def search_curves(traces: pd.DataFrame) -> Figure:
    """PSNR and estimated rate of the best rounded latents, over steps and over seconds.

    Args:
        traces: one line for each image, method, setting and step, with time_s, psnr_db and bpp_estimated;
            curves are means over the images.
    """
    labels = ["method", "setting", "step"]
    means = traces.groupby(labels, sort=False)[["time_s", "psnr_db", "bpp_estimated"]].mean().reset_index()
    means = means[means["psnr_db"] > means["psnr_db"].max() - VISIBLE_DB]
    several = means["setting"].nunique() > 1
    colours = dict(zip(means["method"].unique(), cycle(CYCLE), strict=False))
    with style():
        figure = Figure(figsize=(10.2, 5.4), layout="constrained")
        axes = figure.subplots(2, 2, sharex="col", sharey="row")
        lines = cycle(("-", (0, (4, 2)), (0, (1, 1.2)), (0, (5, 1, 1, 1))))
        for setting, group in means.groupby("setting", sort=False):
            line = next(lines)
            for method, curve in group.groupby("method", sort=False):
                label = f"{method}, {setting}" if several else method
                look = {"label": label, "color": colours[method], "linestyle": line}
                for row, metric in enumerate(("psnr_db", "bpp_estimated")):
                    for column, progress in enumerate(("step", "time_s")):
                        axes[row, column].plot(curve[progress], curve[metric], **look)
        axes[0, 0].set_title("PSNR (dB)")
        axes[1, 0].set_title("rate, estimated (bits per pixel)")
        axes[1, 0].set_xlabel("search steps")
        axes[1, 1].set_xlabel("seconds")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper")
    return figure


def saving_curves(traces: pd.DataFrame) -> Figure:
    """Rate saved at equal PSNR, over steps and over seconds, method by method.

    Args:
        traces: as `search_runs.savings` makes them; curves are means over images and settings.
    """
    means = traces.groupby(["method", "step"], sort=False)[["time_s", "saving_percent"]].mean().reset_index()
    with style():
        figure = Figure(figsize=(10.2, 3.6), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        for (method, curve), colour in zip(means.groupby("method", sort=False), cycle(CYCLE), strict=False):
            for ax, progress in zip(axes, ("step", "time_s"), strict=True):
                ax.plot(curve[progress], curve["saving_percent"], label=method, color=colour)
        axes[0].set(title="Rate saved at equal PSNR (%, estimated)", xlabel="search steps")
        axes[1].set_xlabel("seconds")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    return figure


LOSSES = {"distortion": "distortion", "generator_loss": "generator", "discriminator_loss": "discriminator"}
RATE_LOSSES = {"loss": "training", "validation_loss": "validation"}  # of a model for many rates


def training_curves(metrics: pd.DataFrame) -> Figure:
    """Losses and validation of one training run over its steps.

    Args:
        metrics: the columns of metrics.csv; a panel is left out where its columns are empty.
    """
    filled = metrics.dropna(axis="columns", how="all")
    rates = sorted((name for name in filled if name.startswith("validation_bpp_")), key=_last_number)
    validation = sorted((name for name in filled if name.startswith("validation_psnr_db_")), key=_last_number)
    titles = LOSSES if "distortion" in filled else RATE_LOSSES
    with style():
        figure = Figure(figsize=(4.9 * (1 + bool(validation)), 3.7), layout="constrained")
        axes = figure.subplots(1, 1 + bool(validation), squeeze=False)[0]
        _loss_curves(axes[0], filled, {name: titles[name] for name in titles if name in filled})
        for ax in axes[1:]:
            if rates:
                _rate_distortion_progress(ax, filled, rates, validation)
            else:
                _validation_curves(ax, filled, validation)
    return figure


def _loss_curves(ax: Axes, metrics: pd.DataFrame, titles: dict[str, str]) -> None:
    """Each loss, thin, and its running mean."""
    for (name, title), colour in zip(titles.items(), CYCLE, strict=False):
        curve = metrics[["step", name]].dropna()
        smooth = curve[name].rolling(max(1, len(curve) // 40), min_periods=1, center=True).mean()
        ax.plot(curve["step"], curve[name], color=colour, alpha=0.25, linewidth=0.8)
        ax.plot(curve["step"], smooth, color=colour, label=title)
    positive = titles and metrics[list(titles)].min().min() > 0  # a distortion in dB is not
    ax.set(title="Training losses", xlabel="step", yscale="log" if positive else "linear")
    ax.legend()


def _rate_distortion_progress(
    ax: Axes, metrics: pd.DataFrame, rates: Sequence[str], validation: Sequence[str]
) -> None:
    """PSNR over rate of the validations: the first, the last, and some between, later ones darker."""
    rows = metrics.dropna(subset=[*rates, *validation])
    shown = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, RATE_CURVES).round().astype(int))]
    for place, (_, row) in enumerate(shown.iterrows(), 1):
        last = place == len(shown)
        ax.plot(
            row[rates], row[validation], color=ACCENT if last else GRAY, marker="o" if last else ".",
            alpha=1.0 if last else 0.2 + 0.6 * place / len(shown), label=f"step {row['step']:,.0f}",
        )  # fmt: skip
    ax.set(title="Validation PSNR (dB)", xlabel="rate, estimated (bits per pixel)")
    ax.legend()


def _validation_curves(ax: Axes, metrics: pd.DataFrame, names: Sequence[str]) -> None:
    """PSNR of each channel count, named at its end; names are moved apart where curves end together."""
    curves = [(_last_number(name), metrics[["step", name]].dropna().to_numpy()) for name in names]
    for number, points in curves:
        ax.plot(*points.T, color=CHANNEL_COLOURS.get(number, GRAY), marker=".")
    ax.set(title="Validation PSNR (dB)", xlabel="step")
    low, high = ax.get_ylim()
    place = -np.inf
    for number, points in sorted(curves, key=lambda curve: curve[1][-1, 1]):
        place = max((points[-1, 1] - low) / (high - low), place + 0.055)
        at = (points[-1, 0], low + place * (high - low))
        ax.annotate(
            f"n={number:g}", at, (7, 0), textcoords="offset points", va="center", annotation_clip=False,
            color=CHANNEL_COLOURS.get(number, GRAY), fontsize=8.5,
        )  # fmt: skip


def _last_number(name: str) -> float:
    return float(name.rpartition("_")[2])


def _shorten(text: str, length: int) -> str:
    """`text`, its end cut where it is longer than `length` letters."""
    return text if len(text) <= length else text[: length - 1] + "…"

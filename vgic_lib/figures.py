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
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from vgic_lib.data import Photograph
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
CLASSICAL_COLOURS = {
    "jpeg": "#6b7280", "webp": "#0f766e", "avif": "#d97706", "avif-psnr": "#92400e", "jxl": "#7c3aed",
    "jp2": "#0284c7",
}  # fmt: skip
BIT_MARKERS = {4: "o", 6: "s", 8: "^"}
CYCLE = ("#be123c", "#0284c7", "#d97706", "#0f766e", "#7c3aed", "#6b7280", "#92400e", "#db2777")
CHANNEL_COLOURS = {2: "#f59e0b", 4: "#ea580c", 8: "#be123c", 16: "#7e22ce", 28: "#1e3a8a"}
SCREEN_DPI = 100  # pixels an inch on the screen
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


def rate_distortion(points: pd.DataFrame) -> Figure:
    """PSNR and SSIM over the real rate, our curves among the classical ones.

    Args:
        points: as `tables.curve_points` makes them.
    """
    ours = points[points["num_channels"] > 0]
    shown = ours if len(ours) else points
    rates = shown["bpp"].min() / 1.6, shown["bpp"].max() * 1.6
    with style():
        figure = Figure(figsize=(10.2, 4.3), layout="constrained")
        axes = figure.subplots(1, 2)
        for ax, metric, title in zip(axes, ("psnr_db", "ssim"), ("PSNR (dB)", "SSIM"), strict=True):
            for name, curve in points.groupby("curve", sort=False):
                curve = curve.sort_values("bpp")
                ax.plot(curve["bpp"], curve[metric], label=name, **_curve_style(curve.iloc[0]))
            visible = points[points["bpp"].between(*rates)][metric]
            margin = 0.06 * (visible.max() - visible.min() + 1e-3)
            ax.set(xscale="log", xlim=rates, ylim=(visible.min() - margin, visible.max() + margin))
            ax.set(title=title, xlabel="rate (bits per pixel, from the length of the file)")
            ax.xaxis.set_major_locator(LogLocator(base=2))
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            ax.xaxis.set_minor_locator(NullLocator())
        _name_channels(axes[0], ours)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    return figure


def _curve_style(point: pd.Series) -> dict:
    """Ours in one colour: marker by bit depth, hollow and dashed without search. Others thin."""
    if not point["num_channels"]:
        return {"color": CLASSICAL_COLOURS.get(point["codec"], GRAY), "linewidth": 1.4}
    searched = point["search_steps"] > 0
    return {
        "color": ACCENT, "marker": BIT_MARKERS.get(point["bits"], "D"), "zorder": 3, "markeredgewidth": 1.1,
        "linestyle": "-" if searched else (0, (4, 2)), "markerfacecolor": ACCENT if searched else "white",
    }  # fmt: skip


def _name_channels(ax: Axes, ours: pd.DataFrame) -> None:
    """Write n beside the points of the curve with the fewest bits."""
    for point in ours[ours["bits"] == ours["bits"].min()].drop_duplicates("num_channels").to_dict("records"):
        text, at = f"n={point['num_channels']}", (point["bpp"], point["psnr_db"])
        halo = [withStroke(linewidth=2, foreground="white")]
        ax.annotate(
            text,
            at,
            (5, -11),
            textcoords="offset points",
            fontsize=7.5,
            color=ACCENT,
            path_effects=halo,
            zorder=4,
        )


def search_curves(traces: pd.DataFrame) -> Figure:
    """PSNR and estimated rate of the best rounded latents, over steps and over seconds.

    Args:
        traces: one line for each image, model, method, num_channels, bits and step, with time_s, psnr_db
            and bpp_estimated; curves are means over the images.
    """
    labels = ["method", "num_channels", "bits", "step"]
    means = traces.groupby(labels, sort=False)[["time_s", "psnr_db", "bpp_estimated"]].mean().reset_index()
    means = means[means["psnr_db"] > means["psnr_db"].max() - VISIBLE_DB]
    several = len(means[["num_channels", "bits"]].drop_duplicates()) > 1
    colours = dict(zip(means["method"].unique(), cycle(CYCLE), strict=False))
    with style():
        figure = Figure(figsize=(10.2, 5.4), layout="constrained")
        axes = figure.subplots(2, 2, sharex="col", sharey="row")
        lines = cycle(("-", (0, (4, 2)), (0, (1, 1.2)), (0, (5, 1, 1, 1))))
        for (num_channels, bits), group in means.groupby(["num_channels", "bits"], sort=False):
            line = next(lines)
            for method, curve in group.groupby("method", sort=False):
                label = f"{method}, n={num_channels}, {bits} bits" if several else method
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


def training_curves(metrics: pd.DataFrame) -> Figure:
    """Losses and validation PSNR of one training run over its steps.

    Args:
        metrics: the columns of metrics.csv; a panel is left out where its columns are empty.
    """
    losses = {
        "distortion": "distortion",
        "generator_loss": "generator",
        "discriminator_loss": "discriminator",
    }
    losses = {
        name: title for name, title in losses.items() if name in metrics and metrics[name].notna().any()
    }
    validation = [
        name for name in metrics if name.startswith("validation_psnr_db_") and metrics[name].notna().any()
    ]
    with style():
        figure = Figure(figsize=(4.9 * (1 + bool(validation)), 3.7), layout="constrained")
        axes = figure.subplots(1, 1 + bool(validation), squeeze=False)[0]
        for (name, title), colour in zip(losses.items(), CYCLE, strict=False):
            curve = metrics[["step", name]].dropna()
            smooth = curve[name].rolling(max(1, len(curve) // 40), min_periods=1, center=True).mean()
            axes[0].plot(curve["step"], curve[name], color=colour, alpha=0.25, linewidth=0.8)
            axes[0].plot(curve["step"], smooth, color=colour, label=title)
        positive = losses and metrics[list(losses)].min().min() > 0  # a distortion in dB is not
        axes[0].set(title="Training losses", xlabel="step", yscale="log" if positive else "linear")
        axes[0].legend()
        for ax in axes[1:]:
            _validation_curves(ax, metrics, sorted(validation, key=_last_number))
    return figure


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
            f"n={number}", at, (7, 0), textcoords="offset points", va="center", annotation_clip=False,
            color=CHANNEL_COLOURS.get(number, GRAY), fontsize=8.5,
        )  # fmt: skip


def _last_number(name: str) -> int:
    return int(name.rpartition("_")[2])


def _shorten(text: str, length: int) -> str:
    """`text`, its end cut where it is longer than `length` letters."""
    return text if len(text) <= length else text[: length - 1] + "…"

# SPDX-License-Identifier: MIT
"""Figures of rate-distortion curves: ours among the classical codecs, and among what others published."""

from itertools import cycle, product

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from vgic_lib.evaluation.rate_distortion import CLASSICAL, OURS, PUBLISHED, relative_rates
from vgic_lib.evaluation.results import shown_realism
from vgic_lib.figures import ACCENT, GRAY, Figure, style
from vgic_lib.metrics.perceptual import METRICS

VAEGAN, EYE = "#1e3a8a", "#16a34a"
COLOURS = {
    "jpeg": "#6b7280", "webp": "#0f766e", "avif": "#d97706", "avif-psnr": "#92400e", "jxl": "#7c3aed",
    "jp2": "#0284c7", "avif-ssimulacra2": "#fbbf24",
}  # fmt: skip
PUBLISHED_COLOURS = ("#6b7280", "#0284c7", "#0f766e", "#7c3aed", "#d97706", "#1e3a8a", "#92400e", "#db2777")
DASHES = ((0, (4, 2)), (0, (1, 1.2)), (0, (5, 1, 1, 1)))
COLUMNS = 3  # panels beside each other
BIT_MARKERS = {4: "o", 6: "s", 8: "^"}


def rate_distortion(points: pd.DataFrame) -> Figure:
    """PSNR, MS-SSIM and SSIM over the real rate, our curves among the classical ones.

    Args:
        points: as `rate_distortion.curve_points` makes them.
    """
    metrics = ["psnr_db", "ms_ssim_db", "ssim"] if points["ms_ssim"].notna().any() else ["psnr_db", "ssim"]
    with style():
        figure = Figure(figsize=(2 + 4.1 * len(metrics), 4.3), layout="constrained")
        axes = figure.subplots(1, len(metrics))
        for ax, metric in zip(axes, metrics, strict=True):
            _over_rate(ax, points, metric)
        _name_channels(axes[0], points[points["kind"] == OURS])
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    return figure


def perceptual(points: pd.DataFrame) -> Figure:
    """Perceptual metrics over the real rate.

    Args:
        points: as `rate_distortion.perceptual_points` makes them.
    """
    with style():
        known = [metric for metric in METRICS if points[metric].notna().any()]
        lines, columns = max(1, -(-len(known) // COLUMNS)), max(1, min(COLUMNS, len(known)))
        figure = Figure(figsize=(2 + 4.1 * columns, 4.3 * lines), layout="constrained")
        axes = figure.subplots(lines, columns, squeeze=False).ravel()
        for ax, metric in zip(axes, known, strict=False):
            _over_rate(ax, points, metric)
        for ax in axes[max(1, len(known)) :]:
            ax.remove()
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    return figure


def among_published(points: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Our curves and measured JPEG among published curves, which are dashed.

    PSNR and MS-SSIM over the rate, and the rate that a PSNR takes, in percent of JPEG's.

    Args:
        points: as `rate_distortion.curve_points` makes them, of the pictures of the published curves.
        published: as `rate_distortion.published_points` makes them.
    """
    measured = points[(points["kind"] == OURS) | (points["codec"] == "jpeg")]
    together = pd.concat([measured, published])
    with style():
        figure = Figure(figsize=(14.3, 5.6), layout="constrained")
        axes = figure.subplots(1, 3)
        _over_rate(axes[0], together, "psnr_db")
        _over_rate(axes[1], together, "ms_ssim_db")
        _relative_to_jpeg(axes[2], together)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    return figure


def _axis_title(name: str) -> str:
    """Title of an axis: what it shows and, where quality does not rise with it, that."""
    rows = {"psnr_db": "PSNR (dB)", "ssim": "SSIM"}
    if name in rows:
        return rows[name]
    metric = METRICS[name]
    note = metric.unit if metric.rises else "lower is better"
    return f"{metric.title} ({note})" if note else metric.title


def _over_rate(ax: Axes, points: pd.DataFrame, metric: str) -> None:
    """One metric over the rates that ours cover."""
    ours = points[points["kind"] == OURS]
    shown = ours if len(ours) else points
    rates = shown["bpp"].min() / 1.6, shown["bpp"].max() * 1.6
    looks = _looks(points)
    for name, curve in points.dropna(subset=[metric]).groupby("curve", sort=False):
        curve = curve.sort_values("bpp")
        ax.plot(curve["bpp"], curve[metric], label=name, **looks[name])
    visible = points[points["bpp"].between(*rates)][metric]
    margin = 0.06 * (visible.max() - visible.min() + 1e-3)
    ax.set(xscale="log", xlim=rates)
    if visible.notna().any():  # pictures too small for the metric have none
        ax.set(ylim=(visible.min() - margin, visible.max() + margin))
    ax.set(title=_axis_title(metric), xlabel="rate (bits per pixel, from the length of the file)")
    ax.xaxis.set_major_locator(LogLocator(base=2))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())


def _relative_to_jpeg(ax: Axes, points: pd.DataFrame) -> None:
    """Rate at equal PSNR in percent of JPEG's, measured or published like the curve itself."""
    looks = _looks(points)
    jpeg = {kind: own[own["codec"] == "jpeg"] for kind, own in points.groupby("kind")}
    for name, curve in points[points["codec"] != "jpeg"].groupby("curve", sort=False):
        anchor = jpeg[PUBLISHED if curve["kind"].iloc[0] == PUBLISHED else CLASSICAL]
        saved = relative_rates(anchor, curve)
        ax.plot(saved["psnr_db"], saved["rate_percent"], **looks[name] | {"marker": ""})
    ax.set(title="Rate at equal PSNR, JPEG = 100", xlabel="PSNR (dB)")


def _looks(points: pd.DataFrame) -> dict[str, dict]:
    """How curves are drawn: ours with markers, hollow without search; others thin, published ones dashed."""
    published = cycle(product(DASHES, PUBLISHED_COLOURS))
    looks = {}
    for name, curve in points.groupby("curve", sort=False):
        point = curve.iloc[0]
        if point["kind"] == PUBLISHED:
            dash, colour = next(published)
            looks[name] = {"color": colour, "linewidth": 1.1, "linestyle": dash}
        elif point["kind"] == OURS:
            looks[name] = _our_look(point)
        else:
            looks[name] = {"color": COLOURS.get(point["codec"], GRAY), "linewidth": 1.4}
    return looks


def _our_look(point: pd.Series) -> dict:
    """Solid with search, hollow and dashed without; colours tell models, markers bit depth or realism."""
    colour = VAEGAN if point["bits"] else EYE if point["codec"].endswith("-eye") else ACCENT
    realism = shown_realism(point.get("setting", ""))
    marker = "P" if realism >= 1 else "*" if realism else BIT_MARKERS.get(point["bits"], "D")
    searched = point["search_steps"] > 0
    return {
        "color": colour, "marker": marker, "zorder": 3, "markeredgewidth": 1.1,
        "linestyle": "-" if searched else (0, (4, 2)), "markerfacecolor": colour if searched else "white",
    }  # fmt: skip


def _name_channels(ax: Axes, ours: pd.DataFrame) -> None:
    """Write n beside the points of the VAE-GAN's curve with the fewest bits."""
    ours = ours[ours["num_channels"] > 0]
    for point in ours[ours["bits"] == ours["bits"].min()].drop_duplicates("num_channels").to_dict("records"):
        text, at = f"n={point['num_channels']:g}", (point["bpp"], point["psnr_db"])
        halo = [withStroke(linewidth=2, foreground="white")]
        ax.annotate(
            text, at, (5, -11), textcoords="offset points", fontsize=7.5, color=VAEGAN, path_effects=halo,
            zorder=4,
        )  # fmt: skip

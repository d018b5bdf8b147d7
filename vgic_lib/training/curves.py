# SPDX-License-Identifier: MIT
"""Curves of a training run, drawn while it goes on."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from vgic_lib.figures import ACCENT, CHANNEL_COLOURS, CYCLE, GRAY, Figure, style

RATE_CURVES = 5  # of a training run
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

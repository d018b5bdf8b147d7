# SPDX-License-Identifier: MIT
"""Curves of latent searches."""

from itertools import cycle

import pandas as pd

from vgic_lib.figures import CYCLE, Figure, style

VISIBLE_DB = 8  # curves of a search are shown this far below the best


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
        traces: as `search_methods.savings` makes them; curves are means over images and settings.
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


def savings_by_steps(table: pd.DataFrame) -> Figure:
    """Rate saved at equal PSNR by searches of several lengths, over their steps and over their seconds.

    Args:
        table: as `search_methods.savings_by_steps` makes it.
    """
    with style():
        figure = Figure(figsize=(8.4, 3.4), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        for ax, length in zip(axes, ("steps", "time_s"), strict=True):
            ax.plot(table[length], table["saving_percent"], "o-", color=CYCLE[0])
            ax.set_xscale("log")
            ax.set_xticks(table[length])
            ax.minorticks_off()
            ax.xaxis.set_major_formatter("{x:.0f}" if length == "steps" else "{x:.3g}")
        axes[0].set_title("Rate saved at equal PSNR (%, estimated)")
        axes[0].set_xlabel("search steps, each with its own schedule")
        axes[1].set_xlabel("seconds a search")
    return figure

# SPDX-License-Identifier: MIT
"""Curves by how pictures look, and the Bjontegaard deltas between the arms, with what each costs in PSNR."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from vgic_lib.evaluation.classical import CLASSICAL
from vgic_lib.evaluation.rate_distortion import OURS, bd_rate, curves, with_decibels
from vgic_lib.metrics.perceptual import METRICS, Metric, judges

ANCHORS = ("jpeg", "avif", "avif-psnr", "avif-ssimulacra2")  # others are compared with the first alone
LOW_BPP = 0.1, 0.5
EVERYTHING = -np.inf, np.inf


def compared() -> dict[str, Metric]:
    """What arms are compared by: PSNR, which shows what the others cost, and METRICS."""
    return {"psnr_db": Metric("PSNR", None, unit="dB"), **METRICS}


def perceptual_points(
    rows: pd.DataFrame, scores: pd.DataFrame, distances: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Mean over the judged pictures of each point of each curve: bpp, `compared` and how many `images`.

    Args:
        rows: as `results.to_frame` makes them; files decoded with realism are curves of their own.
        scores: as `perceptual_scores.judge` makes them.
        distances: as `patch_distances.measure` makes them.
    """
    judged = curves(rows, realism=True).merge(
        scores, on=["image", "image_id", "codec", "setting", "model_id"]
    )
    labels = ["curve", "kind", "codec", "bits", "search_steps", "setting", "model_id"]
    groups = judged.groupby(labels, sort=False)
    means = groups[["bpp", "psnr_db", "ms_ssim", *judges()]].mean()
    points = with_decibels(means.assign(images=groups.size()).reset_index())
    if distances is None:
        return points.assign(patch_distance=np.nan)
    found = distances[["codec", "setting", "model_id", "patch_distance"]]
    return points.merge(found, how="left", on=["codec", "setting", "model_id"])


def perceptual_table(
    points: pd.DataFrame, anchor: str = "jpeg", within_bpp: tuple[float, float] | None = None
) -> pd.DataFrame:
    """BD-rate of every curve of `perceptual_points` against a classical codec by each metric of `compared`.

    Args:
        points: see there.
        anchor: name of the codec; there are no lines without it.
        within_bpp: rates of the curve that is compared; its values there, as far as the anchor has them,
            are the range of each metric. None: over all that both curves cover.

    Returns:
        a line for each curve: `curve`, `kind`, for each metric its delta (%), `<metric>_low` and
        `<metric>_high`, the range that it is a mean over; and `images`.
    """
    title = CLASSICAL[anchor].title
    rising = points.assign(**{name: -points[name] for name, metric in compared().items() if not metric.rises})
    reference = rising[rising["curve"] == title]
    lines = []
    for name, curve in rising.groupby("curve", sort=False):
        if name == title or reference.empty:
            continue
        line = {"curve": name, "kind": curve["kind"].iloc[0]}
        for metric in compared():
            within = EVERYTHING if within_bpp is None else values_at(curve, metric, within_bpp)
            delta = bd_rate(reference, curve, within, metric)
            ends = delta[1:] if compared()[metric].rises else (-delta.high_db, -delta.low_db)
            line |= dict(
                zip((metric, f"{metric}_low", f"{metric}_high"), (delta.percent, *ends), strict=True)
            )
        lines.append(line | {"images": curve["images"].max()})
    ranges = [name for metric in compared() for name in (metric, f"{metric}_low", f"{metric}_high")]
    return pd.DataFrame(lines, columns=["curve", "kind", *ranges, "images"])


def arms_table(
    points: pd.DataFrame,
    within_bpp: tuple[float, float] | None = None,
    anchors: Sequence[str] = ANCHORS,
) -> pd.DataFrame:
    """`perceptual_table` against each of `anchors` that was measured: all curves, from the second on ours.

    The first column, `anchor`, is its title.
    """
    tables = []
    for place, anchor in enumerate(anchors):
        table = perceptual_table(points, anchor, within_bpp)
        table = table if place == 0 else table[table["kind"] == OURS]
        tables.append(table.assign(anchor=CLASSICAL[anchor].title))
    table = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    return table[["anchor", *table.columns.drop("anchor")]]


def values_at(curve: pd.DataFrame, metric: str, bpp: tuple[float, float]) -> tuple[float, float]:
    """Values of a metric at two rates, linear in the logarithm of the rate; its ends where a curve ends."""
    curve = curve.dropna(subset=[metric]).sort_values("bpp")
    if curve.empty:
        return float("nan"), float("nan")
    low, high = np.interp(np.log(bpp), np.log(curve["bpp"]), curve[metric])
    return float(low), float(high)

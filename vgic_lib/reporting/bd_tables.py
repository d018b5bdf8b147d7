# SPDX-License-Identifier: MIT
"""Captions, notes and columns of the tables of BD-rates."""

import pandas as pd

from vgic_lib.evaluation.perceptual_deltas import LOW_BPP, compared
from vgic_lib.evaluation.rate_distortion import COMPARED_DB
from vgic_lib.metrics.distortion import HIGHEST_DB
from vgic_lib.reporting.typeset import Column

BD_CAPTION = "Bjontegaard delta of the rate, PSNR on RGB, against JPEG (baseline, 4:2:0) of the same source."
BD_NOTES = (
    "Negative: smaller files at equal PSNR. Mean over the stated range, what both mean curves cover of "
    f"{COMPARED_DB[0]:g} to {COMPARED_DB[1]:g} dB, by piecewise cubic interpolation (PCHIP) of log rate; "
    "numbers over very different ranges do not compare. Measured curves are compared with the JPEG files of "
    "this run, published ones with the published JPEG; “hyperprior” is the published curve of Ballé et al. "
    "2018. Per picture: mean ± standard deviation of each picture's own delta, over its own range. A curve "
    f"of the VAE-GAN joins its channel counts. Equal pictures count as {HIGHEST_DB:g} dB. Empty: not known, "
    "or no PSNR that both reach."
)
_BD_COLUMNS = (
    Column("curve", "Codec"),
    Column("bd_rate_percent", "against JPEG (%)", 1),
    Column("low_db", "from (dB)", 1),
    Column("high_db", "to (dB)", 1),
    Column("hyperprior_percent", "against hyperprior (%)", 1),
    Column("bd_rate_mean_percent", "per picture (%)", 1, spread=True),
    Column("images", "pictures", 0),
)
PERCEPTUAL_CAPTION = "Bjontegaard delta of the rate by perceptual metrics, against JPEG (baseline, 4:2:0)."
PERCEPTUAL_NOTES = (
    "PSNR is what the others cost. Patch distance: of the distributions of patches of all pictures together. "
    "Realism invents texture: such lines tell how a picture looks, not how true it is. Empty: not measured, "
    "or no value that both curves reach."
)
ARMS_CAPTION = {
    "arms": "Bjontegaard delta of the rate (%), over all values that two curves share (in brackets).",
    "arms_low": (
        f"Bjontegaard delta of the rate (%), over the values that the codec of the line has at "
        f"{LOW_BPP[0]:g} to {LOW_BPP[1]:g} bpp, as far as the other has them, too (in brackets)."
    ),
}
PICTURES_CAPTION = "Each picture's own BD-rate against JPEG (%), best first."


def bd_columns(table: pd.DataFrame) -> list[Column]:
    """What of `bd_table` is printed: the comparison with 2018 only where there is one."""
    known = table["hyperprior_percent"].notna().any()
    return [column for column in _BD_COLUMNS if known or column.name != "hyperprior_percent"]


def perceptual_columns() -> list[Column]:
    """What of `perceptual_table` is printed."""
    scores = [Column(name, f"{metric.title} (%)", 1) for name, metric in compared().items()]
    return [Column("curve", "Codec"), *scores, Column("images", "pictures", 0)]


def with_ranges(table: pd.DataFrame) -> pd.DataFrame:
    """A table of `perceptual_deltas` and, as text for print, the range of each delta: `<metric>_range`."""

    def text(low: float, high: float) -> str:
        return "" if pd.isna(low) else f" ({low:.3g} to {high:.3g})"

    return table.assign(
        **{
            f"{name}_range": list(map(text, table[f"{name}_low"], table[f"{name}_high"]))
            for name in compared()
        }
    )


def arms_columns() -> list[Column]:
    """What of `arms_table`, `with_ranges`, is printed: deltas by every metric, each with its range."""
    scores = [
        Column(name, metric.title + (f" ({metric.unit})" if metric.unit else ""), 1, mark=f"{name}_range")
        for name, metric in compared().items()
    ]
    return [Column("anchor", "Against"), Column("curve", "Codec"), *scores, Column("images", "pictures", 0)]


def picture_columns(table: pd.DataFrame) -> list[Column]:
    """All of `picture_table` is printed."""
    return [Column("image", "Picture"), *(Column(name, name, 1) for name in table.columns[1:])]

# SPDX-License-Identifier: MIT
"""Captions, notes and columns of the tables of BD-rates."""

import pandas as pd

from vgic_lib.evaluation.rate_distortion import COMPARED_DB
from vgic_lib.metrics.distortion import HIGHEST_DB
from vgic_lib.metrics.perceptual import METRICS
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
PICTURES_CAPTION = "Each picture's own BD-rate against JPEG (%), best first."


def bd_columns(table: pd.DataFrame) -> list[Column]:
    """What of `bd_table` is printed: the comparison with 2018 only where there is one."""
    known = table["hyperprior_percent"].notna().any()
    return [column for column in _BD_COLUMNS if known or column.name != "hyperprior_percent"]


def perceptual_columns() -> list[Column]:
    """All of `perceptual_table`."""
    scores = [Column(name, f"{metric.title} (%)", 1) for name, metric in METRICS.items()]
    return [Column("curve", "Codec"), *scores, Column("images", "pictures", 0)]


def picture_columns(table: pd.DataFrame) -> list[Column]:
    """All of `picture_table` is printed."""
    return [Column("image", "Picture"), *(Column(name, name, 1) for name in table.columns[1:])]

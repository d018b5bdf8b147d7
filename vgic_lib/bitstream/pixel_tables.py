# SPDX-License-Identifier: MIT
"""Frequency tables for residuals of pixels, and which of them a picture takes.

Tables come from stored integers by additions, multiplications and divisions of float64 alone, one after the
other, which IEEE 754 rounds alike on every machine.
"""

import numpy as np
import torch
from torch import Tensor

from vgic_lib.bitstream.range_coding import Tables
from vgic_lib.networks.pixels import SCALES

LARGEST = 255  # of pixels, and of residuals in steps
OFFSETS = 5  # distances of a mean from its rounded value that have tables of their own: 0, 1/8 ... 1/2
FINE_SCALES = 26  # scales that have them; beyond, the offset makes no difference worth a table
TABLES = FINE_SCALES * OFFSETS + SCALES - FINE_SCALES
SMALL_TABLE = OFFSETS * 17  # for small whole numbers,
LARGE_TABLE = FINE_SCALES * (OFFSETS - 1) + 32  # for larger ones
RULE_TABLE, RULE = TABLES, 2**10  # one table more, for what differs from a rule that is so often right
TOTAL = 2**24  # sum of a frequency table, nearly
DECAY_UNIT = 2.0**-62  # of stored decays
SHARE_UNIT = 2.0**-30  # of stored shares
PER_LEVEL = 8  # places between two levels where densities are computed


def coder_tables(decays: Tensor, shares: Tensor) -> Tables:
    """Tables of the residuals -LARGEST..LARGEST for every scale and, of fine ones, every offset; RULE_TABLE.

    Args:
        decays: of the narrow and the wide logistic density in an eighth of a step, (SCALES, 2) int64.
        shares: of the wide density, (SCALES,) int64.
    """
    decay = decays.numpy() * DECAY_UNIT
    count = PER_LEVEL * (LARGEST + 2)
    powers = np.multiply.accumulate(np.broadcast_to(decay[..., None], (SCALES, 2, count)), axis=2)
    powers = np.concatenate([np.ones((SCALES, 2, 1)), powers], axis=2)  # at 0, 1/8, 2/8 ... of a step
    tails = powers / (1 + powers)
    share = (shares.numpy() * SHARE_UNIT)[:, None]
    tail = tails[:, 0] + share * (tails[:, 1] - tails[:, 0])  # probability beyond
    edges = PER_LEVEL * np.arange(-LARGEST, LARGEST + 2) - PER_LEVEL // 2
    rows = []
    for scale in range(SCALES):
        for offset in range(OFFSETS if scale < FINE_SCALES else 1):
            at = edges - offset
            beyond = tail[scale, np.abs(at)]
            below = np.where(at <= 0, beyond, 1 - beyond)
            mass = np.where(at[:-1] > 0, beyond[:-1] - beyond[1:], below[1:] - below[:-1])
            rows.append(np.maximum(1, np.floor(mass * TOTAL + 0.5)))
    rule = np.maximum(1, np.floor(rows[SMALL_TABLE] / RULE))
    rule[LARGEST] = TOTAL
    rows.append(rule)
    return Tables(np.stack(rows).astype(np.int64), LARGEST)


def table_parameters(scale: Tensor, width: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Decays and shares to be stored, for logistic scales in steps, factors to the wider ones and shares."""
    decay = torch.exp(-1 / (PER_LEVEL * scale[:, None] * torch.stack([torch.ones_like(width), width], 1)))
    return torch.round(decay / DECAY_UNIT).long(), torch.round(share / SHARE_UNIT).long()


def every_place() -> tuple[Tensor, Tensor]:
    """Indices of scales and offsets of all places of `Residuals`."""
    places = torch.arange(SCALES * OFFSETS)
    return places // OFFSETS, places % OFFSETS


def tables_for(index: Tensor, offset: Tensor) -> Tensor:
    """Tables (uint8) for scales, kept in range, and offsets."""
    index = index.clamp(0, SCALES - 1)
    fine = OFFSETS * index + offset
    return torch.where(index < FINE_SCALES, fine, index + FINE_SCALES * (OFFSETS - 1)).to(torch.uint8)

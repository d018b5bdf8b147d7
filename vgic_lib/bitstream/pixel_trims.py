# SPDX-License-Identifier: MIT
"""Which tables the residuals of pixels take, and how a picture trims the scales that networks expect."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vgic_lib.bitstream.pixel_tables import LARGEST, RULE_TABLE, every_place, tables_for
from vgic_lib.networks.pixel_neighbours import PASSES
from vgic_lib.networks.pixels import CHANNELS, KINDS, SCALES, Place

NETWORKS = KINDS * len(PASSES)
BUCKET = 8  # scales that are trimmed together,
BUCKETS = SCALES // BUCKET  # each by what suits a picture best of
TRIMS = tuple(range(-6, 7))  # entries of the scale table
TRIMMED_PIXELS = 1024  # of a pass, from which on a file says how scales are trimmed


class Residuals(NamedTuple):
    """What is coded together."""

    at: Place
    place: Tensor  # OFFSETS * index of a scale + offset of a mean from its rounded value, (1, h, w), uint8
    residual: Tensor | None  # in steps, int16, turned so that the mean lies above its rounded value


def no_trims() -> Tensor:
    """Trims (NETWORKS, CHANNELS, BUCKETS) that change nothing."""
    return torch.zeros(NETWORKS, CHANNELS, BUCKETS, dtype=torch.int64)


def trimmed(size: tuple[int, int], channels: int) -> Tensor:
    """Networks and coded channels that have trims in a picture of `size`: (NETWORKS, CHANNELS), bool."""
    pixels = size[0] * size[1]
    large = [pixels >> 2 * level + 2 >= TRIMMED_PIXELS for level in range(KINDS)]
    chosen = torch.tensor(large).repeat_interleave(len(PASSES))[:, None].repeat(1, CHANNELS)
    chosen[:, channels:] = False
    return chosen


def trimmed_tables(trims: Tensor) -> np.ndarray:
    """Tables (uint8) of all places, and of rules, for each network, the last one none, and channel."""
    index, offset = every_place()
    trims = torch.cat([trims, torch.zeros_like(trims[:1])])
    return F.pad(tables_for(index + trims[..., index // BUCKET], offset), (0, 1), value=RULE_TABLE).numpy()


def tables_of(one: Residuals, tables: np.ndarray) -> np.ndarray:
    """Tables of residuals, of those of `trimmed_tables`."""
    return tables[one.at.network, one.at.channel][one.place.numpy()]


def best_trims(found: Collection[Residuals], chosen: Tensor, costs: Tensor) -> Tensor:
    """Trims by which residuals take fewest bits, where `chosen` (NETWORKS, CHANNELS); else 0.

    Args:
        found: all residuals of a picture.
        chosen: see `trimmed`.
        costs: bits of -LARGEST..LARGEST with each table.
    """
    index, offset = every_place()
    symbols, trims = 2 * LARGEST + 1, no_trims()
    for network, channel in chosen.nonzero().tolist():
        count = torch.zeros((len(index) + 1) * symbols)
        for one in found:
            if (one.at.network, one.at.channel) == (network, channel):
                place = one.place.int() * symbols + one.residual + LARGEST
                count += torch.bincount(place.flatten(), minlength=len(count))
        count = count.view(-1, symbols)[:-1]
        bits = [(count * costs[tables_for(index + trim, offset).long()]).sum(1) for trim in TRIMS]
        bits = torch.stack(bits).view(len(TRIMS), BUCKETS, -1).sum(2)
        trims[network, channel] = torch.tensor(TRIMS)[bits.argmin(0)] * (bits.sum(0) > 0)
    return trims

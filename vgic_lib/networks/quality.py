# SPDX-License-Identifier: MIT
"""Tables over quality, so that one set of weights serves all rates."""

import math
from typing import TypeVar

import torch
from torch import Tensor, nn

Share = TypeVar("Share", float, Tensor)

ANCHORS = 8  # qualities at which gains and other tables are stored


def at_quality(table: Tensor, quality: Tensor) -> Tensor:
    """Rows of `table` (ANCHORS, C) at `quality` (B,) from 0, linearly interpolated: (B, C).

    Below 0 and beyond ANCHORS - 1, the line through the nearest two anchors goes on.
    """
    low = quality.floor().clamp(0, ANCHORS - 2)
    weight = (quality - low)[:, None].to(table)
    low = low.long()
    return table[low] * (1 - weight) + table[low + 1] * weight


def geometric(low: float, high: float, share: Share) -> Share:
    """What lies at `share`, 0 to 1, of the way from `low` to `high` in equal factors: lambda over quality."""
    return low * (high / low) ** share


@torch.no_grad()
def move_tables(network: nn.Module, before: tuple[float, float], after: tuple[float, float]) -> None:
    """Move a network's tables over quality to where lambda is after its range, (low, high), has changed."""
    if before == after:
        return
    lambdas = geometric(*after, torch.arange(ANCHORS) / (ANCHORS - 1))
    shares = (lambdas / before[0]).log() / math.log(before[1] / before[0])
    for parameter in network.parameters():
        if parameter.ndim == 2 and len(parameter) == ANCHORS:
            parameter.copy_(at_quality(parameter, (ANCHORS - 1) * shares))


def least_index(quality: float) -> int:
    """Smallest place in the table of scales that is used at a quality; place 0 means nothing is coded.

    Beyond ANCHORS - 1 networks have not been trained, so nothing is left to their certainty.
    """
    return int(quality > ANCHORS - 1)

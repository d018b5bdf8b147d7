# SPDX-License-Identifier: MIT
"""Tables over quality, so that one set of weights serves all rates."""

import math
from typing import TypeVar

from torch import Tensor

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


def geometric_share(low: float, high: float, value: Tensor) -> Tensor:
    """The share at which `geometric` is `value`."""
    return (value / low).log() / math.log(high / low)


def least_index(quality: float) -> int:
    """Smallest place in the table of scales that is used at a quality; place 0 means nothing is coded.

    Beyond ANCHORS - 1 networks have not been trained, so nothing is left to their certainty.
    """
    return int(quality > ANCHORS - 1)

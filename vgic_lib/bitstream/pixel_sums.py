# SPDX-License-Identifier: MIT
"""Whether the sums of a `PixelNetwork` are small enough for float32 to hold them without rounding."""

import torch
from torch import Tensor

from vgic_lib.networks.pixels import INPUT_GRID, PassNetwork, PixelNetwork
from vgic_lib.networks.whole_numbers import GRID, LARGEST_SUM, WEIGHT_GRID, Linear

LARGEST_MEAN = 2.0**13 - 2**12  # of unbounded sums of a mean; the rest is for its smaller terms


def _largest_sum(layer: Linear, largest: float) -> Tensor:
    return layer.weight.abs().sum(1) * largest + layer.bias[:, 0].abs()


def sums_fit(network: PixelNetwork) -> bool:
    """Whether all sums fit float32. The last bit is for errors, which are parts of a level."""
    return all(map(_part_fits, network.passes))


def _part_fits(part: PassNetwork) -> bool:
    largest = [_largest_sum(part.entry, 16.0) * GRID / INPUT_GRID]
    largest += [_largest_sum(layer, 16.0) for layer in (part.middle, *part.hidden, *part.out)]
    units = torch.cat([sums / (WEIGHT_GRID * GRID) for sums in largest]).max()
    means = [
        16 * (_largest_sum(out, 16.0)[0] + _largest_sum(straight, 16.0)[0])
        for out, straight in zip(part.out, part.straight, strict=True)
    ]
    return bool(units < LARGEST_SUM / 2 and max(means) < LARGEST_MEAN)

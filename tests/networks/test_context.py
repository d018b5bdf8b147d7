# SPDX-License-Identifier: MIT
"""Convolutions that can be exact."""

import pytest
import torch

from vgic_lib.bitstream.fixed_point import (
    GRID,
)
from vgic_lib.networks.context import Conv, CrossConv


@pytest.mark.parametrize("size", [1, 3])
def test_exact_convolution_is_the_same_convolution(size):
    torch.manual_seed(0)
    layer, x = Conv(5, 7, size).double(), torch.randn(2, 5, 6, 9, dtype=torch.float64)
    expected = layer(x)
    layer.requires_grad_(False)
    layer.grid, layer.limit = GRID, 1.0
    assert (layer(x) - expected.clamp(-1, 1)).abs().max() <= GRID / 2
    assert not (layer(x) / GRID % 1).any()


def test_a_cross_convolution_sees_the_other_colour():
    torch.manual_seed(0)
    layer, x = CrossConv(5, 7).double(), torch.randn(2, 5, 6, 9, dtype=torch.float64)
    odd = (torch.arange(6)[:, None] + torch.arange(9)) % 2
    places = odd.flatten().nonzero()[:, 0]
    expected = layer(x * (1 - odd), places)
    layer.requires_grad_(False)
    layer.grid, layer.limit = GRID, 100.0
    assert (layer(x * (1 - odd), places) - expected).abs().max() <= GRID / 2

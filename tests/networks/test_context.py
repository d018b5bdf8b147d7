# SPDX-License-Identifier: MIT
"""Convolutions on a checkerboard; how they become exact is in bitstream/test_exact_layers.py."""

import torch

from vgic_lib.networks.context import CrossConv


def test_a_cross_convolution_sees_the_other_colour_alone():
    torch.manual_seed(0)
    layer, x = CrossConv(5, 7), torch.randn(2, 5, 6, 9)
    odd = (torch.arange(6)[:, None] + torch.arange(9)) % 2
    places = odd.flatten().nonzero()[:, 0]
    seen = layer(x * (1 - odd), places)
    assert seen.shape == (2, 7, len(places))
    layer.weight.data[..., 1, 1] = layer.weight.data[..., ::2, ::2] = 7.0  # they meet zeros
    assert torch.allclose(seen, layer(x * (1 - odd), places), atol=1e-6)

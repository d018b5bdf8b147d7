# SPDX-License-Identifier: MIT
"""The lapped transform: what analysis takes apart, synthesis puts together."""

import pytest
import torch
from helpers.samples import assert_near, smooth_crops
from torch.nn import functional as F

from vgic_lib.networks.lapped import (
    BLOCK,
    LappedAnalysis,
    LappedSynthesis,
    border_filter,
    filter_borders,
    initialise_linear,
)

SIZES = [(16, 16), (16, 48), (64, 16), (32, 48)]  # height, width


@pytest.mark.parametrize("size", SIZES)
def test_all_coefficients_give_the_picture_back(size):
    analysis, synthesis = LappedAnalysis(3 * BLOCK**2), LappedSynthesis(3 * BLOCK**2)
    initialise_linear(analysis, synthesis, smooth_crops(8, 64, 64) / 2)
    x = smooth_crops(2, *size) / 2
    assert_near(synthesis(analysis(x)), x, atol=1e-4)


def test_few_coefficients_give_most_of_it():
    analysis, synthesis = LappedAnalysis(48), LappedSynthesis(48)
    crops = smooth_crops(8, 64, 64) / 2
    deviation = initialise_linear(analysis, synthesis, crops)
    assert (deviation.diff() <= 0).all()
    assert (synthesis(analysis(crops)) - crops).square().mean() < 0.1 * crops.square().mean()


@pytest.mark.parametrize("size", SIZES)
def test_synthesis_is_a_transposed_convolution_and_a_filter(size):
    torch.manual_seed(0)
    synthesis = LappedSynthesis(5)
    y = torch.randn(2, 5, size[0] // BLOCK, size[1] // BLOCK, requires_grad=True)
    blocks = F.conv_transpose2d(y, synthesis.basis, stride=BLOCK)
    expected = filter_borders(blocks, synthesis.border)
    assert_near(synthesis(y), expected, atol=1e-4)
    wanted = (y, synthesis.basis)
    ours, theirs = (torch.autograd.grad(out.square().sum(), wanted) for out in (synthesis(y), expected))
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-3) for a, b in zip(ours, theirs, strict=True))


def test_synthesis_follows_autocast_outside_training_only():
    torch.manual_seed(0)
    synthesis, y = LappedSynthesis(5), torch.randn(1, 5, 2, 3)
    exact = synthesis(y)
    with torch.autocast("cpu", torch.bfloat16):
        assert synthesis(y).equal(exact)
        low = synthesis.eval()(y)
    assert synthesis(y).equal(exact)
    assert low.dtype == torch.float32 and not low.equal(exact)
    assert_near(low, exact, atol=0.01 * exact.abs().max().item())


def test_borders_are_filtered_across_and_the_rim_is_left():
    x = torch.zeros(1, 1, 32, 48)
    x[..., 16:] = 1.0  # an edge at the first border between columns
    weight = border_filter().float()
    filtered = filter_borders(x, weight)
    step = torch.cat([torch.zeros(8), torch.ones(8)])
    assert_near(filtered[0, 0, 0, 8:24], weight @ step, atol=1e-6)
    assert filtered[0, 0, :, :8].equal(x[0, 0, :, :8])
    assert_near(filter_borders(x.transpose(2, 3), weight), filtered.transpose(2, 3), atol=1e-5)

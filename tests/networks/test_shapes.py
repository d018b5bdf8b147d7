# SPDX-License-Identifier: MIT
"""Distributions around predicted means."""

import pytest
import torch

from vgic_lib.networks.pixels import SCALES
from vgic_lib.networks.shapes import Shapes


@pytest.mark.parametrize("entry", [0.0, 12.3, SCALES - 1.0])
def test_probabilities_add_up(entry):
    edges = torch.arange(-40000, 40001) / 10
    with torch.no_grad():
        mass = Shapes()(edges[:-1], edges[1:], torch.tensor(entry).expand(80000))
    assert mass.min() >= 0 and mass.sum() == pytest.approx(1, abs=2e-3)
    assert (mass - mass.flip(0)).abs().max() < 1e-3


def test_more_scale_is_dearer_near_and_cheaper_far():
    shapes = Shapes()
    index = torch.tensor([5.0, 40.0])
    near, far = (shapes.bits(x - 0.5, x + 0.5, index) for x in (torch.zeros(2), torch.full((2,), -60.0)))
    assert near[0] < near[1] and far[0] > far[1]


def test_gradients_reach_everything():
    shapes, index = Shapes(), torch.linspace(-3, 50, 60, requires_grad=True)
    low = torch.linspace(-9, -0.5, 60, requires_grad=True)
    shapes.bits(low, low + 1, index).sum().backward()
    tensors = (index, low, *shapes.parameters())
    assert all(x.grad.isfinite().all() and x.grad.abs().sum() > 0 for x in tensors)


def test_mixture_is_what_the_densities_mix():
    share, width = Shapes().mixture()
    assert share.shape == width.shape == (SCALES,)
    assert torch.allclose(share, torch.sigmoid(torch.tensor(-2.0))) and torch.allclose(
        width, torch.tensor(3.0)
    )

# SPDX-License-Identifier: MIT
"""Layers of the codec's transforms, and how far coarse arithmetic takes pixels off."""

import pytest
import torch
from helpers.samples import smooth_crops
from torch import nn

from vgic_lib.models import store
from vgic_lib.networks import stages
from vgic_lib.networks.stages import Halving, Pointwise, cells, coarse, upsample


def test_a_pointwise_convolution_is_a_convolution():
    torch.manual_seed(0)
    layer, x = Pointwise(5, 7), torch.randn(2, 5, 3, 4)
    expected = nn.functional.conv2d(x, layer.weight, layer.bias)
    assert torch.allclose(layer(x), expected, atol=1e-6)
    shuffled = upsample(5, 2)
    assert shuffled(x).shape == (2, 2, 6, 8)


def used_memory():
    """Leave numbers in what the next tensors are likely to get."""
    [torch.full((4**exponent,), 1e30) for exponent in range(2, 11) for _ in range(6)]


@pytest.mark.parametrize("channels", [(8, 4), (96, 192)])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (8, 1), (38, 2), (2, 38), (3, 5), (16, 24)])
def test_halving_in_bfloat16_is_halving(channels, size):
    """Whatever memory held before: output and gradients once held it where a convolution is all padding."""
    torch.manual_seed(0)
    layer = Halving(*channels)
    x = torch.randn(8, channels[0], *size).contiguous(memory_format=torch.channels_last)
    results = []
    for fast in (False, True):
        layer.zero_grad()
        picture = x.clone().requires_grad_()
        used_memory()
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            halved = layer(picture)
        used_memory()
        halved.float().square().sum().backward()
        results.append([halved, picture.grad, layer.weight.grad, layer.bias.grad])
    assert results[0][0].shape == (8, channels[1], -(-size[0] // 2), -(-size[1] // 2))
    for exact, close in zip(*results, strict=True):
        assert (close.float() - exact).norm() < 0.02 * exact.norm()


def test_cells_are_those_of_pixel_unshuffle():
    x = torch.randn(2, 3, 8, 12)
    assert torch.equal(cells(x, 4), nn.functional.pixel_unshuffle(x, 4))


def arithmetic(monkeypatch, fast):
    monkeypatch.setattr(stages, "has_bfloat16", lambda device: fast)


def test_coarse_arithmetic_is_for_those_who_do_not_learn(monkeypatch):
    arithmetic(monkeypatch, fast=True)
    layer, x = Pointwise(4, 4), torch.randn(1, 4, 2, 2)
    with coarse(x):
        assert layer(x).dtype == torch.float32  # gradients are wanted
    with torch.no_grad(), coarse(x):
        assert layer(x).dtype == torch.bfloat16
    arithmetic(monkeypatch, fast=False)
    with torch.no_grad(), coarse(x):
        assert layer(x).dtype == torch.float32


@pytest.mark.parametrize("quality", [1, 50, 100])
def test_pixels_of_coarse_arithmetic_stay_within_half_a_level(monkeypatch, quality):
    """So two machines, of which one computes so, differ by one level at most."""
    model = store.load_model("hyperprior")
    setting, size = model.setting(quality), (64, 96)
    random = torch.Generator().manual_seed(0)
    x = (smooth_crops(1, *size) + 1) / 2 + 0.1 * torch.randn(1, 3, *size, generator=random)
    pixels = []
    with torch.no_grad():
        latents = model.rounded(model.analysis(x, setting), setting)
        for fast in (True, False):
            arithmetic(monkeypatch, fast)
            pixels.append(model.synthesis(latents, setting, size))
    off = 255 * (pixels[0] - pixels[1]).abs().max()
    assert 0 < off < 0.5

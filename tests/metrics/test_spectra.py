# SPDX-License-Identifier: MIT
"""Local power spectra."""

import math

import pytest
import torch

from vgic_lib.metrics.spectra import FLOOR, SMALLEST_SIDE, log_spectra, spectral_distance


def noise(seed: int, levels: float, side: int = 208) -> torch.Tensor:
    """Grey pictures of white noise of a deviation in 8-bit levels."""
    grey = torch.randn(1, 1, side, side, generator=torch.Generator().manual_seed(seed))
    return 0.5 + levels / 255 * grey.expand(1, 3, side, side)


def regularity(x: torch.Tensor, x_hat: torch.Tensor) -> torch.Tensor:
    """What a picture has most too much of, in doublings of power at one frequency."""
    return (log_spectra(x_hat) - log_spectra(x)).amax(1).mean((1, 2))


def test_white_noise_has_its_variance_at_every_frequency():
    spectra = log_spectra(noise(0, 8, 688))
    frequencies = (2 ** spectra.mean((0, 2, 3)))[10:]  # the first ones lose the mean of each window
    assert spectra.shape[1] == 16 * 9
    assert frequencies.min() > 0.75 * 64 and frequencies.max() < 1.2 * 64
    assert log_spectra(torch.full((1, 3, 48, 48), 0.5)).max().item() == pytest.approx(math.log2(FLOOR))


def test_texture_counts_and_its_phase_does_not():
    x = noise(0, 8)
    other, weaker, smooth = (spectral_distance(x, y) for y in (noise(1, 8), noise(1, 4), noise(1, 0)))
    assert spectral_distance(x, x) == 0
    assert other < 0.25 * weaker < 0.1 * smooth


def test_a_regular_pattern_stands_out_where_texture_of_the_same_strength_does_not():
    x = noise(0, 2)
    columns = torch.arange(x.shape[3])
    grating = x + 4 / 255 * math.sqrt(2) * torch.sin(2 * math.pi * columns / 4.5)
    texture = x + noise(1, 4) - 0.5
    assert regularity(x, grating) > 6 > 4.5 > regularity(x, texture)
    assert regularity(x, x) == 0


def test_gradients_and_the_smallest_picture():
    x = noise(0, 4, SMALLEST_SIDE)
    x_hat = noise(1, 2, SMALLEST_SIDE).clone().requires_grad_()
    spectral_distance(x, x_hat).sum().backward()
    assert x_hat.grad.isfinite().all() and x_hat.grad.abs().max() > 0

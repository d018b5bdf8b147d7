# SPDX-License-Identifier: MIT
"""Losses of training."""

import math

import numpy as np
import pytest
import torch

from vgic_lib.training.config import HyperpriorConfig
from vgic_lib.training.losses import distortion, objective, trade_off


def test_distortions():
    x, x_hat = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    x_hat[0], x_hat[1] = 0.2, 0.5
    assert distortion(x_hat, x, "l1").item() == pytest.approx(2 * 0.35)
    psnr = [10 * np.log10(value**2 / 4 + 10**-3.6) for value in (0.2, 0.5)]
    assert distortion(x_hat, x, "psnr").item() == pytest.approx(np.mean(psnr), rel=1e-5)
    assert distortion(x, x, "psnr").item() == pytest.approx(-36)


def test_the_objective_weighs_distortion_and_rate():
    quality = torch.tensor([0.0, 3.5, 7.0])
    weights = [8e-4, math.sqrt(8e-4 * 0.15), 0.15]
    assert trade_off(HyperpriorConfig(), quality).tolist() == pytest.approx(weights, rel=1e-5)
    mse, bpp = torch.tensor([1e-2, 1e-3, 1e-4]), torch.tensor([0.1, 0.5, 2.0])
    expected = [
        (weight * 255**2 * d + r) / math.sqrt(weight)
        for weight, d, r in zip(weights, mse.tolist(), bpp.tolist(), strict=True)
    ]
    assert objective(HyperpriorConfig(), quality, mse, bpp).tolist() == pytest.approx(expected, rel=1e-5)

# SPDX-License-Identifier: MIT
"""Losses of training."""

import math
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch

from vgic_lib.search.objectives import TUNES, objective_bpp
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
    x = torch.full((3, 3, 64, 64), 0.5)
    x_hat = x + mse.sqrt()[:, None, None, None]
    expected = [
        (weight * 255**2 * d + r) / math.sqrt(weight)
        for weight, d, r in zip(weights, mse.tolist(), bpp.tolist(), strict=True)
    ]
    assert objective(HyperpriorConfig(), quality, x, x_hat, bpp).tolist() == pytest.approx(expected, rel=1e-5)


def test_a_tune_trains_for_the_mix_that_a_search_descends():
    config, quality = HyperpriorConfig(tune="eye"), torch.tensor([1.0, 6.0])
    x = torch.rand(2, 3, 176, 176, generator=torch.Generator().manual_seed(0))
    x_hat = (x + 0.1 * torch.rand(x.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    weights, bpp = trade_off(config, quality), torch.tensor([0.2, 1.5])
    searched = [
        objective_bpp(x[k : k + 1], weights[k].item(), TUNES["eye"])(
            x_hat[k : k + 1], bpp[k : k + 1] * 176**2
        )
        for k in range(2)
    ]
    expected = torch.stack(searched) / weights.sqrt()
    assert objective(config, quality, x, x_hat, bpp).tolist() == pytest.approx(expected.tolist(), rel=1e-4)
    assert set(get_args(get_type_hints(HyperpriorConfig)["tune"])) == set(TUNES)

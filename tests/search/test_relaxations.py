# SPDX-License-Identifier: MIT
"""Relaxations of rounding: values, gradients, limits."""

import pytest
import torch
from helpers.samples import assert_near

from vgic_lib.search.latent_search import RELAXATIONS


def random(seed=0):
    return torch.Generator().manual_seed(seed)


K = torch.linspace(0.05, 6.95, 139)  # no half-integers


def test_straight_through_rounds_and_passes_the_gradient():
    k = K.clone().requires_grad_()
    rounded = RELAXATIONS["straight-through"](k, 0.5, random())
    assert_near(rounded, K.round(), atol=1e-6)
    rounded.sum().backward()
    assert torch.equal(k.grad, torch.ones_like(k))


def test_noise_is_uniform_and_one_step_wide():
    k = torch.full((10_000,), 3.0)
    noise = RELAXATIONS["noise"](k, 0.5, random()) - k
    assert -0.5 <= noise.min() < -0.49 < 0.49 < noise.max() <= 0.5
    assert abs(noise.mean()) < 0.02
    assert noise.var().item() == pytest.approx(1 / 12, rel=0.05)


def test_soft_rounding_keeps_integers_and_sharpens():
    soft = RELAXATIONS["soft-rounding"]
    whole = torch.arange(-2.0, 5.0)
    for progress in (0.0, 0.5, 1.0):
        assert_near(soft(whole, progress, random()), whole, atol=1e-5)
        assert_near(soft(whole + 0.5, progress, random()), whole + 0.5, atol=1e-5)
        assert (soft(K, progress, random()).diff() > 0).all()
    distance = [(soft(K, progress, random()) - K.round()).abs().mean() for progress in (0.0, 0.5, 1.0)]
    assert distance[0] > 2 * distance[1] > 2 * distance[2]
    assert distance[0] < (K - K.round()).abs().mean()


def test_soft_rounding_has_the_slope_of_its_formula():
    k = K.double().requires_grad_()
    soft = RELAXATIONS["soft-rounding"]
    soft(k, 0.3, random()).sum().backward()
    step = 1e-6
    with torch.no_grad():
        slope = (soft(k + step, 0.3, random()) - soft(k - step, 0.3, random())) / (2 * step)
    inner = (K - K.round()).abs() > 1e-3
    assert_near(k.grad[inner], slope[inner], atol=1e-5)


def test_gumbel_chooses_between_the_neighbours_ever_surer():
    gumbel = RELAXATIONS["gumbel"]
    k = K.repeat(50, 1)
    early, late = (gumbel(k, progress, random()) for progress in (0.0, 1.0))
    for sample in (early, late):
        assert ((sample >= k.floor() - 1e-5) & (sample <= k.floor() + 1 + 1e-5)).all()
    clear = (K - K.floor() - 0.5).abs() > 0.1
    nearest = k[:, clear].round()
    farther = [((sample[:, clear] - nearest).abs() > 0.5).float().mean() for sample in (early, late)]
    assert farther[1] < farther[0] / 5
    assert (early - early.round()).abs().mean() > 5 * (late - late.round()).abs().mean()


def test_gumbel_goes_up_as_often_as_its_logits_say():
    """P(up) = 1 / (1 + exp(logit of down - logit of up)), Yang et al. 2020, equation 10."""
    share, temperature = 0.6, 0.5
    k = torch.full((20_000,), 2 + share)
    up = (RELAXATIONS["gumbel"](k, 0.0, random()) > 2.5).double().mean().item()
    down_logit, up_logit = (-torch.atanh(torch.tensor(v)) / temperature for v in (share, 1 - share))
    assert up == pytest.approx(torch.sigmoid(up_logit - down_logit).item(), abs=0.015)


def test_gumbel_passes_a_gradient():
    k = K.clone().requires_grad_()
    RELAXATIONS["gumbel"](k, 0.0, random()).sum().backward()
    assert k.grad.isfinite().all()
    assert k.grad.mean() > 0

# SPDX-License-Identifier: MIT
"""What a search minimises."""

import math

import pytest
import torch
from helpers.samples import smooth_crops

from vgic_lib.errors import ParameterError
from vgic_lib.metrics.ms_ssim import ms_ssim
from vgic_lib.metrics.ssimulacra2 import ssimulacra2
from vgic_lib.models.tunes import TUNED_MODELS
from vgic_lib.search import objectives
from vgic_lib.search.objectives import TERMS, TUNES, equal_trade_off, objective_bpp, objective_db

SQUARED_ERROR = {"squared error": 1.0}


def pair(height=40, width=56, seed=3):
    """A smooth picture, and the same with noise, (1, 3, H, W) in [0, 1]."""
    x = (smooth_crops(1, height, width, seed=seed) + 1) / 2
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    return x, (x + 0.03 * noise).clamp(0, 1)


def test_the_objective_trades_decibels_for_doublings():
    x, bits = torch.zeros(1, 3, 4, 4), torch.tensor([1023.0])
    base = objective_db(x, 3.0)(x + 0.1, bits).item()
    assert base == pytest.approx(-20 + 3 * 10, abs=1e-3)
    assert objective_db(x, 3.0)(x + 0.1, 2 * bits + 1).item() == pytest.approx(base + 3, abs=1e-3)
    assert objective_db(x, 0.0)(x + 0.1, bits).item() == pytest.approx(-20, abs=1e-3)


def test_bits_per_pixel_and_squared_error_add_up():
    x = torch.zeros(1, 3, 4, 4)
    found = objective_bpp(x, 0.5, SQUARED_ERROR)(x + 2 / 255, torch.tensor([48.0])).item()
    assert found == pytest.approx(0.5 * 4 + 3)


def test_a_mix_is_the_sum_of_its_terms():
    (x, x_hat), bits, trade_off = pair(), torch.tensor([1000.0]), 0.02
    found = objective_bpp(x, trade_off, {"squared error": 0.4, "ssimulacra2": 0.5, "ms-ssim": 0.2})
    expected = (
        0.4 * trade_off * 255**2 * (x - x_hat).square().mean()
        + 0.5 * 0.045 * math.sqrt(trade_off) * (100 - ssimulacra2(x, x_hat))
        + 0.2 * 1250 * trade_off * (1 - ms_ssim(x, x_hat, "ycbcr", scales=2))
        + 1000 / (40 * 56)
    )
    assert found(x_hat, bits).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("name", TERMS)
def test_a_term_is_zero_at_equal_pictures_and_falls_towards_them(name):
    x, x_hat = pair()
    distance, x_hat = TERMS[name].prepare(x), x_hat.requires_grad_()
    value = distance(x_hat)
    value.backward()
    assert distance(x).item() == pytest.approx(0, abs=1e-3) and value > 0
    assert x_hat.grad.isfinite().all()
    assert distance(x_hat - 1e-3 * x_hat.grad / x_hat.grad.abs().max()) < value
    equal = x.clone().requires_grad_()
    distance(equal).backward()
    assert equal.grad.isfinite().all()


def test_texture_asks_for_the_contrast_that_a_smooth_picture_lacks():
    """Squared error likes the mean best; of two pictures with wrong pixels, texture likes the grainy one."""
    generator = torch.Generator().manual_seed(0)
    grain, other = (0.1 * torch.randn(1, 3, 48, 48, generator=generator) for _ in range(2))
    x, smooth, grainy = 0.5 + grain, 0.5 + 0 * grain, 0.5 + other
    distances = {name: TERMS[name].prepare(x) for name in ("squared error", "texture")}
    assert distances["squared error"](smooth) < distances["squared error"](grainy)
    assert distances["texture"](grainy) < 0.2 * distances["texture"](smooth)


def test_large_pictures_are_measured_in_tiles(monkeypatch):
    """The mean over the tiles, by area, and its gradient; squared error does not notice."""
    x, x_hat = pair(50, 67)
    bits, grown = torch.tensor([0.0]), x_hat.clone().requires_grad_()
    mix = {name: share for name, share in TUNES["eye"].items() if name != "ms-ssim"}  # has more scales
    whole = {
        tune: objective_bpp(x, 0.02, shares)(x_hat, bits).item()
        for tune, shares in {"psnr": SQUARED_ERROR, "eye": mix}.items()
    }
    monkeypatch.setattr(objectives, "TILE", 34)
    assert [(t[2].start, t[2].stop) for t in objectives._tiles((50, 67))[::2]] == [(0, 25), (25, 50)]
    assert objective_bpp(x, 0.02, SQUARED_ERROR)(x_hat, bits).item() == pytest.approx(whole["psnr"])
    found = objective_bpp(x, 0.02, TUNES["eye"])(grown, bits)
    found.backward()
    assert objective_bpp(x, 0.02, mix)(x_hat, bits).item() == pytest.approx(whole["eye"], rel=0.3)
    leaf, expected = x_hat.clone().requires_grad_(), 0.0
    for tile in objectives._tiles((50, 67)):
        part, area = objective_bpp(x[tile], 0.02, TUNES["eye"]), x[tile].numel() / x.numel()
        expected = expected + area * part(leaf[tile], bits)
    expected.backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(grown.grad, leaf.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (7, 40), (8, 8), (10, 9), (11, 11), (12, 300)])
def test_any_size_is_measured_by_the_terms_that_it_is_large_enough_for(size):
    x, x_hat = torch.full((1, 3, *size), 0.5), torch.full((1, 3, *size), 0.6).requires_grad_()
    found = objective_bpp(x, 0.02, TUNES["eye"])(x_hat, torch.tensor([0.0]))
    found.backward()
    assert found > 0 and x_hat.grad.isfinite().all()
    if min(size) < 8:
        share = sum(TUNES["eye"].values())
        assert found.item() == pytest.approx(share * 0.02 * 25.5**2, rel=1e-4)


def test_the_equal_trade_off_has_the_slope_of_the_decibels():
    """At the point where both are compared, a little more error is worth as many bits to either."""
    x, x_hat, bits = torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.1), torch.tensor([500.0])
    trade_off = equal_trade_off(0.01, 500 / 64, 2.0)
    for objective in (objective_db(x, 2.0), objective_bpp(x, trade_off, SQUARED_ERROR)):
        value, paid = x_hat.clone().requires_grad_(), bits.clone().requires_grad_()
        objective(value, paid).backward()
        slopes = value.grad.sum() / paid.grad
        assert slopes.item() == pytest.approx(20 * 500 / 0.1 * math.log10(2) / 2, rel=0.02)
    with pytest.raises(ParameterError, match="price"):
        equal_trade_off(0.01, 1.0, 0.0)


def test_tunes_are_those_of_the_models_and_name_terms():
    assert list(TUNES)[:2] == ["psnr", "eye"] and TUNES["psnr"] == SQUARED_ERROR
    assert all(set(shares) <= set(TERMS) and min(shares.values()) > 0 for shares in TUNES.values())
    assert list(TUNES) == list(TUNED_MODELS)

# SPDX-License-Identifier: MIT
"""SSIMULACRA2 on tensors against the package, its slopes against finite differences."""

import numpy as np
import pytest
import torch
from helpers.distorted import assert_slopes_are_true, blurred, encoded, noise_tensors, noisy, photograph

from vgic_lib.errors import ParameterError
from vgic_lib.metrics import perceptual
from vgic_lib.metrics.ssimulacra2 import Ssimulacra2Reference, ssimulacra2
from vgic_lib.metrics.tensors import as_tensor

PICTURES = {
    "even": photograph("astronaut", 256, 384),
    "odd": photograph("coffee", 151, 205, 120, 200),
    "dark": photograph("rocket", 130, 129, 100, 200),
    "five scales": photograph("chelsea", 151, 121, 60, 100),  # 151 / 16 is 10, 121 / 16 is 8
    "three scales": photograph("chelsea", 35, 50, 100, 150),
    "one scale": photograph("coffee", 9, 14, 100, 200),
}
DISTORTIONS = {
    "jpeg 5": lambda x: encoded(x, "JPEG", 5),
    "jpeg 90": lambda x: encoded(x, "JPEG", 90),
    "webp 40": lambda x: encoded(x, "WEBP", 40),
    "avif 30": lambda x: encoded(x, "AVIF", 30),
    "avif 90": lambda x: encoded(x, "AVIF", 90),
    "blur": lambda x: blurred(x, 2),
    "noise": lambda x: noisy(x, 12),
    "brighter": lambda x: np.clip(x + 2.0, 0, 255).astype(np.uint8),
    "blue noise": lambda x: np.dstack([x[..., :2], noisy(x, 20)[..., 2]]),
}


@pytest.mark.parametrize("picture", PICTURES)
def test_agrees_with_the_package(picture):
    x = PICTURES[picture]
    pictures = {name: distort(x) for name, distort in DISTORTIONS.items()}
    reference = Ssimulacra2Reference(as_tensor(x))
    found = {name: reference.score(as_tensor(x_hat)).item() for name, x_hat in pictures.items()}
    expected = {name: perceptual.ssimulacra2(x, x_hat) for name, x_hat in pictures.items()}
    assert min(expected.values()) < max(expected.values()) - 10
    assert found == pytest.approx(expected, abs=0.02)


def test_borders_are_those_of_the_package():
    """Errors at the four borders only, which weigh differently at the sides and above."""
    x = photograph("coffee", 96, 96, 100, 200)
    for border in (np.s_[:3], np.s_[-3:], np.s_[:, :3], np.s_[:, -3:]):
        x_hat = x.copy()
        x_hat[border] = 255 - x_hat[border]
        score = ssimulacra2(as_tensor(x), as_tensor(x_hat)).item()
        assert score == pytest.approx(perceptual.ssimulacra2(x, x_hat), abs=0.02)


def test_a_batch_is_its_pictures():
    x, x_hat = noise_tensors(70, 90, dtype=torch.float32)
    alone = torch.cat([ssimulacra2(x[k : k + 1], x_hat[k : k + 1]) for k in range(2)])
    assert alone[0] != alone[1]
    assert torch.allclose(ssimulacra2(x, x_hat), alone, atol=1e-3)


@pytest.mark.parametrize("size", [(140, 133), (20, 40), (8, 8)])
def test_slopes(size):
    x, x_hat = noise_tensors(*size)
    assert_slopes_are_true(Ssimulacra2Reference(x).score, x_hat)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_equal_pictures_have_the_best_score_and_a_finite_slope(dtype, level):
    x = torch.full((1, 3, 64, 96), level, dtype=dtype)
    x[..., 48:] = 0.5
    x_hat = x.clone().requires_grad_()
    score = ssimulacra2(x, x_hat)
    score.sum().backward()
    assert score.dtype == dtype and score.item() == pytest.approx(100, abs=0.01)
    assert x_hat.grad.isfinite().all()


def test_values_out_of_range_count_as_the_nearest_within():
    x, x_hat = noise_tensors(40, 40)
    x_hat[..., :9], x_hat[..., 9:18] = -0.4, 1.7
    assert torch.equal(ssimulacra2(x, x_hat), ssimulacra2(x, x_hat.clamp(0, 1)))


def test_refuses_a_picture_without_a_scale():
    with pytest.raises(ParameterError, match="at least 8"):
        ssimulacra2(torch.zeros(1, 3, 7, 40), torch.zeros(1, 3, 7, 40))

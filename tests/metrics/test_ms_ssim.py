# SPDX-License-Identifier: MIT
"""MS-SSIM on tensors against an earlier program in numpy, scikit-image and formulas."""

import numpy as np
import pytest
import torch
from helpers.distorted import assert_slopes_are_true, noise_tensors, noisy, photograph
from skimage.metrics import structural_similarity

from vgic_lib.errors import ParameterError
from vgic_lib.metrics import distortion
from vgic_lib.metrics.ms_ssim import SCALE_WEIGHTS, MsSsimReference, ms_ssim, smallest_side
from vgic_lib.metrics.tensors import as_tensor

PICTURES = {
    "even": photograph("astronaut", 256, 384),
    "odd": photograph("coffee", 161, 177, 120, 200),
    "mixed": photograph("chelsea", 203, 301, 20, 50),
}
DISTORTIONS = (
    lambda x: noisy(x, 3),
    lambda x: noisy(x, 40),
    lambda x: 255 - x // 2,
    lambda x: np.roll(x, 2, 1),
)
EXPECTED = {  # of this project's program in numpy, which shared no line with today's
    "even": (0.9917785084729264, 0.699732087059323, 0.0, 0.9069525068216985),
    "odd": (0.9925170489709417, 0.7251975139310604, 0.0, 0.9389616269963631),
    "mixed": (0.9960738975730768, 0.7345193613074606, 0.0, 0.8332579762247198),
}


@pytest.mark.parametrize("picture", PICTURES)
def test_agrees_with_the_earlier_program(picture):
    x = PICTURES[picture]
    pictures = [distort(x) for distort in DISTORTIONS]
    expected = pytest.approx(EXPECTED[picture], abs=1e-9)
    assert tuple(distortion.ms_ssim(x, x_hat) for x_hat in pictures) == expected
    reference = MsSsimReference(as_tensor(x))  # float32
    found = tuple(reference.score(as_tensor(x_hat)).item() for x_hat in pictures)
    assert found == pytest.approx(EXPECTED[picture], abs=1e-5)


def test_one_scale_is_ssim_where_the_window_fits():
    x, x_hat = PICTURES["odd"], noisy(PICTURES["odd"], 15)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
    maps = [
        structural_similarity(x[..., c], x_hat[..., c], data_range=255, **options)[1][5:-5, 5:-5].mean()
        for c in range(3)
    ]
    found = ms_ssim(*(as_tensor(p, torch.float64) for p in (x, x_hat)), scales=1)
    power = sum(SCALE_WEIGHTS)
    assert found.item() == pytest.approx(np.mean(np.array(maps) ** power), abs=1e-6)


def test_channels_of_ycbcr():
    x, x_hat = noise_tensors(176, 192, batch=1)  # no side is ever odd
    grey = torch.full_like(x, 0.5)
    luma = (torch.tensor([0.299, 0.587, 0.114])[:, None, None] * x).sum(1, keepdim=True).expand_as(x)
    luma_hat = (torch.tensor([0.299, 0.587, 0.114])[:, None, None] * x_hat).sum(1, keepdim=True)
    only_luma = ms_ssim(x, x_hat, "ycbcr", (1, 0, 0))
    assert only_luma.item() == pytest.approx(ms_ssim(luma, luma_hat.expand_as(x)).item(), abs=1e-6)
    for channel, primary in ((1, 2), (2, 0)):  # Cb of blue, Cr of red: half of the range at most
        tinted = grey.clone()
        tinted[:, primary] += 0.2
        weights = [float(k == channel) for k in range(3)]
        luma_weight = (0.299, 0.587, 0.114)[primary]
        chroma = 0.5 + 0.2 * (1 - luma_weight) / (1.772, 1.402)[channel - 1]
        luminance = (2 * 0.5 * chroma + 1e-4) / (0.5**2 + chroma**2 + 1e-4)
        found = ms_ssim(grey, tinted, "ycbcr", weights).item()
        assert found == pytest.approx(luminance ** SCALE_WEIGHTS[-1], abs=1e-6)


def test_channel_weights_are_a_mean():
    x, x_hat = noise_tensors(50, 60, batch=1)
    x_hat[:, 1] = x[:, 1]
    parts = [ms_ssim(x, x_hat, "rgb", weights, 3).item() for weights in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    assert parts[1] == pytest.approx(1)
    assert ms_ssim(x, x_hat, "rgb", (2, 1, 5), 3).item() == pytest.approx(np.dot(parts, (2, 1, 5)) / 8)
    assert ms_ssim(x, x_hat, scales=3).item() == pytest.approx(np.mean(parts))


@pytest.mark.parametrize("scales, side", [(1, 11), (2, 21), (3, 41), (4, 81), (5, 161)])
def test_smallest_sides(scales, side):
    assert smallest_side(scales) == side
    x, x_hat = noise_tensors(side, side + 9)
    assert ((ms_ssim(x, x_hat, scales=scales) < 1) & (ms_ssim(x, x_hat, scales=scales) > 0)).all()
    assert torch.allclose(ms_ssim(x, x, scales=scales), torch.ones(2, dtype=x.dtype))
    with pytest.raises(ParameterError, match=f"at least {side}"):
        ms_ssim(x[..., :-10], x_hat[..., :-10], scales=scales)


@pytest.mark.parametrize("colours, scales, size", [("rgb", 5, (163, 170)), ("ycbcr", 3, (45, 41))])
def test_slopes(colours, scales, size):
    x, x_hat = noise_tensors(*size)
    assert_slopes_are_true(MsSsimReference(x, colours, scales=scales).score, x_hat)


def test_slopes_are_finite_for_equal_and_for_opposite_pictures():
    x, _ = noise_tensors(45, 45, dtype=torch.float32)
    for x_hat in (x.clone(), 1 - x, torch.zeros_like(x)):
        x_hat.requires_grad_()
        ms_ssim(x, x_hat, scales=3).sum().backward()
        assert x_hat.grad.isfinite().all()


@pytest.mark.parametrize(
    "wrong", [{"colours": "lab"}, {"scales": 0}, {"scales": 6}, {"channel_weights": (1, 1)},
              {"channel_weights": (0, 0, 0)}, {"channel_weights": (1, -1, 3)}]
)  # fmt: skip
def test_refuses_arguments_out_of_range(wrong):
    with pytest.raises(ParameterError):
        ms_ssim(*noise_tensors(161, 161), **wrong)

# SPDX-License-Identifier: MIT
"""Metrics against values computed by hand and by formula."""

import math

import numpy as np
import pytest
from skimage import data

from vgic_lib.metrics import distortion


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return data.astronaut()[:178, 200:420]


def noisy(x: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, sigma, x.shape)
    return np.clip(np.round(x + noise), 0, 255).astype(np.uint8)


def test_psnr_of_a_known_error() -> None:
    x = np.full((8, 8, 3), 100, np.uint8)
    assert distortion.psnr_db(x, x + 5) == pytest.approx(10 * math.log10(255**2 / 25))
    one_channel = x.copy()
    one_channel[..., 0] += 5
    assert distortion.psnr_db(x, one_channel) == pytest.approx(10 * math.log10(3 * 255**2 / 25))


def test_psnr_does_not_wrap_around() -> None:
    x, y = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert distortion.psnr_db(x, y) == distortion.psnr_db(y, x) == 0


def test_equal_pictures(photograph: np.ndarray) -> None:
    same = distortion.quality(photograph, photograph)
    assert same == (distortion.HIGHEST_DB, pytest.approx(1), pytest.approx(1))


def test_decibels_end_where_pictures_are_as_good_as_equal() -> None:
    assert distortion.decibels(0.001) == pytest.approx(30)
    assert distortion.decibels(np.array([1, 1e-4, 1e-12, 0, -1e-17])).tolist() == [0, 40, 100, 100, 100]
    large = np.zeros((300, 300, 3), np.uint8)
    almost = large.copy()
    almost[0, 0, 0] = 1
    assert distortion.psnr_db(large, almost) == distortion.HIGHEST_DB


def test_ms_ssim_of_flat_pictures_is_the_luminance_term_of_the_last_scale() -> None:
    x, y = np.full((176, 192, 3), 80, np.uint8), np.full((176, 192, 3), 120, np.uint8)
    c1 = (0.01 * 255) ** 2
    luminance = (2 * 80 * 120 + c1) / (80**2 + 120**2 + c1)
    assert distortion.ms_ssim(x, y) == pytest.approx(luminance**0.1333, abs=1e-6)


def test_more_noise_is_worse_in_every_metric(photograph: np.ndarray) -> None:
    mild, strong = (distortion.quality(photograph, noisy(photograph, sigma)) for sigma in (5, 25))
    assert all(good > bad for good, bad in zip(mild, strong, strict=True))
    assert mild.psnr_db == pytest.approx(10 * math.log10(255**2 / 25), abs=0.3)


def test_sides_too_short_for_a_window_give_nan() -> None:
    x = np.zeros((6, 200, 3), np.uint8)
    assert math.isnan(distortion.ssim(x, x)) and math.isnan(distortion.ms_ssim(x, x))
    x = np.zeros((160, 200, 3), np.uint8)
    assert distortion.ssim(x, x) == pytest.approx(1) and math.isnan(distortion.ms_ssim(x, x))
    x = np.zeros((161, 177, 3), np.uint8)
    assert distortion.ms_ssim(x, x) == pytest.approx(1)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3)),
        np.zeros((9, 8, 3), np.uint8),
    ],
)
def test_refuses_other_shapes_and_types(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError):
        distortion.quality(np.zeros((8, 8, 3), np.uint8), wrong)

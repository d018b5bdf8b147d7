# SPDX-License-Identifier: MIT
"""How far a decoded picture is from the original: PSNR, SSIM and MS-SSIM on 8-bit RGB.

All functions take two uint8 arrays (H, W, 3) and use the fixed range 255, whatever the content.
"""

from typing import NamedTuple

import numpy as np
from skimage.metrics import structural_similarity

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, table of section 4
MS_SSIM_MINIMUM_SIDE = 161  # below, the 11-pixel window does not fit the fifth scale
HIGHEST_DB = 100.0  # no decibels of quality exceed this; those of equal pictures would be infinite
SSIM_WINDOW = 7  # flat window, as in the 2020 project
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


class Quality(NamedTuple):
    """All metrics of one decoded picture."""

    psnr_db: float
    ssim: float
    ms_ssim: float


def quality(x: np.ndarray, x_hat: np.ndarray) -> Quality:
    """Compare a decoded picture with the original.

    Args:
        x: original, uint8 (H, W, 3).
        x_hat: decoded picture, same shape and type.

    Raises:
        ValueError: shapes or types differ from that.
    """
    return Quality(psnr_db(x, x_hat), ssim(x, x_hat), ms_ssim(x, x_hat))


def psnr_db(x: np.ndarray, x_hat: np.ndarray) -> float:
    """Peak signal-to-noise ratio over all RGB values, in dB; at most HIGHEST_DB, that of equal pictures."""
    _check(x, x_hat)
    return float(decibels(np.mean((x.astype(np.float64) - x_hat) ** 2) / 255**2))


def decibels(difference: np.ndarray | float) -> np.ndarray | float:
    """-10 log10 of a difference that is 1 at most, such as 1 - MS-SSIM; at most HIGHEST_DB, also for none."""
    return -10 * np.log10(np.maximum(difference, 10 ** (-HIGHEST_DB / 10)))


def ssim(x: np.ndarray, x_hat: np.ndarray) -> float:
    """Structural similarity as scikit-image computes it (flat 7x7 window, mean of the three channels).

    NaN where a side is shorter than the window.
    """
    _check(x, x_hat)
    if min(x.shape[:2]) < SSIM_WINDOW:
        return float("nan")
    return float(structural_similarity(x, x_hat, win_size=SSIM_WINDOW, channel_axis=2, data_range=255))


def ms_ssim(x: np.ndarray, x_hat: np.ndarray) -> float:
    """Multi-scale structural similarity (Wang, Simoncelli, Bovik 2003), mean of the three channels.

    Gaussian window of 11 pixels (sigma 1.5) without padding, five scales. Negative contrast terms
    count as zero. NaN where a side is shorter than 161 pixels.
    """
    _check(x, x_hat)
    if min(x.shape[:2]) < MS_SSIM_MINIMUM_SIDE:
        return float("nan")
    a, b = (image.transpose(2, 0, 1).astype(np.float64) for image in (x, x_hat))  # (3, H, W)
    similarity = np.ones(3)
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        if scale:
            a, b = _halve(a), _halve(b)
        luminance, contrast = _ssim_terms(a, b)
        last = scale == len(MS_SSIM_WEIGHTS) - 1
        term = (luminance * contrast if last else contrast).mean(axis=(1, 2))
        similarity *= term.clip(min=0) ** weight
    return float(similarity.mean())


def _ssim_terms(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maps of the luminance and the contrast-structure term of two (3, H, W) pictures."""
    mean_a, mean_b = _blur(a), _blur(b)
    variance_a, variance_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    contrast = (2 * covariance + C2) / (variance_a + variance_b + C2)
    return luminance, contrast


def _blur(x: np.ndarray) -> np.ndarray:
    """Gaussian mean over 11 x 11 pixels, (3, H, W) to (3, H - 10, W - 10)."""
    window = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window /= window.sum()
    height, width = x.shape[1] - 10, x.shape[2] - 10
    x = sum(weight * x[:, tap : tap + height] for tap, weight in enumerate(window))
    return sum(weight * x[:, :, tap : tap + width] for tap, weight in enumerate(window))


def _halve(x: np.ndarray) -> np.ndarray:
    """Mean of 2 x 2 pixels; odd sides are padded with zeros in front, as is customary for this metric."""
    x = np.pad(x, ((0, 0), (x.shape[1] % 2, x.shape[1] % 2), (x.shape[2] % 2, x.shape[2] % 2)))
    x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def _check(x: np.ndarray, x_hat: np.ndarray) -> None:
    """Refuse anything but two equally large 8-bit RGB pictures."""
    for image in (x, x_hat):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"expected uint8 pixels (H, W, 3), got {image.dtype} {image.shape}")
    if x.shape != x_hat.shape:
        raise ValueError(f"pictures of different sizes: {x.shape} and {x_hat.shape}")

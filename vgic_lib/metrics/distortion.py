# SPDX-License-Identifier: MIT
"""How far a decoded picture is from the original: PSNR, SSIM and MS-SSIM on 8-bit RGB.

All functions take two uint8 arrays (H, W, 3) and use the fixed range 255, whatever the content.
"""

from typing import NamedTuple

import numpy as np
import torch
from skimage.metrics import structural_similarity

from vgic_lib.metrics.ms_ssim import SCALE_WEIGHTS, smallest_side
from vgic_lib.metrics.ms_ssim import ms_ssim as ms_ssim_of_tensors
from vgic_lib.metrics.tensors import as_tensor

HIGHEST_DB = 100.0  # no decibels of quality exceed this; those of equal pictures would be infinite
SSIM_WINDOW = 7  # flat window, as in the 2020 project


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
    """Multi-scale structural similarity, mean of the three channels: `metrics.ms_ssim` in float64.

    NaN where a side is shorter than 161 pixels.
    """
    _check(x, x_hat)
    if min(x.shape[:2]) < smallest_side(len(SCALE_WEIGHTS)):
        return float("nan")
    with torch.no_grad():
        return ms_ssim_of_tensors(*(as_tensor(image, torch.float64) for image in (x, x_hat))).item()


def _check(x: np.ndarray, x_hat: np.ndarray) -> None:
    """Refuse anything but two equally large 8-bit RGB pictures."""
    for image in (x, x_hat):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"expected uint8 pixels (H, W, 3), got {image.dtype} {image.shape}")
    if x.shape != x_hat.shape:
        raise ValueError(f"pictures of different sizes: {x.shape} and {x_hat.shape}")

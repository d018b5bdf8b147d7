# SPDX-License-Identifier: MIT
"""How texture differs, whatever its phase: local spectra, which show a regular pattern as a line."""

import torch
from torch import Tensor
from torch.nn import functional as F

from vgic_lib.metrics.tensors import luma

SIDE = 16  # pixels: of the windows that are transformed, each half over the next
AREA = 5  # windows a side that are averaged, 48 pixels in all (Welch 1967)
SMALLEST_SIDE = SIDE + (AREA - 1) * SIDE // 2
FLOOR = 0.25  # squared 8-bit levels at each frequency below which nothing shows


def log_spectra(x: Tensor) -> Tensor:
    """Power of luma at each frequency in areas of 48 x 48 pixels, in doublings.

    White noise of a deviation of one 8-bit level has 1 + FLOOR at every frequency.

    Args:
        x: pictures (B, 3, H, W) in [0, 1], H and W at least 48.

    Returns:
        (B, frequencies, rows of areas, columns of areas).
    """
    windows = (255 * luma(x)).unfold(1, SIDE, SIDE // 2).unfold(2, SIDE, SIDE // 2)
    windows = windows - windows.mean((-1, -2), keepdim=True)
    taper = torch.hann_window(SIDE, device=x.device).outer(torch.hann_window(SIDE, device=x.device))
    power = torch.fft.rfft2(windows * taper).abs().square() / taper.square().sum()
    return (F.avg_pool2d(power.flatten(3).permute(0, 3, 1, 2), AREA) + FLOOR).log2()


def spectral_distance(x: Tensor, x_hat: Tensor) -> Tensor:
    """Mean squared difference of `log_spectra`, (B,)."""
    return (log_spectra(x_hat) - log_spectra(x)).square().mean((1, 2, 3))

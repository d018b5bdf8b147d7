# SPDX-License-Identifier: MIT
"""What a search minimises: distortion and rate in one number."""

import torch
from torch import Tensor

DOUBLING_GAIN_DB = 3.0  # where neither the model nor the user sets the trade: what a codec gains


def objective_db(x_hat: Tensor, x: Tensor, bits: Tensor, doubling_gain_db: float) -> Tensor:
    """Minus PSNR, plus `doubling_gain_db` for each doubling of the bits; lower is better.

    Logarithms on both sides make it the same trade at every rate: a codec gains about 3 dB for twice
    the bits, whatever it spends.
    """
    distortion = 10 * torch.log10((x_hat - x).square().mean() + 1e-10)
    return distortion + doubling_gain_db * torch.log2(bits.sum() + 1)


def objective_bpp(x_hat: Tensor, x: Tensor, bits: Tensor, trade_off: float) -> Tensor:
    """Bits per pixel, plus `trade_off` for each squared 8-bit step of error; lower is better."""
    pixels = x[:, 0].numel()
    return trade_off * 255**2 * (x_hat - x).square().mean() + bits.sum() / pixels

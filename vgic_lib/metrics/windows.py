# SPDX-License-Identifier: MIT
"""Gaussian windows: weighted means of neighbouring pixels, fast forward and backward on every device."""

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

SIGMA, RADIUS = 1.5, 5  # pixels: the window of SSIM, MS-SSIM and SSIMULACRA2


@cache
def gaussian() -> tuple[float, ...]:
    """Taps of the window, 2 * RADIUS + 1 of them; their sum is 1."""
    taps = [math.exp(-(k**2) / (2 * SIGMA**2)) for k in range(-RADIUS, RADIUS + 1)]
    return tuple(tap / sum(taps) for tap in taps)


def window_means(x: Tensor) -> Tensor:
    """Gaussian means wherever the window fits, (..., H, W) to (..., H - 10, W - 10)."""
    return _WindowMeans.apply(_WindowMeans.apply(x, -2), -1)


class _WindowMeans(torch.autograd.Function):
    """Means along one dimension: shifted copies, added up; its adjoint is itself, after padding."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, dim: int) -> Tensor:
        ctx.dim = dim
        length, taps = x.shape[dim] - 2 * RADIUS, gaussian()
        means = x.narrow(dim, RADIUS, length) * taps[RADIUS]
        for shift, tap in enumerate(taps):
            if shift != RADIUS:
                means.add_(x.narrow(dim, shift, length), alpha=tap)
        return means

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        margin = (2 * RADIUS, 2 * RADIUS)
        padded = F.pad(gradient, margin if ctx.dim == -1 else (0, 0, *margin))
        return _WindowMeans.apply(padded, ctx.dim), None

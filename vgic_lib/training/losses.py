# SPDX-License-Identifier: MIT
"""Losses of training, and the update that follows from one."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vgic_lib.networks.quality import ANCHORS, geometric
from vgic_lib.search.objectives import TUNES, mixed
from vgic_lib.training.config import HyperpriorConfig
from vgic_lib.training.processes import average_gradients

PEAK = 255.0**2  # of squared errors
L1_WEIGHT = 2.0
PSNR_CEILING_DB = 36.0  # crops that are already this good stop pulling


def distortion(x_hat: Tensor, x: Tensor, kind: str) -> Tensor:
    """Loss of reconstructions: 2 x mean absolute error ("l1"), or minus the mean PSNR in dB ("psnr").

    The PSNR is that of each picture, so that good and poor rates, easy and hard crops pull alike;
    pixels are in [-1, 1].
    """
    if kind == "l1":
        return L1_WEIGHT * F.l1_loss(x_hat, x)
    mse = (x_hat.float() - x).square().mean((1, 2, 3)) / 4  # peak 1
    return 10 * torch.log10(mse + 10 ** (-PSNR_CEILING_DB / 10)).mean()


def bce(probability: Tensor, label: Tensor) -> Tensor:
    """Binary cross-entropy in float32, outside autocast (which refuses it)."""
    with torch.autocast(probability.device.type, enabled=False):
        return F.binary_cross_entropy(probability, label)


def update(optimizer: torch.optim.Optimizer, loss: Tensor, clip_norm: float) -> None:
    """Back-propagate a loss, the mean over crops, clip the gradient (0: not) and step.

    Earlier gradients are forgotten. Where several processes train, the gradient is that of all their crops.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    average_gradients(parameters)
    if clip_norm:
        nn.utils.clip_grad_norm_(parameters, clip_norm)
    optimizer.step()


def trade_off(config: HyperpriorConfig, quality: Tensor) -> Tensor:
    """Lambda of lambda * 255**2 * MSE + bits per pixel, for quality (B,) in [0, ANCHORS - 1]."""
    return geometric(config.lambda_low, config.lambda_high, quality / (ANCHORS - 1))


def objective(config: HyperpriorConfig, quality: Tensor, x: Tensor, x_hat: Tensor, bpp: Tensor) -> Tensor:
    """What differences are worth by the tune of the run, plus the rate, both in bits per pixel, (B,).

    For squared error that is lambda * 255**2 * MSE + bits per pixel. Divided by sqrt(lambda), so that all
    rates pull alike.

    Args:
        config: of the run.
        quality: (B,) in [0, ANCHORS - 1].
        x: originals (B, 3, H, W) in [0, 1].
        x_hat: reconstructions, of the same shape.
        bpp: bits per pixel, (B,).
    """
    weight = trade_off(config, quality)
    return (mixed(x, weight, TUNES[config.tune])(x_hat) + bpp) / weight.sqrt()

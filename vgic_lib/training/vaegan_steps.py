# SPDX-License-Identifier: MIT
"""What one training step of the VAE-GAN does: forward passes, losses and updates."""

from typing import NamedTuple

import torch
from torch import Tensor

from vgic_lib.networks.discriminator import Discriminator
from vgic_lib.networks.shared_random import choices, uniform_like
from vgic_lib.networks.vaegan import Encoder, Generator
from vgic_lib.training.config import VaeGanConfig
from vgic_lib.training.losses import bce, distortion, update

LABEL_SMOOTHING = 0.1  # real labels in [0.9, 1], fake ones in [0, 0.1]


class Networks(NamedTuple):
    """What is trained. The discriminator is None without an adversarial phase."""

    encoder: Encoder
    generator: Generator
    discriminator: Discriminator | None


class Optimizers(NamedTuple):
    """Adam for encoder and generator together, and for the discriminator."""

    codec: torch.optim.Optimizer
    discriminator: torch.optim.Optimizer | None


def quantise_straight_through(y: Tensor, bits: Tensor) -> Tensor:
    """Round latents in [-1, 1] to 2**bits levels; the gradient passes as if nothing had happened.

    Args:
        y: (B, n, h, w) in [-1, 1].
        bits: (B, 1, 1, 1) bit depth of each sample.
    """
    levels = 2.0**bits - 1
    y_hat = torch.round((y + 1) / 2 * levels) / levels * 2 - 1
    return y + (y_hat - y).detach()


def channel_mask(num_channels: Tensor, channels: int) -> Tensor:
    """(B,) channel counts to a (B, channels, 1, 1) mask that keeps the first ones."""
    return (torch.arange(channels)[None] < num_channels[:, None]).float()[:, :, None, None]


def _latents(networks: Networks, x: Tensor, config: VaeGanConfig) -> Tensor:
    """Encode; with several channel counts or bit depths, draw one for each sample."""
    y = networks.encoder(x).float()  # bfloat16 would blur 8-bit rounding
    if config.bits:
        bits = choices(config.bits, len(x)).to(y.device)
        y = quantise_straight_through(y, bits[:, None, None, None])
    if config.nested:
        counts = choices(config.num_channels, len(x))
        y = y * channel_mask(counts, y.shape[1]).to(y.device)
    return y


def reconstruction_step(
    networks: Networks, optimizers: Optimizers, x: Tensor, config: VaeGanConfig
) -> dict[str, Tensor]:
    """One update of encoder and generator for distortion alone. `x` is (B, 3, H, W) in [-1, 1]."""
    loss = distortion(networks.generator(_latents(networks, x, config)), x, config.distortion)
    update(optimizers.codec, loss, config.clip_norm)
    return {"loss": loss.detach(), "distortion": loss.detach()}


def adversarial_step(
    networks: Networks, optimizers: Optimizers, x: Tensor, config: VaeGanConfig
) -> dict[str, Tensor]:
    """One update of the discriminator, then one of encoder and generator: the losses of 2020.

    Discriminator: BCE on real and reconstructed images. Encoder and generator: BCE towards "real"
    plus distortion. Each network runs once where the 2020 program ran the encoder three times and
    passed gradients that nobody used: the discriminator sees real and detached images in one batch
    with one upsampled latent, and its weights take no gradient in the second update.

    Args:
        networks: with a discriminator.
        optimizers: with one for the discriminator.
        x: (B, 3, 218, 178) in [-1, 1].
        config: of the run.

    Returns:
        Losses; and how often the discriminator was right about real images and about reconstructions,
        before its update.
    """
    y = _latents(networks, x, config)
    x_hat = networks.generator(y)
    verdicts = discriminator_step(networks, optimizers, x, x_hat.detach(), y.detach(), config)

    discriminator = networks.discriminator.requires_grad_(False)
    verdict = discriminator(x_hat, y).float()
    loss = distortion(x_hat, x, config.distortion)
    adversarial_loss = bce(verdict, _smooth(verdict, 1 - LABEL_SMOOTHING))
    generator_loss = config.adversarial_weight * adversarial_loss + loss
    update(optimizers.codec, generator_loss, config.clip_norm)
    discriminator.requires_grad_(True)
    losses = {
        "loss": generator_loss,
        "distortion": loss,
        "generator_loss": generator_loss,
        "adversarial_loss": adversarial_loss,
    }
    return {name: value.detach() for name, value in losses.items()} | verdicts


@torch.no_grad()
def head_start_step(
    networks: Networks, optimizers: Optimizers, x: Tensor, config: VaeGanConfig
) -> dict[str, Tensor]:
    """One update of the discriminator alone; see `adversarial_step`."""
    y = _latents(networks, x, config)
    x_hat = networks.generator(y)
    loss = distortion(x_hat, x, config.distortion)
    return {"loss": loss, "distortion": loss} | discriminator_step(networks, optimizers, x, x_hat, y, config)


@torch.enable_grad()
def discriminator_step(
    networks: Networks, optimizers: Optimizers, x: Tensor, x_hat: Tensor, y: Tensor, config: VaeGanConfig
) -> dict[str, Tensor]:
    """One update of the discriminator on images `x` and `x_hat`, (B, 3, 218, 178), that have no graph."""
    pairs = torch.stack([x, x_hat], 1).flatten(0, 1)
    real, fake = networks.discriminator(pairs, y).float().unflatten(0, (-1, 2)).unbind(1)
    loss = bce(real, _smooth(real, 1 - LABEL_SMOOTHING)) + bce(fake, _smooth(fake, 0))
    update(optimizers.discriminator, loss, config.clip_norm)
    return {
        "discriminator_loss": loss.detach(),
        "accuracy_real": (real > 0.5).float().mean(),
        "accuracy_fake": (fake < 0.5).float().mean(),
    }


def _smooth(like: Tensor, low: float) -> Tensor:
    return uniform_like(like, low, low + LABEL_SMOOTHING)

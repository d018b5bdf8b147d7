# SPDX-License-Identifier: MIT
"""The VAE-GAN in training: networks of 2020, their optimizers, validation."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from vgic_lib.models.vaegan import VaeGan
from vgic_lib.networks.discriminator import Discriminator
from vgic_lib.networks.klt import fit_klt, initialise_klt
from vgic_lib.networks.vaegan import STRIDE, Encoder, Generator, initialise_as_published
from vgic_lib.training.config import VaeGanConfig
from vgic_lib.training.crops import CropSampler
from vgic_lib.training.vaegan_steps import (
    Networks,
    Optimizers,
    adversarial_step,
    channel_mask,
    quantise_straight_through,
    reconstruction_step,
)

VALIDATION_BITS = 8
KLT_BATCHES = 32  # that the linear codec at the start is fitted to


class VaeGanTask:
    """See `vgic_lib.training.Task`."""

    def __init__(self, config: VaeGanConfig, sampler: CropSampler, device: torch.device) -> None:
        """Make the networks, random or from the linear codec for the sampler's crops."""
        self.config, self.device = config, device
        self.dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        channels = max(config.num_channels)
        encoder, generator = Encoder(channels), Generator(channels)
        if config.initialisation == "klt":
            crops = torch.cat([sampler.batch(config.steps + i).cpu() for i in range(KLT_BATCHES)])
            initialise_klt(encoder, generator, fit_klt(crops / 127.5 - 1))
        else:
            initialise_as_published(encoder)
            initialise_as_published(generator)
        discriminator = Discriminator(channels) if config.adversarial_step < config.steps else None
        if discriminator is not None:
            initialise_as_published(discriminator)
        made = (encoder, generator, discriminator)
        self.networks = Networks(
            *(n.to(device, memory_format=torch.channels_last) if n else None for n in made)
        )
        self.optimizers = Optimizers(
            self._adam(self.weights()),
            self._adam(self.networks.discriminator.parameters()) if discriminator else None,
        )
        if config.compile:
            for network in self.networks[:2]:
                network.compile()

    def _adam(self, parameters: Iterable[Tensor]) -> torch.optim.Adam:
        config = self.config
        return torch.optim.Adam(parameters, config.learning_rate, (config.beta1, config.beta2), fused=True)

    def weights(self) -> list[nn.Parameter]:
        """Those of encoder and generator."""
        return [p for network in self.networks[:2] for p in network.parameters()]

    def _input(self, x: Tensor) -> Tensor:
        return (x.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)

    def step(self, x: Tensor, step: int) -> dict[str, Tensor]:
        """One update on crops `x` (B, 3, H, W), uint8."""
        adversarial = step >= self.config.adversarial_step
        run = adversarial_step if adversarial else reconstruction_step
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            losses = run(self.networks, self.optimizers, self._input(x), self.config)
        if not adversarial:
            return {"loss": losses.distortion, "distortion": losses.distortion}
        return {
            "loss": losses.generator,
            "distortion": losses.distortion,
            "generator_loss": losses.generator,
            "discriminator_loss": losses.discriminator,
        }

    def forward(self, x: Tensor) -> Tensor:
        """Encode and decode crops `x` (B, 3, H, W), uint8; without the discriminator."""
        return self.networks.generator(self.networks.encoder(self._input(x)))

    def averaged(self, values: Sequence[Tensor]) -> tuple[Encoder, Generator]:
        """Encoder and generator on the CPU with `values` as their weights."""
        channels = max(self.config.num_channels)
        copies = Encoder(channels), Generator(channels)
        with torch.no_grad():
            for parameter, value in zip([p for n in copies for p in n.parameters()], values, strict=True):
                parameter.copy_(value)
        return copies

    @staticmethod
    def make_model(networks: tuple[Encoder, Generator], config: VaeGanConfig) -> VaeGan:
        """The model of what `averaged` returns."""
        model = VaeGan(config.num_channels)
        model.encoder, model.generator = networks
        return model

    def samples(self, networks: tuple[Encoder, Generator], x: Tensor) -> list[Tensor]:
        """Reconstructions of x (1, 3, H, W) in [0, 1] at some settings."""
        return self.make_model(networks, self.config).shown(x)

    def validate(self, networks: tuple[Encoder, Generator], images: Sequence[np.ndarray]) -> dict[str, float]:
        """See `validate`."""
        return validate(*networks, self.config.num_channels, images)


@torch.no_grad()
def validate(
    encoder: nn.Module, generator: nn.Module, counts: Sequence[int], images: Sequence[np.ndarray]
) -> dict[str, float]:
    """Mean PSNR in dB of 8-bit latents on centre crops of at most 218 x 178, for each channel count.

    Columns are named validation_psnr_db_<n>. Latents are rounded, pixels are not.
    """
    totals = dict.fromkeys(counts, 0.0)
    for image in images:
        height, width = min(218, image.shape[0]), min(178, image.shape[1])
        height, width = height - (height - 2) % STRIDE, width - (width - 2) % STRIDE
        top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        crop = torch.from_numpy(image[top : top + height, left : left + width].copy())
        x = crop.permute(2, 0, 1)[None].float() / 127.5 - 1
        y = quantise_straight_through(encoder(x), torch.full((1, 1, 1, 1), VALIDATION_BITS))
        for count in counts:
            x_hat = generator(y * channel_mask(torch.tensor([count]), y.shape[1]))
            totals[count] -= 10 * math.log10((x_hat - x).square().mean().item() / 4 + 1e-10)
    return {f"validation_psnr_db_{count}": round(total / len(images), 3) for count, total in totals.items()}

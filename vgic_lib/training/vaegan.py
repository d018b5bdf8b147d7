# SPDX-License-Identifier: MIT
"""The VAE-GAN in training: networks of 2020, their optimizers, validation."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from vgic_lib.errors import ModelError
from vgic_lib.models.vaegan import VaeGan
from vgic_lib.networks.discriminator import Discriminator, whiten_first_layer
from vgic_lib.networks.klt import fit_klt, initialise_klt
from vgic_lib.networks.vaegan import STRIDE, Encoder, Generator, initialise_as_published
from vgic_lib.training.config import VaeGanConfig
from vgic_lib.training.crops import CropSampler
from vgic_lib.training.start import trained_model
from vgic_lib.training.task import Task
from vgic_lib.training.vaegan_steps import (
    Networks,
    Optimizers,
    adversarial_step,
    channel_mask,
    head_start_step,
    quantise_straight_through,
    reconstruction_step,
)

VALIDATION_BITS = 8
KLT_BATCHES = 32  # that the linear codec at the start is fitted to


def _trained(config: VaeGanConfig) -> VaeGan:
    """The model that `start_from` names. Raises ModelError if it does not serve the channel counts."""
    model = trained_model(config.start_from, VaeGan)
    if model.encoder is None:
        raise ModelError(f"start_from: {config.start_from!r} has no encoder; give weights that have one")
    counts = [count for count in model.variants if count <= model.num_channels]
    if not set(config.num_channels) <= set(counts):
        known = ", ".join(map(str, counts))
        raise ModelError(f"start_from: {config.start_from!r} serves n = {known}; set num_channels to these")
    return model


@torch.no_grad()
def copy_first_channels(trained: nn.Module, network: nn.Module) -> None:
    """Copy weights into a network of as many latent channels, or fewer: the first ones."""
    weights = trained.state_dict()
    for name, value in network.state_dict().items():
        value.copy_(weights[name][tuple(map(slice, value.shape))])


class VaeGanTask(Task):
    """See there."""

    def __init__(self, config: VaeGanConfig, sampler: CropSampler, device: torch.device) -> None:
        """Make the networks: trained, from the linear codec for the sampler's crops, or random.

        Raises:
            ModelError: the weights of `start_from` are missing, damaged or for other channel counts.
        """
        super().__init__(config, device)
        channels = max(config.num_channels)
        encoder, generator = Encoder(channels), Generator(channels)
        discriminator = Discriminator(channels) if config.adversarial_step < config.steps else None
        self._initialise(encoder, generator, discriminator, sampler)
        made = (encoder, generator, discriminator)
        self.networks = Networks(
            *(n.to(device, memory_format=torch.channels_last) if n else None for n in made)
        )
        self.optimizers = Optimizers(
            self._adam(self.weights()),
            self._adam(discriminator.parameters(), config.discriminator_rate) if discriminator else None,
        )
        if config.compile:
            for network in self.networks[:2]:
                network.compile()

    def _initialise(
        self,
        encoder: Encoder,
        generator: Generator,
        discriminator: Discriminator | None,
        sampler: CropSampler,
    ) -> None:
        config, klt = self.config, self.config.initialisation == "klt"
        if klt:
            batches = [sampler.batch(config.steps + i).cpu() for i in range(KLT_BATCHES)]
            crops = torch.cat(batches) / 127.5 - 1
        if config.start_from:
            model = _trained(config)
            copy_first_channels(model.encoder, encoder)
            copy_first_channels(model.generator, generator)
        elif klt:
            initialise_klt(encoder, generator, fit_klt(crops))
        else:
            initialise_as_published(encoder)
            initialise_as_published(generator)
        if discriminator:
            initialise_as_published(discriminator)
            if klt:
                whiten_first_layer(discriminator, crops)

    def _adam(self, parameters: Iterable[Tensor], rate: float = 1.0) -> torch.optim.Adam:
        config = self.config
        groups = [{"params": list(parameters), "rate": rate}]
        return torch.optim.Adam(groups, config.learning_rate, (config.beta1, config.beta2), fused=True)

    @property
    def saved(self) -> tuple[Encoder, Generator]:
        """All but the discriminator."""
        return self.networks[:2]

    def _input(self, x: Tensor) -> Tensor:
        return (x.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)

    def step(self, x: Tensor, step: int) -> dict[str, Tensor]:
        """One update on crops `x` (B, 3, H, W), uint8."""
        ahead = self.config.adversarial_step + self.config.head_start
        if step < self.config.adversarial_step:
            run = reconstruction_step
        else:
            run = head_start_step if step < ahead else adversarial_step
        with self.autocast():
            return run(self.networks, self.optimizers, self._input(x), self.config)

    def forward(self, x: Tensor) -> Tensor:
        """Encode and decode crops `x` (B, 3, H, W), uint8; without the discriminator."""
        return self.networks.generator(self.networks.encoder(self._input(x)))

    @staticmethod
    def make_model(networks: tuple[Encoder, Generator], config: VaeGanConfig) -> VaeGan:
        """The model of what `averaged` returns."""
        model = VaeGan(config.num_channels)
        model.encoder, model.generator = networks
        return model

    def samples(self, networks: tuple[Encoder, Generator], x: Tensor) -> list[Tensor]:
        """Reconstructions of x (1, 3, H, W) in [0, 1] at some settings."""
        return self.make_model(networks, self.config).shown(x)

    def validate(
        self, networks: tuple[Encoder, Generator], images: Sequence[np.ndarray]
    ) -> list[dict[str, float]]:
        """See `validate`."""
        return validate(*networks, self.config.num_channels, images)


@torch.no_grad()
def validate(
    encoder: nn.Module, generator: nn.Module, counts: Sequence[int], images: Sequence[np.ndarray]
) -> list[dict[str, float]]:
    """PSNR in dB of 8-bit latents on each centre crop of at most 218 x 178, for each channel count.

    Columns are named validation_psnr_db_<n>. Latents are rounded, pixels are not.
    """
    rows = []
    for image in images:
        height, width = min(218, image.shape[0]), min(178, image.shape[1])
        height, width = height - (height - 2) % STRIDE, width - (width - 2) % STRIDE
        top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        crop = torch.from_numpy(image[top : top + height, left : left + width].copy())
        x = crop.permute(2, 0, 1)[None].float() / 127.5 - 1
        y = quantise_straight_through(encoder(x), torch.full((1, 1, 1, 1), VALIDATION_BITS))
        row = {}
        for count in counts:
            x_hat = generator(y * channel_mask(torch.tensor([count]), y.shape[1]))
            mse = (x_hat - x).square().mean().item() / 4
            row[f"validation_psnr_db_{count}"] = -10 * math.log10(mse + 1e-10)
        rows.append(row)
    return rows

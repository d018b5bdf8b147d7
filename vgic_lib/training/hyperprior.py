# SPDX-License-Identifier: MIT
"""The codec in training: one network for all rates, a random quality for each crop."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from vgic_lib.errors import ModelError
from vgic_lib.metrics.ssimulacra2 import ssimulacra2
from vgic_lib.models.hyperprior import HyperpriorModel
from vgic_lib.networks.hyperprior import Hyperprior
from vgic_lib.networks.lapped import BLOCK
from vgic_lib.networks.quality import ANCHORS, move_tables
from vgic_lib.networks.shared_random import uniform_like
from vgic_lib.training.config import HyperpriorConfig
from vgic_lib.training.crops import CropSampler
from vgic_lib.training.losses import objective, trade_off, update
from vgic_lib.training.soap import optimizer
from vgic_lib.training.start import trained_model
from vgic_lib.training.task import Task

VALIDATION_SIDE = 256  # pixels at most
VALIDATION_QUALITIES = (0.0, 2.0, 4.5, 7.0)


def _start_from_trained(network: Hyperprior, config: HyperpriorConfig) -> None:
    """Take the weights that `start_from` names; move their tables to its lambdas in the same tune.

    Raises ModelError if they are not of the architecture configured.
    """
    model = trained_model(config.start_from, HyperpriorModel)
    ours, theirs = asdict(config.architecture), asdict(model.network.architecture)
    different = ", ".join(f"{k}={theirs[k]}" for k in theirs if theirs[k] != ours[k])
    if different:
        raise ModelError(f"start_from: {config.start_from!r} has other sizes; set {different}")
    network.load_state_dict(model.network.state_dict())
    if model.tune == config.tune:
        move_tables(network, model.lambdas, (config.lambda_low, config.lambda_high))


class HyperpriorTask(Task):
    """See there."""

    def __init__(self, config: HyperpriorConfig, sampler: CropSampler, device: torch.device) -> None:
        """Make the network, from trained weights or else from the linear codec for the sampler's crops.

        Raises:
            ModelError: the weights of `start_from` are missing, damaged or of other sizes.
        """
        super().__init__(config, device)
        network = Hyperprior(config.architecture)
        if config.start_from:
            _start_from_trained(network, config)
        else:
            self._initialise(network, sampler)
        self.network = _arranged(network, device)
        self.networks = (self.network,)
        self.optimizers = (self._optimizer(),)
        if config.compile:
            self.network.analysis.compile()
            self.network.synthesis.compile()

    def _initialise(self, network: Hyperprior, sampler: CropSampler) -> None:
        config = self.config
        crops = [
            sampler.batch(config.steps + i).cpu() for i in range(-(-config.initial_crops // config.batch))
        ]
        weights = trade_off(config, torch.arange(ANCHORS))
        network.initialise(torch.cat(crops) / 255 - 0.5, (12 * 2.16 / weights).sqrt() / 255)

    def _optimizer(self) -> torch.optim.Optimizer:
        config = self.config
        linear, tables, entropy, rest = [], [], [], []
        for name, parameter in self.network.named_parameters():
            if ".linear." in name:
                linear.append(parameter)
            elif name.startswith("log_") or name.endswith("base"):
                tables.append(parameter)
            elif name.startswith(("context", "hyper")):
                entropy.append(parameter)
            else:
                rest.append(parameter)
        groups = [
            {"params": linear, "rate": config.linear_rate},
            {"params": tables, "rate": config.table_rate},
            {"params": entropy, "rate": config.entropy_rate},
            {"params": rest, "rate": 1.0},
        ]
        return optimizer(config, groups)

    def step(self, x: Tensor, step: int) -> dict[str, Tensor]:
        """One update on crops `x` (B, 3, H, W), uint8, each at a random quality."""
        x = x.float() / 255
        quality = uniform_like(torch.empty(len(x)), 0, ANCHORS - 1).to(self.device)
        with self.autocast():
            x_hat, bits_y, bits_z = self.network(x, quality)
        x_hat, pixels = x_hat.float(), x.shape[2] * x.shape[3]
        loss = objective(self.config, quality, x, x_hat, (bits_y + bits_z) / pixels).mean()
        update(self.optimizers[0], loss, self.config.clip_norm)
        return {
            "loss": loss.detach(),
            "psnr_db": -10 * (x_hat.detach() - x).square().mean((1, 2, 3)).log10().mean(),
            "bpp": (bits_y + bits_z).detach().mean() / pixels,
            "bpp_z": bits_z.detach().mean() / pixels,
        }

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruct crops `x` (B, 3, H, W), uint8, and estimate their rate."""
        with self.autocast():
            return self.network(x.float() / 255, torch.zeros(len(x), device=self.device))

    @staticmethod
    def make_model(networks: tuple[Hyperprior], config: HyperpriorConfig) -> HyperpriorModel:
        """The model of what `averaged` returns."""
        return HyperpriorModel(*networks, (config.lambda_low, config.lambda_high), config.tune)

    def samples(self, networks: tuple[Hyperprior], x: Tensor) -> list[Tensor]:
        """Reconstructions of x (1, 3, H, W) in [0, 1] at some settings."""
        return self.make_model(networks, self.config).shown(x)

    def validate(self, networks: tuple[Hyperprior], images: Sequence[np.ndarray]) -> list[dict[str, float]]:
        """See `validate`."""
        return validate(_arranged(networks[0], self.device), self.config, centre_crops(images))


def _arranged(network: Hyperprior, device: torch.device) -> Hyperprior:
    """On its device, the layers that gain from it in channels-last order."""
    network.analysis.to(memory_format=torch.channels_last)
    network.synthesis.to(memory_format=torch.channels_last)
    return network.to(device)


def centre_crops(images: Sequence[np.ndarray]) -> Iterator[Tensor]:
    """Centres of at most 256 x 256 pixels, sides multiples of 16, as (1, 3, H, W) in [0, 1]."""
    for image in images:
        height, width = (min(VALIDATION_SIDE, side // BLOCK * BLOCK) for side in image.shape[:2])
        if height and width:
            top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
            crop = image[top : top + height, left : left + width].copy()
            yield torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 255


@torch.no_grad()
def validate(
    network: Hyperprior, config: HyperpriorConfig, crops: Iterator[Tensor]
) -> list[dict[str, float]]:
    """Rate, PSNR and SSIMULACRA2 of each crop at four qualities, everything rounded, and its mean objective.

    Columns are validation_loss, and for each quality validation_bpp_<quality> (estimated),
    validation_psnr_db_<quality> and validation_ssimulacra2_<quality>.

    Args:
        network: in evaluation mode, in float32.
        config: for lambda and the tune.
        crops: pictures (1, 3, H, W) in [0, 1].
    """
    device = network.log_gain.device
    quality = torch.tensor(VALIDATION_QUALITIES, device=device)
    rows = []
    for crop in crops:
        x = crop.to(device).expand(len(quality), -1, -1, -1)
        x_hat, bits_y, bits_z = network(x, quality)
        x_hat, bpp = x_hat.clamp(0, 1), (bits_y + bits_z) / (x.shape[2] * x.shape[3])
        psnr_db = -10 * (x_hat - x).square().mean((1, 2, 3)).clamp(min=1e-10).log10()
        loss = objective(config, quality, x, x_hat, bpp)
        row = {"validation_loss": loss.mean().item()}
        for name, values in (("bpp", bpp), ("psnr_db", psnr_db), ("ssimulacra2", ssimulacra2(x, x_hat))):
            for number, value in zip(VALIDATION_QUALITIES, values.tolist(), strict=True):
                row[f"validation_{name}_{number:g}"] = value
        rows.append(row)
    return rows

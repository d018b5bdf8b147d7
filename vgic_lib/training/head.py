# SPDX-License-Identifier: MIT
"""The generative head in training: a discriminator, features and texture teach it, its codec is frozen.

The discriminator compares the original and the made picture of the same place, and learns only which of the
two is which (Jolicoeur-Martineau 2019, "The relativistic discriminator", section 4): what both show, and the
latent tells, cannot drown the difference.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vgic_lib.errors import ModelError
from vgic_lib.metrics.spectra import spectral_distance
from vgic_lib.metrics.st_lpips import StLpipsReference
from vgic_lib.models.head import RealismHead
from vgic_lib.models.hyperprior import HyperpriorModel
from vgic_lib.models.store import find_head, load_model
from vgic_lib.networks.head import Head, PatchDiscriminator, noise_like, noise_shape
from vgic_lib.networks.quality import move_tables
from vgic_lib.networks.shared_random import normal_like, uniform_like
from vgic_lib.search.objectives import TERMS
from vgic_lib.training.crops import CropSampler
from vgic_lib.training.head_config import HeadConfig
from vgic_lib.training.hyperprior import centre_crops
from vgic_lib.training.losses import PEAK, update
from vgic_lib.training.start import trained_model
from vgic_lib.training.task import Task

VALIDATION_QUALITIES = (0.0, 1.0, 2.5, 4.0)
SHOWN_QUALITIES = 10, 40
SHAKE = 0.005  # deviation of the random step, about one 8-bit level
DISTANCES = "mse", "features", "texture", "spectra"


def _start_from_head(network: Head, config: HeadConfig, body: HyperpriorModel) -> None:
    """Take the weights of the head that `head_of` names, their tables moved to the lambdas of `body`.

    Raises ModelError if there is none for a codec of these sizes.
    """
    before = load_model(config.head_of)
    head = find_head(before)
    if head.sizes != body.network.architecture:
        raise ModelError(f"head_of: the head of {config.head_of!r} is for a codec of other sizes")
    network.load_state_dict(head.network.state_dict())
    move_tables(network, before.lambdas, body.lambdas)


class HeadTask(Task):
    """See there."""

    def __init__(self, config: HeadConfig, sampler: CropSampler, device: torch.device) -> None:
        """Make head and discriminator for the codec that `start_from` names.

        Raises:
            ModelError: its weights are missing or damaged, or those of another kind of model; or there is no
                head as `head_of` says, or one of other sizes.
        """
        super().__init__(config, device)
        model = trained_model(config.start_from, HyperpriorModel)
        self.body = model.network.to(device)
        self.head = Head(self.body.architecture)
        if config.head_of:
            _start_from_head(self.head, config, model)
        else:
            self.head.start_from(self.body.synthesis)
        self.head.to(device, memory_format=torch.channels_last)
        self.discriminator = PatchDiscriminator(self.head.seen).to(device, memory_format=torch.channels_last)
        self.networks = self.head, self.discriminator
        rates = 1.0, config.discriminator_rate
        betas = config.beta1, config.beta2
        self.optimizers = tuple(
            torch.optim.Adam([{"params": list(network.parameters()), "rate": rate}], betas=betas, fused=True)
            for network, rate in zip(self.networks, rates, strict=True)
        )

    @property
    def saved(self) -> tuple[Head]:
        """All but the discriminator."""
        return self.networks[:1]

    def forward(self, x: Tensor) -> Tensor:
        """Code crops `x` (B, 3, H, W), uint8, and make real-looking ones of them."""
        y, quality, picture = self._decoded(x.float() / 255, torch.zeros(len(x), device=self.device))
        return picture + self._added(self.head, y, quality, picture, noise_like(y))

    def step(self, x: Tensor, step: int) -> dict[str, Tensor]:
        """One update of both networks on crops `x` (B, 3, H, W), uint8, each at a random quality."""
        config, x = self.config, x.float() / 255
        quality = uniform_like(torch.empty(len(x)), 0, config.highest_quality).to(self.device)
        y, quality, picture = self._decoded(x, quality)
        noise = normal_like(y.new_empty(noise_shape(y)))
        made = picture + self._added(self.head, y, quality, picture, noise)
        losses, judged = self._distances(x, made + 0.5), {}
        loss = self._loss(losses)
        del losses["mse"]
        if config.adversarial:
            condition = self.head.normalised(y)
            judged = self._teach_discriminator(x - 0.5, made.detach(), condition)
            if step >= round(config.adversarial_from * config.steps):
                judged["adversarial"] = self._judgement(x - 0.5, made, condition)
                loss = loss + config.adversarial * judged["adversarial"]
        update(self.optimizers[0], loss, config.clip_norm)
        losses["psnr_db"] = -10 * (made.detach() + 0.5 - x).square().mean((1, 2, 3)).log10().mean()
        return {name: value.detach() for name, value in {"loss": loss, **losses, **judged}.items()}

    def _decoded(self, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What a decoder has of x (B, 3, H, W) in [0, 1]: input of the synthesis, quality, its output."""
        with torch.no_grad(), self.autocast():
            y_hat = self.body.coded(x, quality)[0]
            y = self.body.dequantised(y_hat, quality)
            return y, quality, self.body.synthesis(y, quality)

    def _added(self, head: Head, y: Tensor, quality: Tensor, picture: Tensor, noise: Tensor) -> Tensor:
        with self.autocast():
            return head(y, quality, picture, noise).float()

    def _distances(self, x: Tensor, x_hat: Tensor) -> dict[str, Tensor]:
        """DISTANCES of pictures (B, 3, H, W) in [0, 1]."""
        squared_error, texture = (
            TERMS[name].prepare(x)(x_hat).mean() for name in ("squared error", "texture")
        )
        with self.autocast():
            features = StLpipsReference(x, "alex").score(x_hat).float().mean()
        spectra = spectral_distance(x, x_hat).mean()
        return dict(zip(DISTANCES, (squared_error, features, texture, spectra), strict=True))

    def _loss(self, distances: dict[str, Tensor]) -> Tensor:
        config = self.config
        weights = config.squared_error * PEAK, config.features, config.texture * PEAK, config.spectra
        return sum(weight * distances[name] for name, weight in zip(DISTANCES, weights, strict=True))

    def _teach_discriminator(self, real: Tensor, made: Tensor, condition: Tensor) -> dict[str, Tensor]:
        """Update the discriminator; its loss, 2 ln 2 at chance, and how often it is right at both scales.

        A penalty holds its slope down at both pictures (Roth et al. 2017, "Stabilizing Training of Generative
        Adversarial Networks through Regularization"), by differences over a small random step instead of
        second derivatives (Lin et al. 2025, "Diffusion Adversarial Post-Training", section 3.3).
        """
        pictures, conditions = _pairs(real, made), condition.repeat_interleave(2, 0)
        judged = self.discriminator(pictures, conditions)
        shaken = self.discriminator(pictures + SHAKE * normal_like(pictures), conditions)
        slope = sum((a - b).square().mean() for a, b in zip(judged, shaken, strict=True)) / SHAKE**2
        pairs = _differences(judged)
        loss = sum(F.softplus(-difference).mean() for difference in pairs)
        update(self.optimizers[1], loss + self.config.slope_penalty * slope, self.config.clip_norm)
        right = [(difference > 0).float().mean() for difference in pairs]
        found = {"discriminator_loss": loss, "discriminator_slope": slope}
        return found | {"accuracy_fine": right[0], "accuracy_coarse": right[1]}

    def _judgement(self, real: Tensor, made: Tensor, condition: Tensor) -> Tensor:
        """How clearly the discriminator tells the made pictures from the real ones, for the head to lower."""
        self.discriminator.requires_grad_(False)
        judged = self.discriminator(_pairs(real, made), condition.repeat_interleave(2, 0))
        self.discriminator.requires_grad_(True)
        return sum(F.softplus(difference).mean() for difference in _differences(judged))

    @staticmethod
    def make_model(networks: tuple[Head], config: HeadConfig) -> RealismHead:
        """The head of what `averaged` returns."""
        body = trained_model(config.start_from, HyperpriorModel)
        return RealismHead(*networks, body.network.architecture, body.model_id)

    @torch.no_grad()
    def samples(self, networks: tuple[Head], x: Tensor) -> list[Tensor]:
        """X (1, 3, H, W) in [0, 1] at two low qualities, each without and with the head."""
        body = trained_model(self.config.start_from, HyperpriorModel)
        head = self.make_model(networks, self.config)
        pictures, size = [], tuple(x.shape[2:])
        for setting in map(body.setting, SHOWN_QUALITIES):
            latents = body.rounded(body.analysis(x, setting), setting)
            pictures += [head.synthesis(body, latents, setting, size, realism) for realism in (0.0, 1.0)]
        return pictures

    @torch.no_grad()
    def validate(self, networks: tuple[Head], images: Sequence[np.ndarray]) -> list[dict[str, float]]:
        """Distances at four qualities, and the mean of what training minimises but for the adversary.

        Columns are validation_loss, and for each quality validation_psnr_db_<quality>,
        validation_features_<quality>, validation_texture_<quality> and validation_spectra_<quality> (of these
        three smaller is better).
        """
        head, rows = networks[0].to(self.device, memory_format=torch.channels_last), []
        for crop in centre_crops(images):
            x, losses, row = crop.to(self.device), [], {}
            for number in VALIDATION_QUALITIES:
                quality = torch.tensor([number], device=self.device)
                y, _, picture = self._decoded(x, quality)
                x_hat = (picture + self._added(head, y, quality, picture, noise_like(y)) + 0.5).clamp(0, 1)
                distances = self._distances(x, x_hat)
                losses.append(self._loss(distances).item())
                row[f"validation_psnr_db_{number:g}"] = -10 * distances["mse"].log10().item()
                row[f"validation_features_{number:g}"] = distances["features"].item()
                row[f"validation_texture_{number:g}"] = PEAK * distances["texture"].item()
                row[f"validation_spectra_{number:g}"] = distances["spectra"].item()
            rows.append({"validation_loss": sum(losses) / len(losses)} | row)
        return rows


def _pairs(real: Tensor, made: Tensor) -> Tensor:
    """Each original, and after it what is made of it: (2B, C, H, W)."""
    return torch.stack([real, made], 1).flatten(0, 1)


def _differences(judged: tuple[Tensor, ...]) -> list[Tensor]:
    """How much more real originals look than made pictures, place by place at each scale, of `_pairs`."""
    return [scale[::2] - scale[1::2] for scale in judged]

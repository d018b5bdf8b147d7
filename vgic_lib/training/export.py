# SPDX-License-Identifier: MIT
"""From networks and their training configuration to models that code pictures."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import nn

from vgic_lib.images import centre_crop, to_tensor
from vgic_lib.models.hyperprior import HyperpriorModel
from vgic_lib.models.vaegan import Setting, VaeGan
from vgic_lib.progress import progress
from vgic_lib.training.config import HyperpriorConfig, TrainingConfig

FIT_PHOTOGRAPHS = 160  # training photographs that priors are fitted to
FIT_SIDE = 258  # pixels: their centres only
SHOWN_QUALITIES = (10, 50, 90)  # in samples of a model for many rates

CodecModel = VaeGan | HyperpriorModel


def make_model(networks: Sequence[nn.Module], config: TrainingConfig) -> CodecModel:
    """The model of `networks`, as a training task orders them."""
    if isinstance(config, HyperpriorConfig):
        model = HyperpriorModel(*networks, (config.lambda_low, config.lambda_high))
    else:
        model = VaeGan(config.num_channels)
        model.encoder, model.generator = networks
    return model.eval().requires_grad_(False)


def shown_settings(model: CodecModel) -> tuple:
    """Settings at which samples are shown, lowest rate first."""
    if isinstance(model, HyperpriorModel):
        return tuple(map(model.setting, SHOWN_QUALITIES))
    return tuple(Setting(count, max(model.bit_depths)) for count in model.channel_counts)


@torch.no_grad()
def fit_priors(model: CodecModel, images: Sequence[np.ndarray]) -> None:
    """Fit what is not trained by gradients, to pictures (H, W, 3) uint8: the VAE-GAN's priors."""
    if isinstance(model, HyperpriorModel):
        return
    finest = Setting(model.channels, max(model.bit_depths))
    latents = []
    for pixels in progress(images[:FIT_PHOTOGRAPHS], "fit priors"):
        image = centre_crop(Image.fromarray(pixels), FIT_SIDE, FIT_SIDE)
        latents += model.analysis(to_tensor(image), finest)
    for bits in model.bit_depths:
        scale = Setting(model.channels, bits).largest / finest.largest
        model.priors[str(bits)].fit([(k * scale).round() for k in latents])


def describe(config: TrainingConfig, metrics: Sequence[dict[str, float]]) -> str:
    """One line for the list of models: what it is, how long it was trained, how it validates."""
    score = {name: value for row in metrics for name, value in row.items() if name.startswith("validation")}
    psnr_db = [f"{value:.2f}" for name, value in score.items() if "psnr_db" in name]
    bpp = [f"{value:.2f}" for name, value in score.items() if "bpp" in name]
    if isinstance(config, HyperpriorConfig):
        kind = "hyperprior codec for all rates"
    else:
        kind = f"2020 VAE-GAN, n = {', '.join(map(str, config.num_channels))}"
    parts = [kind, f"{config.steps} steps"]
    if psnr_db:
        rates = f" at {', '.join(bpp)} bits per pixel" if bpp else ""
        parts.append(f"validation PSNR {', '.join(psnr_db)} dB{rates}")
    return "; ".join(parts)

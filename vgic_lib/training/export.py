# SPDX-License-Identifier: MIT
"""Turning trained networks into models that code pictures."""

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image
from torch import Tensor, nn

from vgic_lib.images import centre_crop, to_tensor
from vgic_lib.models.base import LatentModel
from vgic_lib.progress import progress
from vgic_lib.training.config import TrainingConfig
from vgic_lib.training.loop import TASKS

FIT_PHOTOGRAPHS = 160  # training photographs that priors are fitted to
FIT_SIDE = 258  # pixels: their centres only


def make_model(networks: Sequence[nn.Module], config: TrainingConfig) -> LatentModel:
    """The model of `networks`, as the training task of `config` orders them."""
    return TASKS[config.model].make_model(tuple(networks), config).eval().requires_grad_(False)


def fit_pictures(images: Sequence[np.ndarray]) -> Iterator[Tensor]:
    """Centres (1, 3, H, W) in [0, 1] of the first pictures (H, W, 3) uint8, for `LatentModel.fit`."""
    for pixels in progress(images[:FIT_PHOTOGRAPHS], "fit priors"):
        yield to_tensor(centre_crop(Image.fromarray(pixels), FIT_SIDE, FIT_SIDE))


def describe(config: TrainingConfig, metrics: Sequence[dict[str, float]]) -> str:
    """One line for the list of models: what it is, how long it was trained, how it validates."""
    score = {name: value for row in metrics for name, value in row.items() if name.startswith("validation")}
    psnr_db = [f"{value:.2f}" for name, value in score.items() if "psnr_db" in name]
    bpp = [f"{value:.2f}" for name, value in score.items() if "bpp" in name]
    parts = [config.title, f"{config.steps} steps"]
    if psnr_db:
        rates = f" at {', '.join(bpp)} bits per pixel" if bpp else ""
        parts.append(f"validation PSNR {', '.join(psnr_db)} dB{rates}")
    return "; ".join(parts)

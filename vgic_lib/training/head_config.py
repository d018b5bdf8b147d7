# SPDX-License-Identifier: MIT
"""Configuration of training runs of a generative head."""

from dataclasses import dataclass
from typing import Literal

from vgic_lib.networks.quality import ANCHORS
from vgic_lib.training.config import TrainingConfig


@dataclass(frozen=True)
class HeadConfig(TrainingConfig):
    """One training run of a generative head for a trained codec. The defaults suit one CPU core."""

    batch: int = 8
    steps: int = 3000
    learning_rate: float = 4e-4
    beta1: float = 0.5
    beta2: float = 0.99
    warmup_steps: int = 100
    schedule: Literal["constant", "cosine"] = "cosine"
    final_rate: float = 0.02
    ema_decay: float = 0.998
    clip_norm: float = 1.0
    validate_every: int = 500
    model: Literal["head"] = "head"
    start_from: str = "hyperprior-eye"  # the codec it is for, a model's name or path
    head_of: str = ""  # a model whose head to train on from; none: the codec's own features, adding nothing
    crop_side: int = 128  # pixels, a multiple of 16, at least 64
    highest_quality: float = 5.0  # qualities are drawn evenly from the lowest to this one, of 0..7
    squared_error: float = 0.0023  # weight of squared 8-bit steps of error
    features: float = 1.0  # weight of ST-LPIPS (alex)
    texture: float = 0.0023  # weight of squared 8-bit steps of error of local deviations
    spectra: float = 0.03  # weight of squared doublings of local power spectra
    adversarial: float = 0.08  # weight of the discriminator's judgement; 0: no discriminator
    adversarial_from: float = 0.08  # fraction of the steps after which it counts; it learns from the first
    discriminator_rate: float = 1.0  # its learning rate, as a fraction
    slope_penalty: float = 0.003  # weight of its squared slope, over pixels in 0..1
    validation_pictures: int = 12  # the first so many; their centres of at most 256 x 256 pixels

    @property
    def title(self) -> str:
        """What is trained."""
        return "generative head"

    def sampling(self, step: int) -> tuple[tuple[int, int], int]:
        """Height and width in pixels of the training crops of a step, and their number."""
        return (self.crop_side, self.crop_side), self.batch

    def checks(self) -> list[tuple[bool, str]]:
        """What must hold, each with the sentence that says so."""
        weights = self.squared_error, self.features, self.texture, self.spectra, self.adversarial
        return [
            *super().checks(),
            (
                self.crop_side % 16 == 0 and self.crop_side >= 64,
                "crop_side must be a multiple of 16, from 64",
            ),
            (
                0 < self.highest_quality <= ANCHORS - 1,
                f"highest_quality must be in 0..{ANCHORS - 1}, above 0",
            ),
            (min(weights) >= 0 and sum(weights[:-1]) > 0, "weights must not be negative, nor all of them 0"),
            (0 <= self.adversarial_from <= 1, "adversarial_from must lie in 0..1"),
            (self.discriminator_rate > 0, "discriminator_rate must be above 0"),
            (self.slope_penalty >= 0, "slope_penalty must not be negative"),
        ]

# SPDX-License-Identifier: MIT
"""Configuration of the training of lossless and near-lossless networks."""

from dataclasses import dataclass
from typing import Literal

from vgic_lib.training.config import TrainingConfig


@dataclass(frozen=True)
class LosslessConfig(TrainingConfig):
    """One training run of the networks for lossless files, or of those within a bound. For one CPU core."""

    batch: int = 2
    steps: int = 4000
    optimizer: Literal["adam", "soap"] = "adam"  # see `training.soap`
    learning_rate: float = 2e-3
    beta1: float = 0.9
    beta2: float = 0.99
    warmup_steps: int = 50
    schedule: Literal["constant", "cosine"] = "cosine"
    final_rate: float = 0.005
    ema_decay: float = 0.998
    clip_norm: float = 1.0
    log_every: int = 50
    validate_every: int = 500
    model: Literal["lossless"] = "lossless"
    width: int = 64  # of the networks
    head: int = 32  # of those of each channel
    part: Literal["exact", "near", "jpeg", "photo_cd"] = "exact"  # of the networks, see `LosslessNetwork`
    start_from: str = ""  # weights to go on from, a model's name or path
    crop_side: int = 128  # pixels, after they were reduced
    validation_pictures: int = 24  # the first so many

    def sampling(self, step: int) -> tuple[tuple[int, int], int]:
        """Height and width in pixels of the training crops, before they are reduced, and their number."""
        return (2 * self.crop_side, 2 * self.crop_side), self.batch

    @property
    def title(self) -> str:
        """What is trained."""
        return "lossless and near-lossless codec"

    def checks(self) -> list[tuple[bool, str]]:
        """What must hold, each with the sentence that says so."""
        return [
            *super().checks(),
            (min(self.width, self.head) >= 1, "width and head must be at least 1"),
            (self.crop_side >= 8 and self.crop_side % 8 == 0, "crop_side must be a multiple of 8"),
            (
                self.part == "exact" or bool(self.start_from),
                f"part={self.part} needs start_from: weights of a lossless run",
            ),
        ]

# SPDX-License-Identifier: MIT
"""What the training loop asks of a model in training."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from vgic_lib.models.base import LatentModel
from vgic_lib.models.head import RealismHead
from vgic_lib.training.config import TrainingConfig
from vgic_lib.training.throughput import uses_bf16


class Task(ABC):
    """One model in training.

    Random numbers of the rows of a batch come from `networks.shared_random`, so that several processes can
    share a batch.
    """

    networks: Sequence[nn.Module | None]
    optimizers: Sequence[torch.optim.Optimizer | None]  # a group's "rate" is its share of the learning rate

    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        """Of a run on a device."""
        self.config, self.device = config, device
        self.dtype = torch.bfloat16 if uses_bf16(config, device) else torch.float32  # of most arithmetic

    @property
    def saved(self) -> tuple[nn.Module, ...]:
        """The networks that the model consists of: all, if not said otherwise."""
        return tuple(self.networks)

    def weights(self, networks: Iterable[nn.Module] | None = None) -> list[nn.Parameter]:
        """Those of the saved networks, or copies of them, that are trained, and so averaged."""
        return [p for network in networks or self.saved for p in network.parameters()]

    @torch.no_grad()
    def averaged(self, values: Sequence[Tensor]) -> tuple[nn.Module, ...]:
        """Copies of the saved networks on the CPU with `values` as their weights."""
        copies = tuple(
            copy.deepcopy(network).to("cpu", memory_format=torch.contiguous_format).eval()
            for network in self.saved
        )
        for parameter, value in zip(self.weights(copies), values, strict=True):
            parameter.copy_(value)
        return copies

    def autocast(self) -> torch.autocast:
        """Context in which convolutions compute in `dtype`."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    @abstractmethod
    def step(self, x: Tensor, step: int) -> dict[str, Tensor]:
        """One update on crops `x` (B, 3, H, W), uint8; means over them of "loss" and others."""

    @abstractmethod
    def forward(self, x: Tensor) -> object:
        """What a codec does with crops `x` (B, 3, H, W), uint8: for counting operations."""

    @staticmethod
    @abstractmethod
    def make_model(networks: tuple[nn.Module, ...], config: TrainingConfig) -> LatentModel | RealismHead:
        """The model, or head of one, of what `averaged` returns."""

    @abstractmethod
    def samples(self, networks: tuple[nn.Module, ...], x: Tensor) -> list[Tensor]:
        """Reconstructions of a picture (1, 3, H, W) in [0, 1], for people to look at."""

    @abstractmethod
    def validate(
        self, networks: tuple[nn.Module, ...], images: Sequence[np.ndarray]
    ) -> list[dict[str, float]]:
        """For each picture columns of metrics.csv, all called validation_..., by what `averaged` returns."""


def mean_columns(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means over rows of the same columns, to five decimals."""
    return {name: round(sum(row[name] for row in rows) / len(rows), 5) for name in rows[0]} if rows else {}

# SPDX-License-Identifier: MIT
"""Building blocks shared by encoder and generator."""

import torch
from torch import nn


class ResidualBlock(nn.Sequential):
    """Two zero-padded 3x3 convolutions with a LeakyReLU between them, and a skip connection.

    The padding is a layer of its own, so that the parameters carry the indices (1 and 4) of the
    published weights.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.ZeroPad2d(1), nn.Conv2d(channels, channels, 3), nn.LeakyReLU(),
            nn.ZeroPad2d(1), nn.Conv2d(channels, channels, 3),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        return x + super().forward(x)

# SPDX-License-Identifier: MIT
"""Encoder and generator of the 2020 VAE-GAN, layer for layer.

Source: V. S., "Variational Generative Image Compression", 2020
(github.com/vineeths96/Variational-Generative-Image-Compression, MIT). Module names and layer
positions are those of the published weights, so these load strictly.

    x (B, 3, H, W) -> Encoder -> y (B, n, (H - 2) / 4, (W - 2) / 4) -> Generator -> x_hat (B, 3, H, W)

Pixels and latents lie in [-1, 1] (tanh). The sizes match where H and W are 2 modulo 4, as in the
2020 project's 218 x 178; `vgic_lib.models.vaegan` pads and crops other pictures.
"""

import torch
from torch import nn

CHANNEL_COUNTS = (2, 4, 8, 16, 28)  # latent channels n of the published table
STRIDE = 4  # pixels per latent element along each axis


class PaddedResidualBlock(nn.Sequential):
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


class Encoder(nn.Module):
    """Analysis transform: (B, 3, H, W) in [-1, 1] to (B, n, H // 4, W // 4) in [-1, 1], H and W 2 mod 4."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.e_conv_1 = nn.Sequential(
            nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(3, 64, 5, stride=2), nn.LeakyReLU()
        )
        self.e_conv_2 = nn.Sequential(
            nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(64, 128, 5, stride=2), nn.LeakyReLU()
        )
        self.e_block_1 = PaddedResidualBlock(128)
        self.e_block_2 = PaddedResidualBlock(128)
        self.e_block_3 = PaddedResidualBlock(128)
        self.e_conv_3 = nn.Sequential(nn.Conv2d(128, num_channels, 5, padding=2), nn.Tanh())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map pixels to latents."""
        x = self.e_conv_2(self.e_conv_1(x))  # (B, 128, h, w)
        x = self.e_block_3(self.e_block_2(self.e_block_1(x)))
        return self.e_conv_3(x)


class Generator(nn.Module):
    """Synthesis transform: (B, n, h, w) in [-1, 1] to (B, 3, 4h + 2, 4w + 2) in [-1, 1]; h, w at least 3."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.d_up_conv_1 = nn.Sequential(
            nn.Conv2d(num_channels, 64, 3),
            nn.LeakyReLU(),
            nn.ZeroPad2d(1),
            nn.ConvTranspose2d(64, 128, 2, stride=2),
        )
        self.d_block_1 = PaddedResidualBlock(128)
        self.d_block_2 = PaddedResidualBlock(128)
        self.d_block_3 = PaddedResidualBlock(128)
        self.d_up_conv_2 = nn.Sequential(
            nn.Conv2d(128, 32, 3), nn.LeakyReLU(), nn.ZeroPad2d(1), nn.ConvTranspose2d(32, 256, 2, stride=2)
        )
        self.d_up_conv_3 = nn.Sequential(
            nn.Conv2d(256, 16, 3), nn.LeakyReLU(), nn.ReflectionPad2d(3), nn.Conv2d(16, 3, 3), nn.Tanh()
        )

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """Map latents to pixels."""
        x = self.d_up_conv_1(y)  # (B, 128, 2h, 2w)
        x = self.d_block_3(self.d_block_2(self.d_block_1(x)))
        return self.d_up_conv_3(self.d_up_conv_2(x))


def initialise_as_published(module: nn.Module) -> None:
    """Draw the weights of all convolutions from N(0, 0.05), the initialisation of 2020."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.05)

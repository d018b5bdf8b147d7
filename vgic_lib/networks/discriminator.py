# SPDX-License-Identifier: MIT
"""Discriminator of the 2020 VAE-GAN: judges an image together with the latent it was made from."""

import torch
from torch import nn
from torch.nn import functional as F

from vgic_lib.networks.shared_random import Dropout

IMAGE_SIZE = (218, 178)  # pixels (H, W): its last layers are fully connected, so the size is fixed
FAINT = 0.03  # four levels of 8 bits; what varies less, fine colour above all, hardly shows
_PATCH_STRIDE = 7  # pixels between the patches that its start is fitted to


def _upsample(inputs: int, outputs: int, kernel: int, **options: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, kernel, **options), nn.LeakyReLU(0.2, inplace=True)
    )


def _features(inputs: int, outputs: int, kernel: int, **options: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, **options), nn.LeakyReLU(0.2, inplace=True), Dropout(0.3)
    )


class Discriminator(nn.Module):
    """Image (B, 3, 218, 178) and latent (B, n, 54, 44), in [-1, 1], to the probability (B,) of "real"."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.latent_to_image = nn.Sequential(
            _upsample(num_channels, 12, 3), _upsample(12, 16, 3, padding=2),
            _upsample(16, 24, 3, stride=2, padding=2, output_padding=1),
            _upsample(24, 36, 5, stride=2, output_padding=1), _upsample(36, 3, 3), nn.Tanh(),
        )  # fmt: skip
        self.features = nn.Sequential(
            _features(6, 64, 3), _features(64, 128, 5, stride=2), _features(128, 32, 3, stride=2, padding=2),
            _features(32, 16, 3, padding=2), _features(16, 8, 3), nn.Tanh(),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(8 * 54 * 44, 2000), nn.Sigmoid(),
            nn.Linear(2000, 100), nn.Sigmoid(), nn.Linear(100, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, images: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Judge images; where there are k times as many images as latents, each latent serves k of them.

        Args:
            images: (Bk, 3, 218, 178) in [-1, 1], the k of the first latent first.
            y: (B, n, 54, 44) in [-1, 1].
        """
        condition = self.latent_to_image(y).repeat_interleave(len(images) // len(y), 0)  # (Bk, 3, 218, 178)
        return self.classifier(self.features(torch.cat([images, condition], 1)))[:, 0]


@torch.no_grad()
def whiten_first_layer(discriminator: Discriminator, images: torch.Tensor) -> None:
    """Let the first layer look at the principal components of patches of photographs, of unit deviation.

    From random weights the discriminator stays at chance beside a good generator: what a reconstruction
    lacks, the weak components, is a hundredth of what both pictures share. Each component is there with both
    signs, so that the layer behind can measure its energy; the other filters keep their weights.

    Args:
        discriminator: that starts.
        images: photographs (B, 3, H, W) in [-1, 1].
    """
    first = discriminator.features[0][0]
    patches = F.unfold(images, first.kernel_size, stride=_PATCH_STRIDE).transpose(1, 2).flatten(0, 1)
    mean = patches.mean(0)  # (27,)
    variances, components = torch.linalg.eigh(torch.cov(patches.T))
    filters = (components / (variances + FAINT**2).sqrt()).T  # (27, 27)
    for sign, rows in ((1, slice(0, len(filters))), (-1, slice(len(filters), 2 * len(filters)))):
        first.weight[rows] = 0
        first.weight[rows, :3] = sign * filters.reshape(-1, 3, *first.kernel_size)
        first.bias[rows] = -sign * filters @ mean

# SPDX-License-Identifier: MIT
"""The generative head as it is kept beside a model: what turns its pictures into real-looking ones."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vgic_lib.models.base import Latents, Size
from vgic_lib.models.hyperprior import HyperpriorModel, QualitySetting, architecture, in_strips
from vgic_lib.networks.head import Head, noise_like
from vgic_lib.networks.hyperprior import Architecture
from vgic_lib.networks.lapped import BLOCK

REACH = 8  # pixels on each side over which the strength of what is added is taken
WEAK = 3 / 255  # where its deviation is this, half of it is left


def _cored(added: Tensor) -> Tensor:
    """What is added (B, 3, H, W), less of it where it is weak: there, as in skies, it shows as a pattern."""
    energy = added.square().mean(1, keepdim=True)
    for window in ((2 * REACH + 1, 1), (1, 2 * REACH + 1)):
        padding = tuple(side // 2 for side in window)
        energy = F.avg_pool2d(energy, window, 1, padding, count_include_pad=False)
    return added * (energy / (energy + WEAK**2))


class RealismHead(nn.Module):
    """A second synthesis for the files of one model.

    Attributes:
        kind: that weights files name.
        body_id: the model's.
        name: of its own file.
        model_id: of its own file.
    """

    kind = "vgic-head-1"

    def __init__(self, network: Head, sizes: Architecture, body_id: bytes) -> None:
        super().__init__()
        self.network, self.sizes, self.body_id = network, sizes, body_id
        self.name, self.model_id = "head", bytes(4)

    def synthesis(
        self, body: HyperpriorModel, latents: Latents, setting: QualitySetting, size: Size, realism: float
    ) -> Tensor:
        """As that of the model `body`, and `realism` times what the head adds, (B, 3, H, W) in [0, 1].

        What is added is invented in part: it looks like the original, and is not it.
        """
        quality = torch.full((len(latents[0]),), setting.network_quality, device=latents[0].device)

        def transform(parts: Tensor) -> Tensor:
            y = body.network.dequantised(parts[:, : latents[0].shape[1]], quality)
            picture = body.network.synthesis(y, quality)
            added = self.network(y, quality, picture, parts[:, latents[0].shape[1] :])
            return picture + realism * _cored(added) + 0.5

        parts = torch.cat([latents[0], noise_like(latents[0])], 1)
        x_hat = in_strips(transform, parts, BLOCK, 1, halos=2)
        return x_hat[:, :, : size[0], : size[1]].clamp(0, 1)

    def fit(self, pictures: Iterable[Tensor]) -> None:
        """Fit what gradients do not to pictures: nothing."""

    def construction(self) -> dict[str, str]:
        """Metadata of a weights file from which `construct` builds an equal head."""
        return {"architecture": json.dumps(asdict(self.sizes)), "body": self.body_id.hex()}

    @classmethod
    def construct(cls, metadata: Mapping[str, str]) -> "RealismHead":
        """A head without its weights. Raises KeyError, TypeError or ValueError for senseless metadata."""
        sizes = architecture(metadata)
        return cls(Head(sizes), sizes, bytes.fromhex(metadata["body"]))

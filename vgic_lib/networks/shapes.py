# SPDX-License-Identifier: MIT
"""Distributions of how far pixels lie from their predicted means, and all that lossless files need together.

Two logistic densities are mixed, one wider than the other. A scale is a place in a table, which may lie
between two entries; share and width of the wider density depend on it, and are learned.
"""

import math

import torch
from torch import Tensor, nn

from vgic_lib.networks.pixels import SCALE_FACTOR, SCALES, SMALLEST_SCALE, PixelNetwork

KNOTS = 8  # places in the table where share and width of the wider density are stored
PARTS = EXACT, NEAR, JPEG, PHOTO_CD = "exact", "near", "jpeg", "photo_cd"
FLOOR = 1e-7  # probability that any pixel has at least


class Shapes(nn.Module):
    """Mixture of two logistic densities for every place in the table of scales."""

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.full((KNOTS,), -2.0))  # logit
        self.width = nn.Parameter(torch.full((KNOTS,), math.log(2.0)))  # logarithm of the factor, less 1

    def forward(self, low: Tensor, high: Tensor, index: Tensor) -> Tensor:
        """Probability between `low` and `high`, distances from the mean in levels, at a place in the table.

        All have one shape; differentiable. Digits are lost far above the mean, not below it.
        """
        index = index.clamp(0, SCALES - 1)
        inverse = torch.exp(-index * math.log(SCALE_FACTOR)) / SMALLEST_SCALE
        share, width = self._at(index)
        narrow = torch.sigmoid(high * inverse) - torch.sigmoid(low * inverse)
        wide = torch.sigmoid(high * inverse / width) - torch.sigmoid(low * inverse / width)
        return narrow + share * (wide - narrow)

    def bits(self, low: Tensor, high: Tensor, index: Tensor) -> Tensor:
        """Ideal code length of what lies between `low` and `high`; see `forward`."""
        return -torch.log2(self(low, high, index) + FLOOR)

    @torch.no_grad()
    def mixture(self) -> tuple[Tensor, Tensor]:
        """Share of the wider density, and factor between the two scales, for each entry of the table."""
        return self._at(torch.arange(SCALES, dtype=torch.float32))

    def _at(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Share and width of the wider density at a place in the table."""
        place = index * ((KNOTS - 1) / (SCALES - 1))
        knots = torch.arange(KNOTS, dtype=place.dtype)[:, None]
        near = (1 - (place.detach().flatten() - knots).abs()).clamp(min=0)  # (KNOTS, N)
        share, width = self.share @ near, self.width @ near
        return torch.sigmoid(share).view_as(index), 1 + torch.exp(width).view_as(index)


class LosslessNetwork(nn.Module):
    """Predictions of pixels and distributions around them.

    One pair is for exact pixels, one for pixels within a bound, one for the colours that a JPEG file had, one
    for those of a picture of a Photo CD.
    """

    def __init__(self, width: int, head: int, signed: bool = True, parts: tuple[str, ...] = PARTS) -> None:
        """Set up networks, see `PassNetwork`; some or all of PARTS."""
        super().__init__()
        self.sizes, self.parts = (width, head), parts
        for name in self.parts:
            self.add_module(name, PixelNetwork(width, head, signed))
            self.add_module(f"{name}_shapes", Shapes())

    def part(self, name: str) -> tuple[PixelNetwork, Shapes]:
        """A pair, of PARTS."""
        return self.get_submodule(name), self.get_submodule(f"{name}_shapes")

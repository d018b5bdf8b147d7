# SPDX-License-Identifier: MIT
"""Entropy parameters: mean and scale of every latent element, from what a decoder knows already.

The channels of y are coded in groups of growing size, each group in two passes over a checkerboard (He et al.
2022, "ELIC", sec. 3). A pass sees the features of z, all earlier groups and, the second time, the
four neighbours of its own group. `ContextModel.traverse` is the one order for training, search, encoder and
decoder; what happens in a pass is up to the function it calls.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vgic_lib.networks.quality import ANCHORS, at_quality

SLOPE = 0.125  # of LeakyReLU: a power of two keeps integer arithmetic exact
INDEX_UNIT = 8.0  # places in the scale table (a factor of e) for one unit of the networks' output


class Pass(NamedTuple):
    """Elements that are coded together, and their distributions."""

    channels: slice  # of y
    places: Tensor  # (N,) positions in a flattened (h, w) grid
    mean: Tensor  # (B, C, N)
    index: Tensor  # (B, C, N) place in the scale table, before rounding


class Conv(nn.Conv2d):
    """Convolution of odd size that keeps height and width."""

    def __init__(self, channels_in: int, channels_out: int, size: int = 3) -> None:
        super().__init__(channels_in, channels_out, size, padding=size // 2)


class CrossConv(Conv):
    """A 3x3 convolution of values on one colour of a checkerboard (else 0), wanted on the other colour."""

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', N) at `places` (N,), positions in the flattened (H, W) grid."""
        return at_places(super().forward(x), places)


def at_places(x: Tensor, places: Tensor) -> Tensor:
    """Values (B, C, N) of x (B, C, H, W) at places (N,); channels lie next to each other in memory."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)[:, places].transpose(1, 2)


def leaky(x: Tensor) -> Tensor:
    """LeakyReLU, exact on dyadic numbers."""
    return F.leaky_relu(x, SLOPE)


class HyperSynthesis(nn.Module):
    """Quantised z and quality to features for the context model."""

    def __init__(self, hyper_latent: int, width: int) -> None:
        super().__init__()
        self.entry = Conv(hyper_latent, width)
        self.up_1, self.middle = Conv(width, 4 * width, 1), Conv(width, width)
        self.up_2, self.last = Conv(width, 4 * width, 1), Conv(width, width)
        self.bias = nn.Parameter(torch.zeros(ANCHORS, width))

    def forward(self, z: Tensor, quality: Tensor, size: tuple[int, int]) -> Tensor:
        """Map (B, Z, h/4, w/4), rounded up, to features (B, width, h, w) for a y of `size` (h, w)."""
        x = leaky(self.entry(z))
        x = leaky(self.middle(leaky(F.pixel_shuffle(self.up_1(x), 2))))
        x = leaky(F.pixel_shuffle(self.up_2(x), 2)[:, :, : size[0], : size[1]])
        bias = at_quality(self.bias, quality)[:, :, None, None]
        return leaky(self.last(x) + bias)


class ContextModel(nn.Module):
    """Means and scales of y, group by group, pass by pass."""

    def __init__(
        self, groups: tuple[int, ...], sides: tuple[int, ...], features: int, context: int, hidden: int
    ) -> None:
        """Set up.

        Args:
            groups: channels of each group.
            sides: positions a side, odd, that each group sees of the earlier groups.
            features: channels of the hyper features.
            context: channels of the features of earlier groups, and of those of the neighbours.
            hidden: width of the network that joins them.
        """
        super().__init__()
        self.groups, self.context = groups, context
        latent = sum(groups)
        self.register_buffer("norm", torch.ones(latent))  # powers of two: y * norm is about 1
        self.base = nn.Parameter(torch.zeros(ANCHORS, latent))  # scale without context, in INDEX_UNIT
        starts = [sum(groups[:k]) for k in range(len(groups))]
        self.earlier = nn.ModuleList(
            Conv(2 * start, context, side) if start else nn.Identity()
            for start, side in zip(starts, sides, strict=True)
        )
        self.neighbours = nn.ModuleList(CrossConv(2 * count, context) for count in groups)
        self.hidden = nn.ModuleList(Conv(features + 2 * context, hidden, 1) for _ in groups)
        self.out = nn.ModuleList(Conv(hidden, 2 * count, 1) for count in groups)
        for layer in self.out:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def traverse(self, features: Tensor, quality: Tensor, code: Callable[[Pass], Tensor]) -> Tensor:
        """Visit all passes in order.

        Args:
            features: of z, (B, features, h, w).
            quality: (B,).
            code: takes a pass and returns the quantised y (B, C, N) at its places.

        Returns:
            quantised y (B, M, h, w).
        """
        batch, _, height, width = features.shape
        grid = torch.arange(height * width, device=features.device)
        odd = (grid // width + grid % width) % 2
        base = at_quality(self.base, quality)
        nothing = features.new_zeros(batch, self.context, 1)
        known, groups = [], []
        for k, count in enumerate(self.groups):
            channels = slice(sum(self.groups[:k]), sum(self.groups[:k]) + count)
            before = leaky(self.earlier[k](torch.cat(known, 1))) if k else None
            rows = base.new_zeros(batch, height * width, count)
            for odd_pass in (0, 1):
                places = (odd == odd_pass).nonzero()[:, 0]
                if not len(places):
                    continue
                empty = nothing.expand(-1, -1, len(places))
                joined = [
                    at_places(features, places),
                    empty if before is None else at_places(before, places),
                    self._around(rows, k, channels, width, places) if odd_pass else empty,
                ]
                hidden = leaky(self.hidden[k](torch.cat(joined, 1)[..., None]))
                mean, scale = self.out[k](hidden)[..., 0].chunk(2, 1)
                mean = mean / self.norm[channels, None]
                index = INDEX_UNIT * (scale + base[:, channels, None])
                y = code(Pass(channels, places, mean, index))
                rows = rows.index_copy(1, places, y.transpose(1, 2).to(rows.dtype))
            groups.append(rows.transpose(1, 2).unflatten(2, (height, width)))
            known.append(self._signals(rows, channels, width))
        return torch.cat(groups, 1)

    def _around(self, rows: Tensor, group: int, channels: slice, width: int, places: Tensor) -> Tensor:
        return leaky(self.neighbours[group](self._signals(rows, channels, width), places))

    def _signals(self, rows: Tensor, channels: slice, width: int) -> Tensor:
        """What networks see of quantised values (B, H * W, C), (B, 2C, H, W): they and their magnitudes."""
        normed = rows * self.norm[channels]
        return torch.cat([normed, normed.abs()], 2).unflatten(1, (-1, width)).permute(0, 3, 1, 2)

# SPDX-License-Identifier: MIT
"""What the codec's transforms are built of: stages at one resolution each, and their arithmetic."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vgic_lib.environment import has_bfloat16
from vgic_lib.networks.quality import ANCHORS, at_quality


class QualityBias(nn.Module):
    """A learned value for each channel that depends on quality."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(ANCHORS, channels))

    def forward(self, quality: Tensor) -> Tensor:
        """Map quality (B,) to (B, C, 1, 1)."""
        return at_quality(self.table, quality)[:, :, None, None]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, LeakyReLU between them, and a skip connection; starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv_2.weight)
        nn.init.zeros_(self.conv_2.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        return self.conv_2(F.leaky_relu_(self.conv_1(x), 0.1)).add_(x)


class Stage(nn.Module):
    """A convolution that changes resolution or width, a quality bias and residual blocks."""

    def __init__(self, entry: nn.Module, channels: int, blocks: int) -> None:
        super().__init__()
        self.entry, self.bias = entry, QualityBias(channels)
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))

    def forward(self, x: Tensor, quality: Tensor, more: Tensor | None = None) -> Tensor:
        """Map (B, C, H, W) to (B, C', H', W'); `more` (B, C', H', W') is added after the entry."""
        entered = self.entry(x)
        entered = entered.add_(self.bias(quality).to(entered.dtype))
        entered = entered if more is None else entered.add_(more)
        return self.blocks(F.leaky_relu_(entered, 0.1))


class Pointwise(nn.Conv2d):
    """A 1x1 convolution, as one product of matrices."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H, W), channels last in memory."""
        return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class Halving(nn.Conv2d):
    """A 3x3 convolution to half the height and width, rounded up.

    Where one row or column comes out, not in bfloat16: for weights that meet nothing but padding, oneDNN
    (torch 2.15) then reads or leaves memory that nobody has written (docs/LOG.md).
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, 3, 2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', ceil(H / 2), ceil(W / 2))."""
        if min(x.shape[2:]) > 2:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


def upsample(channels_in: int, channels_out: int) -> nn.Module:
    """A layer (B, C, H, W) to (B, C', 2H, 2W)."""
    return nn.Sequential(Pointwise(channels_in, 4 * channels_out), nn.PixelShuffle(2))


def zero(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer, which from now on starts at zero."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


@contextmanager
def coarse(x: Tensor) -> Iterator[None]:
    """What is computed here may be off by a little: bfloat16 where that is faster and nobody learns.

    Pixels made so differ by less than half a level from those of float32 (docs/LOG.md), so that all machines
    agree to within one. `x` says on which device.
    """
    device = x.device
    if torch.is_grad_enabled() or torch.is_autocast_enabled(device.type):
        yield
        return
    with torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device)):
        yield


def cells(x: Tensor, side: int) -> Tensor:
    """Pixels (B, C, H, W) as the channels of cells, (B, C * side**2, H / side, W / side), channels last."""
    cells = x.unflatten(2, (-1, side)).unflatten(4, (-1, side)).permute(0, 2, 4, 1, 3, 5)
    return cells.flatten(3).permute(0, 3, 1, 2)

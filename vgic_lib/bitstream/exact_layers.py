# SPDX-License-Identifier: MIT
"""Layers whose sums are exact, whatever their order, and the rows that they work on.

A value is held in float64 as a multiple of GRID, so that rounding is `floor`. A row holds the channels of one
place; rows stand line by line, with zeros between lines. What a layer sums is a few products of matrices:
one for each tap of a convolution, or for each part of its input.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vgic_lib.errors import ModelError
from vgic_lib.networks.context import SLOPE, Conv, CrossConv

WEIGHT_GRID = 2.0**-16  # weights, biases and tables are multiples of it
GRID = 2.0**-12  # activations are multiples of it, before LeakyReLU
LIMIT = 2.0**9  # largest magnitude of activations
LARGEST_SUM = 2.0**52  # grid units: one bit of a mantissa is left for rounding
PART = 1024  # rows that are worked on together: what they need stays in the cache


class Sheet:
    """Places of a picture as rows, with a margin of zeros.

    A line has an odd number of rows, the zeros at its end included. So the colours of a checkerboard
    alternate all along, and a slice of every second row holds one colour, or the neighbours of one.

    Attributes:
        rows: places, and the zeros between their lines.
    """

    def __init__(self, height: int, width: int, reach: int = 1) -> None:
        """Lay out places; convolutions see `reach` places beyond each."""
        self.height, self.width = height, width
        self.line = width + reach + (width + reach + 1) % 2
        self.margin = reach * (self.line + 1)
        self.rows = height * self.line

    def zeros(self, channels: int, like: Tensor) -> Tensor:
        """All rows, those of the margin above and below included, of `channels` zeros."""
        return like.new_zeros(self.rows + 2 * self.margin, channels)

    def spread(self, x: Tensor) -> Tensor:
        """All rows, margin included, that hold x (height, width, channels)."""
        rows = self.zeros(x.shape[2], x)
        self.grid(self.inside(rows)).copy_(x)
        return rows

    def inside(self, x: Tensor) -> Tensor:
        """The rows of `zeros` but for the margin above and below; a view."""
        return x[self.margin :][: self.rows]

    def grid(self, inside: Tensor) -> Tensor:
        """The places alone, (height, width, channels), of rows without margin; a view."""
        return inside.unflatten(0, (self.height, self.line))[:, : self.width]

    def clear(self, inside: Tensor) -> None:
        """Set the rows between lines to zero."""
        inside.unflatten(0, (self.height, self.line))[:, self.width :] = 0

    def parts(self, colour: int | None = None) -> Iterator[slice]:
        """Slices of PART rows each that cover all places, or those of one colour (0 or 1)."""
        first, step = (0, 1) if colour is None else (colour, 2)
        for start in range(first, self.rows, PART * step):
            yield slice(start, min(start + PART * step, self.rows), step)

    def neighbours(self, x: Tensor, part: slice, down: int, right: int) -> Tensor:
        """Rows of x, which has its margin, that lie so far from the places of `part`."""
        shift = self.margin + down * self.line + right
        return x[part.start + shift : part.stop + shift : part.step]


class ExactConv(nn.Module):
    """A convolution as matrices (C, C'), one for each tap, and a bias that holds the half for rounding."""

    def __init__(self, layer: Conv, largest_input: float) -> None:
        """Round the weights of a layer.

        Raises:
            ModelError: inputs of magnitudes up to `largest_input` could lead to sums that are not exact.
        """
        super().__init__()
        weight, bias = on_grid(layer.weight), on_grid(layer.bias)
        largest_sum = weight.abs().sum((1, 2, 3)) * largest_input + bias.abs()
        if not largest_sum.max() < LARGEST_SUM * WEIGHT_GRID * GRID * SLOPE:
            raise ModelError("the weights are too large for exact decoding; train with smaller ones")
        columns = weight.permute(2, 3, 0, 1).flatten(0, 1).contiguous()  # libraries are quicker with these
        self.register_buffer("taps", columns.transpose(1, 2))
        self.register_buffer("bias", bias / GRID + 0.5)
        reach = layer.kernel_size[0] // 2
        side = range(-reach, reach + 1)
        self.offsets = [(down, right) for down in side for right in side]
        self.other_colour = isinstance(layer, CrossConv)

    def forward(self, *products: tuple[Tensor, Tensor]) -> Tensor:
        """Rounded sum of the bias and of products of rows (N, C) and matrices (C, C')."""
        total = torch.addmm(self.bias, *products[0])
        for rows, matrix in products[1:]:
            total.addmm_(rows, matrix)
        return rounded(total)

    def around(self, sheet: Sheet, x: Tensor, part: slice) -> Tensor:
        """Convolve x, which has its margin, at the places of `part`: rows (N, C')."""
        taps = zip(self.offsets, self.taps, strict=True)
        return self(
            *(
                (sheet.neighbours(x, part, *offset), matrix)
                for offset, matrix in taps
                if not self.other_colour or sum(offset) % 2  # all else is zero there
            )
        )


def on_grid(x: Tensor) -> Tensor:
    """Weights, rounded to multiples of WEIGHT_GRID, float64."""
    return torch.round(x.detach().cpu().double() / WEIGHT_GRID) * WEIGHT_GRID


def rounded(total: Tensor) -> Tensor:
    """Sums that hold a half, in place: rounded down, and kept within what exactness was checked for."""
    return total.floor_().clamp_(-LIMIT / GRID, LIMIT / GRID)


def leaky(x: Tensor) -> Tensor:
    """LeakyReLU in place, exact: its slope is a power of two."""
    return F.leaky_relu_(x, SLOPE)

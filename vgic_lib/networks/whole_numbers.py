# SPDX-License-Identifier: MIT
"""Layers whose numbers are whole multiples of powers of two, the same in training and on every machine.

They are so few and so small that float32 adds them without rounding, in whatever order. How large sums can
get for given weights is checked by `bitstream.pixel_sums`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

WEIGHT_GRID = 2.0**-8  # weights and biases are multiples of it
GRID = 2.0**-6  # hidden activations are multiples of it,
LARGEST = 2**10 - 1  # and lie in 0..LARGEST of it
LARGEST_SUM = 2.0**24  # units of a sum that float32 holds without rounding


class Activation(torch.autograd.Function):
    """ReLU with limit, rounding down, in place, in units of GRID; its gradient ignores the rounding."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        """Round x, of any shape, to whole numbers 0..LARGEST."""
        ctx.mark_dirty(x)
        ctx.save_for_backward(x.floor_().clamp_(0, LARGEST))
        return x

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        """Gradient where x was within its limits."""
        (y,) = ctx.saved_tensors
        return gradient * ((y > 0) & (y < LARGEST))


def on_grid_(x: Tensor, grid: float) -> Tensor:
    """Round to multiples of a power of two, in place."""
    return x.mul_(1 / grid).add_(0.5).floor_().mul_(grid)


def rounded(x: Tensor, grid: float) -> Tensor:
    """Round to multiples of a power of two; the gradient ignores it."""
    return x + (on_grid_(x.detach().clone(), grid) - x.detach())


def logarithm(x: Tensor) -> Tensor:
    """About 16 log2(1 + x) of whole numbers x from 0, whole and the same everywhere.

    The bits of a float32 are its exponent and then its mantissa: what is between powers of two is linear.
    """
    return ((x + 1).float().view(torch.int32) - (127 << 23) >> 19).to(x.dtype)


def product(x: Tensor, weight: Tensor, bias: Tensor, unit: float, unit_out: float) -> Tensor:
    """Map rows x (N, inputs) in a unit to (N, outputs) in another one, with a half added for `Activation`.

    Units are powers of two; `weight` is (outputs, inputs), `bias` (outputs, 1).
    """
    return torch.addmm((bias / unit_out + 0.5)[:, 0], x, weight.T * (unit / unit_out))


class Linear(nn.Module):
    """Matrix product with rounded weights."""

    def __init__(self, inputs: int, outputs: int, zero: bool = False) -> None:
        super().__init__()
        linear = nn.Linear(inputs, outputs)
        self.weight, self.bias = linear.weight, nn.Parameter(linear.bias.detach()[:, None].clone())
        if zero:
            nn.init.zeros_(self.weight)
            nn.init.zeros_(self.bias)

    def rounded(self) -> tuple[Tensor, Tensor]:
        """Weight (outputs, inputs) and bias (outputs, 1) as they count."""
        if torch.is_grad_enabled():
            return rounded(self.weight, WEIGHT_GRID), rounded(self.bias, WEIGHT_GRID)
        return self.weight, self.bias

    def forward(self, x: Tensor, unit: float, unit_out: float) -> Tensor:
        """See `product`; a half is added."""
        return product(x, *self.rounded(), unit, unit_out)


def planes(layers: Sequence[Linear], x: Tensor, unit: float, unit_out: float) -> Tensor:
    """What layers make of the same rows x (N, inputs), one below the other: (outputs of all, N).

    Without the half of `product`; faster than that for few outputs.
    """
    weight, bias = map(torch.cat, zip(*(layer.rounded() for layer in layers), strict=True))
    return torch.mm(weight * (unit / unit_out), x.T).add_(bias / unit_out)

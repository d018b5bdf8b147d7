# SPDX-License-Identifier: MIT
"""Exact execution of the networks that encoder and decoder must agree on, to the last bit.

Sums of floating-point numbers depend on their order, and that on machine, library and thread count. Here all
weights are multiples of WEIGHT_GRID and all activations multiples of GRID, held in float64: as long as no sum
leaves the 53 bits of its mantissa, each sum is exact, whatever its order. Scales are looked up in stored
integer tables. So the same file gives the same symbols everywhere.
"""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn

from vgic_lib.bitstream.range_coding import RangeDecoder, RangeEncoder
from vgic_lib.errors import ModelError
from vgic_lib.networks.context import INDEX_UNIT, SLOPE, Conv, Pass
from vgic_lib.networks.hyperprior import Hyperprior
from vgic_lib.networks.logistic import LARGEST_SCALE, LOGISTIC, SCALES, SMALLEST_SCALE
from vgic_lib.networks.quality import at_quality

WEIGHT_GRID = 2.0**-16  # weights, biases and tables are multiples of it
GRID = 2.0**-12  # activations are multiples of it, before LeakyReLU
LIMIT = 2.0**9  # largest magnitude of activations
LARGEST_RESIDUAL = 1023  # quantiser steps
LARGEST_TABLE = 2.0**8  # magnitude of entries of tables over quality
LARGEST_SUM = 2.0**52  # grid units: one bit of a mantissa is left for rounding
FREQUENCY_TOTAL = 2**24  # sum of a frequency table, nearly

Exchange = Callable[[Tensor, Tensor | None], Tensor]
"""Takes scale indices (B, N, C), whole float64, and (when encoding) wanted residuals; returns residuals."""


def scale_frequencies() -> Tensor:
    """Frequencies (SCALES, LARGEST_RESIDUAL + 1), int32, of residuals 0, 1, 2, ... under logistic densities.

    A negative residual is as frequent as its opposite. Computed once, when a model is made; stored with its
    weights from then on, because a logarithm or error function may differ between machines.
    """
    scale = np.geomspace(SMALLEST_SCALE, LARGEST_SCALE, SCALES)[:, None] * LOGISTIC
    edges = (np.arange(LARGEST_RESIDUAL + 2) - 0.5) / scale
    mass = -np.diff(torch.sigmoid(torch.from_numpy(-edges)).numpy(), axis=1)
    return torch.from_numpy(np.maximum(1, np.round(mass * FREQUENCY_TOTAL)).astype(np.int32))


def mirrored(frequencies: Tensor) -> np.ndarray:
    """Frequencies of the residuals -LARGEST_RESIDUAL..LARGEST_RESIDUAL, for `range_coding.Tables`."""
    right = frequencies.cpu().numpy()
    return np.concatenate([right[:, :0:-1], right], axis=1)


def code_lengths(frequencies: Tensor) -> Tensor:
    """Bits (SCALES, LARGEST_RESIDUAL + 1) of the residuals 0, 1, 2, ..., float32."""
    weight = frequencies.double()
    return -torch.log2(weight / (2 * weight.sum(1, keepdim=True) - weight[:, :1])).float()


def sender(encoder: RangeEncoder) -> Exchange:
    """Exchange of an encoder: rounds residuals and writes them. Scale index 0 means 0, and takes no bits."""

    def exchange(index: Tensor, wanted: Tensor | None) -> Tensor:
        coded = index.numpy() > 0
        residual = wanted.round().clamp_(-LARGEST_RESIDUAL, LARGEST_RESIDUAL).mul_(index > 0)
        encoder.put(residual.numpy()[coded].astype(np.int32), index.numpy()[coded].astype(np.uint8))
        return residual

    return exchange


def receiver(decoder: RangeDecoder) -> Exchange:
    """Exchange of a decoder: reads what `sender` wrote."""

    def exchange(index: Tensor, wanted: Tensor | None) -> Tensor:
        index = index.numpy()
        coded = index > 0
        residual = np.zeros_like(index)
        residual[coded] = decoder.get(index[coded].astype(np.uint8))
        return torch.from_numpy(residual)

    return exchange


class ExactNetworks:
    """The hyper synthesis, context model and tables of a Hyperprior, exact."""

    @torch.no_grad()
    def __init__(self, network: Hyperprior) -> None:
        """Copy and round the networks.

        Raises:
            ModelError: weights so large, or normalisations so odd, that exactness is not certain.
        """
        self._hyper_synthesis = _on_grid(network.hyper_synthesis)
        self._context = _on_grid(network.context)
        self._z_base = _rounded(network.z_base.detach())
        norm = self._context.norm
        tables = (self._z_base, self._context.base, self._hyper_synthesis.bias)
        if not all(table.abs().max() <= LARGEST_TABLE for table in tables):
            raise ModelError("the weights' tables are too large for exact decoding; train with smaller ones")
        if not (torch.frexp(norm).mantissa == 0.5).all() or norm.min() < GRID:
            raise ModelError("the weights' normalisation is no power of two; get a fresh copy of them")
        largest_input = LIMIT + LARGEST_RESIDUAL * max(1.0, norm.max().item())
        for part in (self._hyper_synthesis, self._context):
            for layer in part.modules():
                if isinstance(layer, Conv):
                    _make_exact(layer, largest_input)

    def to(self, device: str | torch.device) -> "ExactNetworks":
        """Compute on another device, with the same results; what is exchanged lies there, too."""
        self._hyper_synthesis.to(device)
        self._context.to(device)
        self._z_base = self._z_base.to(device)
        return self

    @torch.no_grad()
    def traverse(
        self,
        quality: float,
        shapes: tuple[tuple[int, ...], tuple[int, ...]],
        exchange: Exchange,
        latents: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Visit z, then y in the order of its passes.

        Args:
            quality: of the networks, a multiple of 2**-7.
            shapes: of y and z, (B, C, h, w).
            exchange: writes or reads the residuals.
            latents: continuous y and z of the encoder.

        Returns:
            quantised y and z, float64.
        """
        quality = torch.full((shapes[0][0],), quality, dtype=torch.float64, device=self._z_base.device)
        y_rows, z_rows = map(_rows, latents) if latents else (None, None)
        z_index = _index(INDEX_UNIT * at_quality(self._z_base, quality))[:, None]
        height, width = shapes[1][2:]
        z_hat = exchange(z_index.expand(-1, height * width, -1).contiguous(), z_rows)
        z_hat = z_hat.unflatten(1, (height, width)).permute(0, 3, 1, 2)

        def code(at: Pass) -> Tensor:
            mean, index = at.mean.transpose(1, 2), _index(at.index.transpose(1, 2))
            wanted = None if y_rows is None else y_rows[..., at.channels][:, at.places] - mean
            return (exchange(index, wanted) + mean).transpose(1, 2)

        features = self._hyper_synthesis(z_hat, quality, shapes[0][2:])
        return self._context.traverse(features, quality, code), z_hat


def _index(x: Tensor) -> Tensor:
    return x.round().clamp_(0, SCALES - 1)


def _rows(x: Tensor) -> Tensor:
    """Positions one after the other, channels side by side: (B, C, H, W) to (B, H * W, C)."""
    return x.detach().cpu().double().permute(0, 2, 3, 1).flatten(1, 2)


def _rounded(x: Tensor) -> Tensor:
    return torch.round(x.cpu().double() / WEIGHT_GRID) * WEIGHT_GRID


def _on_grid(part: nn.Module) -> nn.Module:
    part = deepcopy(part).cpu().double().requires_grad_(False)
    for parameter in part.parameters():
        parameter.copy_(_rounded(parameter))
    return part


def _make_exact(layer: Conv, largest_input: float) -> None:
    """Let a layer round, after checking that its largest possible sum is exact."""
    largest_sum = layer.weight.abs().sum((1, 2, 3)) * largest_input + layer.bias.abs()
    if not largest_sum.max() < LARGEST_SUM * WEIGHT_GRID * GRID * SLOPE:
        raise ModelError("the weights are too large for exact decoding; train with smaller ones")
    layer.grid, layer.limit = GRID, LIMIT
    by_tap = layer.weight.permute(2, 3, 1, 0).contiguous()  # each tap a matrix without gaps
    layer.weight = nn.Parameter(by_tap.permute(3, 2, 0, 1), requires_grad=False)

# SPDX-License-Identifier: MIT
"""Exact execution of the networks that encoder and decoder must agree on, to the last bit.

Sums of floating-point numbers depend on their order, and that on machine, library and thread count. Here all
weights are multiples of WEIGHT_GRID and all activations multiples of GRID, held in float64: as long as no sum
leaves the 53 bits of its mantissa, each sum is exact, whatever its order (`exact_layers`). Scales are looked
up in stored integer tables. So the same file gives the same symbols everywhere.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from vgic_lib.bitstream.exact_layers import GRID, LIMIT, ExactConv, Sheet, leaky, on_grid, rounded
from vgic_lib.bitstream.range_coding import RangeDecoder, RangeEncoder
from vgic_lib.errors import ModelError
from vgic_lib.networks.context import INDEX_UNIT, Conv
from vgic_lib.networks.hyperprior import Hyperprior
from vgic_lib.networks.logistic import LARGEST_SCALE, LOGISTIC, SCALES, SMALLEST_SCALE
from vgic_lib.networks.quality import at_quality, least_index

LARGEST_RESIDUAL = 1023  # quantiser steps
LARGEST_TABLE = 2.0**8  # magnitude of entries of tables over quality
FREQUENCY_TOTAL = 2**24  # sum of a frequency table, nearly

Exchange = Callable[[Tensor, Tensor | None], Tensor]
"""Takes scale indices (N, C), uint8, and (when encoding) wanted residuals; returns residuals, float64."""


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
        residual = wanted.round().clamp_(-LARGEST_RESIDUAL, LARGEST_RESIDUAL).mul_(index > 0)
        encoder.put(residual.int().numpy(), index.numpy())
        return residual

    return exchange


def receiver(decoder: RangeDecoder) -> Exchange:
    """Exchange of a decoder: reads what `sender` wrote."""

    def exchange(index: Tensor, wanted: Tensor | None) -> Tensor:
        return torch.from_numpy(decoder.get(index.numpy())).double()

    return exchange


class ExactNetworks(nn.Module):
    """The hyper synthesis, context model and tables of a Hyperprior, exact, for one picture at a time.

    They compute what `HyperSynthesis` and `ContextModel.traverse` say, on rows instead of planes, each colour
    of the checkerboard alone; what is known to be zero is left out of the sums.
    """

    @torch.no_grad()
    def __init__(self, network: Hyperprior) -> None:
        """Copy and round the networks.

        Raises:
            ModelError: weights so large, or normalisations so odd, that exactness is not certain.
        """
        super().__init__()
        hyper, context = network.hyper_synthesis, network.context
        for name, table in (("z_base", network.z_base), ("base", context.base), ("bias", hyper.bias)):
            self.register_buffer(name, on_grid(table))
            if not self.get_buffer(name).abs().max() <= LARGEST_TABLE:
                raise ModelError(
                    "the weights' tables are too large for exact decoding; train with smaller ones"
                )
        norm = on_grid(context.norm)
        if not (torch.frexp(norm).mantissa == 0.5).all() or norm.min() < GRID:
            raise ModelError("the weights' normalisation is no power of two; get a fresh copy of them")
        self.register_buffer("unit", norm / GRID)  # what networks see of a residual of 1
        largest_input = LIMIT + LARGEST_RESIDUAL * max(1.0, norm.max().item())

        def exact(*layers: Conv) -> nn.ModuleList:
            return nn.ModuleList(ExactConv(layer, largest_input) for layer in layers)

        self.hyper = exact(hyper.entry, hyper.up_1, hyper.middle, hyper.up_2, hyper.last)
        self.earlier, self.neighbours = exact(*context.earlier[1:]), exact(*context.neighbours)
        self.hidden, self.out = exact(*context.hidden), exact(*context.out)
        self.groups = context.groups
        self.reach = max([1, *(layer.padding[0] for layer in context.earlier[1:])])

    @torch.no_grad()
    def traverse(
        self,
        quality: float,
        shapes: tuple[torch.Size, torch.Size],
        exchange: Exchange,
        latents: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Visit z, then y in the order of its passes.

        Args:
            quality: of the networks, a multiple of 2**-7.
            shapes: of y and z, (1, C, h, w).
            exchange: writes or reads the residuals.
            latents: continuous y and z of the encoder.

        Returns:
            quantised y and z, float32, the channels of a place next to each other in memory.
        """
        at = torch.tensor([quality], dtype=torch.float64, device=self.unit.device)
        z_base, base, bias = (at_quality(table, at)[0] for table in (self.z_base, self.base, self.bias))
        (height, width), low = shapes[0][2:], Sheet(*shapes[1][2:], reach=0)
        wanted_y, wanted_z = (latent[0].permute(1, 2, 0) for latent in latents) if latents else (None, None)
        least = least_index(quality)
        z_index = _index(INDEX_UNIT * z_base, least).expand(low.height * low.width, -1)
        z = exchange(z_index, None if wanted_z is None else wanted_z.flatten(0, 1).double())
        z = z.unflatten(0, (low.height, low.width))
        sheet = Sheet(height, width, self.reach)
        features = self._features(z, sheet, bias)
        if wanted_y is not None:
            wanted_y = sheet.inside(sheet.spread(wanted_y))
        y = self._visit(sheet, features, base, least, exchange, wanted_y)
        return y.permute(2, 0, 1)[None], z.float().permute(2, 0, 1)[None]

    def _features(self, z: Tensor, sheet: Sheet, bias: Tensor) -> Tensor:
        """Features (N, C) of z (h, w, Z), at the rows of `sheet` but for its margin."""
        entry, up_1, middle, up_2, last = self.hyper
        low, high = Sheet(*z.shape[:2]), Sheet(2 * z.shape[0], 2 * z.shape[1])
        x = _everywhere(entry, low, low.spread(z / GRID))
        x = _everywhere(middle, high, _upsampled(up_1, low, x, high))
        x = _upsampled(up_2, high, x, sheet)
        return _everywhere(last, sheet, x, bias)

    def _visit(
        self,
        sheet: Sheet,
        features: Tensor,
        base: Tensor,
        least: int,
        exchange: Exchange,
        wanted: Tensor | None,
    ) -> Tensor:
        """Quantised y (h, w, M), of which `wanted` are the rows that an encoder has; see `least_index`."""
        seen = sheet.zeros(2 * len(self.unit), features)  # of each group, values and their magnitudes
        y = torch.empty(sheet.height, sheet.width, len(self.unit), device=seen.device)
        start = 0
        for group, count in enumerate(self.groups):
            channels = slice(start, start + count)
            unit, start = self.unit[channels], start + count
            values, magnitudes = sheet.inside(seen)[:, 2 * channels.start : 2 * start].chunk(2, 1)
            index = torch.zeros(values.shape, dtype=torch.uint8, device=seen.device)
            for colour in (0, 1):
                for part in sheet.parts(colour):
                    values[part], scale = self._distributions(group, sheet, part, features, seen)
                    scale = torch.add(INDEX_UNIT * base[channels], scale, alpha=INDEX_UNIT * GRID)
                    index[part] = _index(scale, least)
                mine = slice(colour, None, 2)
                sheet.clear(values), sheet.clear(index)
                want = None if wanted is None else wanted[mine, channels] - values[mine] / unit
                residual = exchange(index[mine], want)
                values[mine].addcmul_(residual, unit)
                torch.abs(values[mine], out=magnitudes[mine])
            torch.div(sheet.grid(values), unit, out=y[..., channels])
        return y

    def _distributions(
        self, group: int, sheet: Sheet, part: slice, features: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Means and scales (N, C) of a group at the places of `part`, which are of one colour."""
        start, end = (2 * sum(self.groups[:k]) for k in (group, group + 1))
        of_features, of_earlier, of_neighbours = (
            self.hidden[group]
            .taps[0]
            .tensor_split((features.shape[1], (features.shape[1] + len(self.hidden[group].taps[0])) // 2))
        )
        products = [(features[part], of_features)]
        if group:
            before = self.earlier[group - 1].around(sheet, seen[:, :start], part)
            products.append((leaky(before), of_earlier))
        if part.start % 2:
            around = self.neighbours[group].around(sheet, seen[:, start:end], part)
            products.append((leaky(around), of_neighbours))
        hidden = leaky(self.hidden[group](*products))
        return self.out[group]((hidden, self.out[group].taps[0])).chunk(2, 1)


def _everywhere(layer: ExactConv, sheet: Sheet, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """LeakyReLU of a convolution of x, which has its margin, and a second bias, at all rows."""
    parts = []
    for part in sheet.parts():
        total = layer.around(sheet, x, part)
        parts.append(leaky(total if bias is None else rounded(total.add_(bias / GRID + 0.5))))
    return torch.cat(parts)


def _upsampled(layer: ExactConv, low: Sheet, x: Tensor, high: Sheet) -> Tensor:
    """LeakyReLU of a 1x1 convolution of x, rows of `low`, shuffled to twice the size, with margin."""
    planes = low.grid(leaky(layer((x, layer.taps[0])))).unflatten(2, (-1, 4))
    out = high.zeros(planes.shape[2], x)
    grid = high.grid(high.inside(out))
    for place in range(4):  # the order of PixelShuffle; the last line or column may be left out
        target = grid[place // 2 :: 2, place % 2 :: 2]
        target.copy_(planes[: target.shape[0], : target.shape[1], :, place])
    return out


def _index(x: Tensor, least: int) -> Tensor:
    """Places in the table of scales from `least` on, uint8; `x` is overwritten."""
    return x.round_().clamp_(least, SCALES - 1).to(torch.uint8)

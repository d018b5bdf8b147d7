# SPDX-License-Identifier: MIT
"""Lossless and near-lossless coding of pixels under the predictions of a `PixelNetwork`.

What is coded is how far a pixel lies from the rounded mean that the network predicts, in steps of 2E + 1
levels where an error of E is allowed.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vgic_lib.bitstream.picture_fit import (
    MEAN,
    ROUNDED_SCALE,
    SCALE,
    PictureFit,
    Weights,
    samples,
    weight_count,
    with_weights,
)
from vgic_lib.bitstream.pixel_sums import sums_fit
from vgic_lib.bitstream.pixel_tables import LARGE_TABLE, LARGEST, OFFSETS, PER_LEVEL, SMALL_TABLE
from vgic_lib.bitstream.pixel_trims import (
    BUCKETS,
    Residuals,
    best_trims,
    no_trims,
    tables_of,
    trimmed,
    trimmed_tables,
)
from vgic_lib.bitstream.range_coding import RangeDecoder, RangeEncoder, Tables
from vgic_lib.errors import BitstreamError, ModelError
from vgic_lib.networks.pixel_neighbours import PASSES
from vgic_lib.networks.pixels import (
    CHANNELS,
    KINDS,
    MEAN_GRID,
    ORDER,
    SCALE_FACTOR,
    SCALES,
    SMALLEST_SCALE,
    STRIP,
    PixelNetwork,
    Place,
    Rule,
    Terms,
)
from vgic_lib.networks.whole_numbers import WEIGHT_GRID, Linear, on_grid_

LARGEST_ERROR = 64  # that may be asked for
SHIFT_UNIT = 2.0**-4  # of stored shifts, in entries of the scale table


class Coded(NamedTuple):
    """A picture as it is coded."""

    channels: int
    pixels: Tensor  # as decoded, (1, CHANNELS, H, W)
    residuals: list[Residuals]
    weights: Weights  # of the picture's own
    trims: Tensor  # (NETWORKS, CHANNELS, BUCKETS)


class PixelCoder:
    """Codes pictures with the weights of a network, rounded, and tables."""

    @torch.no_grad()
    def __init__(self, network: PixelNetwork, tables: Tables, shifts: Tensor) -> None:
        """Copy and round the network.

        Args:
            network: of the predictions.
            tables: of `coder_tables`.
            shifts: how many entries of the table scales lie lower for an allowed error of 0, 1, 2 ...,
                (LARGEST_ERROR + 1,) in SHIFT_UNIT.

        Raises:
            ModelError: weights so large that exactness is not certain.
        """
        self.tables, self._shifts = tables, shifts * SHIFT_UNIT
        frequencies = torch.from_numpy(tables.frequencies).double()
        self._costs = -torch.log2(frequencies / frequencies.sum(1, keepdim=True)).float()
        network = deepcopy(network).cpu().float().requires_grad_(False)
        for part in network.modules():
            if isinstance(part, Linear):
                on_grid_(part.weight, WEIGHT_GRID)
                on_grid_(part.bias, WEIGHT_GRID)
        if not sums_fit(network):
            raise ModelError("the weights are too large for exact decoding; train with smaller ones")
        self._network = network

    def encode(self, pixels: Tensor, errors: tuple[int, ...], rule: Rule | None = None) -> bytes:
        """Section of a picture (1, CHANNELS, H, W) of whole numbers 0..255, each channel within its error.

        The first byte tells how many channels are coded: 1 for a gray picture.
        """
        coded = self._examine(pixels, errors, rule)
        encoder, tables = RangeEncoder(self.tables), trimmed_tables(coded.trims)
        chosen = trimmed(pixels.shape[2:], coded.channels)
        places = self._fitted(chosen, rule)
        _put(encoder, torch.tensor([place in coded.weights for place in places]), SMALL_TABLE)
        for place in places:
            if place in coded.weights:
                _put(encoder, coded.weights[place], LARGE_TABLE)
        _put(encoder, coded.trims[chosen], SMALL_TABLE)
        for one in coded.residuals:
            encoder.put(one.residual.numpy().astype(np.int32), tables_of(one, tables))
        return bytes([coded.channels]) + encoder.finish()

    def decode(
        self, section: bytes, size: tuple[int, int], errors: tuple[int, ...], rule: Rule | None = None
    ) -> Tensor:
        """Picture (1, CHANNELS, H, W) of `size`, float32, from a section. Raises BitstreamError."""
        if not section or section[0] not in (1, CHANNELS):
            raise BitstreamError(
                "the file is damaged: its number of coded channels is wrong; get a fresh copy"
            )
        decoder = RangeDecoder(section[1:], self.tables)
        trims, chosen = no_trims(), trimmed(size, section[0])
        network = with_weights(self._network, self._weights(decoder, chosen, rule))
        if not sums_fit(network):
            raise BitstreamError("the file is damaged: its weights are too large; get a fresh copy")
        trims[chosen] = _get(decoder, int(chosen.sum()) * BUCKETS, SMALL_TABLE).view(-1, BUCKETS)
        tables = trimmed_tables(trims)

        def exchange(one: Residuals) -> Tensor:
            return torch.from_numpy(decoder.get(tables_of(one, tables)))

        return self._traverse(network, size, errors, section[0], exchange, rule)

    def measure(
        self, pixels: Tensor, errors: tuple[int, ...], rule: Rule | None = None
    ) -> tuple[Tensor, Tensor]:
        """Pixels of `decode`, and the bits (1, H, W) that each takes, for a picture as in `encode`."""
        coded = self._examine(pixels, errors, rule)
        bits, tables = torch.zeros(1, *pixels.shape[2:]), trimmed_tables(coded.trims)
        for one in coded.residuals:
            table = torch.from_numpy(tables_of(one, tables)).long()
            bits[:, one.at.rows, one.at.columns] += self._costs[table, one.residual.long() + LARGEST]
        return coded.pixels, bits

    def _examine(self, pixels: Tensor, errors: tuple[int, ...], rule: Rule | None) -> Coded:
        """Residuals of a picture, and the trims that suit them."""
        found: list[Residuals] = []

        def exchange(one: Residuals) -> Tensor:
            found.append(one)
            return one.residual

        channels = 1 if bool((pixels == pixels[:, :1]).all()) else CHANNELS
        size, chosen = pixels.shape[2:], trimmed(pixels.shape[2:], channels)
        weights = self._best_weights(pixels, errors, channels, chosen, rule)
        network = with_weights(self._network, weights)
        if not sums_fit(network):
            network, weights = self._network, {}
        decoded = self._traverse(network, size, errors, channels, exchange, rule, pixels)
        return Coded(channels, decoded, found, weights, best_trims(found, chosen, self._costs))

    def _best_weights(
        self, pixels: Tensor, errors: tuple[int, ...], channels: int, chosen: Tensor, rule: Rule | None
    ) -> Weights:
        """Weights of the picture's own, where `chosen` (NETWORKS, CHANNELS), that save bits."""
        places = self._fitted(chosen, rule)
        if not places:
            return {}
        fit, pixels = PictureFit(places, self._costs), samples(pixels)
        self._traverse(self._network, pixels.shape[2:], errors, channels, _wanted, rule, pixels, fit)
        return fit.weights

    def _weights(self, decoder: RangeDecoder, chosen: Tensor, rule: Rule | None) -> Weights:
        """Weights of its own that a picture has been sent with, where `chosen` (NETWORKS, CHANNELS)."""
        places = self._fitted(chosen, rule)
        own = _get(decoder, len(places), SMALL_TABLE).tolist()
        return {
            place: _get(decoder, weight_count(self._network, place), LARGE_TABLE)
            for place, has in zip(places, own, strict=True) if has
        }  # fmt: skip

    def _fitted(self, chosen: Tensor, rule: Rule | None) -> list[tuple[int, int, int]]:
        """Networks, channels and parts that may have weights of the picture's own: chosen, of one level."""
        levels = KINDS - 1 if self._network.signed else 0
        places = chosen[: levels * len(PASSES)].nonzero().tolist()
        if rule:
            places = [at for at in places if at[0] >= len(PASSES) or not at[1]]
        return [(*place, part) for place in places for part in (MEAN, SCALE)]

    @torch.no_grad()
    def _traverse(
        self,
        network: PixelNetwork,
        size: tuple[int, int],
        errors: tuple[int, ...],
        channels: int,
        exchange: Callable[[Residuals], Tensor],
        rule: Rule | None = None,
        pixels: Tensor | None = None,
        fit: PictureFit | None = None,
    ) -> Tensor:
        """Visit all pixels.

        Args:
            network: in float32; another is taken where that does not multiply without loss.
            size: height and width.
            errors: allowed.
            channels: that are coded.
            exchange: takes residuals, wanted or unknown, and returns them.
            rule: see `encode`.
            pixels: pictures (B, CHANNELS, H, W), if they are known.
            fit: finds weights of their own, all pixels of a pass together.
        """
        if channels == 1:
            rule = None
            errors = (min(errors),) * CHANNELS
        kind = torch.float32 if _is_exact() else torch.float64
        if kind == torch.float64:
            network = deepcopy(network).double()
        steps = torch.tensor([2.0 * errors[channel] + 1 for channel in ORDER])
        shifts = [float(self._shifts[errors[channel]]) for channel in ORDER]

        def code(at: Place, mean: Tensor, index: Tensor, terms: Terms | None) -> tuple[Tensor, Tensor]:
            mean, index = mean.float(), index.float()
            step, residual = steps[at.channel], None
            wanted = None if pixels is None else pixels[:, ORDER[at.channel], at.rows, at.columns]
            if fit and terms:
                scale = _scale(index) + ROUNDED_SCALE * step
                mean = (mean + fit.means(at, terms, wanted - mean, scale)).clamp_(0, LARGEST)
            mean = on_grid_(mean, MEAN_GRID)
            near = torch.floor(mean + 0.5)
            beside = mean - near
            side = torch.where(beside < 0, -step, step)  # tables are for means above
            index = index - shifts[at.channel]
            offset = torch.floor(beside.abs_() * PER_LEVEL / step + 0.5)
            if wanted is not None:
                residual = torch.floor((wanted - near) / side + 0.5).to(torch.int16)
            if fit and terms:
                index = index + fit.scales(at, terms, index, offset, residual)
            index = torch.floor(index + 0.5).clamp_(0, SCALES - 1 if terms else SCALES)
            one = Residuals(at, index.mul_(OFFSETS).add_(offset).to(torch.uint8), residual)
            value = (near + side * exchange(one)).clamp_(0, LARGEST)
            miss = value - (mean if network.signed else near)
            return value.to(kind), miss.to(kind)

        batch, strip = (1, STRIP) if not fit else (len(pixels), pixels.numel())
        known = network.traverse(batch, tuple(map(int, size)), steps.to(kind), code, channels, strip, rule)
        return known.float()[[ORDER.index(channel) for channel in range(CHANNELS)]].transpose(0, 1)


def _scale(index: Tensor) -> Tensor:
    """Logistic scales in levels at places in their table."""
    return SMALLEST_SCALE * SCALE_FACTOR ** index.clamp(0, SCALES - 1)


def _put(encoder: RangeEncoder, symbols: Tensor, table: int) -> None:
    """Write symbols, all with one table."""
    encoder.put(symbols.flatten().numpy().astype(np.int32), np.full(symbols.numel(), table, np.uint8))


def _get(decoder: RangeDecoder, count: int, table: int) -> Tensor:
    """Read symbols (count,), int64, all with one table."""
    return torch.from_numpy(decoder.get(np.full(count, table, np.uint8))).long()


def _wanted(one: Residuals) -> Tensor:
    return one.residual


def _is_exact() -> bool:
    """Whether products of float32 matrices keep all 24 bits now."""
    left = (torch.arange(64 * 64) * 37 % 511).view(64, 64)
    right = left.T.repeat(1, 16)
    return torch.equal(torch.mm(left.float(), right.float()).double(), left.double() @ right.double())

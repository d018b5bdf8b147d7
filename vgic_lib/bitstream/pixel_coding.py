# SPDX-License-Identifier: MIT
"""Lossless and near-lossless coding of pixels under the predictions of a `PixelNetwork`.

What is coded is how far a pixel lies from the rounded mean that the network predicts, in steps of 2E + 1
levels where an error of E is allowed. Tables for it come from stored integers by additions, multiplications
and divisions of float64 alone, one after the other, which IEEE 754 rounds alike on every machine.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vgic_lib.bitstream.range_coding import RangeDecoder, RangeEncoder, Tables
from vgic_lib.errors import BitstreamError, ModelError
from vgic_lib.networks.pixels import (
    CHANNELS,
    INPUT_GRID,
    KINDS,
    MEAN_GRID,
    ORDER,
    PASSES,
    SCALES,
    PassNetwork,
    PixelNetwork,
    Place,
)
from vgic_lib.networks.whole_numbers import GRID, LARGEST_SUM, WEIGHT_GRID, Linear, on_grid_

LARGEST = 255  # of pixels, and of residuals in steps
LARGEST_ERROR = 64  # that may be asked for
OFFSETS = 5  # distances of a mean from its rounded value that have tables of their own: 0, 1/8 ... 1/2
FINE_SCALES = 26  # scales that have them; beyond, the offset makes no difference worth a table
TABLES = FINE_SCALES * OFFSETS + SCALES - FINE_SCALES
TOTAL = 2**24  # sum of a frequency table, nearly
DECAY_UNIT = 2.0**-62  # of stored decays
SHARE_UNIT = 2.0**-30  # of stored shares
SHIFT_UNIT = 2.0**-4  # of stored shifts, in entries of the scale table
NETWORKS = KINDS * len(PASSES)
BUCKET = 8  # scales that are trimmed together,
BUCKETS = SCALES // BUCKET  # each by what suits a picture best of
TRIMS = tuple(range(-6, 7))  # entries of the scale table
TRIMMED_PIXELS = 1024  # of a pass, from which on a file says how scales are trimmed
TRIM_TABLE = OFFSETS * 17  # for trims
PER_LEVEL = 8  # places between two levels where densities are computed
LARGEST_MEAN = 2.0**14 - 2**12  # of unbounded sums of a mean; the rest is for its smaller terms


def coder_tables(decays: Tensor, shares: Tensor) -> Tables:
    """Tables of the residuals -LARGEST..LARGEST for every scale and, of fine ones, every offset.

    Args:
        decays: of the narrow and the wide logistic density in an eighth of a step, (SCALES, 2) int64.
        shares: of the wide density, (SCALES,) int64.
    """
    decay = decays.numpy() * DECAY_UNIT
    count = PER_LEVEL * (LARGEST + 2)
    powers = np.multiply.accumulate(np.broadcast_to(decay[..., None], (SCALES, 2, count)), axis=2)
    powers = np.concatenate([np.ones((SCALES, 2, 1)), powers], axis=2)  # at 0, 1/8, 2/8 ... of a step
    tails = powers / (1 + powers)
    share = (shares.numpy() * SHARE_UNIT)[:, None]
    tail = tails[:, 0] + share * (tails[:, 1] - tails[:, 0])  # probability beyond
    edges = PER_LEVEL * np.arange(-LARGEST, LARGEST + 2) - PER_LEVEL // 2
    rows = []
    for scale in range(SCALES):
        for offset in range(OFFSETS if scale < FINE_SCALES else 1):
            at = edges - offset
            beyond = tail[scale, np.abs(at)]
            below = np.where(at <= 0, beyond, 1 - beyond)
            mass = np.where(at[:-1] > 0, beyond[:-1] - beyond[1:], below[1:] - below[:-1])
            rows.append(np.maximum(1, np.floor(mass * TOTAL + 0.5)))
    return Tables(np.stack(rows).astype(np.int64), LARGEST)


def table_parameters(scale: Tensor, width: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Decays and shares to be stored, for logistic scales in steps, factors to the wider ones and shares."""
    decay = torch.exp(-1 / (PER_LEVEL * scale[:, None] * torch.stack([torch.ones_like(width), width], 1)))
    return torch.round(decay / DECAY_UNIT).long(), torch.round(share / SHARE_UNIT).long()


class Residuals(NamedTuple):
    """What is coded together."""

    at: Place
    place: Tensor  # OFFSETS * index of a scale + offset of a mean from its rounded value, (1, h, w), uint8
    residual: Tensor | None  # in steps, int16, turned so that the mean lies above its rounded value


class Coded(NamedTuple):
    """A picture as it is coded."""

    channels: int
    pixels: Tensor  # as decoded, (1, CHANNELS, H, W)
    residuals: list[Residuals]
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
        for part in network.passes:
            _check_sums(part)
        self._networks = {torch.float32: network}

    def encode(self, pixels: Tensor, errors: tuple[int, ...]) -> bytes:
        """Section of a picture (1, CHANNELS, H, W) of whole numbers 0..255, each channel within its error.

        The first byte tells how many channels are coded: 1 for a gray picture.
        """
        coded = self._examine(pixels, errors)
        encoder, tables = RangeEncoder(self.tables), _trimmed_tables(coded.trims)
        symbols = coded.trims[_trimmed(pixels.shape[2:], coded.channels)].flatten().numpy()
        encoder.put(symbols.astype(np.int32), np.full(len(symbols), TRIM_TABLE, np.uint8))
        for one in coded.residuals:
            encoder.put(one.residual.numpy().astype(np.int32), _tables_of(one, tables))
        return bytes([coded.channels]) + encoder.finish()

    def decode(self, section: bytes, size: tuple[int, int], errors: tuple[int, ...]) -> Tensor:
        """Picture (1, CHANNELS, H, W) of `size`, float32, from a section. Raises BitstreamError."""
        if not section or section[0] not in (1, CHANNELS):
            raise BitstreamError(
                "the file is damaged: its number of coded channels is wrong; get a fresh copy"
            )
        decoder = RangeDecoder(section[1:], self.tables)
        trims, chosen = _no_trims(), _trimmed(size, section[0])
        count = int(chosen.sum()) * BUCKETS
        symbols = torch.from_numpy(decoder.get(np.full(count, TRIM_TABLE, np.uint8)))
        trims[chosen] = symbols.long().view(-1, BUCKETS)
        tables = _trimmed_tables(trims)

        def exchange(one: Residuals) -> Tensor:
            return torch.from_numpy(decoder.get(_tables_of(one, tables)))

        return self._traverse(size, errors, section[0], exchange)

    def measure(self, pixels: Tensor, errors: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Pixels of `decode`, and the bits (1, H, W) that each takes, for a picture as in `encode`."""
        coded = self._examine(pixels, errors)
        bits, tables = torch.zeros(1, *pixels.shape[2:]), _trimmed_tables(coded.trims)
        for one in coded.residuals:
            table = torch.from_numpy(_tables_of(one, tables)).long()
            bits[:, one.at.rows, one.at.columns] += self._costs[table, one.residual.long() + LARGEST]
        return coded.pixels, bits

    def _examine(self, pixels: Tensor, errors: tuple[int, ...]) -> Coded:
        """Residuals of a picture, and the trims that suit them."""
        found: list[Residuals] = []

        def exchange(one: Residuals) -> Tensor:
            found.append(one)
            return one.residual

        channels = 1 if bool((pixels == pixels[:, :1]).all()) else CHANNELS
        decoded = self._traverse(pixels.shape[2:], errors, channels, exchange, pixels)
        trims = self._best_trims(found, _trimmed(pixels.shape[2:], channels))
        return Coded(channels, decoded, found, trims)

    def _best_trims(self, found: list[Residuals], chosen: Tensor) -> Tensor:
        """Trims by which residuals take fewest bits, where `chosen` (NETWORKS, CHANNELS); else 0."""
        index, offset = _every_place()
        symbols, trims = 2 * LARGEST + 1, _no_trims()
        for network, channel in chosen.nonzero().tolist():
            count = torch.zeros(len(index) * symbols)
            for one in found:
                if (one.at.network, one.at.channel) == (network, channel):
                    place = one.place.int() * symbols + one.residual + LARGEST
                    count += torch.bincount(place.flatten(), minlength=len(count))
            count = count.view(-1, symbols)
            bits = [(count * self._costs[_tables(index + trim, offset).long()]).sum(1) for trim in TRIMS]
            bits = torch.stack(bits).view(len(TRIMS), BUCKETS, -1).sum(2)
            trims[network, channel] = torch.tensor(TRIMS)[bits.argmin(0)] * (bits.sum(0) > 0)
        return trims

    @torch.no_grad()
    def _traverse(
        self,
        size: tuple[int, int],
        errors: tuple[int, ...],
        channels: int,
        exchange: Callable[[Residuals], Tensor],
        pixels: Tensor | None = None,
    ) -> Tensor:
        """Visit all pixels; `exchange` takes residuals, wanted or unknown, and returns them."""
        if channels == 1:
            errors = (min(errors),) * CHANNELS
        network, kind = self._network()
        steps = torch.tensor([2.0 * errors[channel] + 1 for channel in ORDER])
        shifts = [float(self._shifts[errors[channel]]) for channel in ORDER]

        def code(at: Place, mean: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
            step = steps[at.channel]
            mean = on_grid_(mean.float(), MEAN_GRID)
            near = torch.floor(mean + 0.5)
            beside = mean - near
            side = torch.where(beside < 0, -step, step)  # tables are for means above
            index = torch.floor(index.float() - shifts[at.channel] + 0.5).clamp_(0, SCALES - 1)
            offset = torch.floor(beside.abs_() * PER_LEVEL / step + 0.5)
            residual = None
            if pixels is not None:
                wanted = pixels[:, ORDER[at.channel], at.rows, at.columns]
                residual = torch.floor((wanted - near) / side + 0.5).to(torch.int16)
            one = Residuals(at, index.mul_(OFFSETS).add_(offset).to(torch.uint8), residual)
            value = (near + side * exchange(one)).clamp_(0, LARGEST)
            return value.to(kind), (value - near).to(kind)

        known = network.traverse(1, tuple(map(int, size)), steps.to(kind), code, channels)
        return known.float()[[ORDER.index(channel) for channel in range(CHANNELS)]].transpose(0, 1)

    def _network(self) -> tuple[PixelNetwork, torch.dtype]:
        """The network in float32 where that multiplies without loss, which a caller may have switched off."""
        kind = torch.float32 if _is_exact() else torch.float64
        if kind not in self._networks:
            self._networks[kind] = deepcopy(self._networks[torch.float32]).to(kind)
        return self._networks[kind], kind


def _every_place() -> tuple[Tensor, Tensor]:
    """Indices of scales and offsets of all places of `Residuals`."""
    places = torch.arange(SCALES * OFFSETS)
    return places // OFFSETS, places % OFFSETS


def _tables(index: Tensor, offset: Tensor) -> Tensor:
    """Tables (uint8) for scales, kept in range, and offsets."""
    index = index.clamp(0, SCALES - 1)
    fine = OFFSETS * index + offset
    return torch.where(index < FINE_SCALES, fine, index + FINE_SCALES * (OFFSETS - 1)).to(torch.uint8)


def _trimmed_tables(trims: Tensor) -> np.ndarray:
    """Tables (uint8) of all places for each network, the last one none, and channel."""
    index, offset = _every_place()
    trims = torch.cat([trims, torch.zeros_like(trims[:1])])
    return _tables(index + trims[..., index // BUCKET], offset).numpy()


def _tables_of(one: Residuals, tables: np.ndarray) -> np.ndarray:
    """Tables of residuals, of those of `_trimmed_tables`."""
    return tables[one.at.network, one.at.channel][one.place.numpy()]


def _no_trims() -> Tensor:
    return torch.zeros(NETWORKS, CHANNELS, BUCKETS, dtype=torch.int64)


def _trimmed(size: tuple[int, int], channels: int) -> Tensor:
    """Networks and coded channels that have trims in a picture of `size`: (NETWORKS, CHANNELS), bool."""
    pixels = size[0] * size[1]
    large = [pixels >> 2 * level + 2 >= TRIMMED_PIXELS for level in range(KINDS)]
    chosen = torch.tensor(large).repeat_interleave(len(PASSES))[:, None].repeat(1, CHANNELS)
    chosen[:, channels:] = False
    return chosen


def _is_exact() -> bool:
    """Whether products of float32 matrices keep all 24 bits now."""
    left = (torch.arange(64 * 64) * 37 % 511).view(64, 64)
    right = left.T.repeat(1, 16)
    return torch.equal(torch.mm(left.float(), right.float()).long(), left @ right)


def _largest_sum(layer: Linear, largest: float) -> Tensor:
    return layer.weight.abs().sum(1) * largest + layer.bias[:, 0].abs()


def _check_sums(part: PassNetwork) -> None:
    """Refuse weights whose sums might not fit float32. Raises ModelError."""
    largest = [_largest_sum(part.entry, 16.0) * INPUT_GRID / GRID]
    largest += [_largest_sum(layer, 16.0) for layer in (part.middle, *part.hidden, *part.out)]
    units = torch.cat([sums / (WEIGHT_GRID * GRID) for sums in largest]).max()
    means = [
        16 * (_largest_sum(out, 16.0)[0] + _largest_sum(straight, 16.0)[0])
        for out, straight in zip(part.out, part.straight, strict=True)
    ]
    if not (units < LARGEST_SUM and max(means) < LARGEST_MEAN):
        raise ModelError("the weights are too large for exact decoding; train with smaller ones")

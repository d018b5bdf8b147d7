# SPDX-License-Identifier: MIT
"""Probabilities of quantised latents, for the range coder and, differentiably, for latent search.

Neighbouring latents of the VAE-GAN resemble each other, so they are coded from coarse to fine like an
interlaced picture: first a grid of every 16th element, then the points half-way between known ones,
each predicted from up to four known neighbours. What is coded is the residual; the table for it is
looked up by channel, pass and how much the neighbours differ. All of it is arithmetic on small
integers (exact in float32) and lookups in stored integer tables, hence equal on every machine.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vgic_lib.bitstream.range_coding import RangeDecoder, RangeEncoder, Tables

COARSEST = 16  # latent elements between points of the first grid
HALVINGS = (8, 4, 2, 1)
CATEGORIES = 1 + 2 * len(HALVINGS)  # first grid; for each halving: square centres, then edge centres
SPREADS = 8  # classes of a spread: 0, 1, 2-3, 4-7, ... 64 and more
CONTEXTS = SPREADS * SPREADS  # spread of the own channel's neighbours x that of the first channel's
LARGEST = 255  # largest residual of 8-bit symbols
TOTAL = 2**24  # sum of each frequency table, nearly
SHARES = 12  # common denominator of means of 1, 2, 3 or 4 neighbours
ALPHA_ONE = 16  # denominator of the prediction weight


class Refinement(NamedTuple):
    """Positions that are coded together, given all earlier ones."""

    rows: Tensor  # (R,) and
    columns: Tensor  # (C,): the positions are their product
    neighbours: tuple[tuple[int, int], ...]  # offsets of known elements
    category: int


def passes(height: int, width: int) -> Iterator[Refinement]:
    """Cover a (height, width) grid, coarse to fine; each position comes exactly once."""
    yield Refinement(torch.arange(0, height, COARSEST), torch.arange(0, width, COARSEST), (), 0)
    for level, s in enumerate(HALVINGS):
        even = [torch.arange(0, side, 2 * s) for side in (height, width)]
        odd = [torch.arange(min(s, side), side, 2 * s) for side in (height, width)]
        corners = ((-s, -s), (-s, s), (s, -s), (s, s))
        cross = ((0, -s), (0, s), (-s, 0), (s, 0))
        yield Refinement(odd[0], odd[1], corners, 1 + 2 * level)
        yield Refinement(even[0], odd[1], cross, 2 + 2 * level)
        yield Refinement(odd[0], even[1], cross, 2 + 2 * level)


class Neighbourhood(NamedTuple):
    """What is known about the positions of a pass; all hold integers, shape (B, n, R, C)."""

    mean: Tensor  # of the known neighbours, times SHARES
    context: Tensor  # 0..CONTEXTS - 1


def look_around(k: Tensor, at: Refinement) -> Neighbourhood:
    """Mean and spread of the known neighbours of a pass's positions in symbols `k` (B, n, h, w)."""
    batch, channels, height, width = k.shape
    total = count = 0
    low, high = float("inf"), -float("inf")
    for down, right in at.neighbours:
        rows, columns = at.rows + down, at.columns + right
        inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
        values = k[:, :, rows.clamp(0, height - 1)[:, None], columns.clamp(0, width - 1)]
        total, count = total + values * inside, count + inside.long()
        low = torch.where(inside, values, float("inf")).clamp(max=low)
        high = torch.where(inside, values, -float("inf")).clamp(min=high)
    spread = (high - low).detach().round()
    classes = torch.frexp(spread).exponent.clamp(max=SPREADS - 1).long()  # 0, 1, 2-3, 4-7, ...
    context = classes * SPREADS + classes[:, :1]
    return Neighbourhood(total * (SHARES // count), context)


class InterlacedPrior(nn.Module):
    """Distribution of the symbols 0..2**bits - 1 of one bit depth, channel by channel.

    Only the first channel serves as context of the others, so the first n channels of a nested
    latent are coded with the first n rows of the same prior.
    """

    def __init__(self, channels: int, bits: int, frequencies: Tensor) -> None:
        """Start with the symbols' middle as centre; `fit` sets everything.

        Args:
            channels: of the latent.
            bits: depth of the symbols, 1..8.
            frequencies: of `residual_tables`; the owner stores them, once for all bit depths.
        """
        super().__init__()
        self.bits = bits
        self.register_buffer("centre", torch.full((channels,), 2 ** (bits - 1), dtype=torch.int16))
        self.register_buffer("alpha", torch.full((channels, CATEGORIES), ALPHA_ONE, dtype=torch.uint8))
        self.register_buffer("table", torch.zeros((channels, CATEGORIES, CONTEXTS), dtype=torch.uint8))
        self.register_buffer("frequencies", frequencies, persistent=False)  # (T, 2 LARGEST + 1)
        self._coder_tables: Tables | None = None

    @property
    def largest(self) -> int:
        """Largest symbol, and largest residual."""
        return 2**self.bits - 1

    def used_frequencies(self) -> Tensor:
        """(T, 2 largest + 1) frequencies of the residuals -largest..largest."""
        return self.frequencies[:, LARGEST - self.largest : LARGEST + self.largest + 1]

    def predict(self, k: Tensor, at: Refinement) -> tuple[Tensor, Tensor]:
        """Prediction, before it is rounded down to a symbol, and table index of a pass, (B, n, R, C) each."""
        batch, channels = k.shape[:2]
        centre = self.centre[:channels, None, None].to(k)
        if not at.neighbours:
            shape = (batch, channels, len(at.rows), len(at.columns))
            table = self.table[:channels, at.category, 0].long()[:, None, None]
            return centre.expand(shape), table.expand(shape)
        mean, context = look_around(k, at)
        alpha = self.alpha[:channels, at.category, None, None].to(k)
        weighted = alpha * mean + (ALPHA_ONE - alpha) * SHARES * centre
        prediction = (weighted + ALPHA_ONE * SHARES // 2) / (ALPHA_ONE * SHARES)
        channel = torch.arange(channels)[:, None, None]
        return prediction, self.table[channel, at.category, context].long()

    def bits_of(self, k: Tensor) -> Tensor:
        """Ideal code length (B,) in bits of symbols `k` (B, n, h, w); differentiable, exact at integers.

        Between integers, the code length of a residual is interpolated linearly.
        """
        return sum((cost.sum((1, 2, 3)) for _, cost in self._costs(k)), k.new_zeros(len(k)))

    @torch.no_grad()
    def bits_map(self, k: Tensor) -> Tensor:
        """Ideal code length (B, h, w) in bits of the symbols at each position of `k` (B, n, h, w)."""
        bits = k.new_zeros(len(k), *k.shape[2:])
        for at, cost in self._costs(k):
            bits[:, at.rows[:, None], at.columns] = cost.sum(1)
        return bits

    def _costs(self, k: Tensor) -> Iterator[tuple[Refinement, Tensor]]:
        """Each pass, and the code lengths (B, n, R, C) of its symbols."""
        frequencies = self.used_frequencies().double()
        cost = -torch.log2(frequencies / frequencies.sum(1, keepdim=True)).to(k)
        for at in passes(*k.shape[2:]):
            if not len(at.rows) or not len(at.columns):
                continue
            prediction, table = self.predict(k, at)
            floor = prediction + (prediction.floor() - prediction).detach()
            residual = (k[:, :, at.rows[:, None], at.columns] - floor + self.largest).clamp(
                0, 2 * self.largest
            )
            below = residual.detach().floor().clamp(max=2 * self.largest - 1).long()
            fraction = residual - below
            yield at, cost[table, below] * (1 - fraction) + cost[table, below + 1] * fraction

    def coder_tables(self) -> Tables:
        """Tables of the range coder, built at first use."""
        if self._coder_tables is None:
            self._coder_tables = Tables(self.used_frequencies().numpy(), self.largest)
        return self._coder_tables

    @torch.no_grad()
    def encode(self, k: Tensor) -> bytes:
        """Range-code symbols (1, n, h, w)."""
        encoder = RangeEncoder(self.coder_tables())
        for at in passes(*k.shape[2:]):
            prediction, table = self.predict(k.float(), at)
            residual = k[:, :, at.rows[:, None], at.columns] - prediction.floor()
            encoder.put(residual.int().numpy().ravel(), table.numpy().ravel())
        return encoder.finish()

    @torch.no_grad()
    def decode(self, data: bytes, shape: Sequence[int]) -> Tensor:
        """Symbols (1, n, h, w) as float32. Raises BitstreamError if `data` cannot be an encoding."""
        decoder = RangeDecoder(data, self.coder_tables())
        k = torch.zeros(tuple(shape))
        for at in passes(*k.shape[2:]):
            prediction, table = self.predict(k, at)
            residual = torch.from_numpy(decoder.get(table.numpy().ravel())).reshape(table.shape)
            # Only altered data can leave the range; the clamp keeps later contexts within their tables.
            k[:, :, at.rows[:, None], at.columns] = (prediction.floor() + residual).clamp(0, self.largest)
        return k

    @torch.no_grad()
    def fit(self, samples: Sequence[Tensor]) -> None:
        """Fit centres, weights and tables to symbols of training photographs, each (1, n, h, w)."""
        samples = [k.float() for k in samples]
        pooled = torch.cat([k.flatten(2)[0] for k in samples], 1)
        self.centre.copy_(pooled.mean(1).round())
        self._fit_alpha(samples)
        count = torch.zeros(*self.table.shape, 2 * self.largest + 1)
        for k in samples:
            for at in passes(*k.shape[2:]):
                self._count(k, at, count)
        frequencies = self.used_frequencies().double()
        cost = -torch.log2(frequencies / frequencies.sum(1, keepdim=True)).float()
        count += count.sum(2, keepdim=True) / count.sum((2, 3), keepdim=True).clamp(min=1)  # rare contexts
        self.table.copy_(torch.einsum("ncxs,ts->ncxt", count, cost).argmin(-1))
        self._coder_tables = None

    def _fit_alpha(self, samples: Sequence[Tensor]) -> None:
        """Least squares of each channel and category: k - centre = alpha (mean - centre)."""
        product, square = (torch.zeros(self.alpha.shape) for _ in range(2))
        centre = self.centre[:, None, None].float()
        for k in samples:
            for at in passes(*k.shape[2:]):
                if at.neighbours:
                    around = look_around(k, at).mean / SHARES - centre
                    target = k[:, :, at.rows[:, None], at.columns] - centre
                    product[:, at.category] += (around * target).sum((0, 2, 3))
                    square[:, at.category] += around.square().sum((0, 2, 3))
        weight = product / square.clamp(min=1e-9)
        self.alpha.copy_((ALPHA_ONE * weight).round().clamp(0, ALPHA_ONE))

    def _count(self, k: Tensor, at: Refinement, count: Tensor) -> None:
        """Add the residuals of a pass to the histogram (n, categories, contexts, symbols)."""
        prediction, _ = self.predict(k, at)
        residual = (k[:, :, at.rows[:, None], at.columns] - prediction.floor()).long() + self.largest
        context = look_around(k, at).context if at.neighbours else torch.zeros_like(residual)
        channel = torch.arange(k.shape[1])[:, None, None].expand_as(residual)
        category = torch.full_like(residual, at.category)
        count.index_put_((channel, category, context, residual), torch.tensor(1.0), accumulate=True)


def residual_tables(scales: int = 64) -> Tensor:
    """Frequencies (2 scales, 2 LARGEST + 1), int32: Laplace, then normal densities of growing width.

    Deviations run from 0.15 to 150 symbols in equal ratios. The tables are stored with the weights;
    nobody computes them twice.
    """
    edges = np.arange(-LARGEST, LARGEST + 2) - 0.5
    deviation = np.geomspace(0.15, 150, scales)[:, None]
    normal = torch.special.ndtr(torch.from_numpy(edges / deviation)).numpy()
    reach = np.abs(edges) * np.sqrt(2) / deviation
    laplace = np.where(edges < 0, np.exp(-reach) / 2, 1 - np.exp(-reach) / 2)
    mass = np.diff(np.concatenate([laplace, normal]), axis=1)
    return torch.from_numpy(np.maximum(1, np.round(mass * TOTAL)).astype(np.int32))

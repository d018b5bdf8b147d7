# SPDX-License-Identifier: MIT
"""Weights that a picture's own predictions have beside those of the network, sent with the picture.

What a network for all pictures leaves over depends on the pixels around in a way of the picture's own, and so
does how sure it can be. The encoder finds out by least squares and by Newton's method; the decoder only adds
whole numbers to some of the weights, and decodes as ever.
"""

import math
from collections.abc import Collection
from copy import deepcopy

import torch
from torch import Tensor

from vgic_lib.bitstream.pixel_tables import LARGE_TABLE, LARGEST, tables_for
from vgic_lib.networks.pixels import INDEX_UNIT, INPUT_GRID, PixelNetwork, Place, Terms
from vgic_lib.networks.whole_numbers import GRID, WEIGHT_GRID, Linear

LARGEST_WEIGHT = 255  # of what is added, in WEIGHT_GRID
ROUNDED_SCALE = 0.16  # of a logistic density with the variance of one step of a quantiser
MEAN, SCALE = 0, 1  # parts of a prediction that have weights; places in what the last layer gives
USUAL_WEIGHTS = 0.06, 0.04  # deviations of what is added to them
FITTED = 2  # of so many pixels beside each other, one counts in the fit
ROUNDS = 3  # of the fit of scales
SMALLEST_CURVATURE = 0.003  # of bits by the index of a scale
SAMPLES, SAMPLE_SIDE = 16, 192  # squares of a large picture to which weights are fitted

Weights = dict[tuple[int, int, int], Tensor]
"""Of a network, a channel and a part: what is added to the weights and bias of its linear part, and to its
gains; or to the weights and bias of the layer that finds scales."""


class PictureFit:
    """Weights of a picture's own, found pass by pass while its pixels are visited."""

    def __init__(self, places: Collection[tuple[int, int, int]], costs: Tensor) -> None:
        """Begin a picture.

        Args:
            places: networks, channels and parts that may have weights.
            costs: bits of -LARGEST..LARGEST with each table.
        """
        self.weights: Weights = {}
        self._places, self._costs = places, costs

    def means(self, at: Place, terms: Terms, miss: Tensor, scale: Tensor) -> Tensor | float:
        """What weights add to the means of all pixels of a pass, if they save more bits than they take.

        Args:
            at: the pass and the channel.
            terms: of the prediction.
            miss: distances of the pixels from the means without weights (B, h, w), in levels.
            scale: logistic ones of the predicted densities, in levels, with the same shape.
        """
        place = at.network, at.channel, MEAN
        if place not in self._places:
            return 0.0
        bias = torch.full_like(terms.straight[:1], 1 / INPUT_GRID)
        rows = [terms.straight, bias, *(one[None] for one in terms.misses)]
        fitted = (x.flatten()[::FITTED] for x in (miss, scale))
        return self._added(place, rows, *_best_means(_some(rows), *fitted)).view_as(miss)

    def scales(
        self, at: Place, terms: Terms, index: Tensor, offset: Tensor, residual: Tensor
    ) -> Tensor | float:
        """What weights add to the scale indices of all pixels of a pass, likewise.

        Args:
            at: the pass and the channel.
            terms: of the prediction.
            index: of the scales (B, h, w) without weights.
            offset: of the means from their rounded values, see `pixel_tables`, with the same shape.
            residual: of the pixels, with the same shape.
        """
        place = at.network, at.channel, SCALE
        if place not in self._places:
            return 0.0
        rows = [terms.units * (INDEX_UNIT * GRID), torch.full_like(terms.units[:1], INDEX_UNIT)]
        fitted = (x.flatten()[::FITTED] for x in (index, offset, residual))
        return self._added(place, rows, *self._best_scales(_some(rows), *fitted)).view_as(index)

    def _added(self, place: tuple[int, int, int], rows: list[Tensor], whole: Tensor, saved: float) -> Tensor:
        """What weights (in WEIGHT_GRID) for rows of terms add, if they save more bits than they take."""
        if saved * FITTED <= self._costs[LARGE_TABLE, whole + LARGEST].sum():
            return torch.zeros_like(rows[0][0])
        self.weights[place] = whole
        weights = (whole * WEIGHT_GRID).to(rows[0].dtype).split([len(x) for x in rows])
        return sum(weight @ x for weight, x in zip(weights, rows, strict=True))

    def _best_scales(
        self, rows: Tensor, index: Tensor, offset: Tensor, residual: Tensor
    ) -> tuple[Tensor, float]:
        """Weights for rows of terms, and how many bits they save: steps of Newton's method."""

        def bits(moved: Tensor) -> Tensor:
            tables = tables_for(torch.floor(moved + 0.5).long(), offset.long())
            return self._costs[tables.long(), residual.long() + LARGEST]

        square, pull = (rows @ rows.T).double(), USUAL_WEIGHTS[SCALE] ** -2 / FITTED
        whole, moved = torch.zeros(len(rows), dtype=torch.int64), index
        before = least = bits(index).sum()
        for _ in range(ROUNDS):
            slope = (bits(moved + 1) - bits(moved - 1)) * (math.log(2) / 2)
            curvature = slope.square().mean().clamp(min=SMALLEST_CURVATURE)  # Fisher's
            system = square * curvature + torch.eye(len(rows)) * pull
            step = torch.linalg.solve(system, (rows @ slope).double() + pull * WEIGHT_GRID * whole)
            new = _whole(WEIGHT_GRID * whole - step)
            moved = index + WEIGHT_GRID * new.to(rows.dtype) @ rows
            if (now := bits(moved).sum()) >= least:
                break
            whole, least = new, now
        return whole, float(before - least)


def _best_means(rows: Tensor, miss: Tensor, scale: Tensor) -> tuple[Tensor, float]:
    """Weights for rows of terms, and how many bits they save: weighted least squares."""
    size = (miss / scale).abs().clamp(min=1e-3)
    trust = torch.tanh(size / 2) / (size * scale**2)  # slope of the logistic log-density, by the miss
    trusted = rows * trust
    square, right = (trusted @ rows.T).double(), (trusted @ miss).double()
    pull = torch.eye(len(right)) * (USUAL_WEIGHTS[MEAN] ** -2 / FITTED)
    whole = _whole(torch.linalg.solve(square + pull, right))
    value = whole.double() * WEIGHT_GRID
    return whole, float(value @ right - value @ square @ value / 2) / math.log(2)


def _some(rows: list[Tensor]) -> Tensor:
    """Rows of terms of the pixels that count in the fit."""
    return torch.cat([x[:, ::FITTED] for x in rows])


def _whole(weights: Tensor) -> Tensor:
    return (weights / WEIGHT_GRID).round().clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT).long()


def with_weights(network: PixelNetwork, weights: Weights) -> PixelNetwork:
    """A copy of a network to which a picture's weights are added; both share all other layers."""
    parts = [(network.passes[number], channel) for number, channel, _ in weights]
    changed = {layer for part, channel in parts for layer in (part.straight[channel], part.out[channel])}
    shared = {layer for layer in network.modules() if isinstance(layer, Linear)} - changed
    network = deepcopy(network, {id(layer): layer for layer in shared})
    for (number, channel, part), whole in weights.items():
        straight, out = network.passes[number].straight[channel], network.passes[number].out[channel]
        added = whole * WEIGHT_GRID
        if part == SCALE:
            out.weight[SCALE] += added[:-1]
            out.bias[SCALE] += added[-1]
        else:
            inputs, bias, gains = added.split([straight.weight.shape[1], 1, channel])
            straight.weight += inputs
            straight.bias += bias
            out.bias[2:, 0] += gains
    return network


def weight_count(network: PixelNetwork, place: tuple[int, int, int]) -> int:
    """How many weights a picture may have of its own for a network, a channel and a part."""
    number, channel, part = place
    if part == SCALE:
        return network.passes[number].out[channel].weight.shape[1] + 1
    return network.passes[number].straight[channel].weight.shape[1] + 1 + channel


def samples(pixels: Tensor) -> Tensor:
    """Squares (SAMPLES, C, h, w) all over a large picture (1, C, H, W); a small one itself."""
    if pixels[0, 0].numel() <= SAMPLES * SAMPLE_SIDE**2:
        return pixels
    tops, lefts = (
        (torch.linspace(0, side - min(side, SAMPLE_SIDE), math.isqrt(SAMPLES)) // 2 * 2).long().tolist()
        for side in pixels.shape[2:]
    )
    return torch.cat(
        [pixels[..., top : top + SAMPLE_SIDE, left : left + SAMPLE_SIDE] for top in tops for left in lefts]
    )

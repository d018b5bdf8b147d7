# SPDX-License-Identifier: MIT
"""Weights that a picture's own linear predictions have beside those of the network, sent with the picture.

What a network for all pictures leaves over depends on the pixels around in a way of the picture's own. The
encoder finds it by least squares, weighted by how sure the network is; the decoder only adds whole numbers to
some of the weights, and decodes as ever.
"""

import math
from collections.abc import Collection
from copy import deepcopy

import torch
from torch import Tensor

from vgic_lib.networks.pixels import INPUT_GRID, PixelNetwork, Place, Terms
from vgic_lib.networks.whole_numbers import WEIGHT_GRID

LARGEST_WEIGHT = 255  # of what is added, in WEIGHT_GRID
ROUNDED_SCALE = 0.16  # of a logistic density with the variance of one step of a quantiser
USUAL_WEIGHT = 0.06  # deviation of what is added
FITTED = 2  # of so many pixels beside each other, one counts in the fit
SAMPLES, SAMPLE_SIDE = 16, 192  # squares of a large picture to which weights are fitted

Weights = dict[tuple[int, int], Tensor]
"""Of a network and a channel: what is added to weights and bias of its linear part, and to its gains."""


class PictureFit:
    """Weights of a picture's own, found pass by pass while its pixels are visited."""

    def __init__(self, places: Collection[tuple[int, int]], costs: Tensor) -> None:
        """Begin a picture.

        Args:
            places: networks and channels that may have weights.
            costs: bits of -LARGEST_WEIGHT..LARGEST_WEIGHT.
        """
        self.weights: Weights = {}
        self._places, self._costs = places, costs

    def correction(self, at: Place, terms: Terms, miss: Tensor, scale: Tensor) -> Tensor | float:
        """What weights add to the means of all pixels of a pass, if they save more bits than they take.

        Args:
            at: the pass and the channel.
            terms: of the prediction.
            miss: distances of the pixels from the means without weights (B, h, w), in levels.
            scale: logistic ones of the predicted densities, in levels, with the same shape.
        """
        place = at.network, at.channel
        if place not in self._places:
            return 0.0
        bias = torch.full_like(terms.straight[0], 1 / INPUT_GRID)
        rows = torch.cat([terms.straight, torch.stack([bias, *terms.misses])])
        weights = self._best(rows[:, ::FITTED], *(x.flatten()[::FITTED].double() for x in (miss, scale)))
        if weights is None:
            return 0.0
        self.weights[place] = weights
        return ((weights * WEIGHT_GRID).to(rows.dtype) @ rows).view_as(miss)

    def _best(self, rows: Tensor, miss: Tensor, scale: Tensor) -> Tensor | None:
        """Weights (int64) for rows of terms, if they save more bits than they take."""
        size = (miss / scale).abs().clamp(min=1e-3)
        trust = torch.tanh(size / 2) / (size * scale**2)  # slope of the logistic log-density, by the miss
        rows = rows.double()
        trusted = rows * trust
        square, right = trusted @ rows.T * FITTED, trusted @ miss * FITTED
        prior = torch.eye(len(right), dtype=right.dtype) / USUAL_WEIGHT**2
        exact = torch.linalg.solve(square + prior, right)
        whole = (exact / WEIGHT_GRID).round().clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT).long()
        value = whole.double() * WEIGHT_GRID
        saved = (value @ right - value @ square @ value / 2) / math.log(2)
        return whole if saved > self._costs[whole + LARGEST_WEIGHT].sum() else None


def with_weights(network: PixelNetwork, weights: Weights) -> PixelNetwork:
    """A copy of a network to which a picture's weights are added."""
    network = deepcopy(network)
    for (number, channel), added in weights.items():
        straight, out = network.passes[number].straight[channel], network.passes[number].out[channel]
        inputs, bias, gains = (added * WEIGHT_GRID).split([straight.weight.shape[1], 1, channel])
        straight.weight += inputs
        straight.bias += bias
        out.bias[2:, 0] += gains
    return network


def weight_count(network: PixelNetwork, place: tuple[int, int]) -> int:
    """How many weights a picture may have of its own for a network and a channel."""
    number, channel = place
    return network.passes[number].straight[channel].weight.shape[1] + 1 + channel


def samples(pixels: Tensor) -> Tensor:
    """Squares (SAMPLES, C, h, w) all over a large picture (1, C, H, W); a small one itself."""
    if pixels[0, 0].numel() <= SAMPLES * SAMPLE_SIDE**2:
        return pixels
    tops, lefts = (
        torch.linspace(0, side - min(side, SAMPLE_SIDE), math.isqrt(SAMPLES)).long().tolist()
        for side in pixels.shape[2:]
    )
    return torch.cat(
        [pixels[..., top : top + SAMPLE_SIDE, left : left + SAMPLE_SIDE] for top in tops for left in lefts]
    )

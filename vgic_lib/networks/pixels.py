# SPDX-License-Identifier: MIT
"""Prediction of the pixels of a picture from coarse to fine, for lossless and near-lossless files.

A picture is coded like an interlaced one: first one pixel, then level after level, each of which doubles
height and width. A level knows every second pixel of every second row and codes the rest in three passes:
pixels between four known ones on the diagonals, then those between two of a row, then those between two of a
column. A pass predicts green, then red, then blue of all its pixels by a small network from pixels known
already and from the errors of their own predictions. What it adds to the mean of the nearest pixels is what
hidden units find, and a linear part. That, and the layer that finds scales, a picture may have of its own.

All arithmetic is that of `whole_numbers`: encoder and decoder agree on every machine.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vgic_lib.networks.pixel_neighbours import GRIDS, PASSES, REACH, Neighbours, Tap, every
from vgic_lib.networks.whole_numbers import (
    GRID,
    Activation,
    Linear,
    logarithm,
    on_grid_,
    planes,
    product,
    rounded,
)

CHANNELS = 3
ORDER = (1, 0, 2)  # channels of an RGB picture in the order of coding
INPUT_GRID = 2.0**-4  # inputs are multiples of it, below 2**4: differences of pixels over 16, logarithms
MEAN_GRID = 2.0**-3  # predicted means are multiples of it, in levels of a pixel
SCALES = 48  # entries of the scale table
SMALLEST_SCALE, SCALE_FACTOR = 0.1, 1.146  # of the first entry in levels; of each entry to the one before
INDEX_UNIT = 8.0  # entries for one unit of a network's output
DOUBTFUL = 16  # where a rule in doubt points; one that is not points behind the table
START_INDEX = 16.0  # where an untrained network points
STRIP = 2**14  # pixels of a pass that are worked on together
KINDS = 3  # networks for the finest level, the one before, and all coarser ones


class Place(NamedTuple):
    """Pixels that are predicted together: every `step`-th of some rows, of all columns, of one channel."""

    network: int  # that predicts, -1 for none
    channel: int  # in the order of coding
    rows: slice
    columns: slice


class Terms(NamedTuple):
    """What linear parts of a prediction multiply."""

    straight: Tensor  # of the mean: (inputs, N) in INPUT_GRID, where N are all pixels of all pictures
    misses: list[Tensor]  # of the mean: (N,) of each channel known already, in levels
    units: Tensor  # of the scale: (head, N) in GRID


Code = Callable[[Place, Tensor, Tensor, Terms], tuple[Tensor, Tensor]]
"""Takes a place, means (B, h, w), scale indices and terms; returns pixels and their distances from means."""


Rule = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Takes what a pass lies between (n, CHANNELS, N) and its pixels' first channel (N,); returns the other two
(2, N), and where (N,) that is in doubt."""


class PassNetwork(nn.Module):
    """Means and scales of the pixels of a pass, channel by channel."""

    def __init__(self, neighbours: Neighbours, width: int, head: int, signed: bool = True) -> None:
        """Set up layers of a width, and of a width of those of each channel.

        Args:
            neighbours: that are looked at.
            width: of the first two layers.
            head: width of the layer that each channel has.
            signed: whether the linear part has the errors of the nearest pixels.
        """
        super().__init__()
        self.neighbours = neighbours
        self._first = 0 if signed else CHANNELS * len(neighbours.near)  # input of the linear part
        taps = len(neighbours.near) + len(neighbours.far)
        inputs = CHANNELS * taps + 4 * CHANNELS
        self.entry, self.middle = Linear(inputs, width), Linear(width, width)
        self.hidden = nn.ModuleList(Linear(width + 2 * c, head) for c in range(CHANNELS))
        self.out = nn.ModuleList(Linear(head, 2 + c, zero=True) for c in range(CHANNELS))
        linear = CHANNELS * (taps + len(neighbours.near)) - self._first
        self.straight = nn.ModuleList(Linear(linear, 1, zero=True) for _ in range(CHANNELS))

    def forward(
        self,
        grids: list[Tensor],
        window: tuple[slice, slice],
        steps: Tensor,
        code: Callable[[int, Tensor, Tensor, Terms], tuple[Tensor, Tensor]],
        channels: int = CHANNELS,
        rule: Rule | None = None,
    ) -> Tensor:
        """Pixels and errors (2 CHANNELS, B, h, w) of a window of a pass.

        Args:
            grids: pixels and errors (2 CHANNELS, B, H + 2 REACH, W + 2 REACH) of the grids known.
            window: rows and columns of the pass.
            steps: of the quantiser (CHANNELS,), 1 where pixels are exact.
            code: takes a channel, means and scale indices (N,), and terms; returns pixels and errors (N,).
            channels: 1 for a gray picture.
            rule: gives the channels after the first, instead of the network.
        """
        near = torch.stack([_shifted(grids, tap, window) for tap in self.neighbours.near])
        pixels, errors = near[:, :CHANNELS], near[:, CHANNELS:]
        shape = pixels.shape[2:]
        guess = pixels.sum(0).add_(2).mul_(0.25).floor_()  # (CHANNELS, B, h, w)
        inputs = self._inputs(grids, window, pixels, errors, guess, steps)
        straight, guess = inputs[self._first : -4 * CHANNELS], guess.flatten(1)
        x = Activation.apply(self.entry(inputs[CHANNELS * len(near) :].T, INPUT_GRID, GRID))
        x = Activation.apply(self.middle(x, GRID, GRID))
        hidden, weights = self._hidden(x, 1 if rule else channels)
        linear = planes(self.straight[: len(hidden)], straight.T, INPUT_GRID, INPUT_GRID)
        values, misses, known = [], [], []
        for c in range(len(hidden)):
            units = torch.addmm(hidden[c], torch.stack(known).T, weights[c].T) if known else hidden[c].clone()
            units = Activation.apply(units)
            out = planes([self.out[c]], units, GRID, 1)
            mean = guess[c] + 16 * out[0] + linear[c]
            for j in range(c):
                gain = rounded(out[2 + j], GRID) if torch.is_grad_enabled() else on_grid_(out[2 + j], GRID)
                mean = mean + gain.clamp(-4, 4) * misses[j]
            index = START_INDEX + INDEX_UNIT * out[1]
            value, miss = code(c, mean.clamp(0, 255), index, Terms(straight, misses, units.T))
            values.append(value)
            misses.append(miss)
            known += [miss * (INPUT_GRID / GRID), logarithm(miss.abs()) * (INPUT_GRID / GRID)]
        if rule:
            between = sum(grid == 0 for grid, _, _ in self.neighbours.near)  # which come first
            means, doubtful = rule(pixels[:between].flatten(2), values[0])
            index = torch.where(doubtful, DOUBTFUL, SCALES).to(guess.dtype)
            for c, mean in enumerate(means, 1):
                value, miss = code(c, mean, index, None)
                values.append(value)
                misses.append(miss)
        rows = values + misses if channels > 1 else values * CHANNELS + misses * CHANNELS
        return torch.stack(rows).unflatten(1, shape)

    def _hidden(self, x: Tensor, channels: int) -> tuple[list[Tensor], list[Tensor]]:
        """What x (N, width) gives to the hidden units (N, head) of each channel, before what is known then.

        And the weights (head, 2 c) of that.
        """
        weights, biases = zip(*(layer.rounded() for layer in self.hidden[:channels]), strict=True)
        width = x.shape[1]
        found = product(x, torch.cat([w[:, :width] for w in weights]), torch.cat(biases), GRID, GRID)
        return [*found.chunk(channels, 1)], [w[:, width:] for w in weights]

    def _inputs(
        self,
        grids: list[Tensor],
        window: tuple[slice, slice],
        near: Tensor,
        errors: Tensor,
        guess: Tensor,
        steps: Tensor,
    ) -> Tensor:
        """Errors, differences of all neighbours from the guess, logarithms of activity: (inputs, N)."""
        taps, first = self.neighbours.far, len(self.neighbours.near)
        inputs = guess.new_empty(2 * first + len(taps) + 4, *guess.shape)
        inputs[:first] = errors
        torch.sub(near, guess, out=inputs[first : 2 * first])
        for place, tap in enumerate(taps, 2 * first):
            torch.sub(_shifted(grids, tap, window, CHANNELS), guess, out=inputs[place])
        activity = inputs[-4:]
        torch.sum(inputs[first : 2 * first].abs(), 0, out=activity[0])
        torch.sum(inputs[2 * first : -4].abs(), 0, out=activity[1])
        torch.sum(errors.abs(), 0, out=activity[2])
        activity[3] = (steps - 1)[:, None, None, None]
        activity.copy_(logarithm(activity))
        return inputs.flatten(0, 1).flatten(1)


def _shifted(
    grids: list[Tensor], tap: Tap, window: tuple[slice, slice], channels: int | None = None
) -> Tensor:
    """What lies at a tap from each pixel of a window, (channels, B, h, w)."""
    grid, down, right = tap
    rows, columns = (
        slice(at.start + REACH + by, at.stop + REACH + by)
        for at, by in zip(window, (down, right), strict=True)
    )
    return grids[grid][:channels, :, rows, columns]


class PixelNetwork(nn.Module):
    """Networks for all passes of all levels."""

    def __init__(self, width: int, head: int, signed: bool = True) -> None:
        """See `PassNetwork`."""
        super().__init__()
        self.signed = signed
        self.passes = nn.ModuleList(
            PassNetwork(neighbours, width, head, signed) for _ in range(KINDS) for neighbours in PASSES
        )

    def traverse(
        self,
        batch: int,
        size: tuple[int, int],
        steps: Tensor,
        code: Code,
        channels: int = CHANNELS,
        strip: int = STRIP,
        rule: Rule | None = None,
    ) -> Tensor:
        """Visit all pixels in the order of coding.

        Args:
            batch: pictures.
            size: their height and width.
            steps: of the quantiser (CHANNELS,), 1 where pixels are exact.
            code: writes or reads pixels.
            channels: 1 where only the first one is coded, and the others are equal.
            strip: pixels of a pass that are worked on together.
            rule: gives the channels after the first at the finest level.

        Returns:
            Pixels (CHANNELS, B, H, W), in the order of coding.
        """
        known = self._first(batch, steps.dtype, code, channels)
        for level in reversed(range((max(size) - 1).bit_length())):
            here = None if level else rule
            known = self.refine(known, level, size, steps, code, channels, strip, here)
        return known[:CHANNELS]

    def _first(self, batch: int, kind: torch.dtype, code: Code, channels: int) -> Tensor:
        middle = torch.full((batch, 1, 1), 128.0, dtype=kind)
        one, widest = slice(0, 1), torch.full_like(middle, SCALES - 1)
        terms = Terms(nothing := middle.new_empty(0, batch), [], nothing)
        values = [code(Place(-1, c, one, one), middle, widest, terms)[0] for c in range(channels)]
        known = torch.stack(values * (CHANNELS // channels))
        return torch.cat([known, torch.zeros_like(known)])

    def refine(
        self,
        known: Tensor,
        level: int,
        size: tuple[int, int],
        steps: Tensor,
        code: Code,
        channels: int = CHANNELS,
        strip: int = STRIP,
        rule: Rule | None = None,
    ) -> Tensor:
        """Pixels and errors (2 CHANNELS, B, h, w) of a level from those of the level before.

        Args:
            known: every second pixel of every second row, and their errors.
            level: 0 for the finest.
            size: height and width of the whole picture.
            steps: see `traverse`, as the others.
            code: writes or reads pixels.
            channels: that are coded.
            strip: pixels of a pass that are worked on together.
            rule: gives the channels after the first.
        """
        size = [-(-side >> level) for side in size]
        wider = [REACH] * 4
        grids = [F.pad(known, wider, mode="replicate")]
        batch, side = known.shape[1], known.shape[2:]
        whole = known.new_empty(2 * CHANNELS, batch, *size)
        whole[:, :, ::2, ::2] = known
        for number, (down, right) in enumerate(GRIDS[1:]):
            height, width = (size[0] + 1 - down) // 2, (size[1] + 1 - right) // 2
            if not height * width:
                grids.append(grids[0])
                continue
            chosen = len(PASSES) * min(level, KINDS - 1) + number
            part = whole[:, :, down::2, right::2]
            rows = max(1, strip // width) if not torch.is_grad_enabled() else height
            for top in range(0, height, rows):
                bottom = min(top + rows, height)

                def exchange(
                    c: int, mean: Tensor, index: Tensor, terms: Terms | None
                ) -> tuple[Tensor, Tensor]:
                    lines, columns = every(top, bottom, down, level), every(0, width, right, level)  # noqa: B023
                    shape = batch, bottom - top, width  # noqa: B023
                    at = Place(chosen, c, lines, columns)  # noqa: B023
                    value, miss = code(at, mean.view(shape), index.view(shape), terms)
                    return value.flatten(), miss.flatten()

                window = slice(top, bottom), slice(0, width)
                part[:, :, top:bottom] = self.passes[chosen](grids, window, steps, exchange, channels, rule)
            missing = REACH + side[1] - width, REACH + side[0] - height
            grids.append(F.pad(part, (REACH, missing[0], REACH, missing[1]), mode="replicate"))
        return whole

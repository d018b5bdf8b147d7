# SPDX-License-Identifier: MIT
"""Order and neighbours of the pixels that are predicted."""

import pytest
import torch
from helpers.tiny_lossless import HEAD, WIDTH

from vgic_lib.networks.pixels import (
    CHANNELS,
    GRIDS,
    PASSES,
    REACH,
    PixelNetwork,
)

SIZES = [(1, 1), (1, 2), (2, 1), (1, 13), (13, 1), (2, 2), (3, 5), (8, 8), (17, 30)]


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_pixel_comes_once(size, gradients):
    picture = torch.randint(0, 256, (CHANNELS, 2, *size)).float()
    visits = torch.zeros_like(picture)

    def code(at, mean, index, terms):
        value = picture[at.channel, :, at.rows, at.columns]
        assert value.shape == mean.shape == index.shape and 0 <= mean.min() <= mean.max() <= 255
        visits[at.channel, :, at.rows, at.columns] += 1
        return value, value - torch.floor(mean.detach() + 0.5)

    with torch.set_grad_enabled(gradients):
        found = PixelNetwork(WIDTH, HEAD).traverse(2, size, torch.ones(CHANNELS), code)
    assert torch.equal(found, picture) and (visits == 1).all()


def test_nothing_that_comes_later_is_seen():
    """Pixels that a decoder does not know yet change no prediction."""
    network, told = PixelNetwork(WIDTH, HEAD).requires_grad_(False), []

    def means(picture):
        found = []

        def code(at, mean, index, terms):
            value = picture[at.channel, :, at.rows, at.columns]
            found.append((at, mean, index))
            return value, value - torch.floor(mean + 0.5)

        network.traverse(1, picture.shape[2:], torch.ones(CHANNELS), code)
        return found

    picture = torch.randint(0, 256, (CHANNELS, 1, 5, 6)).float()
    told = means(picture)
    for first in range(len(told)):
        changed = picture.clone()
        for at, *_ in told[first:]:
            changed[at.channel, :, at.rows, at.columns] = 255 - changed[at.channel, :, at.rows, at.columns]
        for mine, theirs in zip(told[: first + 1], means(changed)[: first + 1], strict=True):
            assert (
                mine[0] == theirs[0] and torch.equal(mine[1], theirs[1]) and torch.equal(mine[2], theirs[2])
            )


def test_neighbours_are_near_and_differ():
    for number, neighbours in enumerate(PASSES):
        taps = neighbours.near + neighbours.far
        assert len(set(taps)) == len(taps) and len(neighbours.near) == 4
        own = GRIDS[number + 1]
        places = [(2 * i + GRIDS[g][0] - own[0], 2 * j + GRIDS[g][1] - own[1]) for g, i, j in taps]
        distances = [y * y + x * x for y, x in places]
        assert len(set(places)) == len(places) and distances[:4] == [distances[0]] * 4
        assert max(distances[:4]) <= min(distances[4:]) and max(map(max, places)) <= 2 * REACH
        assert all(g <= number and abs(i) <= REACH and abs(j) <= REACH for g, i, j in taps)

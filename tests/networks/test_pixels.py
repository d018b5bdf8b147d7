# SPDX-License-Identifier: MIT
"""Order and neighbours of the pixels that are predicted."""

import pytest
import torch
from helpers.tiny_lossless import HEAD, WIDTH

from vgic_lib.networks.pixels import CHANNELS, DOUBTFUL, SCALES, PixelNetwork

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


def test_a_rule_gives_colours_at_the_finest_level():
    """From what its pixels lie between; the network's part is the first channel, as it would be without."""
    network, seen = PixelNetwork(WIDTH, HEAD).requires_grad_(False), []
    picture = torch.randint(0, 256, (CHANNELS, 1, 6, 9)).float()

    def rule(between, luma):
        seen.append((between.shape[0], len(luma)))
        assert between.shape[1:] == (CHANNELS, len(luma))
        return between[:, 1:].amax(0), luma > 100

    def means(rule):
        found = {}

        def code(at, mean, index, terms):
            found[at.network, at.channel] = mean, index, terms
            value = picture[at.channel, :, at.rows, at.columns]
            return value, value - torch.floor(mean + 0.5)

        assert torch.equal(network.traverse(1, (6, 9), torch.ones(CHANNELS), code, rule=rule), picture)
        return found

    plain, ruled = means(None), means(rule)
    assert seen == [(4, 12), (2, 12), (2, 15)] and plain.keys() == ruled.keys()
    for place, (mean, index, terms) in ruled.items():
        if place[0] in (0, 1, 2) and place[1]:
            assert terms is None and set(index.flatten().tolist()) <= {DOUBTFUL, SCALES}
        else:
            assert torch.equal(mean, plain[place][0]) and torch.equal(index, plain[place][1])
    between = torch.stack([picture[1, :, ::2, :-1:2], picture[1, :, ::2, 2::2]]).amax(0)
    assert torch.equal(ruled[1, 1][0], between)

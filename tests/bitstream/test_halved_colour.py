# SPDX-License-Identifier: MIT
"""Colour at half the resolution: the rule that makes it as large as luma, and pictures that follow it."""

import numpy as np
import pytest
import torch
from helpers.pictures import of_photo_cd

from vgic_lib.bitstream import photo_cd
from vgic_lib.bitstream.colour_origins import ALIGNMENTS
from vgic_lib.bitstream.halved_colour import alignment, cut_off, expected, followed, mean_colour

SIZES = pytest.mark.parametrize("size", [(1, 1), (2, 3), (13, 14), (60, 80)], ids=str)


def test_means_are_rounded_up():
    values = torch.tensor([[1.0, 1, 1], [2, 3, 1], [4, 4, 1], [4, 5, 2]])
    assert mean_colour(values[:2]).tolist() == [2, 2, 1]
    assert mean_colour(values).tolist() == [3, 3, 1]


def test_what_lies_between():
    kept = torch.tensor([[[10.0, 20], [30, 41]]]).repeat(2, 1, 1)
    wanted = [[10, 15, 20, 20], [20, 25, 31, 31], [30, 36, 41, 41], [30, 36, 41, 41]]
    assert expected(kept, (4, 4)).tolist() == [wanted] * 2
    assert expected(kept, (3, 3))[0].tolist() == [row[:3] for row in wanted[:3]]


def photograph(size, bright=0):
    """Waves and noise, in part cut off if they are bright."""
    down, right = np.mgrid[: size[0], : size[1]]
    waves = [
        128 + bright + (90 + bright) * np.sin(down / (9 + 3 * k)) * np.cos(right / (7 + 5 * k))
        for k in range(3)
    ]
    noise = np.random.default_rng(0).normal(0, 3, (*size, 3))
    pixels = of_photo_cd((np.stack(waves, 2) + noise).clip(1, 300))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float()


@SIZES
@pytest.mark.parametrize("smooth", [False, True])
def test_it_is_found_however_it_lies(size, smooth):
    """Also where colour hardly changes, so that most of it follows any rule."""
    colours = photo_cd.colours_of(photograph(size))
    if smooth:
        colours[0, ::2] = expected((colours[0, ::2, ::2, ::2] / 12).floor() + 130, size)
    cut = torch.zeros(size, dtype=torch.bool)
    for turned in ALIGNMENTS:
        dims = alignment(colours.flip(turned), cut, ALIGNMENTS)
        again = colours.flip(turned).flip(dims)
        assert torch.equal(expected(again[0, ::2, ::2, ::2], size), again[0, ::2])


def test_what_was_cut_off_does_not_count():
    pixels = photograph((60, 80), 200)
    colours = photo_cd.colours_of(pixels)
    assert cut_off(pixels).float().mean() > 0.9
    assert alignment(colours, cut_off(pixels), ALIGNMENTS) == ()
    assert alignment(colours, torch.zeros_like(cut_off(pixels)), ALIGNMENTS) is None


def test_whole_colour_has_none():
    colours, cut = torch.randint(0, 256, (1, 3, 40, 50)).float(), torch.zeros(40, 50, dtype=torch.bool)
    assert alignment(colours, cut, ALIGNMENTS) is None


@pytest.mark.parametrize("bright", [0, 60, 200])
def test_pixels_that_were_cut_off_follow(bright):
    """They are made as before, and more of them are as the rule says than of what was found first."""
    pixels = photograph((60, 80), bright)
    colours = photo_cd.colours_of(pixels)
    cut = cut_off(pixels)
    assert cut.any() == bool(bright)
    again = followed(colours, pixels, photo_cd.luma_range)
    assert torch.equal(photo_cd.rgb_of(again), pixels)
    assert torch.equal(again[..., ~cut], colours[..., ~cut])
    missed = [(expected(x[0, ::2, ::2, ::2], cut.shape) != x[0, ::2]).sum() for x in (colours, again)]
    assert missed[1] < 0.85 * missed[0] if bright else missed == [0, 0]

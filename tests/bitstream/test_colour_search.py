# SPDX-License-Identifier: MIT
"""Colours of which a conversion makes pixels are found, or it is said soon that there are none."""

import pytest
import torch

from vgic_lib.bitstream import colour_search, jpeg_colours, photo_cd
from vgic_lib.bitstream.colour_search import searched

CONVERSIONS = pytest.mark.parametrize("colours", [jpeg_colours, photo_cd], ids=lambda module: module.__name__)


def random_colours(*shape):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).float()


@CONVERSIONS
def test_what_was_made_of_any_colours_is_found(colours):
    """Most of these are far out of range, and were cut off."""
    pixels = colours.rgb_of(random_colours(1, 3, 40, 50))
    assert torch.equal(colours.rgb_of(colours.colours_of(pixels)), pixels)


@CONVERSIONS
def test_random_pixels_have_none(colours):
    assert colours.colours_of(random_colours(1, 3, 40, 50)) is None


def test_strips_make_no_difference(monkeypatch):
    pixels = photo_cd.rgb_of(random_colours(1, 3, 40, 50))
    whole = photo_cd.colours_of(pixels)
    monkeypatch.setattr(colour_search, "STRIP", 70)
    assert torch.equal(photo_cd.colours_of(pixels), whole)


@CONVERSIONS
def test_pixels_that_cannot_be_are_given_up_at_once(colours):
    """Of one colour that is not cut off; each value is tried but once."""
    calls = []

    def counted(x):
        calls.append(len(x))
        return colours.rgb_of(x)

    pixels = colours.rgb_of(torch.full((1, 3, 30, 30), 130.0))
    for value in random_colours(200, 3):
        pixels[0, :, 3, 4] = value.clamp(1, 254)
        if searched(pixels, counted, colours.nearest_colours, colours.EXCESS) is None:
            break
    else:
        pytest.fail("every colour was found")
    assert max(calls) <= 2 and len(calls) <= 201 * (len(colour_search.STEPS) + 1)

# SPDX-License-Identifier: MIT
"""The colours that a decoder of JPEG files had before it made red, green and blue of them.

It rounds luma and two differences of colour (Y, Cb, Cr: JFIF 1.02, and the tables of libjpeg, whose
arithmetic has 16 bits behind the point) to red, green and blue, which hides how little is in them: colour
often has half the resolution. Where every pixel of a picture can have come about so, its Y, Cb and Cr are
coded instead, and what is decoded is made of them in the same whole numbers.
"""

from itertools import product

import torch
from torch import Tensor

from vgic_lib.bitstream.pixel_tables import LARGEST

MIDDLE = 128  # where Cb and Cr are none
BITS = 16  # behind the point,
CR_RED, CB_BLUE, CB_GREEN, CR_GREEN = 91881, 116130, -22554, -46802  # of 1.402, 1.772, -0.344136, -0.714136
LUMA = RED, GREEN, BLUE = 0.299, 0.587, 0.114  # shares of luma
NEAREST = 0.6  # share of the pixels whose nearest Y, Cb, Cr are right, at least, in what was a JPEG file
STRIP = 2**18  # pixels that are worked on together
EXCESS = 64  # levels by which red, green or blue may have been out of range, before they were cut off
STEPS = sorted(product((-1, 0, 1), repeat=3), key=lambda step: sum(map(abs, step)))  # nearest first


def rgb_of(colours: Tensor) -> Tensor:
    """Red, green, blue (B, 3, H, W) of Cr, Y, Cb, all whole numbers 0..255 in float32, exactly as libjpeg."""
    cr, y, cb = colours.to(torch.int32).unbind(1)
    cr, cb, half = cr - MIDDLE, cb - MIDDLE, 1 << BITS - 1
    red = y + (CR_RED * cr + half >> BITS)
    green = y + (CB_GREEN * cb + CR_GREEN * cr + half >> BITS)
    blue = y + (CB_BLUE * cb + half >> BITS)
    return torch.stack([red, green, blue], 1).clamp(0, LARGEST).to(colours.dtype)


def colours_of(pixels: Tensor) -> Tensor | None:
    """Cr, Y, Cb (1, 3, H, W) of which `rgb_of` makes exactly `pixels` (1, 3, H, W); None if there are none.

    They lie where red, green and blue lay: luma in the middle, which is coded first.
    """
    rows = max(1, STRIP // pixels.shape[3])
    found = []
    for strip in pixels.split(rows, 2):
        colours = _colours_of(strip)
        if colours is None:
            return None
        found.append(colours)
    return torch.cat(found, 2)


def _colours_of(pixels: Tensor) -> Tensor | None:
    """See `colours_of`; all pixels together."""
    flat = pixels[0].flatten(1).T[..., None, None]  # (N, 3, 1, 1)
    colours = nearest_colours(flat)
    wrong = _differ(colours, flat)
    if wrong.float().mean() > 1 - NEAREST:
        return None
    for beyond, step in product(range(EXCESS), STEPS):
        places = wrong.nonzero()[:, 0]
        if not len(places):
            return colours[..., 0, 0].T.reshape(pixels.shape)
        wanted = flat[places]
        cut = (wanted == LARGEST).float() - (wanted == 0).float()
        if beyond and not cut.flatten(1).any(1).all():
            return None  # some pixel was not cut off, so it would be tried again for nothing
        tried = (nearest_colours(wanted + beyond * cut) + torch.tensor(step)[:, None, None]).clamp(0, LARGEST)
        right = ~_differ(tried, wanted)
        colours[places[right]] = tried[right]
        wrong[places[right]] = False
    return None


def nearest_colours(pixels: Tensor) -> Tensor:
    """Nearest whole Cr, Y, Cb (B, 3, H, W) of red, green and blue, of the same shape, in levels."""
    red, green, blue = pixels.unbind(1)
    luma = RED * red + GREEN * green + BLUE * blue
    cr, cb = ((x - luma) / (2 - 2 * share) + MIDDLE for x, share in ((red, RED), (blue, BLUE)))
    return torch.stack([cr, luma, cb], 1).round().clamp(0, LARGEST)


def _differ(colours: Tensor, pixels: Tensor) -> Tensor:
    """Which (N,) of Cr, Y, Cb (N, 3, 1, 1) give other pixels than those, (N, 3, 1, 1)."""
    return (rgb_of(colours) != pixels).flatten(1).any(1)

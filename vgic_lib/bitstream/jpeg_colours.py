# SPDX-License-Identifier: MIT
"""The colours that a decoder of JPEG files had before it made red, green and blue of them.

It rounds luma and two differences of colour (Y, Cb, Cr: JFIF 1.02, and the tables of libjpeg, whose
arithmetic has 16 bits behind the point) to red, green and blue, which hides how little is in them: colour
often has half the resolution. Where every pixel of a picture can have come about so, its Y, Cb and Cr are
coded instead, and what is decoded is made of them in the same whole numbers.
"""

import torch
from torch import Tensor

from vgic_lib.bitstream.colour_search import searched
from vgic_lib.bitstream.pixel_tables import LARGEST

MIDDLE = 128  # where Cb and Cr are none
BITS = 16  # behind the point,
CR_RED, CB_BLUE, CB_GREEN, CR_GREEN = 91881, 116130, -22554, -46802  # of 1.402, 1.772, -0.344136, -0.714136
LUMA = RED, GREEN, BLUE = 0.299, 0.587, 0.114  # shares of luma
EXCESS = 64  # levels by which red, green or blue may have been out of range, before they were cut off


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
    return searched(pixels, rgb_of, nearest_colours, EXCESS)


def nearest_colours(pixels: Tensor) -> Tensor:
    """Nearest whole Cr, Y, Cb (B, 3, H, W) of red, green and blue, of the same shape, in levels."""
    red, green, blue = pixels.unbind(1)
    luma = RED * red + GREEN * green + BLUE * blue
    cr, cb = ((x - luma) / (2 - 2 * share) + MIDDLE for x, share in ((red, RED), (blue, BLUE)))
    return torch.stack([cr, luma, cb], 1).round().clamp(0, LARGEST)

# SPDX-License-Identifier: MIT
"""The colours that a picture of a Photo CD had before red, green and blue were made of them.

Kodak's Photo CD (1992) holds luma and two differences of colour of 8 bits, the differences at half the
resolution. Red, green and blue follow from them with the factors below (Ford and Roberts, "Colour Space
Conversions", 1998, on PhotoYCC) and are cut off where they leave 0 to 255. Scans of that time
have been handed on so, Kodak's 24 test pictures among them: one colour in nine can occur. The arithmetic,
whole numbers with 16 bits behind the point, was found by trying which makes all pixels of these.
"""

import torch
from torch import Tensor

from vgic_lib.bitstream.colour_search import searched
from vgic_lib.bitstream.pixel_tables import LARGEST

BITS = 16  # behind the point
LUMA, FIRST, SECOND = 1.3584, 2.2179, 1.8215  # levels of red, green and blue for one of Y, C1, C2
GREEN_FIRST, GREEN_SECOND = 0.194, 0.509  # of what is added to blue and red, taken from green
NO_FIRST, NO_SECOND = 156, 137  # C1 and C2 of grays
EXCESS = 128  # levels by which red, green or blue may have been out of range, before they were cut off


def rgb_of(colours: Tensor) -> Tensor:
    """Red, green, blue (B, 3, H, W) of C2, Y, C1, all whole numbers 0..255 in float32."""
    second, y, first = colours.to(torch.int32).unbind(1)
    return _uncut(second, y, first).clamp(0, LARGEST).transpose(0, 1).to(colours.dtype)


def exceeds(second: Tensor, y: Tensor, first: Tensor) -> Tensor:
    """Where red, green or blue of C2, Y and C1 (...) is cut off, or on the brink of it."""
    rgb = _uncut(*(x.to(torch.int32) for x in (second, y, first)))
    return ((rgb <= 0) | (rgb >= LARGEST)).any(0)


def luma_range(second: Tensor, first: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Least and largest Y (...), int32, that make red, green and blue (3, ...) with C2 and C1 (...).

    The least is above the largest where there are none.
    """
    pixels = pixels.to(torch.int32)
    missing = (pixels << BITS) - _added(second.to(torch.int32), first.to(torch.int32))
    least = torch.div(missing + _fixed(LUMA) - 1, _fixed(LUMA), rounding_mode="floor")
    largest = torch.div(missing + (1 << BITS) - 1, _fixed(LUMA), rounding_mode="floor")
    least = torch.where(pixels == 0, 0, least).amax(0)  # what lies below 0 or above 255 is cut off
    return least.clamp(min=0), torch.where(pixels == LARGEST, LARGEST, largest).amin(0).clamp(max=LARGEST)


def _uncut(second: Tensor, y: Tensor, first: Tensor) -> Tensor:
    """Red, green and blue (3, ...) before they are cut off."""
    return (_added(second, first) + _fixed(LUMA) * y) >> BITS


def _added(second: Tensor, first: Tensor) -> Tensor:
    """What C2 and C1 (...) add to red, green and blue (3, ...), with BITS behind the point."""
    red, blue = _fixed(SECOND) * (second - NO_SECOND), _fixed(FIRST) * (first - NO_FIRST)
    green = -_fixed(GREEN_FIRST) * (blue >> BITS) - _fixed(GREEN_SECOND) * (red >> BITS)
    return torch.stack([red, green, blue])


def nearest_colours(pixels: Tensor) -> Tensor:
    """Nearest whole C2, Y, C1 (B, 3, H, W) of red, green and blue, of the same shape, in levels."""
    red, green, blue = (pixels + 0.5).unbind(1)  # the arithmetic rounds down
    light = (green + GREEN_FIRST * blue + GREEN_SECOND * red) / (1 + GREEN_FIRST + GREEN_SECOND)
    second, first = (red - light) / SECOND + NO_SECOND, (blue - light) / FIRST + NO_FIRST
    return torch.stack([second, light / LUMA, first], 1).round().clamp(0, LARGEST)


def colours_of(pixels: Tensor) -> Tensor | None:
    """C2, Y, C1 (1, 3, H, W) of which `rgb_of` makes `pixels` (1, 3, H, W); None if there are none."""
    return searched(pixels, rgb_of, nearest_colours, EXCESS)


def _fixed(factor: float) -> int:
    return round(factor * (1 << BITS))

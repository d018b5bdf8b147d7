# SPDX-License-Identifier: MIT
"""The search for colours of which a conversion to red, green and blue makes given pixels."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from vgic_lib.bitstream.pixel_tables import LARGEST

NEAREST = 0.6  # share of the pixels' values whose nearest colours are right, at least, in what was converted
STRIP = 2**18  # pixels that are worked on together
STEPS = sorted(product((-1, 0, 1), repeat=3), key=lambda step: sum(map(abs, step)))  # nearest first

Conversion = Callable[[Tensor], Tensor]
"""Of red, green and blue to colours, or back: whole numbers 0..255 in float32, (B, 3, H, W)."""


def searched(pixels: Tensor, forth: Conversion, nearest: Conversion, excess: int) -> Tensor | None:
    """Colours (1, 3, H, W) of which a conversion makes exactly `pixels` (1, 3, H, W); None if there are none.

    Args:
        pixels: red, green and blue, whole numbers 0..255 in float32.
        forth: converts colours to red, green and blue.
        nearest: converts red, green and blue to colours, nearly.
        excess: levels by which red, green or blue may have been out of range, before they were cut off.
    """
    rows = max(1, STRIP // pixels.shape[3])
    found = []
    for strip in pixels.split(rows, 2):
        red, green, blue = strip[0].to(torch.int32)
        values, which = torch.unique((red << 16) + (green << 8) + blue, return_inverse=True)
        distinct = torch.stack([values >> 16, values >> 8 & LARGEST, values & LARGEST], 1).to(pixels.dtype)
        colours = _searched(distinct[..., None, None], forth, nearest, excess)
        if colours is None:
            return None
        found.append(colours[..., 0, 0].T[:, which][None])
    return torch.cat(found, 2)


def _searched(wanted: Tensor, forth: Conversion, nearest: Conversion, excess: int) -> Tensor | None:
    """Colours of pixels, all (N, 3, 1, 1); None if some pixel has none."""
    colours = nearest(wanted)
    wrong, cut = _differ(forth(colours), wanted), ((wanted == 0) | (wanted == LARGEST)).flatten(1).any(1)
    if wrong[~cut if not cut.all() else cut].float().mean() > 1 - NEAREST:
        return None
    for beyond, step in product(range(excess), STEPS):
        places = wrong.nonzero()[:, 0]
        if not len(places):
            return colours
        if beyond and not cut[places].all():
            return None  # some pixel was not cut off, so it would be tried again for nothing
        left = wanted[places]
        more = beyond * ((left == LARGEST).float() - (left == 0).float())
        tried = (nearest(left + more) + torch.tensor(step)[:, None, None]).clamp(0, LARGEST)
        right = ~_differ(forth(tried), left)
        colours[places[right]] = tried[right]
        wrong[places[right]] = False
    return None


def _differ(made: Tensor, pixels: Tensor) -> Tensor:
    """Which (N,) of pixels (N, 3, 1, 1) others than those were made of."""
    return (made != pixels).flatten(1).any(1)

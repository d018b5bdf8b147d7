# SPDX-License-Identifier: MIT
"""Differences of colour that had half the resolution, and were made as large as luma by means of neighbours.

Every second one of every second row is as it was; the one between two is their mean, rounded up, and the one
in the middle of four the mean of these. So where the rule holds, colour takes no bits there. Pixels whose
red, green or blue was cut off could have many colours: they are given some that follow the rule.
"""

from collections.abc import Callable, Collection
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from vgic_lib.bitstream.pixel_tables import LARGEST

FOLLOWED = 0.9  # share of the differences that are as the rule says, at least
REACH = 6  # levels within which differences are looked for that make a pixel
STEPS = sorted(product(range(-REACH, REACH + 1), repeat=2), key=lambda step: step[0] ** 2 + step[1] ** 2)

LumaRange = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Least and largest luma (...) that make pixels (3, ...) with two differences of colour (...)."""


def cut_off(pixels: Tensor) -> Tensor:
    """Where (H, W) red, green or blue of pixels (1, 3, H, W) is 0 or 255."""
    return ((pixels == 0) | (pixels == LARGEST)).any(1)[0]


def mean_colour(values: Tensor) -> Tensor:
    """Mean of differences of colour (N, ...), rounded up."""
    return torch.floor((values.sum(0) + values.shape[0] // 2) / values.shape[0])


def expected(kept: Tensor, size: tuple[int, int]) -> Tensor:
    """Differences of colour (n, *size) of those (n, h, w) of every second pixel of every second row."""
    wider = F.pad(kept, (0, 1, 0, 1), mode="replicate")
    four = torch.stack([kept, wider[:, :-1, 1:], wider[:, 1:, :-1], wider[:, 1:, 1:]])
    made = kept.new_empty(len(kept), 2 * kept.shape[1], 2 * kept.shape[2])
    made[:, ::2, ::2] = kept
    made[:, ::2, 1::2] = mean_colour(four[[0, 1]])
    made[:, 1::2, ::2] = mean_colour(four[[0, 2]])
    made[:, 1::2, 1::2] = mean_colour(four)
    return made[:, : size[0], : size[1]]


def alignment(colours: Tensor, cut: Tensor, ways: Collection[tuple[int, ...]]) -> tuple[int, ...] | None:
    """The dimensions to turn over for the rule to hold in colours; None if it does not, or hardly.

    Args:
        colours: luma between two differences of colour (1, 3, H, W).
        cut: where red, green or blue was cut off (H, W), so that colours are not certain.
        ways: to choose from.
    """
    shares = {dims: _share_followed(colours.flip(dims), cut[None, None].flip(dims)) for dims in ways}
    best = max(shares, key=shares.__getitem__)
    return best if shares[best] >= FOLLOWED else None


def _share_followed(colours: Tensor, cut: Tensor) -> float:
    """How much of the differences is as the rule says, of those for which nothing was cut off."""
    differences, cut = colours[0, ::2], cut[0]
    doubtful = expected(4.0 * cut[:, ::2, ::2], cut.shape[1:]) > 0  # as a mean of four is rounded
    counted = ~(cut | doubtful)[0]
    counted[::2, ::2] = False
    if not counted.any():
        return 1.0
    made = expected(differences[:, ::2, ::2], counted.shape)
    return float((made == differences)[:, counted].float().mean())


def followed(colours: Tensor, pixels: Tensor, luma_range: LumaRange) -> Tensor:
    """Other colours (1, 3, H, W) that make the same pixels, and follow the rule where these were cut off.

    Args:
        colours: luma between two differences of colour, which follow the rule where pixels were not cut off.
        pixels: red, green and blue (1, 3, H, W), what the colours make.
        luma_range: of the conversion.
    """
    cut = cut_off(pixels)
    if not cut.any():
        return colours
    colours, pixels = colours[0].clone(), pixels[0]
    kept = torch.zeros_like(cut)
    kept[::2, ::2] = True
    _suit(colours, pixels, cut & kept, _spread(colours[::2], ~cut), luma_range)
    made = expected(colours[::2, ::2, ::2], cut.shape)
    _suit(colours, pixels, cut & ~kept, made, luma_range)
    return colours[None]


def _suit(colours: Tensor, pixels: Tensor, where: Tensor, wanted: Tensor, luma_range: LumaRange) -> None:
    """Give pixels (3, H, W) at some places (H, W) colours that make them, with differences near `wanted`."""
    rows, columns = where.nonzero().T
    for step in STEPS:
        if not len(rows):
            return
        rgb = pixels[:, rows, columns]
        tried = (wanted[:, rows, columns] + torch.tensor(step)[:, None]).clamp(0, LARGEST)
        least, largest = luma_range(*tried, rgb)
        luma = torch.where(rgb.amax(0) == 0, largest, least)
        right = least <= largest
        found = torch.stack([tried[0], luma, tried[1]])[:, right].to(colours.dtype)
        colours[:, rows[right], columns[right]] = found
        rows, columns = rows[~right], columns[~right]


def _spread(differences: Tensor, known: Tensor) -> Tensor:
    """Differences of colour (2, H, W), whole numbers, those that are not known (H, W) taken from around."""
    if known.all() or not known.any():
        return differences
    size = known.shape
    weight = F.pad(known.float(), (0, size[1] % 2, 0, size[0] % 2))[None]
    summed = F.pad(differences * known, (0, size[1] % 2, 0, size[0] % 2))
    share, total = (F.avg_pool2d(x, 2) for x in (weight, summed))
    coarse = _spread((total / share.clamp(min=0.25)).round(), share[0] > 0)
    finer = F.interpolate(coarse[None], scale_factor=2.0, mode="bilinear")[0, :, : size[0], : size[1]]
    return torch.where(known, differences, finer.round())

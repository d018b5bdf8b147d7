# SPDX-License-Identifier: MIT
"""Of what red, green and blue were made, where a picture tells: what is coded instead of them."""

from collections.abc import Callable, Collection
from typing import NamedTuple

from torch import Tensor

from vgic_lib.bitstream import halved_colour, jpeg_colours, photo_cd
from vgic_lib.networks.pixels import Rule
from vgic_lib.networks.shapes import JPEG, PHOTO_CD

JPEG_SECTION, PHOTO_CD_SECTION = bytes([2]), bytes([4])  # begin sections; others the number of channels
ALIGNMENTS = (), (2,), (3,), (2, 3)  # dimensions that are turned over; their numbers follow
WHOLE = len(ALIGNMENTS)  # number of pictures whose differences of colour do not follow the rule


class Origin(NamedTuple):
    """How coded colours became pixels."""

    part: str  # networks that predict the colours
    head: bytes  # of a section
    rgb_of: Callable[[Tensor], Tensor]
    rule: Rule | None = None  # by which differences of colour at half the resolution became as large as luma
    turned: tuple[int, ...] = ()  # dimensions that are turned over before the colours are coded

    def pixels(self, colours: Tensor) -> Tensor:
        """Red, green and blue (1, 3, H, W) of coded colours (1, 3, H, W), all whole numbers 0..255."""
        return self.rgb_of(colours).flip(self.turned)


def none_of(part: str) -> Origin:
    """Red, green and blue themselves, which networks of `part` predict."""
    return Origin(part, b"", lambda pixels: pixels)


def found(pixels: Tensor, parts: Collection[str]) -> tuple[Origin, Tensor] | None:
    """The origin of pixels (1, 3, H, W), and the colours (1, 3, H, W) that are to be coded; None if unknown.

    Networks for these colours must be among `parts`.
    """
    if JPEG in parts and (colours := jpeg_colours.colours_of(pixels)) is not None:
        return _JPEG, colours
    if PHOTO_CD not in parts or (colours := photo_cd.colours_of(pixels)) is None:
        return None
    turned = halved_colour.alignment(colours, halved_colour.cut_off(pixels), ALIGNMENTS)
    if turned is None:
        return _photo_cd(WHOLE), colours
    origin = _photo_cd(ALIGNMENTS.index(turned))
    return origin, halved_colour.followed(colours.flip(turned), pixels.flip(turned), photo_cd.luma_range)


def named(section: bytes, parts: Collection[str]) -> Origin | None:
    """The origin that a section names, whose networks are among `parts`; None if it names none of these."""
    for origin in (_JPEG, *map(_photo_cd, range(WHOLE + 1))):
        if origin.part in parts and section.startswith(origin.head):
            return origin
    return None


def _photo_cd(number: int) -> Origin:
    head = PHOTO_CD_SECTION + bytes([number])
    if number == WHOLE:
        return Origin(PHOTO_CD, head, photo_cd.rgb_of)
    return Origin(PHOTO_CD, head, photo_cd.rgb_of, _photo_cd_rule, ALIGNMENTS[number])


def _photo_cd_rule(between: Tensor, luma: Tensor) -> tuple[Tensor, Tensor]:
    """See `networks.pixels.Rule`: in doubt where a pixel, or one that it lies between, is cut off."""
    means = halved_colour.mean_colour(between[:, 1:])
    doubtful = photo_cd.exceeds(means[0], luma, means[1])
    return means, doubtful | photo_cd.exceeds(between[:, 1], between[:, 0], between[:, 2]).any(0)


_JPEG = Origin(JPEG, JPEG_SECTION, jpeg_colours.rgb_of)

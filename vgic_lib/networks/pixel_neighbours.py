# SPDX-License-Identifier: MIT
"""Which pixels each of the three passes of a level looks at.

Every second pixel of every second row makes a grid; a level knows the first of four, and codes the others.
"""

from typing import NamedTuple

REACH = 2  # places of a grid that a pass looks beyond its own
Tap = tuple[int, int, int]  # grid (of `GRIDS`), rows down, columns right
GRIDS = ((0, 0), (1, 1), (0, 1), (1, 0))  # first row and column of the four grids of every second pixel


class Neighbours(NamedTuple):
    """Pixels that a pass looks at."""

    near: tuple[Tap, ...]  # whose mean is the first guess
    far: tuple[Tap, ...]


PASSES = (
    Neighbours(
        ((0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1)),
        tuple((0, i, j) for i in range(-1, 3) for j in range(-1, 3) if (i, j) not in
              ((0, 0), (0, 1), (1, 0), (1, 1), (-1, -1), (-1, 2), (2, -1), (2, 2))),
    ),
    Neighbours(
        ((0, 0, 0), (0, 0, 1), (1, -1, 0), (1, 0, 0)),
        ((0, 0, -1), (0, 0, 2), (0, -1, 0), (0, -1, 1), (0, 1, 0), (0, 1, 1),
         (1, -1, -1), (1, -1, 1), (1, 0, -1), (1, 0, 1), (1, -2, 0), (1, 1, 0)),
    ),
    Neighbours(
        ((0, 0, 0), (0, 1, 0), (1, 0, -1), (1, 0, 0)),
        ((2, 0, -1), (2, 0, 0), (2, 1, -1), (2, 1, 0), (0, 0, -1), (0, 0, 1), (0, 1, -1), (0, 1, 1),
         (1, -1, -1), (1, -1, 0), (1, 1, -1), (1, 1, 0), (0, -1, 0), (0, 2, 0), (1, 0, -2), (1, 0, 1)),
    ),
)  # fmt: skip


def every(start: int, stop: int, offset: int, level: int) -> slice:
    """Places `start` to `stop` of a grid of every second pixel of a level, in pixels of the picture."""
    step = 2 << level
    return slice(start * step + (offset << level), (stop - 1) * step + (offset << level) + 1, step)

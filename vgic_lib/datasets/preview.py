# SPDX-License-Identifier: MIT
"""A contact sheet of photographs."""

from collections.abc import Sequence

from vgic_lib.datasets.photographs import Photograph
from vgic_lib.figures import GRAY, INK, Figure, blank, style
from vgic_lib.images import read_image

SPLIT_COLOURS = {"train": "#4b5563", "validation": "#b45309", "test": "#1d4ed8"}


def preview(photographs: Sequence[Photograph], limit: int = 24, columns: int = 6) -> Figure:
    """Contact sheet: the first `limit` photographs with name, size and split.

    Raises:
        ImageError: a file is missing or unreadable.
    """
    shown = photographs[:limit]
    lines = max(1, -(-len(shown) // columns))
    columns = max(1, -(-len(shown) // lines))  # as even a block as the number allows
    with style():
        figure = Figure(figsize=(1.75 * columns, 1.85 * lines + 0.3), layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False).ravel()
        blank(grid)
        for ax, photograph in zip(grid, shown, strict=False):
            image = read_image(photograph.path).convert("RGB")
            image.thumbnail((480, 480))
            ax.imshow(image, interpolation="antialiased")
            colour = SPLIT_COLOURS.get(photograph.split, INK)
            ax.set_title(_shorten(photograph.name, 20), fontsize=8.5, loc="center", pad=3)
            size = f"{photograph.width} × {photograph.height}"
            ax.set_xlabel(f"{size}, {photograph.split}", fontsize=7.5, color=colour, labelpad=3)
        if len(shown) < len(photographs):
            figure.supxlabel(
                f"the first {len(shown)} of {len(photographs)} photographs", fontsize=8, color=GRAY
            )
    return figure


def _shorten(text: str, length: int) -> str:
    """`text`, its end cut where it is longer than `length` letters."""
    return text if len(text) <= length else text[: length - 1] + "…"

# SPDX-License-Identifier: MIT
"""What a figure says."""

from matplotlib.figure import Figure


def texts(figure: Figure) -> list[str]:
    """Every word in a figure."""
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]

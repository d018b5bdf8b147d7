# SPDX-License-Identifier: MIT
"""Pages of the project, README first: their fenced blocks, prose and anchors."""

import re

from helpers import PROJECT

PAGES = (
    PROJECT / "README.md",
    *sorted((PROJECT / "docs").glob("*.md")),
    *sorted((PROJECT / "vgic_lib" / "weights").glob("*.md")),
    PROJECT / "outputs" / "README.md",
    PROJECT / "data" / "README.md",
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page, language):
    """Contents of the fenced blocks of a language, in order."""
    return [text for found, text in _FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def prose(page):
    """Text without fenced blocks and `code`."""
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text(encoding="utf-8")))


def anchors(page):
    """Anchors of a page's headings, as GitHub makes them: small letters, words joined by hyphens."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]

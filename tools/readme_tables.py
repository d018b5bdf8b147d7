# SPDX-License-Identifier: MIT
"""Puts the tracked tables into README, between their marks; `make readme` calls it.

A mark names a table below outputs/results/: <!-- kodak/tables/results --> ... <!-- end -->
"""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
MARKED = re.compile(r"(<!-- (?P<table>[\w/-]+/tables/\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """`text` with every marked table as it is tracked now."""

    def fill(mark: re.Match) -> str:
        table = PROJECT / "outputs" / "results" / f"{mark['table']}.md"
        return mark[1] + table.read_text(encoding="utf-8").strip() + "\n" + mark[3]

    return MARKED.sub(fill, text)


if __name__ == "__main__":
    readme = PROJECT / "README.md"
    readme.write_text(filled(readme.read_text(encoding="utf-8")), encoding="utf-8")

# SPDX-License-Identifier: MIT
"""Puts the tracked tables and numbers into README, docs/ and the cards of weights; `make readme` calls it.

A table, below outputs/results/, stands between two lines:

    <!-- kodak/tables/results --> ... <!-- end -->

So do the summary of README and its list of packages: `summary`, `packages`.

A number in a sentence stands between its mark (CSV file, row, column, format) and an end:

    <!-- =kodak/tables/bd_rate [VGIC, 300 search steps] bd_rate_percent .1f -->−55.1<!-- = -->

A row is named by its first column, by others, or both: [old; channels=2]. [mean of ROW] takes
all rows of that name. [ROW against ROW] is a difference, with a format such as .0% a relative one, and for
the column bd_rate, which no file has, the Bjontegaard delta (%) of two curves. `u` before the format leaves
the sign out. A column whose name has more than one word stands in brackets, too.
"""

import ast
import csv
import re
import sys
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "outputs" / "results"
PAGES = (
    PROJECT / "README.md",
    *sorted((PROJECT / "docs").glob("*.md")),
    *sorted((PROJECT / "vgic_lib" / "weights").glob("*.md")),
)
PACKAGES = (  # from the roof to the floor, as tests/test_rooms.py keeps them
    "desk", "workbook", "reporting", "evaluation", "training", "codec", "datasets", "search", "models",
    "bitstream", "metrics", "networks", "formats",
)  # fmt: skip
MARKED = re.compile(
    r"(?P<start><!-- (?P<table>[\w/-]+/tables/\w+|summary|packages) -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)
NUMBER = re.compile(
    r"(?P<start><!-- =(?P<source>[\w/-]+) \[(?P<row>[^\]\n]+)\] "
    r"(?P<column>\w+|\[[^\]\n]+\]) (?P<form>u?[+]?\.\d[fg%]) -->)[^<\n]*(?P<end><!-- = -->)"
)
CURVES = "kodak/figures/rate_distortion"
SUMMARY = {  # title: curve, there and in kodak/tables/bd_rate
    "JPEG": "JPEG",
    "WebP": "WebP",
    "AVIF": "AVIF",
    "VGIC": "VGIC",
    "VGIC, 300 search steps": "VGIC, 300 search steps",
    "hyperprior of 2018, as published": "Ballé 2018, hyperprior (published)",
}


def filled(text: str) -> str:
    """`text` with everything marked as it is tracked now. Raises ValueError for a mark that leads nowhere."""
    text = MARKED.sub(lambda mark: f"{mark['start']}{_table(mark['table'])}\n{mark['end']}", text)
    for start in re.finditer(r"<!-- =[^ ].*?-->", text):
        if not NUMBER.match(text, start.start()):
            raise ValueError(f"{start[0]} has no end <!-- = -->, or is not [ROW] COLUMN FORMAT")
    return NUMBER.sub(lambda mark: f"{mark['start']}{_number(mark)}{mark['end']}", text)


def _table(name: str) -> str:
    if name in (made := {"summary": _summary, "packages": _packages}):
        return made[name]()
    return (RESULTS / f"{name}.md").read_text(encoding="utf-8").strip()


def _summary() -> str:
    """Six codecs in a few words; no time where we have not measured it."""
    curves = {row["curve"] for row in _rows(CURVES)}
    lines = [
        "| | size at equal PSNR, against JPEG | encode (s) | decode (s) |",
        "| --- | ---: | ---: | ---: |",
    ]
    for title, curve in SUMMARY.items():
        size = 0.0 if curve == "JPEG" else value("kodak/tables/bd_rate", curve, "bd_rate_percent")
        cells = [title, _minus(f"{size:.1f}%") if size else "0"]
        for column in ("encode_s", "decode_s"):
            seconds = value(CURVES, f"mean of curve={curve}", column) if curve in curves else None
            cells.append("" if seconds is None else f"{seconds:.{0 if seconds > 10 else 3}f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _packages() -> str:
    """The packages and what each says of itself."""
    lines = ["| package | what belongs there |", "|---|---|"]
    for name in PACKAGES:
        source = (PROJECT / "vgic_lib" / name / "__init__.py").read_text(encoding="utf-8")
        sentence = " ".join(ast.get_docstring(ast.parse(source)).split())
        lines.append(f"| [{name}](vgic_lib/{name}) | {sentence} |")
    return "\n".join(lines)


def _number(mark: re.Match) -> str:
    form = mark["form"].removeprefix("u")
    column = mark["column"].strip("[]")
    found = value(mark["source"], mark["row"], column, relative=form.endswith("%"))
    return _minus(f"{abs(found) if mark['form'] != form else found:{form}}")


def value(source: str, row: str, column: str, relative: bool = False) -> float:
    """What a mark names. Raises ValueError if it names nothing, or several rows where one is meant."""
    left, against, right = row.partition(" against ")
    if against and column == "bd_rate":
        return _bd_rate(source, right, left)
    if against:
        base = value(source, right, column)
        found = value(source, left, column)
        return found / base - 1 if relative else found - base
    name = row.removeprefix("mean of ")
    found = [line.get(column, "") for line in _rows(source) if _is(line, name)]
    if not found or len(found) > 1 and name == row or "" in found:
        raise ValueError(f"[{row}] {column} names {len(found)} cells of {source}, or an empty one")
    return sum(map(float, found)) / len(found)


def _bd_rate(source: str, anchor: str, test: str) -> float:
    import pandas as pd

    from vgic_lib.evaluation.rate_distortion import bd_rate

    points = pd.read_csv(RESULTS / f"{source}.csv")
    percent = bd_rate(*(points[points["curve"] == name] for name in (anchor, test))).percent
    if percent != percent:
        raise ValueError(f"{source} has no curves {anchor!r} and {test!r} that share a range of PSNR")
    return percent


@cache
def _rows(source: str) -> list[dict[str, str]]:
    with open(RESULTS / f"{source}.csv", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _is(line: dict[str, str], name: str) -> bool:
    """Whether a row has this name."""
    first = next(iter(line))
    terms = (term.rpartition("=") for term in name.split("; "))
    return all(line.get(column or first) == cell for column, _, cell in terms)


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def main() -> int:
    """Fill all pages, or none; returns the exit status."""
    texts = {}
    for page in PAGES:
        try:
            texts[page] = filled(page.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            print(f"{page.relative_to(PROJECT)}: {error}", file=sys.stderr)
            return 1
    for page, text in texts.items():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""Tables on disk: tidy CSV with machine names, Markdown and LaTeX with readable ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from vgic_lib.files import write_text


class Column(NamedTuple):
    """How a column of a table looks in print."""

    name: str  # in the data frame
    title: str
    digits: int = -1  # after the decimal point; -1 for text
    spread: bool = False  # show `<name>_std` behind it
    mark: str = ""  # name of a column of text that is put behind the value


class WrittenTable(NamedTuple):
    """A table in print; a notebook that ends a cell with one shows it."""

    markdown: str

    def _repr_markdown_(self) -> str:
        return self.markdown


def write_table(
    frame: pd.DataFrame,
    stem: str | Path,
    columns: Sequence[Column],
    caption: str,
    notes: str = "",
    group: str = "",
) -> WrittenTable:
    """Write `stem`.csv (all of `frame`), `stem`.md and `stem`.tex (only `columns`, readable names).

    Args:
        frame: one line for each line of the table.
        stem: path without suffix.
        columns: what is printed.
        caption: one sentence above the table.
        notes: conventions, below it.
        group: name of a column of `frame`; there is a rule between lines of different values, and the
            column itself, if it is printed, shows each value once.
    """
    stem = Path(stem)
    body = [[_cell(column, line) for column in columns] for line in frame.to_dict("records")]
    starts = [True] * len(frame) if not group else (frame[group] != frame[group].shift()).tolist()
    for number, column in enumerate(columns):
        if column.name == group:
            for cells, start in zip(body, starts, strict=True):
                cells[number] = cells[number] if start else ""
    markdown = _markdown(columns, body, caption, notes)
    write_text(stem.with_name(f"{stem.name}.csv"), frame.to_csv(index=False, float_format="%.6g"))
    write_text(stem.with_name(f"{stem.name}.md"), markdown)
    write_text(
        stem.with_name(f"{stem.name}.tex"), _latex(columns, body, caption, notes, starts if group else [])
    )
    return WrittenTable(markdown)


def _cell(column: Column, line: dict) -> str:
    value = line[column.name]
    if column.digits < 0:
        return str(value)
    if pd.isna(value):
        return ""
    text = f"{value:.{column.digits}f}"
    if column.spread and pd.notna(line.get(f"{column.name}_std")):
        text += f" ± {line[f'{column.name}_std']:.{column.digits}f}"
    return text + (line[column.mark] if column.mark else "")


def _markdown(columns: Sequence[Column], body: list[list[str]], caption: str, notes: str) -> str:
    rules = ["---" if column.digits < 0 else "---:" for column in columns]
    lines = [[column.title for column in columns], rules, *body]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{caption}\n\n{table}\n" + (f"\n{notes}\n" if notes else "")


def _latex(
    columns: Sequence[Column], body: list[list[str]], caption: str, notes: str, starts: Sequence[bool]
) -> str:
    """A booktabs table."""
    lines = [
        r"\begin{table}", r"\centering\footnotesize", rf"\caption{{{_escape(caption)}}}",
        rf"\begin{{tabular}}{{{''.join('l' if column.digits < 0 else 'r' for column in columns)}}}",
        r"\toprule", _latex_line([column.title for column in columns]), r"\midrule",
    ]  # fmt: skip
    for number, cells in enumerate(body):
        if number and starts and starts[number]:
            lines.append(r"\addlinespace")
        lines.append(_latex_line(cells))
    lines += [r"\bottomrule", r"\end{tabular}"]
    if notes:
        lines.append(rf"\par\medskip\footnotesize {_escape(notes)}")
    return "\n".join([*lines, r"\end{table}", ""])


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join(map(_escape, cells)) + r" \\"


def _escape(text: str) -> str:
    """LaTeX for plain text."""
    special = {
        "\\": r"\textbackslash{}",
        "±": r"$\pm$",
        "†": r"$\dagger$",
        "×": r"$\times$",
        "~": r"\textasciitilde{}",
        "^": r"\^{}",
    }
    special |= {letter: f"\\{letter}" for letter in "&%$#_{}"}
    return "".join(special.get(letter, letter) for letter in text)

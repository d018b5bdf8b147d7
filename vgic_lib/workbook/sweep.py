# SPDX-License-Identifier: MIT
"""Runs the workbook once for each combination of some parameters' values, and makes one table of the results.

Each combination is a run of its own, with a name made of the values, so a sweep that was interrupted goes on.
"""

import csv
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import product
from typing import Any, NamedTuple

from vgic_lib import files, paths
from vgic_lib.cluster import Place, each
from vgic_lib.errors import ParameterError
from vgic_lib.workbook import pipeline
from vgic_lib.workbook.checks import check
from vgic_lib.workbook.profiles import load_profile, make_plan

Axes = Sequence[tuple[str, Sequence[str]]]


class Combination(NamedTuple):
    """One run of a sweep."""

    run: str
    values: dict[str, str]  # of the parameters that are swept, by their names in notebooks


class Swept(NamedTuple):
    """What became of a sweep."""

    errors: tuple[str, ...]  # one for each run that failed
    count: int  # runs


def sweep(
    profile: str,
    axes: Axes,
    parameters: Mapping[str, Any] | None = None,
    run: str | None = None,
    only: Sequence[str] = (),
    at: Place | None = None,
) -> Swept:
    """Run a profile for all combinations; tables/sweep.csv and .md of the results of `run` hold all rows.

    A run that fails is reported, the others go on.

    Args:
        profile: name of a file in notebooks/profiles/, without its ending.
        axes: parameters and their values, as text. For a parameter that is a list ("qualities"), its
            singular will do.
        parameters: others that replace those of the profile, in every run.
        run: name of the sweep; the profile's name with "-sweep" if left out.
        only: numbers ("03") or names of the notebooks to run; none means all.
        at: where runs are done, side by side; None is this process, one after the other.

    Raises:
        ParameterError: as `pipeline.run` does for any combination; or parameters without values, or that are
            given twice. Nothing has run then.
        ClusterError: no workers.
    """
    name, given = run or f"{profile}-sweep", dict(parameters or {})
    combinations = _combinations(profile, axes, given, name, only)
    work = partial(_run_one, profile, given, only)
    reads = [paths.profiles() / f"{profile}.yaml"]
    with closing(each(work, combinations, "runs", at, reads, paths.run_dir(name).parent)) as results:
        failed = {number: error for number, error in results if error}
    done = [one for number, one in enumerate(combinations) if number not in failed]
    _write_tables(name, done)
    _show_table(name)
    errors = (f"{combinations[number].run}: {error}" for number, error in sorted(failed.items()))
    return Swept(tuple(errors), len(combinations))


def _combinations(
    profile: str, axes: Axes, given: dict[str, Any], name: str, only: Sequence[str]
) -> list[Combination]:
    """All runs of a sweep, each of which could start. Raises ParameterError."""
    chosen = load_profile(profile)
    plan = make_plan(chosen, given, name, only)
    known = {parameter for step in plan if step.chosen for parameter in step.parameters}
    swept: dict[str, list[str]] = {}
    for short, values in axes:
        parameter = next((full for full in (short, *_plurals(short)) if full in known), short)
        values = list(dict.fromkeys(value.strip() for value in values))
        if not values or "" in values:
            raise ParameterError(f"--sweep {short} has a value missing; write it like {short}=10,30")
        if parameter in swept or parameter in given:
            raise ParameterError(f"parameter {parameter!r} is given twice; sweep it, or set it")
        swept[parameter] = values
    found = []
    for values in product(*swept.values()):
        named = dict(zip(swept, values, strict=True))
        run = "-".join([name, *(f"{parameter}-{_slug(value)}" for parameter, value in named.items())])
        check(step for step in make_plan(chosen, {**given, **named}, run, only) if step.chosen)
        found.append(Combination(run, named))
    return found


def _plurals(word: str) -> tuple[str, ...]:
    return f"{word}s", f"{word.removesuffix('y')}ies"


def _slug(value: str) -> str:
    """A value as a part of a name: a path, for example, keeps its letters and gets digits of its own."""
    word = re.sub(r"[^A-Za-z0-9._]+", "_", value)
    return word if word == value else f"{word.strip('_')}_{hashlib.sha256(value.encode()).hexdigest()[:6]}"


def _run_one(profile: str, given: dict[str, Any], only: Sequence[str], one: Combination) -> None:
    pipeline.run(profile, {**given, **one.values}, one.run, only)


def _write_tables(name: str, done: Sequence[Combination]) -> None:
    """Write the rows of all runs' results, with a column for each parameter that was swept."""
    stem = paths.results_dir(name) / "tables" / "sweep"
    for read, write, suffix in ((_from_csv, _to_csv, ".csv"), (_from_markdown, _to_markdown, ".md")):
        rows = []
        for one in done:
            path = paths.results_dir(one.run) / "tables" / f"results{suffix}"
            if path.exists():
                rows += [{**one.values, **row} for row in read(files.read_bytes(path).decode())]
        if rows:
            columns = list(dict.fromkeys(column for row in rows for column in row))
            cells = [[row.get(column, "") for column in columns] for row in rows]
            files.write_text(stem.with_suffix(suffix), write([columns, *cells]))


def _from_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def _to_csv(lines: list[list[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue()


def _from_markdown(text: str) -> list[dict[str, str]]:
    lines = [line.strip().split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line] for line in lines]  # some are empty
    return [dict(zip(cells[0], line, strict=True)) for line in cells[2:]]


def _to_markdown(lines: list[list[str]]) -> str:
    heading, *rows = lines
    return "".join(f"| {' | '.join(line)} |\n" for line in (heading, ["---"] * len(heading), *rows))


def _show_table(name: str) -> None:
    table = paths.results_dir(name) / "tables" / "sweep.md"
    if table.exists():
        text = table.read_text(encoding="utf-8")
        print(f"\n{text}\ntable: {table.relative_to(paths.root()).as_posix()}", flush=True)

# SPDX-License-Identifier: MIT
"""Profiles of the workbook, and the plan of a run: every parameter checked before anything runs."""

import ast
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from vgic_lib import paths
from vgic_lib.environment import library_digest
from vgic_lib.errors import ParameterError

HOW = ("overwrite", "cluster", "workers")  # parameters that decide how work is done, not what comes out


class Entry(NamedTuple):
    """A notebook in a profile, with the parameters that the profile sets."""

    name: str
    parameters: dict[str, Any]


class Profile(NamedTuple):
    """An ordered list of notebooks with parameters, from notebooks/profiles/."""

    name: str
    description: str
    entries: tuple[Entry, ...]


class Step(NamedTuple):
    """A notebook ready to run: every parameter resolved and checked."""

    name: str
    notebook: Path
    parameters: dict[str, Any]
    key: str
    chosen: bool  # False: left out by `only`


def list_profiles() -> list[str]:
    """Names of the profiles."""
    return sorted(path.stem for path in paths.profiles().glob("*.yaml"))


def load_profile(name: str) -> Profile:
    """Read a profile. Raises ParameterError if it is unknown or badly written."""
    if name not in list_profiles():
        raise ParameterError(
            f"unknown profile {name!r}; choose from {', '.join(list_profiles()) or 'none: no profiles'}"
        )
    try:
        values = yaml.safe_load((paths.profiles() / f"{name}.yaml").read_text(encoding="utf-8"))
        entries = tuple(Entry(**{"parameters": {}, **entry}) for entry in values["notebooks"])
        for entry in entries:
            dict.items(entry.parameters)
        return Profile(name, str(values["description"]), entries)
    except (yaml.YAMLError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise ParameterError(
            f"profile {name!r} is badly written ({reason}); it needs a description and notebooks, a list of "
            "name and parameters"
        ) from error


def make_plan(
    profile: Profile, overrides: Mapping[str, Any], run: str, only: Sequence[str] = ()
) -> tuple[Step, ...]:
    """Resolve and check every parameter of every notebook before anything runs.

    Args:
        profile: notebooks and their parameters.
        overrides: parameters that replace those of the profile, in every notebook that has them.
        run: name of the run, handed to the notebooks as their parameter ``run``.
        only: numbers ("03") or names of the notebooks to run; none means all.

    Raises:
        ParameterError: an unknown notebook or parameter, or a value of the wrong type.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", run):
        raise ParameterError(f"run name {run!r} may hold letters, digits, dots, dashes and underscores only")
    if "run" in overrides:
        raise ParameterError("parameter 'run' is set by the runner; name the run with --run")
    _check_only(profile, only)
    steps: list[Step] = []
    digest = library_digest()
    unused = set(overrides)
    for entry in profile.entries:
        notebook = paths.notebooks() / f"{entry.name}.ipynb"
        defaults = read_parameters(notebook)
        chosen = not only or any(_matches(entry.name, word) for word in only)
        given = {name: value for name, value in overrides.items() if name in defaults}
        unused -= set(given) if chosen else set()
        parameters = _resolve(entry, defaults, given, run)
        key = _key(notebook, parameters, digest, [step.key for step in steps])
        steps.append(Step(entry.name, notebook, parameters, key, chosen))
    if unused:
        known = sorted({name for step in steps if step.chosen for name in step.parameters} - {"run"})
        raise ParameterError(f"no notebook has a parameter {min(unused)!r}; choose from {', '.join(known)}")
    return tuple(steps)


def read_parameters(notebook: Path) -> dict[str, Any]:
    """Names and default values in the cell tagged ``parameters`` of a notebook.

    Python itself reads the cell: papermill's own inspection drops a line whose comment holds an
    equals sign, and takes seconds to import.

    Raises:
        ParameterError: no such notebook, or its parameters are not plain ``name: type = literal`` lines.
    """
    try:
        lines: list[Any] = ast.parse(tagged_source(notebook, "parameters")).body
        return {node.target.id: ast.literal_eval(node.value) for node in lines}
    except FileNotFoundError as error:
        raise ParameterError(f"there is no notebook {notebook.name}; correct the profile") from error
    except (ValueError, SyntaxError, AttributeError, KeyError, TypeError) as error:
        raise ParameterError(
            f"notebook {notebook.name} or its parameters cell cannot be read: {error}"
        ) from error


def tagged_source(notebook: Path, tag: str) -> str:
    """Source of the cells of a notebook that have a tag; empty if there is none."""
    cells = [cell for cell in _cells(notebook) if tag in cell["metadata"].get("tags", [])]
    return "\n".join("".join(cell["source"]) for cell in cells)


def _check_only(profile: Profile, only: Sequence[str]) -> None:
    for word in only:
        if not any(_matches(entry.name, word) for entry in profile.entries):
            names = ", ".join(entry.name for entry in profile.entries)
            raise ParameterError(f"profile {profile.name!r} has no notebook {word!r}; choose from {names}")


def _matches(name: str, word: str) -> bool:
    return name == word or name.startswith(f"{word}_")


def _resolve(entry: Entry, defaults: dict[str, Any], overrides: dict[str, Any], run: str) -> dict[str, Any]:
    given = {**entry.parameters, **overrides}
    unknown = [name for name in given if name not in defaults or name == "run"]
    if unknown:
        known = ", ".join(name for name in defaults if name != "run")
        raise ParameterError(
            f"{entry.name} has no parameter {unknown[0]!r} to set; choose from {known or 'none'}"
        )
    values = {name: _convert(entry.name, name, value, defaults[name]) for name, value in given.items()}
    for name, value in values.items():
        if isinstance(value, int | float) and not 0 <= value < float("inf"):
            raise ParameterError(f"parameter {name!r} of {entry.name} must be 0 or more, not {value}")
    return {**defaults, **values, **({"run": run} if "run" in defaults else {})}


def _convert(notebook: str, name: str, value: Any, default: Any) -> Any:  # noqa: ANN401 - any literal
    """Give `value` the type of `default`; text from a command line is read as that type."""
    kind = type(default)
    try:
        if default is None or (type(value) is kind and kind is not bool):
            return value
        if kind is bool and str(value).lower() in ("true", "false"):
            return str(value).lower() == "true"
        if kind is str and type(value) in (int, float):
            return str(value)
        if kind in (int, float) and (isinstance(value, str) or (kind is float and type(value) is int)):
            return kind(value)
        if kind in (list, tuple) and isinstance(value, str | list | tuple):
            return kind(ast.literal_eval(value) if isinstance(value, str) else value)
    except (ValueError, SyntaxError, TypeError):
        pass
    raise ParameterError(f"parameter {name!r} of {notebook} must be of type {kind.__name__}, not {value!r}")


def _key(notebook: Path, parameters: dict[str, Any], library: str, upstream: list[str]) -> str:
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in _cells(notebook)]
    settings = {name: value for name, value in parameters.items() if name not in HOW}
    return hashlib.sha256(json.dumps([cells, settings, library, upstream]).encode()).hexdigest()[:16]


def _cells(notebook: Path) -> list[dict[str, Any]]:
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]

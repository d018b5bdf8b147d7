# SPDX-License-Identifier: MIT
"""The workbook: each notebook keeps the rules, and every profile fits."""

import ast
import re
import statistics
import subprocess
import sys

import nbformat
import pytest
from helpers import PROJECT
from helpers.workbook import WORKBOOK
from papermill import inspect_notebook

from vgic_lib.workbook import profiles

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
CELL_LINES, MEDIAN_LINES, FUNCTION_LINES = 25, 8, 8


def cells(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def code_lines(source):
    return [line for line in source.splitlines() if line.strip() and not line.strip().startswith("#")]


def parameters_cell(path):
    (cell,) = [cell for cell in cells(path, "code") if "parameters" in cell.metadata.get("tags", [])]
    return cell


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return request.param


def test_workbook_is_complete():
    assert [path.stem for path in NOTEBOOKS if re.match(r"\d", path.stem)] == WORKBOOK


def test_stripped():
    command = [sys.executable, "-m", "nbstripout", "--verify", *NOTEBOOKS]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, f"run: make notebooks\n{answer.stdout}"


def test_kernel_is_the_environment_it_runs_in(notebook):
    assert nbformat.read(notebook, as_version=4).metadata.kernelspec.name == "python3"


def test_begins_with_title_and_what_it_reads_and_writes_and_ends_with_what_is_next(notebook):
    book = nbformat.read(notebook, as_version=4)
    first, last = book.cells[0], book.cells[-1]
    assert first.cell_type == last.cell_type == "markdown"
    assert first.source.startswith("# ") and "?" in first.source
    for word in ("reads", "writes", "time"):
        assert word in first.source.lower()
    assert last.source.startswith("**Next:**")


def test_first_code_cell_is_the_parameters_cell(notebook):
    cell = parameters_cell(notebook)
    assert cells(notebook, "code")[0].source == cell.source
    lines = code_lines(cell.source)
    for node, line in zip(ast.parse(cell.source).body, lines, strict=True):
        assert isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name), line
        ast.literal_eval(node.value)
        assert re.search(r"  # \S", line), line
    if notebook.stem in WORKBOOK:  # the others keep nothing
        assert any(line.startswith("run: str = ") for line in lines)


def test_checks_come_right_behind_the_parameters(notebook):
    """What they need of the parameters is all they need: they run before the notebooks that come first."""
    places = [
        place
        for place, cell in enumerate(cells(notebook, "code"))
        if "checks" in cell.metadata.get("tags", [])
    ]
    assert places == ([1] if notebook.stem in WORKBOOK[:4] else [])


def test_papermill_finds_the_same_parameters(notebook):
    """Papermill by hand warns of a parameter it cannot parse: no equals sign in the comments."""
    assert set(inspect_notebook(notebook)) == set(profiles.read_parameters(notebook))


def test_narrative_and_calls_only(notebook):
    code, markdown = cells(notebook, "code"), cells(notebook, "markdown")
    assert len(markdown) >= len(code) / 2
    lengths = [len(code_lines(cell.source)) for cell in code]
    assert max(lengths) <= CELL_LINES and statistics.median(lengths) <= MEDIAN_LINES
    nodes = [node for cell in code for node in ast.walk(ast.parse(re.sub(r"(?m)^\s*%.*$", "", cell.source)))]
    assert [node.name for node in nodes if isinstance(node, ast.ClassDef)] == []
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions if node.end_lineno - node.lineno >= FUNCTION_LINES] == []


def test_files_are_named_by_the_library(notebook):
    """A notebook names no folder, so that it runs alone, in a profile and on any machine."""
    source = "\n".join(cell.source for cell in cells(notebook, "code")[1:])
    assert not re.search(r"""["'](?:\.\./|outputs|data/|runs/)|os\.chdir|sys\.path""", source)


@pytest.mark.parametrize("profile", ["smoke", "default", "eye", "paper", "published", "table2020"])
def test_profiles_fit_the_notebooks(profile):
    plan = profiles.make_plan(profiles.load_profile(profile), {}, profile)
    names = [step.name for step in plan]
    assert names == (WORKBOOK if profile in ("smoke", "default") else sorted(set(names) & set(WORKBOOK)))
    assert all(step.parameters["run"] == profile for step in plan)

# SPDX-License-Identifier: MIT
"""The workbook: each notebook keeps the rules, every profile fits, and the smoke profile runs to the end."""

import ast
import math
import os
import re
import shutil
import statistics
import subprocess
import sys

import nbformat
import pytest
from helpers import PROJECT
from papermill import inspect_notebook

from vgic_lib.workbook import profiles
from vgic_lib.workbook.manifest import read_manifest

WORKBOOK = ["01_data_preparation", "02_training", "03_latent_search", "04_compression", "05_analysis"]
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


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """A project folder with the notebooks, in which the smoke profile was run from the command line."""
    home = tmp_path_factory.mktemp("smoke")
    shutil.copytree(
        PROJECT / "notebooks", home / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints")
    )
    patch = pytest.MonkeyPatch()
    patch.setenv("VGIC_HOME", str(home))
    answer = run_smoke(home)
    yield home, answer
    patch.undo()


def run_smoke(home, *words):
    command = [sys.executable, "-m", "vgic_lib", "run", "--profile", "smoke", *words]
    environment = {**os.environ, "VGIC_HOME": str(home)}
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_smoke_run_ends_with_the_table(smoke):
    home, answer = smoke
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]
    table = (home / "outputs/results/smoke/tables/results.md").read_text().strip()
    assert table in answer.stdout
    assert all(step.status == "done" for step in read_manifest("smoke").steps)


@pytest.mark.slow
def test_smoke_run_leaves_copies_report_tables_and_figures(smoke):
    home, _ = smoke
    run, results = home / "outputs/runs/smoke", home / "outputs/results/smoke"
    assert [path.stem for path in sorted((run / "notebooks").glob("*.ipynb"))] == WORKBOOK
    assert "Traceback" not in (run / "report.html").read_text()
    for table in (results / "tables").glob("*.csv"):
        assert table.with_suffix(".md").exists() and table.with_suffix(".tex").exists()
    figures = list((results / "figures").glob("*.png"))
    assert figures
    for figure in figures:
        assert figure.with_suffix(".pdf").exists() and figure.with_suffix(".csv").exists()


@pytest.mark.slow
def test_smoke_rows_are_measured_on_the_files(smoke):
    """Rates are recomputed from the files on disk, ours and those of the classical codecs."""
    import pandas

    home, _ = smoke
    folder = home / "outputs/runs/smoke/compression"
    rows = pandas.read_csv(folder / "rows.csv")
    assert {"hyperprior", "vaegan-8", "jpeg", "webp"} == set(rows.codec)
    for row in rows.itertuples():
        size = (folder / row.file).stat().st_size
        assert row.bytes == size
        assert math.isclose(row.bpp, 8 * size / (row.width * row.height), rel_tol=1e-6)
        assert math.isclose(row.compression_ratio, 3 * row.width * row.height / size, rel_tol=1e-6)


@pytest.mark.slow
def test_finished_smoke_run_is_skipped(smoke):
    home, _ = smoke
    answer = run_smoke(home)
    assert answer.returncode == 0
    assert "0 of 5 notebooks to run" in answer.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--profile", "huge"),
            "unknown profile 'huge'; choose from default, eye, paper, published, smoke, table2020",
        ),
        (("-p", "stepps", "3"), "no notebook has a parameter 'stepps'"),
        (("-p", "steps", "many"), "must be of type int, not 'many'"),
    ],
)
def test_bad_requests_are_one_line_without_traceback(smoke, words, message):
    home, _ = smoke
    answer = run_smoke(home, *words)
    assert answer.returncode == 1 and answer.stdout == ""
    (line,) = answer.stderr.splitlines()
    assert line.startswith("vgic: error: ") and message in line

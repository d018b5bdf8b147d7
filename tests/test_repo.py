# SPDX-License-Identifier: MIT
"""Rules that keep the project readable; those for README and its pages are in test_docs.py."""

import ast
import re
import subprocess
import sys

import pytest
from helpers import PROJECT

LIBRARY = sorted((PROJECT / "vgic_lib").rglob("*.py"))
CODE = [*LIBRARY, *sorted((PROJECT / "tools").glob("*.py")), *sorted((PROJECT / "benchmarks").glob("*.py"))]
MODULES = [*CODE, *sorted((PROJECT / "tests").rglob("*.py"))]
RESULTS = [PROJECT / "outputs" / "results" / run for run in ("kodak", "kodak-2020", "kodak-eye")]
TEXT = (".py", ".md", ".ipynb", ".yaml", ".yml", ".toml", ".txt", ".cff", ".csv", ".json", ".tex", "")
MACHINE_PATH = re.compile(r"(?<![\w.:/~])/(?:work|root|home|Users|tmp)/\w+")
MODULE_LINES, FUNCTION_LINES = 300, 40


def name(path):
    return path.relative_to(PROJECT).as_posix()


def project_files():
    """Files that belong to the project: what git tracks, and what it would not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [path for path in (PROJECT / line for line in listed) if path.is_file()]


def body_lines(function):
    """Lines of a function's body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_modules_begin_with_licence_and_docstring(path):
    source = path.read_text()
    lines = source.splitlines()[:2]
    assert "# SPDX-License-Identifier: MIT" in lines[: 2 if lines[0].startswith("#!") else 1]
    assert ast.get_docstring(ast.parse(source))


@pytest.mark.parametrize("path", CODE, ids=name)
def test_modules_and_functions_are_short(path):
    source = path.read_text()
    assert len(source.splitlines()) <= MODULE_LINES
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions if body_lines(node) > FUNCTION_LINES] == []


@pytest.mark.parametrize("path", LIBRARY, ids=name)
def test_library_parses_no_arguments_and_loads_fast(path):
    """Only cli.py parses arguments; torchvision, slow to import, is never loaded with a module."""
    top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {getattr(node, "module", None) or alias.name for node in top for alias in node.names}
    assert not any(module.split(".")[0] == "torchvision" for module in modules)
    assert path.name == "cli.py" or "argparse" not in modules


def names_no_encoding(call):
    """Whether a call opens text in the encoding of the machine that it happens to run on."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    function = getattr(call.func, "attr", getattr(call.func, "id", ""))
    owner = getattr(getattr(call.func, "value", None), "id", "")
    modes = [*call.args, *filter(None, [given.get("mode")])]
    opens = function == "open" and any(
        isinstance(mode, ast.Constant) and re.fullmatch(r"[rwax]t?\+?", str(mode.value)) for mode in modes
    )
    reads = (
        function in ("read_text", "write_text") and isinstance(call.func, ast.Attribute) and owner != "files"
    )
    return (opens or reads or "text" in given and function == "run") and "encoding" not in given


@pytest.mark.parametrize("path", CODE, ids=name)
def test_text_is_utf8_whatever_the_machine_prefers(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert [call.lineno for call in calls if names_no_encoding(call)] == []


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_is_content(command):
    answer = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "."], cwd=PROJECT, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_no_file_names_a_folder_of_some_machine():
    found = [
        f"{name(path)}: {match[0]}"
        for path in project_files()
        if path.suffix in TEXT
        for match in MACHINE_PATH.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_no_large_file_and_no_run_is_tracked():
    sizes = {name(path): path.stat().st_size for path in project_files()}
    assert [path for path, size in sizes.items() if size > 40e6] == []
    assert [path for path in sizes if path.startswith(("outputs/runs/", ".venv/", "data/embedded"))] == []


@pytest.mark.parametrize("results", RESULTS, ids=lambda path: path.name)
def test_every_result_figure_has_its_rows_and_a_vector_version(results):
    figures = sorted((results / "figures").glob("*.png"))
    assert figures
    assert [name(figure) for figure in figures if not figure.with_suffix(".csv").exists()] == []
    assert [name(figure) for figure in figures if not figure.with_suffix(".pdf").exists()] == []


@pytest.mark.parametrize("results", RESULTS, ids=lambda path: path.name)
def test_every_result_table_comes_in_three_formats(results):
    tables = {path.stem for path in (results / "tables").iterdir()}
    assert {"results", "bd_rate"} <= tables
    for stem in tables:
        assert {path.suffix for path in (results / "tables").glob(f"{stem}.*")} >= {".csv", ".md", ".tex"}

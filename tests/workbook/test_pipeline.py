# SPDX-License-Identifier: MIT
"""The runner, on tiny notebooks made here: parameters, keys, resuming, failures, manifest and report."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from helpers import PROJECT

from vgic_lib import paths
from vgic_lib.errors import ParameterError, StorageError, VgicError
from vgic_lib.workbook import pipeline, profiles
from vgic_lib.workbook.manifest import read_manifest

PARAMETERS = 'run: str = "default"  # name of the run\nsteps: int = 3  # how often\n'
HEAD = "from vgic_lib import files, paths\n"
COUNT = (
    HEAD
    + """
print("counting", steps)
log = paths.data_dir(run) / "{name}.txt"
files.write_text(log, (log.read_text() if log.exists() else "") + f"{{steps}}\\n")
"""
)
WAIT = (
    HEAD
    + """
import os, time
files.write_text(paths.root() / "kernel.pid", str(os.getpid()))
while not (paths.root() / "go").exists():
    time.sleep(0.05)
files.write_text(paths.data_dir(run) / "second.txt", "went on")
"""
)
TABLE = HEAD + 'files.write_text(paths.results_dir(run) / "tables" / "results.md", "| n | psnr_db |")'


def write_notebook(home, name, source, parameters=PARAMETERS):
    cells = [nbformat.v4.new_markdown_cell(f"# Notebook {name}"), nbformat.v4.new_code_cell(parameters)]
    cells[1].metadata["tags"] = ["parameters"]
    book = nbformat.v4.new_notebook(cells=[*cells, nbformat.v4.new_code_cell(source)])
    book.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    path = home / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    nbformat.write(book, path)


def write_profile(home, *names, text=None):
    lines = ["description: for a test", "notebooks:", *(f"- name: {name}" for name in names)]
    folder = home / "notebooks" / "profiles"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiny.yaml").write_text("\n".join(lines) if text is None else text)


@pytest.fixture
def counting(home):
    """A profile of one notebook that appends a line to a file whenever it really runs."""
    write_notebook(home, "01_count", COUNT.format(name="count"))
    write_profile(home, "01_count")
    return home / "outputs/runs/tiny/data/count.txt"


def statuses(manifest):
    return [step.status for step in manifest.steps]


def test_run_writes_copies_manifest_and_report_and_shows_progress(home, counting, capsys):
    write_notebook(home, "02_table", TABLE, 'run: str = "default"  # name\nseed: int = 7  # of the noise\n')
    write_profile(home, "01_count", "02_table")
    manifest = pipeline.run("tiny", {"steps": "5"})
    assert counting.read_text() == "5\n"
    assert statuses(manifest) == ["done", "done"]
    shown = capsys.readouterr().out
    assert (
        "[1/2] 01_count: started" in shown
        and "cell 3  Notebook 01_count" in shown
        and "    counting 5" in shown
    )
    assert "| n | psnr_db |" in shown.splitlines()
    written = json.loads((home / "outputs/runs/tiny/manifest.json").read_text())
    assert written["overrides"] == {"steps": "5"} and written["seeds"] == {"02_table": 7}
    assert written["environment"]["versions"]["torch"] and written["environment"]["device"]
    assert written["steps"][0]["parameters"] == {"run": "tiny", "steps": 5}
    assert written["steps"][0]["started"] < written["steps"][0]["ended"] <= written["steps"][1]["started"]
    assert "outputs/runs/tiny/data/count.txt" in written["steps"][0]["files"]
    assert (home / "outputs/results/tiny/manifest.json").exists()
    copy = nbformat.read(home / "outputs/runs/tiny/notebooks/01_count.ipynb", as_version=4)
    assert any("steps = 5" in cell.source for cell in copy.cells)


def test_report_holds_every_notebook_and_fetches_nothing(home, counting):
    write_notebook(home, "02_table", TABLE)
    write_profile(home, "01_count", "02_table")
    pipeline.run("tiny", only=["01"])
    page = (home / "outputs/runs/tiny/report.html").read_text()
    assert "Notebook 01_count" in page and "counting 3" in page
    assert "it has not run under these parameters" in page
    assert re.findall(r"""(?:src|href|import|url)\s*[=(]?\s*["']?https?://[^"' )]*""", page) == []


def test_finished_steps_are_skipped_until_something_changes(home, counting):
    pipeline.run("tiny")
    pipeline.run("tiny")
    assert counting.read_text() == "3\n"
    pipeline.run("tiny", {"steps": 4})
    assert counting.read_text() == "3\n4\n"
    counting.unlink()
    pipeline.run("tiny", {"steps": 4})
    assert counting.read_text() == "4\n"
    write_notebook(home, "01_count", COUNT.format(name="count") + "print('new')\n")
    pipeline.run("tiny", {"steps": 4})
    assert counting.read_text() == "4\n4\n"


def test_keys_follow_parameters_notebooks_and_library(home, counting, monkeypatch):
    write_notebook(home, "02_table", TABLE, 'run: str = ""  # name\noverwrite: bool = False  # again\n')
    write_profile(home, "01_count", "02_table")
    profile = profiles.load_profile("tiny")

    def keys(overrides):
        return [step.key for step in profiles.make_plan(profile, overrides, "tiny")]

    first = keys({})
    assert keys({"overwrite": True}) == first
    upstream = keys({"steps": 9})
    assert upstream[0] != first[0] and upstream[1] != first[1]
    monkeypatch.setattr(profiles, "library_digest", lambda: "another version")
    assert keys({})[0] != first[0]


def test_library_digest_follows_every_file_of_the_package(tmp_path, monkeypatch):
    package = tmp_path / "vgic_lib"
    shutil.copytree(paths.PACKAGE, package, ignore=shutil.ignore_patterns("*.safetensors", "__pycache__"))
    (package / "weights" / "some.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(paths, "PACKAGE", package)
    digests = [profiles.library_digest()]
    changed = [path for path in package.rglob("*") if path.is_file()]
    for path in changed:
        data = bytearray(path.read_bytes() or b" ")
        data[-1] ^= 1
        path.write_bytes(data)
        digests.append(profiles.library_digest())
    assert len(changed) > 50 and len(set(digests)) == len(changed) + 1
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "cli.pyc").write_bytes(b"compiled")
    assert profiles.library_digest() == digests[-1]


def test_overwrite_always_runs(home, counting):
    write_notebook(
        home, "01_count", COUNT.format(name="count"), PARAMETERS + "overwrite: bool = False  # again"
    )
    for overwrite in (False, True, True, False):
        pipeline.run("tiny", {"overwrite": overwrite})
    assert counting.read_text() == "3\n" * 3


@pytest.mark.parametrize(
    ("profile", "parameters", "only", "run", "message"),
    [
        ("huge", {}, [], None, r"unknown profile 'huge'; choose from tiny"),
        ("tiny", {"step": 1}, [], None, r"no notebook has a parameter 'step'; choose from steps"),
        ("tiny", {"steps": "many"}, [], None, r"'steps' of 01_count must be of type int, not 'many'"),
        ("tiny", {"steps": 1.5}, [], None, r"'steps' of 01_count must be of type int, not 1.5"),
        ("tiny", {"run": "x"}, [], None, r"name the run with --run"),
        ("tiny", {}, ["07"], None, r"has no notebook '07'; choose from 01_count"),
        ("tiny", {}, [], "../x", r"run name '../x' may hold letters"),
    ],
)
def test_bad_requests_are_refused_before_anything_runs(
    home, counting, profile, parameters, only, run, message
):
    with pytest.raises(ParameterError, match=message) as caught:
        pipeline.run(profile, parameters, run, only)
    assert "\n" not in str(caught.value)
    assert not (home / "outputs").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "badly written"),
        ("description: x\nnotebooks: [", "badly written"),
        ("description: x\nnotebooks:\n- name: 01_count\n  parameter: {}", "badly written"),
        ("description: x\nnotebooks:\n- name: 01_count\n  parameters: 5", "badly written"),
        ("description: x\nnotebooks:\n- name: 09_nothing", "there is no notebook 09_nothing.ipynb"),
        (
            "description: x\nnotebooks:\n- name: 01_count\n  parameters: {step: 1}",
            "01_count has no parameter 'step'",
        ),
    ],
)
def test_bad_profiles_are_refused(home, counting, text, message):
    write_profile(home, text=text)
    with pytest.raises(ParameterError, match=message) as caught:
        pipeline.run("tiny")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "default", "expected"),
    [
        ("true", False, True), (False, True, False), ("7", 1, 7), ("1e-3", 0.5, 0.001), (2, 0.5, 2.0),
        (6, "4,6,8", "6"), ("a", "b", "a"), ("[1, 2]", [], [1, 2]), ((3,), [], [3]), (5, None, 5),
    ],
)  # fmt: skip
def test_values_take_the_type_of_the_default(home, value, default, expected):
    write_notebook(home, "01_one", "", f"one: object = {default!r}  # any, for example one = 2")
    write_profile(home, "01_one")
    (step,) = profiles.make_plan(profiles.load_profile("tiny"), {"one": value}, "tiny")
    assert step.parameters["one"] == expected and type(step.parameters["one"]) is type(expected)


@pytest.mark.parametrize(
    ("value", "default"), [("yes please", True), (1, True), (True, 1), (True, "x"), ("x", [])]
)
def test_values_of_another_type_are_refused(home, value, default):
    write_notebook(home, "01_one", "", f"one: object = {default!r}  # any, for example one = 2")
    write_profile(home, "01_one")
    with pytest.raises(ParameterError, match="'one' of 01_one must be of type"):
        profiles.make_plan(profiles.load_profile("tiny"), {"one": value}, "tiny")


@pytest.mark.parametrize("cell", ["one = 2", "import os", "one: int = two", "one: int", "one: int ="])
def test_parameters_that_are_not_plain_are_refused(home, cell):
    write_notebook(home, "01_one", "", cell)
    write_profile(home, "01_one")
    with pytest.raises(ParameterError, match="01_one.ipynb or its parameters cell cannot be read"):
        profiles.make_plan(profiles.load_profile("tiny"), {}, "tiny")


def test_failing_cell_is_one_line_and_the_next_run_goes_on_there(home, counting):
    write_notebook(home, "02_fails", "number = 1 / steps\nprint(number)")
    write_profile(home, "01_count", "02_fails")
    with pytest.raises(VgicError) as caught:
        pipeline.run("tiny", {"steps": 0})
    assert str(caught.value) == (
        "02_fails: cell 3 failed: ZeroDivisionError: division by zero "
        "(see outputs/runs/tiny/notebooks/02_fails.ipynb)"
    )
    assert statuses(read_manifest("tiny")) == ["done", "failed"]
    assert "ZeroDivisionError" in (home / "outputs/runs/tiny/report.html").read_text()
    write_notebook(home, "02_fails", "print('repaired')")
    assert statuses(pipeline.run("tiny", {"steps": 0})) == ["done", "done"]
    assert counting.read_text() == "0\n"


def test_outputs_that_cannot_be_written_are_one_line(home, counting):
    (home / "outputs/runs/tiny/manifest.json").mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot write .*manifest.json: .*; free some space or choose"):
        pipeline.run("tiny")


def test_dead_kernel_is_one_line(home):
    write_notebook(home, "01_dies", "import os\nos.kill(os.getpid(), 9)")
    write_profile(home, "01_dies")
    with pytest.raises(VgicError, match="01_dies: its process was killed, perhaps for lack of memory"):
        pipeline.run("tiny")


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not appear"
        time.sleep(0.05)
    return path.read_text()


def alive(pid):
    """Whether a process runs; one that ended but was not yet collected by its parent does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads process states from /proc")
def test_killed_run_goes_on_where_it_stopped(home, counting):
    write_notebook(home, "02_wait", WAIT)
    write_profile(home, "01_count", "02_wait")
    program = "from vgic_lib.workbook import pipeline; pipeline.run('tiny')"
    process = subprocess.Popen([sys.executable, "-c", program], cwd=PROJECT, stdout=subprocess.DEVNULL)
    kernel = int(wait_for(home / "kernel.pid"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = read_manifest("tiny")
    assert statuses(killed) == ["done", "running"]
    deadline = time.monotonic() + 10
    while alive(kernel):
        assert time.monotonic() < deadline, "the notebook's process outlived the killed run"
        time.sleep(0.1)
    (home / "go").touch()
    manifest = pipeline.run("tiny")
    assert statuses(manifest) == ["done", "done"]
    assert counting.read_text() == "3\n"
    assert manifest.step("02_wait").started == killed.step("02_wait").started
    assert (home / "outputs/runs/tiny/data/second.txt").read_text() == "went on"

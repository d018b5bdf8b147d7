# SPDX-License-Identifier: MIT
"""The runner, on tiny notebooks made here: parameters, keys, resuming, failures, manifest and report."""

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from helpers import PROJECT
from helpers.workbook import COUNT, HEAD, PARAMETERS, TABLE, write_notebook, write_profile

from vgic_lib.errors import ParameterError, StorageError, VgicError
from vgic_lib.workbook import pipeline
from vgic_lib.workbook.manifest import read_manifest

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


def test_finished_steps_are_skipped_until_something_changes(home, counting, without_kernels):
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


def test_overwrite_always_runs(home, counting, without_kernels):
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


def test_what_rests_on_a_step_that_runs_again_runs_too(home, counting, without_kernels):
    write_notebook(home, "02_after", COUNT.format(name="after"))
    write_profile(home, "01_count", "02_after")
    after = counting.with_name("after.txt")
    pipeline.run("tiny")
    counting.unlink()
    pipeline.run("tiny")
    assert counting.read_text() == "3\n" and after.read_text() == "3\n3\n"


CHOOSE = (
    HEAD
    + """
for name in ("a.png", "b.png"):
    files.write_text(paths.data() / "mine" / name, "pixels")
lines = ["name,path,skipped", "a,data/mine/a.png,", "b,data/mine/b.png,", "c.png,,too small"]
files.write_text(paths.data_dir(run) / "manifest.csv", "\\n".join(lines) + "\\n")
"""
)


def test_moved_project_goes_on_and_deleted_photographs_are_fetched_again(
    home, capsys, monkeypatch, without_kernels
):
    write_notebook(home, "01_choose", CHOOSE)
    write_profile(home, "01_choose")
    pipeline.run("tiny")
    moved = home.with_name("moved")
    home.rename(moved)
    monkeypatch.setenv("VGIC_HOME", str(moved))
    capsys.readouterr()
    pipeline.run("tiny")
    assert "0 of 1 notebooks to run" in capsys.readouterr().out
    (moved / "data/mine/b.png").unlink()
    pipeline.run("tiny")
    assert "1 of 1 notebooks to run" in capsys.readouterr().out
    assert (moved / "data/mine/b.png").exists()


@pytest.mark.parametrize(
    ("overwrite", "words"),
    [(False, "run the same command again to go on"), (True, "without overwrite, it keeps what is finished")],
)
def test_interrupted_run_says_how_to_go_on(home, monkeypatch, overwrite, words):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "execute", interrupt)
    write_notebook(home, "01_count", "", PARAMETERS + "overwrite: bool = False  # again")
    write_profile(home, "01_count")
    with pytest.raises(KeyboardInterrupt, match=f"interrupted in 01_count; .*{words}"):
        pipeline.run("tiny", {"overwrite": overwrite})
    assert statuses(read_manifest("tiny")) == ["interrupted"]


def test_outputs_that_cannot_be_written_are_one_line(home, counting):
    (home / "outputs/runs/tiny/manifest.json").mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot write .*manifest.json: .*; free some space or choose"):
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
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_killed_run_goes_on_where_it_stopped(home, counting, without_kernels, kill):
    write_notebook(home, "02_wait", WAIT)
    write_profile(home, "01_count", "02_wait")
    program = "from vgic_lib.workbook import pipeline; pipeline.run('tiny')"
    process = subprocess.Popen([sys.executable, "-c", program], cwd=PROJECT, stdout=subprocess.DEVNULL)
    kernel = int(wait_for(home / "kernel.pid"))
    process.send_signal(kill)
    process.wait()
    killed = read_manifest("tiny")
    assert statuses(killed) == ["done", "running" if kill == signal.SIGKILL else "interrupted"]
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

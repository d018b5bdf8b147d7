# SPDX-License-Identifier: MIT
"""A run that is killed at one of its writes ends, run again, in what an undisturbed one leaves."""

import os
import signal
from pathlib import Path

import pytest
from helpers.workbook import write_notebook, write_profile

from vgic_lib import files, paths
from vgic_lib.environment import Environment
from vgic_lib.workbook import pipeline
from vgic_lib.workbook.manifest import read_manifest

STEPS = ("01_first", "02_second")


def execute(notebook, copy, parameters):
    """Stands for a notebook: writes rows step by step, goes on with those that are there, then a table."""
    rows = paths.data_dir(parameters["run"]) / f"{notebook.stem}.csv"
    for number in range(3):
        known = rows.read_text().splitlines() if rows.exists() else []
        if len(known) <= number:
            files.write_text(rows, "\n".join([*known, f"{notebook.stem} {number}"]) + "\n")
    files.write_text(
        paths.results_dir(parameters["run"]) / "tables" / f"{notebook.stem}.md", rows.read_text()
    )


class Killer:
    """Kills this process at a given file operation: before a rename, or right behind it."""

    def __init__(self, moment):
        self.left, self.replace = moment, os.replace

    def __call__(self, *names):
        self._pass()
        self.replace(*names)
        self._pass()

    def _pass(self):
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


def run_killed(moment):
    """Run the workbook in a process that is killed at a moment; whether it was."""
    child = os.fork()
    if not child:
        os.replace = Killer(moment)
        try:
            pipeline.run("tiny")
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def left_in(home):
    """Content of all files but for times, process ids and half-written ones."""
    found = [path for path in (home / "outputs").rglob("*") if path.is_file() and path.name[0] != "."]
    content = {path.relative_to(home).as_posix(): path.read_text(encoding="utf-8") for path in found}
    content.pop("outputs/results/tiny/manifest.json"), content.pop("outputs/runs/tiny/manifest.json")
    content["outputs/runs/tiny/report.html"] = "written" if content["outputs/runs/tiny/report.html"] else ""
    records = read_manifest("tiny").steps
    return content, [(record.name, record.status) for record in records]


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Makes project folders with a workbook whose notebooks are `execute`."""
    monkeypatch.setattr(pipeline, "execute", execute)
    here = Environment("", {}, "")
    monkeypatch.setattr(pipeline.environment, "describe_environment", lambda: here)

    def make(name):
        home: Path = tmp_path / name
        home.mkdir()
        monkeypatch.setenv("VGIC_HOME", str(home))
        for step in STEPS:
            write_notebook(home, step, "")
        write_profile(home, *STEPS)
        return home

    return make


def test_killed_and_run_again(tiny):
    undisturbed = tiny("undisturbed")
    pipeline.run("tiny")
    expected = left_in(undisturbed)
    assert [status for _, status in expected[1]] == ["done", "done"]
    moment, killed = 0, True
    while killed:
        home = tiny(f"at-{moment}")
        killed = run_killed(moment)
        pipeline.run("tiny")
        assert left_in(home) == expected, f"killed at moment {moment}"
        results = home / "outputs/results/tiny/manifest.json"
        assert results.exists() and "pending" not in results.read_text()
        moment += 3  # in turn before a rename and behind one
    assert moment > 30

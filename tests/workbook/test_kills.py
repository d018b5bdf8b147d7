# SPDX-License-Identifier: MIT
"""A run that is killed at one of its writes ends, run again, in what an undisturbed one leaves."""

import os
import signal
from pathlib import Path

import pytest
from helpers.workbook import execute, left_in, tiny_project

from vgic_lib.environment import Environment
from vgic_lib.workbook import pipeline


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
        tiny_project(home)
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

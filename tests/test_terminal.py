# SPDX-License-Identifier: MIT
"""Ctrl-C in the middle of native calls, and a disk that is full; see test_cli.py for the other streams."""

import os
import signal
import subprocess
import sys
import time

import pytest
from helpers import PROJECT

# What holds Python up here is a signal handler that does not return for long, as a native call does not.
HELD_UP = """
import sys, time, signal
from vgic_lib import files, terminal
signal.signal(signal.SIGINT, lambda *_: time.sleep({held_s}))
def say():
    print("interrupted", flush=True)
    return 130
with terminal.prompt_interrupt(say), files.atomic_path(sys.argv[1]) as path:
    path.write_bytes(b"half")
    print("ready", flush=True)
    time.sleep({sleep_s})
print("orderly", flush=True)
"""


def interrupted(target, **times):
    command = [sys.executable, "-c", HELD_UP.format(**times), str(target)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", cwd=PROJECT)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    told = process.stdout.read()
    return process.wait(), told, time.monotonic() - begun


def test_a_long_call_is_ended_and_leaves_nothing(tmp_path):
    status, told, seconds = interrupted(tmp_path / "file", held_s=30, sleep_s=30)
    assert (status, told) == (130, "interrupted\n") and seconds < 5
    assert list(tmp_path.iterdir()) == []


def test_an_orderly_end_is_waited_for(tmp_path):
    status, told, _ = interrupted(tmp_path / "file", held_s=0, sleep_s=0.1)
    assert (status, told) == (0, "orderly\n")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_behind_standard_output_is_not_told_twice():
    code = "from vgic_lib import terminal; print('a line'); terminal.drop_output()"
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, cwd=PROJECT, env=buffered
        )
    assert (done.returncode, done.stderr) == (0, b"")

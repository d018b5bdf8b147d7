# SPDX-License-Identifier: MIT
"""Peak memory that the benchmarks print is of their own process, not of the one that started it."""

import importlib
import os
import subprocess
import sys

import numpy as np
from helpers import PROJECT

FILLING = "import numpy as np; np.ones({}, np.uint8); import peak; print(peak.peak_bytes() >> 20)"


def peak_mib(mib):
    """Of a fresh process that fills `mib` MiB and lets go of them."""
    command = [sys.executable, "-c", FILLING.format(mib << 20)]
    surroundings = os.environ | {"PYTHONPATH": str(PROJECT / "benchmarks")}
    return int(subprocess.run(command, env=surroundings, capture_output=True, check=True).stdout)


def test_memory_that_was_let_go_counts():
    assert 290 < peak_mib(300) - peak_mib(0) < 330


def test_memory_of_the_process_that_started_it_does_not(monkeypatch):
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    alone, kept = peak_mib(0), np.ones(600 << 20, np.uint8)
    assert peak_mib(0) < alone + 64
    assert importlib.import_module("peak").peak_bytes() > kept.nbytes

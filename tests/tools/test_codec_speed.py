# SPDX-License-Identifier: MIT
"""The benchmark of speed: what it times, on pictures so small that it takes seconds."""

import argparse
import importlib
import re

import numpy as np
import pytest
import skimage
from helpers import PROJECT


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    return importlib.import_module("codec_speed")


def test_codecs_and_lossless_files(benchmark, tmp_path, capsys):
    np.save(tmp_path / "picture.npy", skimage.data.astronaut()[:32, 100:148])
    options = argparse.Namespace(model=None, peer_python=None, rounds=1, search=False)
    benchmark.compare(1, options, tmp_path / "picture.npy")
    benchmark.compare_exact(1, options, tmp_path / "picture.npy")
    shown = capsys.readouterr().out
    rows = re.findall(r"^(\S.*?) +([\d.]+) s +([\d.]+) s +times VGIC: +([\d.]+) +([\d.]+)", shown, re.M)
    assert [row[0] for row in rows] == ["vgic", "VGIC", "PNG", "WebP", "JPEG XL"]
    assert all(float(seconds) > 0 for row in rows[:2] for seconds in row[1:3])
    assert all(float(ratio) == 1 for row in rows[:2] for ratio in row[3:])
    assert len(re.findall("reached|missed", shown)) == 2


def test_a_photograph_in_fresh_processes(benchmark, monkeypatch, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(benchmark, "PHOTOGRAPH", 0.01)
    benchmark.photograph_row(1, argparse.Namespace(model=None))
    shown = capsys.readouterr().out
    line = r"^vgic (\w+) +([\d.]+) s +([\d.]+) GiB.*\ntarget .* GiB: (?:reached|missed)$"
    rows = re.findall(line, shown, re.M)
    assert [row[0] for row in rows] == ["compress", "decompress"]
    assert all(0 < float(gib) < benchmark.PHOTOGRAPH_GIB for _, _, gib in rows)

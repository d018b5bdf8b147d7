# SPDX-License-Identifier: MIT
"""Files that one machine writes and another compares; altered digests and pixels stand for the other."""

import json
import re
import runpy
import shutil

import numpy as np
import pytest
import torch
from helpers import PROJECT
from PIL import Image


@pytest.fixture(scope="module")
def tool():
    return runpy.run_path(str(PROJECT / "tools" / "check_exactness.py"))


@pytest.fixture(scope="module")
def whole(tool, tmp_path_factory):
    """All golden files, and one of each shipped model."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tool["write"].__globals__, "CASES", [(50, "LA", (30, 20))])
        tool["write"](folder)
    return folder


@pytest.fixture
def written(whole, tmp_path):
    """Some of them, for a test to alter."""
    digests = json.loads((whole / "symbols.json").read_text())
    kept = {name: digests[name] for name in ("tiny-rgb-q333", "tiny-exact-rgb-e1", "vaegan-la-30x20-q50")}
    for name in kept:
        for ending in ("vgic", "png"):
            shutil.copy(whole / f"{name}.{ending}", tmp_path)
    (tmp_path / "symbols.json").write_text(json.dumps(kept))
    return tmp_path


def test_a_folder_that_was_written_here_is_right_here(tool, whole, capsys):
    names = json.loads((whole / "symbols.json").read_text())
    assert {"tiny-rgb-q0", "hyperprior-la-30x20-q50", "vaegan-la-30x20-q50"} <= names.keys()
    assert tool["check"]("here", "cpu", whole)
    told = re.search(r"symbols of (\d+) files, pixels of (\d+) within [01]: pass", capsys.readouterr().out)
    assert [int(count) for count in told.groups()] == [len(names)] * 2


def test_the_way_of_accelerators_gives_the_same_pixels(tool):
    """Simulated by a device that computes the same; the pictures were made by float32 networks."""
    for path in tool["GOLDEN"].glob("*.vgic"):
        found = tool["pixels"](path.read_bytes(), torch.device("cpu"))
        assert found.shape[2] == 3 and tool["difference"](found, path.with_suffix(".png")) <= 1


@pytest.mark.parametrize(("levels", "right"), [(1, True), (2, False)])
def test_pixels_may_differ_by_one_level(tool, written, capsys, levels, right):
    path = written / "tiny-rgb-q333.png"
    pixels = np.array(Image.open(path)).astype(int)
    pixels[3, 4, 1] += levels if pixels[3, 4, 1] < 128 else -levels
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    assert tool["check"]("there", "cpu", written) == right
    assert ("FAIL tiny-rgb-q333 (pixels)" in capsys.readouterr().out) != right


def test_other_symbols_are_found(tool, written, capsys):
    digests = json.loads((written / "symbols.json").read_text())
    digests["vaegan-la-30x20-q50"] = "0" * 64
    (written / "symbols.json").write_text(json.dumps(digests))
    assert not tool["check"]("there", "cpu", written)
    assert "FAIL vaegan-la-30x20-q50 (symbols)\n" in capsys.readouterr().out

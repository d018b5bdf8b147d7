# SPDX-License-Identifier: MIT
"""A repository of its own, whose weights and head are replaced, stands for this one."""

import runpy
import subprocess

import pytest
from helpers import PROJECT
from helpers.tiny_hyperprior import tiny_model

from vgic_lib.errors import ModelError
from vgic_lib.models.store import find_model, save_model


@pytest.fixture(scope="module")
def tool():
    return runpy.run_path(str(PROJECT / "tools" / "earlier_weights.py"))


@pytest.fixture
def repository(tmp_path):
    """Two versions of one weights file; ids of both."""
    folder = tmp_path / "repository"
    path = folder / "vgic_lib" / "weights" / "hyperprior.safetensors"
    path.parent.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", folder], check=True)
    ids = []
    for version in ("first", "second"):
        ids.append(save_model(tiny_model(), path, version))
        subprocess.run(["git", "-C", folder, "add", "-A"], check=True)
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", "-C", folder, *who, "commit", "-qm", "weights"], check=True)
    return folder, ids


def test_weights_of_an_earlier_commit_are_found_again(tool, repository, home):
    folder, (first, _) = repository
    with pytest.raises(ModelError, match="earlier_weights.py"):
        find_model(first)
    [written] = tool["restore"](first.hex(), folder)
    assert find_model(first).model_id == first and written.stem == first.hex()


def test_unknown_weights_are_not(tool, repository, home):
    assert tool["restore"]("00000000", repository[0]) == []
    assert not (home / "outputs").exists()


@pytest.mark.parametrize("word", ["", "12", "XYZ12345"])
def test_what_is_no_id_is_one_line(tool, monkeypatch, capsys, word):
    monkeypatch.setattr("sys.argv", ["earlier_weights.py", word])
    with pytest.raises(SystemExit, match="2"):
        tool["main"]()
    assert "is no id" in capsys.readouterr().err


def test_outside_of_a_clone_is_one_line(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["earlier_weights.py", "00000000"])
    monkeypatch.setitem(
        tool["main"].__globals__, "restore", lambda model_id: tool["restore"](model_id, tmp_path)
    )
    with pytest.raises(SystemExit, match="2"):
        tool["main"]()
    assert "needs git and a clone" in capsys.readouterr().err

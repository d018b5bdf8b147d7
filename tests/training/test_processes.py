# SPDX-License-Identifier: MIT
"""Training on two processes: the same as on one, also where torchrun starts one anew that was killed."""

import csv
import os
import subprocess
import sys
import time
from dataclasses import asdict

import psutil
import pytest
import torch
from helpers import PROJECT
from helpers.ranks import STEPS, configs, train_all, train_all_on_two
from helpers.runs import NESTED, pictures
from helpers.samples import smooth_pictures
from PIL import Image
from torch import distributed

from vgic_lib import cli, paths
from vgic_lib.errors import ClusterError, ParameterError
from vgic_lib.training import loop, processes
from vgic_lib.training.loop import CHECKPOINT, METRICS_FILE, Trainer
from vgic_lib.training.presets import PRESETS

KINDS = tuple(configs(""))
RUN = configs("")["hyperprior"]
START = PRESETS["hyperprior-cpu"]


def torchrun(*words):
    """Start two processes of one thread each."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.Popen(
        [*command, *words], env=os.environ | {"OMP_NUM_THREADS": "1"}, cwd=PROJECT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    train_all(folder)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    assert train_all_on_two(folder) == [0, 0]
    return folder


def rows(folder):
    with (folder / METRICS_FILE).open() as file:
        return list(csv.DictReader(file))


def losses(row):
    """What a row of metrics has but for speeds and counts."""
    speeds = {"time_s", "images_per_s", "images_per_s_each", "processes", "matmul_fraction"}
    left = [name for name in row if row[name] and name not in speeds and not name.startswith("accuracy")]
    return {name: float(row[name]) for name in left}


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_have_the_losses_of_one_with_the_same_crops(one, two, kind):
    ours, theirs = rows(two / kind), rows(one / kind)
    assert [row["step"] for row in ours] == [str(step + 1) for step in range(STEPS)]
    for row, expected in zip(ours, theirs, strict=True):
        assert row["processes"] == "2" and "processes" not in expected
        assert losses(row) == pytest.approx(losses(expected), rel=1e-5, abs=1.1e-5)  # of five decimals
        shares = [
            float(row[name]) - float(expected[name])
            for name in row
            if name.startswith("accuracy") and row[name]
        ]
        assert shares == pytest.approx([0] * len(shares), abs=0.01)  # counted: of some hundred judgements
    assert any(name.startswith("validation_") for name in losses(ours[-1]))


def second(parent):
    """The second process that torchrun started."""
    (found,) = (child for child in psutil.Process(parent).children() if child.environ().get("RANK") == "1")
    return found


@pytest.mark.slow
def test_a_killed_process_is_started_again_and_the_run_ends_as_on_one(home):
    photographs = home / "photographs"
    photographs.mkdir()
    for number, pixels in enumerate(smooth_pictures(3, 64, 70)):
        Image.fromarray(pixels).save(photographs / f"{number}.png")
    changed = {name: value for name, value in asdict(RUN).items() if value != getattr(START, name)}
    settings = [f"--set={name}={value}" for name, value in changed.items()]
    command = ["train", "--model", "hyperprior", "--preset", "hyperprior-cpu", *settings]
    command += ["--dataset", "folder", "--folder", str(photographs)]
    assert cli.main([*command, "--run", "one"]) == 0
    running = torchrun("--max-restarts", "1", "-m", "vgic_lib", *command, "--run-name", "two")
    folder = paths.training_dir("two") / "hyperprior"
    while not (folder / CHECKPOINT).exists() and running.poll() is None:
        time.sleep(0.01)
    second(running.pid).kill()
    output, errors = running.communicate()
    assert running.returncode == 0, errors
    assert "exitcode: -9" in errors and output.count("weights: ") == 1
    expected = rows(paths.training_dir("one") / "hyperprior")
    for row, other in zip(rows(folder), expected, strict=True):
        assert losses(row) == pytest.approx(losses(other), rel=1e-4, abs=1e-4)
    assert (folder / "hyperprior.safetensors").exists() and not list(folder.glob(".*"))


def test_crops_that_cannot_be_shared_are_refused(monkeypatch):
    monkeypatch.setattr(loop, "share", lambda: (1, 3))
    with pytest.raises(ParameterError, match="3 processes cannot share 2 crops of a step evenly; set batch"):
        Trainer(NESTED, pictures())


def test_more_processes_than_devices_are_refused(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ClusterError, match="--nproc-per-node 4, but this machine has 2 devices"):
        with processes.joined():
            pytest.fail("joined")


def test_a_lost_process_is_one_clear_line(monkeypatch):
    def lost(tensor):
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(processes, "share", lambda: (0, 2))
    monkeypatch.setattr(distributed, "all_reduce", lost)
    with pytest.raises(ClusterError, match="another process of this training ended.*last checkpoint"):
        processes.mean({"loss": torch.ones(())})

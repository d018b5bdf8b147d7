# SPDX-License-Identifier: MIT
"""Training: the same losses as in 2020, and runs that can be cut off anywhere."""

import csv
import multiprocessing
import os
import signal
from dataclasses import replace

import pytest
import torch
from helpers.runs import (
    ADVERSARIAL,
    NESTED,
    Cut,
    SmallDiscriminator,
    SmallEncoder,
    SmallGenerator,
    assert_same,
    cut_at,
    pictures,
    state_of,
)
from helpers.samples import smooth_pictures
from torch import nn

from vgic_lib.errors import ModelError, ParameterError
from vgic_lib.training import loop, vaegan, vaegan_steps
from vgic_lib.training.loop import CHECKPOINT, METRICS_FILE, Trainer, train


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The nested run, never interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    train(NESTED, folder, pictures(), pictures()[:1], device="cpu")
    return folder


@pytest.mark.parametrize("error", [KeyboardInterrupt, Cut])
@pytest.mark.parametrize(
    ("owner", "name", "call", "after"),
    [
        (vaegan_steps, "distortion", 2, False),  # in the middle of a step
        (vaegan_steps, "update", 3, True),  # weights updated, step not yet counted
        (loop, "write_metrics", 0, False),  # step counted, row not yet written
        (loop, "write_metrics", 1, True),
    ],
)
def test_an_interrupted_run_ends_as_if_nothing_had_happened(
    tmp_path, monkeypatch, whole, error, owner, name, call, after
):
    with monkeypatch.context() as patch:
        cut_at(patch, owner, name, call, error, after)
        with pytest.raises(error):
            train(NESTED, tmp_path, pictures(), pictures()[:1], device="cpu")
    train(NESTED, tmp_path, pictures(), pictures()[:1], device="cpu")
    assert_same(state_of(tmp_path), state_of(whole))


def train_until_killed(folder):
    """SIGKILL in the middle of the third checkpoint."""
    save, calls = torch.save, []

    def save_half(state, path):
        save(state, path)
        calls.append(path)
        if len(calls) == 3:
            with open(path, "r+b") as file:
                file.truncate(1000)
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save = save_half
    train(NESTED, folder, pictures(), pictures()[:1], device="cpu")


def test_a_run_killed_while_it_writes_a_checkpoint_goes_on_from_the_one_before(tmp_path, whole):
    child = multiprocessing.get_context("fork").Process(target=train_until_killed, args=(tmp_path,))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert state_of(tmp_path)["step"] == 2
    train(NESTED, tmp_path, pictures(), pictures()[:1], device="cpu")
    assert_same(state_of(tmp_path), state_of(whole))


@pytest.mark.parametrize("call", [3, 5])
def test_an_adversarial_run_goes_on_bit_for_bit(tmp_path, monkeypatch, call):
    """Cut between the two updates of a step, and within one; steps 0 and 1 have one update each."""
    monkeypatch.setattr(vaegan, "Encoder", SmallEncoder)
    monkeypatch.setattr(vaegan, "Generator", SmallGenerator)
    monkeypatch.setattr(vaegan, "Discriminator", SmallDiscriminator)
    images = smooth_pictures(2, 220, 180)
    train(ADVERSARIAL, tmp_path / "whole", images, device="cpu")
    with monkeypatch.context() as patch:
        cut_at(patch, vaegan_steps, "update", call, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            train(ADVERSARIAL, tmp_path / "cut", images, device="cpu")
    train(ADVERSARIAL, tmp_path / "cut", images, device="cpu")
    assert_same(state_of(tmp_path / "cut"), state_of(tmp_path / "whole"))
    rows = state_of(tmp_path / "cut")["metrics"]
    assert ["discriminator_loss" in row for row in rows] == [False, False, True, True]


def test_a_finished_run_is_not_trained_again(whole, monkeypatch):
    before = state_of(whole)
    monkeypatch.setattr(Trainer, "train_step", lambda self: pytest.fail("trained again"))
    trained = train(NESTED, whole, pictures(), device="cpu")
    assert_same(state_of(whole), before)
    assert [row["step"] for row in trained.metrics] == [2, 4, 5]


def test_metrics_are_written_as_a_table(whole):
    with (whole / METRICS_FILE).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4", "5"]
    assert [bool(row["validation_psnr_db_2"]) for row in rows] == [False, True, True]
    assert {"time_s", "images_per_s", "loss", "distortion", "validation_psnr_db_4"} <= rows[0].keys()
    assert not list(whole.glob(".*"))


def test_the_averaged_weights_are_what_a_run_returns(whole):
    trained = train(NESTED, whole, pictures(), device="cpu")
    state = state_of(whole)
    ours = [p for n in trained.networks for p in n.parameters()]
    last = [value for network in state["networks"][:2] for value in network.values()]
    assert all(torch.equal(p, average) for p, average in zip(ours, state["average"], strict=True))
    assert not all(torch.equal(p, value) for p, value in zip(ours, last, strict=True))


def test_a_checkpoint_of_other_settings_is_refused(whole):
    with pytest.raises(ModelError, match=r"other settings \(batch, seed\)") as caught:
        train(replace(NESTED, batch=1, seed=4), whole, pictures(), device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["half", "empty", "another file", "code"])
def test_a_damaged_checkpoint_is_refused(tmp_path, whole, content):
    path = tmp_path / CHECKPOINT
    whole_bytes = (whole / CHECKPOINT).read_bytes()
    if content == "another file":
        torch.save({"weights": torch.zeros(2)}, path)
    elif content == "code":
        torch.save(nn.Linear(1, 1), path)
    else:
        path.write_bytes(whole_bytes[: len(whole_bytes) // 2] if content == "half" else b"")
    with pytest.raises(ModelError, match="unreadable.*delete it") as caught:
        train(NESTED, tmp_path, pictures(), device="cpu")
    assert "\n" not in str(caught.value)


def test_pictures_that_are_all_too_small_are_refused(tmp_path):
    with pytest.raises(ParameterError):
        train(NESTED, tmp_path, smooth_pictures(2, 12, 40), device="cpu")


def test_the_learning_rate_warms_up_and_falls():
    trainer = Trainer(replace(NESTED, steps=8, learning_rate=1.0, warmup_steps=2), pictures())
    rates = []
    for trainer.step in range(9):
        rates.append(trainer.learning_rate())
    assert rates[0] == pytest.approx(0.5)
    assert rates[4] == pytest.approx(0.5)
    assert rates[8] == pytest.approx(0, abs=1e-9)
    assert rates[1:] == sorted(rates[1:], reverse=True)
    trainer.config = replace(trainer.config, schedule="constant")
    assert trainer.learning_rate() == 1.0

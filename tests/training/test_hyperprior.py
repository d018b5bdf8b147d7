# SPDX-License-Identifier: MIT
"""The codec in training: objective, learning rates, validation, late crops, and runs that can be cut off."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.runs import TINY, Cut, assert_same, cut_at, state_of
from helpers.samples import smooth_pictures

from vgic_lib.environment import has_bfloat16
from vgic_lib.errors import ModelError
from vgic_lib.metrics.ssimulacra2 import ssimulacra2
from vgic_lib.models.complexity import flops
from vgic_lib.models.store import as_stored, load_model, save_model
from vgic_lib.networks.hyperprior import Architecture
from vgic_lib.networks.quality import at_quality
from vgic_lib.training import hyperprior, loop
from vgic_lib.training.config import HyperpriorConfig
from vgic_lib.training.export import make_model
from vgic_lib.training.hyperprior import HyperpriorTask, centre_crops, validate
from vgic_lib.training.loop import CHECKPOINT, Trainer, train
from vgic_lib.training.task import mean_columns
from vgic_lib.training.throughput import matmul_rate, uses_bf16


def pictures():
    return smooth_pictures(3, 40, 50)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was never interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    train(TINY, folder, pictures(), pictures()[:1], device="cpu")
    return folder


@pytest.mark.parametrize(
    ("owner", "name", "call", "after"),
    [
        (hyperprior, "update", 2, True),  # weights updated, step not yet counted
        (hyperprior, "update", 4, False),  # in the late phase
        (loop, "write_metrics", 1, False),
    ],
)
def test_an_interrupted_run_ends_as_if_nothing_had_happened(
    tmp_path, monkeypatch, whole, owner, name, call, after
):
    with monkeypatch.context() as patch:
        cut_at(patch, owner, name, call, Cut, after)
        with pytest.raises(Cut):
            train(TINY, tmp_path, pictures(), pictures()[:1], device="cpu")
    train(TINY, tmp_path, pictures(), pictures()[:1], device="cpu")
    assert_same(state_of(tmp_path), state_of(whole))


def test_an_interrupted_run_with_soap_ends_so_too(tmp_path, monkeypatch):
    config = replace(TINY, optimizer="soap", beta2=0.95, steps=14)  # bases turn at the tenth step
    train(config, tmp_path / "whole", pictures(), pictures()[:1], device="cpu")
    with monkeypatch.context() as patch:
        cut_at(patch, hyperprior, "update", 11, Cut, after=True)
        with pytest.raises(Cut):
            train(config, tmp_path / "cut", pictures(), pictures()[:1], device="cpu")
    train(config, tmp_path / "cut", pictures(), pictures()[:1], device="cpu")
    assert_same(state_of(tmp_path / "cut"), state_of(tmp_path / "whole"))


def test_a_checkpoint_of_other_settings_is_refused(whole):
    with pytest.raises(ModelError, match=r"other settings \(groups, lambda_high\)"):
        train(replace(TINY, groups=(2, 5), lambda_high=0.1), whole, pictures(), device="cpu")


def test_a_checkpoint_from_before_a_setting_was_added_counts_as_its_default(tmp_path, whole):
    config = replace(TINY, late_from=1.0)
    trainer = Trainer(config, pictures())
    trainer.step = 4
    trainer.save(tmp_path / CHECKPOINT)
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    del state["config"]["late_from"]
    torch.save(state, tmp_path / CHECKPOINT)
    again = Trainer(config, pictures())
    again.load(tmp_path / CHECKPOINT)
    assert again.step == 4
    with pytest.raises(ModelError, match="late_from"):
        Trainer(TINY, pictures()).load(tmp_path / CHECKPOINT)


def test_late_crops_are_larger_and_fewer():
    trainer = Trainer(TINY, pictures())
    shapes = []
    trainer.task.step = lambda x, step: shapes.append(tuple(x.shape)) or {}
    for _ in range(TINY.steps):
        trainer.train_step()
    assert shapes == 3 * [(8, 3, 16, 16)] + 3 * [(2, 3, 32, 32)]


def test_the_start_is_a_codec_and_training_improves_it(tmp_path):
    config = replace(TINY, late_from=1.0, steps=40, crop_side=32, learning_rate=2e-3, validate_every=20)
    (crop,) = centre_crops(pictures()[:1])
    (start,) = validate(Trainer(config, pictures()).averaged()[0], config, [crop])
    rows = train(config, tmp_path, pictures(), pictures()[:1], device="cpu").metrics
    rows = [row for row in rows if "validation_loss" in row]
    assert [row["step"] for row in rows] == [20, 40]
    assert rows[-1]["validation_loss"] < 0.99 * start["validation_loss"]
    rates = [rows[-1][f"validation_bpp_{q}"] for q in ("0", "2", "4.5", "7")]
    psnr_db = [rows[-1][f"validation_psnr_db_{q}"] for q in ("0", "2", "4.5", "7")]
    assert rates == sorted(rates) and rates[-1] > 2 * rates[0]
    assert psnr_db == sorted(psnr_db) and psnr_db[0] > 20


def test_training_goes_on_from_weights(tmp_path):
    path = tmp_path / "start.safetensors"
    trained = Trainer(replace(TINY, seed=8), pictures()).averaged()
    save_model(make_model(trained, TINY), path, "the start")
    config = replace(TINY, start_from=str(path))
    trainer = Trainer(config, pictures())
    kept = as_stored(trained[0]).state_dict()
    for name, value in trainer.averaged()[0].state_dict().items():
        assert torch.equal(value, kept[name]), name
    assert all(p.dtype == torch.float32 and p.requires_grad for p in trainer.task.weights())
    trainer.train_step()
    moved = trainer.task.network.state_dict()
    assert not torch.equal(moved["context.out.1.weight"], kept["context.out.1.weight"])
    assert torch.equal(load_model(str(path)).network.state_dict()["log_gain"], kept["log_gain"])


def test_training_goes_on_over_another_range_of_rates(tmp_path):
    path = tmp_path / "start.safetensors"
    trained = Trainer(replace(TINY, steps=3, learning_rate=1e-2), pictures())
    for _ in range(3):
        trained.train_step()
    save_model(make_model(trained.averaged(), TINY), path, "the start")
    low = TINY.lambda_low * (TINY.lambda_low / TINY.lambda_high) ** (1 / 7)  # an anchor of before lower
    trainer = Trainer(replace(TINY, start_from=str(path), lambda_low=low), pictures())
    crops = torch.stack([torch.from_numpy(p[:32, :32].copy()) for p in pictures()[:2]])
    x = crops.permute(0, 3, 1, 2).float() / 255
    before, after = load_model(str(path)).network, trainer.averaged()[0]
    anchors = torch.arange(8.0)
    for old, new in zip(before.parameters(), after.parameters(), strict=True):
        if old.ndim == 2 and len(old) == 8:
            torch.testing.assert_close(new, at_quality(old, anchors * 8 / 7 - 1), rtol=2e-3, atol=2e-3)
        else:
            assert torch.equal(new, old)
    lowest = after(x, torch.zeros(2))[1]
    assert (lowest < before(x, torch.zeros(2))[1]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start_from": "hyperprior"}, r"other sizes; set .*hidden=160"),
        ({"start_from": "vaegan-8"}, "no hyperprior"),
        ({"start_from": "missing.safetensors"}, "check the path"),
    ],
)
def test_weights_to_start_from_must_fit(change, message):
    with pytest.raises(ModelError, match=message):
        Trainer(replace(TINY, **change), pictures())


def test_every_weight_has_its_learning_rate():
    config = replace(TINY, learning_rate=1.0, warmup_steps=0, schedule="constant", linear_rate=0.25)
    trainer = Trainer(config, pictures())
    trainer.task.step = lambda x, step: {}
    trainer.train_step()
    names = {id(p): name for name, p in trainer.task.network.named_parameters()}
    (optimizer,) = trainer.task.optimizers
    rates = {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates.keys() == set(names.values())
    expected = {
        "analysis.linear.basis": 0.25, "synthesis.linear.border": 0.25, "log_gain": 0.5, "z_base": 0.5,
        "context.base": 0.5, "log_inverse_gain": 0.5, "hyper_analysis.0.weight": 3.0,
        "hyper_synthesis.bias": 3.0, "context.out.1.weight": 3.0, "analysis.last.weight": 1.0,
        "synthesis.stages.0.bias.table": 1.0,
    }  # fmt: skip
    assert {name: rates[name] for name in expected} == expected


def test_validation_rounds_and_averages():
    """A picture's rate and PSNR at each quality are those of the network in evaluation mode."""
    network = Trainer(TINY, pictures()).averaged()[0]
    crops = list(centre_crops(pictures()[:2]))
    assert [tuple(crop.shape) for crop in crops] == [(1, 3, 32, 48)] * 2
    assert torch.equal(crops[0][0, :, 0, 0] * 255, torch.tensor(pictures()[0][4, 1]).float())
    found = mean_columns(validate(network, TINY, crops))
    rates, psnr_db = [], []
    with torch.no_grad():
        for crop in crops:
            x_hat, bits_y, bits_z = network(crop, torch.tensor([4.5]))
            rates.append((bits_y + bits_z).item() / (32 * 48))
            psnr_db.append(-10 * math.log10((x_hat.clamp(0, 1) - crop).square().mean().item()))
    assert found["validation_bpp_4.5"] == pytest.approx(np.mean(rates), abs=2e-5)
    assert found["validation_psnr_db_4.5"] == pytest.approx(np.mean(psnr_db), abs=2e-3)
    scores = [ssimulacra2(crop, network(crop, torch.tensor([4.5]))[0].clamp(0, 1)).item() for crop in crops]
    assert found["validation_ssimulacra2_4.5"] == pytest.approx(np.mean(scores), abs=2e-2)
    assert len(found) == 13


def test_averaged_networks_are_copies_with_buffers():
    trainer = Trainer(TINY, pictures())
    trainer.average = [torch.full_like(p, 0.5) for p in trainer.task.weights()]
    (network,) = trainer.averaged()
    assert all((p == 0.5).all() for p in network.parameters())
    assert torch.equal(network.context.norm, trainer.task.network.context.norm)
    assert not (network.context.norm == 1).all()
    assert not network.training and trainer.task.network.training


@pytest.mark.parametrize("loss", [math.nan, math.inf, 1e9])
def test_a_run_that_diverges_stops_before_it_is_saved(tmp_path, monkeypatch, loss):
    monkeypatch.setattr(HyperpriorTask, "step", lambda self, x, step: {"loss": torch.tensor(loss)})
    with pytest.raises(ModelError, match="lower learning_rate"):
        train(TINY, tmp_path, pictures(), device="cpu")
    assert not (tmp_path / CHECKPOINT).exists()


def test_configuration_and_network_have_the_same_defaults():
    assert HyperpriorConfig().architecture == Architecture()
    assert replace(TINY, hidden=7).architecture == replace(TINY.architecture, hidden=7)


def test_bfloat16_is_a_choice(monkeypatch):
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert [uses_bf16(replace(TINY, bf16=word), cpu) for word in ("on", "off")] == [True, False]
    assert uses_bf16(TINY, cpu) == has_bfloat16(cpu)
    for supported in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda supported=supported: supported)
        assert uses_bf16(TINY, cuda) == supported
    assert not uses_bf16(replace(TINY, bf16="off"), cuda)


def test_operations_are_counted():
    a = torch.zeros(5, 7)
    assert flops(lambda: a @ a.T) == 2 * 5 * 7 * 5
    assert matmul_rate(torch.device("cpu"), torch.float32) > 1e8

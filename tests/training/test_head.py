# SPDX-License-Identifier: MIT
"""The generative head in training: its start, each loss, a discriminator that learns, whole runs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.runs import Cut, assert_same, cut_at, state_of
from helpers.samples import smooth_pictures
from helpers.tiny_hyperprior import tiny_model
from safetensors import safe_open

from vgic_lib.errors import ModelError, ParameterError
from vgic_lib.models.store import find_head, load_model, save_model
from vgic_lib.networks.head import noise_like
from vgic_lib.networks.quality import at_quality
from vgic_lib.training import head
from vgic_lib.training.export import make_model
from vgic_lib.training.head import HeadTask
from vgic_lib.training.head_config import HeadConfig
from vgic_lib.training.loop import CHECKPOINT, Trainer, train


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("codec") / "tiny.safetensors"
    save_model(tiny_model(), path, "tiny")
    return HeadConfig(
        start_from=str(path), batch=2, steps=6, crop_side=64, warmup_steps=2, seed=3, log_every=2,
        validate_every=4, checkpoint_every_s=0.0, validation_pictures=1, adversarial_from=0.5,
    )  # fmt: skip


def pictures():
    """Smooth pictures with grain, which is what a codec loses."""
    random = np.random.default_rng(0)
    return [
        np.clip(p.astype(int) + random.integers(-20, 21, p.shape[:2])[..., None], 0, 255).astype(np.uint8)
        for p in smooth_pictures(3, 80, 96)
    ]


def test_a_head_starts_as_nothing_and_leaves_the_codec_alone(config):
    trainer = Trainer(config, pictures())
    x = trainer.sampler.batch(0)
    body = load_model(config.start_from).network
    before = {name: value.clone() for name, value in body.state_dict().items()}
    y, quality, picture = trainer.task._decoded(x.float() / 255, torch.tensor([0.0, 3.5]))
    with trainer.task.autocast():
        y_hat = body.coded(x.float() / 255, quality)[0]
        assert torch.equal(picture + 0.5, body.picture(y_hat, quality))
    noise = noise_like(y)
    assert not trainer.task._added(trainer.task.head, y, quality, picture, noise).any()
    losses = [trainer.train_step() for _ in range(4)]
    assert trainer.task._added(trainer.task.head, y, quality, picture, noise).any()
    assert all(torch.equal(value, body.state_dict()[name]) for name, value in before.items())
    assert ["adversarial" in row for row in losses] == [False, False, False, True]
    assert losses[0]["discriminator_loss"].item() == pytest.approx(2 * np.log(2), rel=0.05)


def test_the_discriminator_tells_grain_from_none(config):
    """It is right nearly always once it has seen some steps of a head that cannot answer yet."""
    task = Trainer(replace(config, adversarial_from=1.0, learning_rate=2e-3), pictures())
    for optimizer in task.task.optimizers:
        optimizer.param_groups[0]["lr"] = 2e-3
    real = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 0.1
    condition = torch.zeros(4, task.task.head.seen, 4, 4)
    for _ in range(40):
        judged = task.task._teach_discriminator(real, 0 * real, condition)
    assert judged["accuracy_fine"] > 0.95
    assert judged["discriminator_loss"] < 1.0


def test_the_head_learns_from_the_discriminator_alone(config):
    """The judgement reaches the head's weights, and not those of the discriminator."""
    trainer = Trainer(config, pictures())
    real = torch.randn(2, 3, 64, 64) * 0.1
    made = (0 * real).requires_grad_()
    task = trainer.task
    for parameter in task.discriminator.parameters():
        parameter.grad = None
    task._judgement(real, made, torch.zeros(2, task.head.seen, 4, 4)).backward()
    assert made.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in task.discriminator.parameters())
    assert all(parameter.requires_grad for parameter in task.discriminator.parameters())


def test_an_interrupted_run_ends_as_if_nothing_had_happened(tmp_path, monkeypatch, config):
    train(config, tmp_path / "whole", pictures(), pictures()[:1], device="cpu")
    with monkeypatch.context() as patch:
        cut_at(patch, head, "update", 8, Cut, True)
        with pytest.raises(Cut):
            train(config, tmp_path / "cut", pictures(), pictures()[:1], device="cpu")
    train(config, tmp_path / "cut", pictures(), pictures()[:1], device="cpu")
    assert_same(state_of(tmp_path / "cut"), state_of(tmp_path / "whole"))
    assert (tmp_path / "cut" / CHECKPOINT).exists()


def test_a_trained_head_is_found_by_its_codec(tmp_path, home, config):
    trainer = Trainer(config, pictures())
    trainer.train_step()
    folder = home / "outputs/runs/r/training/head"
    folder.mkdir(parents=True)
    save_model(make_model(trainer.averaged(), config), folder / "head.safetensors", "a head")
    body = load_model(config.start_from)
    found = find_head(body)
    assert found.body_id == body.model_id
    with safe_open(folder / "head.safetensors", "pt") as file:
        assert file.metadata()["body"] == body.model_id.hex()
    for name, value in trainer.averaged()[0].state_dict().items():
        assert torch.equal(found.network.state_dict()[name], value.half().float()), name
    with pytest.raises(ModelError, match="holds a generative head"):
        load_model(str(folder / "head.safetensors"))
    with pytest.raises(ModelError, match="has no generative head"):
        find_head(load_model("hyperprior"))
    later = Trainer(replace(config, head_of=config.start_from), pictures()).task.head
    assert_same(later.state_dict(), found.network.state_dict())
    wider, (low, high) = tiny_model(), body.lambdas
    wider.lambdas = low * (low / high) ** (1 / 7), high  # an anchor of before lower
    save_model(wider, tmp_path / "wider.safetensors", "for lower rates, too")
    start = str(tmp_path / "wider.safetensors")
    moved = Trainer(replace(config, start_from=start, head_of=config.start_from), pictures()).task.head
    for stage, old in zip(moved.stages, found.network.stages, strict=True):
        there = at_quality(old.bias.table, torch.arange(8.0) * 8 / 7 - 1)
        torch.testing.assert_close(stage.bias.table.detach(), there)
    with pytest.raises(ModelError, match="head_of: .* of other sizes"):
        Trainer(replace(config, head_of="hyperprior-eye"), pictures())


def test_samples_show_pictures_without_and_with_the_head(config):
    trainer = Trainer(config, pictures())
    for _ in range(4):
        trainer.train_step()
    x = torch.rand(1, 3, 70, 90)
    shown = trainer.task.samples(trainer.averaged(), x)
    assert [tuple(picture.shape) for picture in shown] == [(1, 3, 70, 90)] * 4
    assert not torch.equal(shown[0], shown[1])


def test_noise_is_there_from_the_start(config):
    trainer = Trainer(config, pictures())
    assert trainer.task.head.noise.weight.std() > 0.02
    trainer.train_step()
    y, quality, picture = trainer.task._decoded(
        trainer.sampler.batch(0).float() / 255, torch.tensor([1.0, 2.0])
    )
    one, other = (
        trainer.task._added(trainer.task.head, y, quality, picture, noise_like(y, seed)) for seed in (0, 1)
    )
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", ["texture", "spectra"])
def test_validation_measures_what_training_minimises(config, name):
    task = HeadTask(config, None, torch.device("cpu"))
    (found, *_) = task.validate(task.averaged(task.weights()), pictures())
    assert len(found) == 1 + 4 * 4
    heavier = HeadTask(replace(config, **{name: 1.0}), None, torch.device("cpu"))
    (more, *_) = heavier.validate(heavier.averaged(heavier.weights()), pictures())
    values = [value for column, value in found.items() if name in column]
    expected = found["validation_loss"] + (1.0 - getattr(config, name)) * np.mean(values)
    assert more["validation_loss"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    "changed",
    [
        {"crop_side": 100},
        {"crop_side": 48},
        {"highest_quality": 0.0},
        {"highest_quality": 8.0},
        {"features": -1.0},
    ],
)
def test_senseless_settings_are_refused(changed):
    with pytest.raises(ParameterError, match=next(iter(changed)) if "features" not in changed else "weights"):
        HeadConfig(**changed)


def test_only_a_codec_can_have_a_head(config):
    with pytest.raises(ModelError, match="no hyperprior"):
        Trainer(replace(config, start_from="vaegan-4"), pictures())

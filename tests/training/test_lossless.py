# SPDX-License-Identifier: MIT
"""Networks for lossless files learn, are exported as they were trained, and serve the others as a start."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vgic_lib.bitstream.pixel_coding import LARGEST_ERROR
from vgic_lib.errors import ModelError, ParameterError
from vgic_lib.models.lossless import bound
from vgic_lib.models.store import as_stored, load_model, save_model
from vgic_lib.networks.shapes import PARTS
from vgic_lib.training.export import make_model
from vgic_lib.training.loop import Trainer, train
from vgic_lib.training.lossless import bits, colour_halved, reduced, softened
from vgic_lib.training.lossless_config import LosslessConfig

CONFIG = LosslessConfig(
    width=8, head=6, batch=1, crop_side=32, steps=12, warmup_steps=0, ema_decay=0.5, validation_pictures=1
)


@pytest.fixture(scope="module")
def pictures():
    slopes = np.add.outer(np.arange(80), 2 * np.arange(90))
    return [np.stack([slopes, slopes + 9, 255 - slopes], 2).clip(0, 255).astype(np.uint8)]


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    return train(CONFIG, tmp_path_factory.mktemp("run"), pictures, pictures)


def test_bits_fall_and_a_run_repeats_itself(run, pictures, tmp_path):
    losses = [row["loss"] for row in run.metrics]
    assert all(np.isfinite(losses)) and run.metrics[-1]["validation_bits_0"] < 24
    again = train(CONFIG, tmp_path, pictures, pictures)
    assert [row["loss"] for row in again.metrics] == losses


def test_files_take_the_bits_that_training_counts(run, pictures):
    model = make_model([as_stored(network) for network in run.networks], CONFIG)
    x = torch.from_numpy(pictures[0][:64, :64].copy()).permute(2, 0, 1)[None].float()
    for error in (0, 2):
        with torch.no_grad():
            counted = float(bits(*model.network.part("near" if error else "exact"), x, (error,) * 3)) / 8
        section = model.encode((x,), bound(error))[0]
        assert (model.decode([section], bound(error), (64, 64))[0] - x).abs().max() <= error
        assert len(section) < 1.1 * counted + 60


def test_samples_of_a_run_are_shown_as_they_decode(pictures):
    trainer = Trainer(CONFIG, pictures)
    x = torch.from_numpy(pictures[0][:40, :50].copy()).permute(2, 0, 1)[None] / 255
    shown = trainer.task.samples(trainer.averaged(), x)
    assert {tuple(picture.shape) for picture in shown} == {tuple(x.shape)}
    assert all((picture - x).abs().max() <= LARGEST_ERROR / 255 + 1e-6 for picture in shown)


@pytest.mark.parametrize("part", PARTS[1:])
def test_other_networks_start_from_exact_ones(run, pictures, tmp_path, part):
    path = tmp_path / "exact.safetensors"
    save_model(make_model([as_stored(network) for network in run.networks], CONFIG), path, "exact")
    config = replace(CONFIG, part=part, start_from=str(path), steps=2)
    network = train(config, tmp_path, pictures, pictures).networks[0]
    before = load_model(str(path)).network
    assert all(
        torch.equal(ours, theirs)
        for ours, theirs in zip(network.exact.parameters(), before.exact.parameters(), strict=True)
    )
    assert any(
        not torch.equal(ours, theirs)
        for ours, theirs in zip(network.part(part)[0].parameters(), before.exact.parameters(), strict=True)
    )
    with pytest.raises(ModelError, match="other sizes; set width=8, head=6"):
        train(replace(config, width=16), tmp_path / "wider", pictures)
    with pytest.raises(ModelError, match="no lossless model"):
        train(replace(config, start_from="vaegan"), tmp_path / "other", pictures)


def test_the_other_parts_of_a_start_are_kept(run, pictures, tmp_path):
    """Exact networks trained on leave the others as they are."""
    path = tmp_path / "exact.safetensors"
    save_model(make_model([as_stored(network) for network in run.networks], CONFIG), path, "exact")
    config = replace(CONFIG, start_from=str(path), steps=2)
    network = train(config, tmp_path, pictures, pictures).networks[0]
    before = load_model(str(path)).network
    for part in PARTS:
        pairs = zip(network.part(part)[0].parameters(), before.part(part)[0].parameters(), strict=True)
        assert all(torch.equal(ours, theirs) for ours, theirs in pairs) == (part != "exact")


def test_softened():
    x = torch.zeros(1, 3, 5, 5)
    x[..., 2, 2] = 80
    soft = softened(x, 0.25)
    assert torch.allclose(soft[0, :, 2], torch.tensor([0.0, 10, 20, 10, 0]).expand(3, -1))
    assert torch.allclose(softened(x, 0.0), x) and soft.sum() == pytest.approx(240)


def test_colour_halved():
    x = torch.randint(40, 200, (2, 3, 16, 16)).float()
    halved = colour_halved(x)
    gray = x.mean(1, keepdim=True).round().expand_as(x)
    assert (colour_halved(gray) - gray).abs().max() <= 1
    luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    assert ((halved - x) * luma).sum(1).abs().max() <= 1.01
    difference = halved[:, 0] - halved[:, 1]
    assert difference.diff(dim=2).abs().mean() < 0.7 * (x[:, 0] - x[:, 1]).diff(dim=2).abs().mean()


def test_near_needs_a_start():
    with pytest.raises(ParameterError, match="part=near needs start_from"):
        LosslessConfig(part="near")


def test_reduced():
    x = torch.full((2, 3, 64, 64), 77, dtype=torch.uint8)
    assert torch.equal(reduced(x, 32, 0.5, "bicubic"), torch.full((2, 3, 32, 32), 77.0))
    assert reduced(x, 32, 0.75, "bilinear").shape == (2, 3, 32, 32)

# SPDX-License-Identifier: MIT
"""The VAE-GAN in training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.runs import ADVERSARIAL, NESTED, SmallDiscriminator, SmallEncoder, SmallGenerator, pictures
from helpers.samples import smooth_pictures
from torch import nn

from vgic_lib.errors import ModelError
from vgic_lib.models.store import as_stored, load_model, save_model
from vgic_lib.training import vaegan
from vgic_lib.training.export import make_model
from vgic_lib.training.loop import Trainer, train
from vgic_lib.training.vaegan import validate


def test_a_nested_run_from_random_weights_learns(tmp_path):
    config = replace(
        NESTED, initialisation="published", bits=(), ema_decay=0.0, batch=4, steps=20, crop_width=14,
        learning_rate=3e-4, schedule="constant", seed=1, validate_every=5, checkpoint_every_s=60.0,
    )  # fmt: skip
    plain = [np.full((14, 14, 3), grey, np.uint8) for grey in (0, 60, 190, 255)]
    rows = train(config, tmp_path, plain, plain, device="cpu").metrics
    for count in (2, 4):
        psnr_db = [row[f"validation_psnr_db_{count}"] for row in rows if row["step"] % 5 == 0]
        assert psnr_db[-1] > psnr_db[0] + 2


def test_validation_is_the_psnr_of_the_middle():
    """Networks that return mid-grey have the PSNR of the picture against mid-grey."""
    encoder, generator = SmallEncoder(4), SmallGenerator(4)
    for parameter in [*encoder.parameters(), *generator.parameters()]:
        nn.init.zeros_(parameter)
    image = np.full((220, 40, 3), 255, np.uint8)
    image[1:219, 1:39] = 191  # the middle 218 x 38 pixels
    expected = -10 * np.log10((191 / 255 - 0.5) ** 2)
    (found,) = validate(encoder, generator, (2, 4), [image])
    assert found == {f"validation_psnr_db_{n}": pytest.approx(expected, abs=0.001) for n in (2, 4)}


def test_training_goes_on_from_the_first_channels_of_nested_weights(tmp_path):
    path = tmp_path / "start.safetensors"
    trained = Trainer(replace(NESTED, seed=8), pictures()).averaged()
    save_model(make_model([as_stored(network) for network in trained], NESTED), path, "the start")
    config = replace(NESTED, num_channels=(2,), start_from=f"{path}:2")
    trainer = Trainer(config, pictures())
    start, model = make_model(trainer.averaged(), config), load_model(f"{path}:2")
    setting, x = model.setting(100), torch.rand(1, 3, 18, 22)
    latents, expected = start.analysis(x, setting), model.analysis(x, setting)
    assert torch.allclose(latents[0], expected[0], atol=1e-3)
    shown = start.synthesis(expected, setting, (18, 22)), model.synthesis(expected, setting, (18, 22))
    assert torch.allclose(*shown, atol=1e-5)
    trainer.train_step()
    assert not torch.equal(trainer.task.weights()[0], model.encoder.e_conv_1[1].weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start_from": "vaegan-8", "num_channels": (16,)}, "serves n = 2, 4, 8; set num_channels"),
        ({"start_from": "vaegan-28", "num_channels": (3,)}, "serves n = 2, 4, 8, 16, 28"),
        ({"start_from": "hyperprior"}, "no vaegan; give weights of one"),
        ({"start_from": "missing.safetensors"}, "check the path"),
    ],
)
def test_weights_to_start_from_must_fit(change, message):
    with pytest.raises(ModelError, match=message):
        Trainer(replace(NESTED, **change), pictures())


def test_a_generator_without_its_encoder_is_no_start(monkeypatch):
    model = vaegan.VaeGan([2])
    model.encoder = None
    monkeypatch.setattr(vaegan, "trained_model", lambda name, kind: model)
    with pytest.raises(ModelError, match="no encoder"):
        Trainer(replace(NESTED, num_channels=(2,), start_from="generator_2.model"), pictures())


def test_the_discriminator_joins_has_its_head_start_and_its_rate(monkeypatch):
    for kind in (SmallEncoder, SmallGenerator, SmallDiscriminator):
        monkeypatch.setattr(vaegan, kind.__name__.removeprefix("Small"), kind)
    config = replace(ADVERSARIAL, steps=4, adversarial_from=0.25, head_start=2, discriminator_rate=3.0)
    trainer = Trainer(config, smooth_pictures(2, 220, 180))
    rows = [trainer.train_step() for _ in range(4)]
    assert ["discriminator_loss" in row for row in rows] == [False, True, True, True]
    assert ["generator_loss" in row for row in rows] == [False, False, False, True]
    codec, discriminator = (o.param_groups[0]["lr"] for o in trainer.task.optimizers)
    assert discriminator == 3 * codec == 3 * config.learning_rate

# SPDX-License-Identifier: MIT
"""The VAE-GAN in training."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.runs import NESTED, SmallEncoder, SmallGenerator
from torch import nn

from vgic_lib.training.loop import train
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
    found = validate(encoder, generator, (2, 4), [image])
    assert found == {f"validation_psnr_db_{n}": pytest.approx(expected, abs=0.001) for n in (2, 4)}

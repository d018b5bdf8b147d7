# SPDX-License-Identifier: MIT
"""Settings of a training run: defaults, strict loading, refusals."""

import dataclasses

import pytest

from vgic_lib.errors import ParameterError
from vgic_lib.training.config import HyperpriorConfig, VaeGanConfig
from vgic_lib.training.presets import CONFIGS, PRESETS
from vgic_lib.training.settings import load_config

NO_DISCRIMINATOR = {"adversarial_from": 1.0}


def test_the_defaults_are_the_schedule_of_2020():
    config = PRESETS["published"]
    assert config == VaeGanConfig()
    assert (config.crop_height, config.crop_width, config.batch) == (218, 178, 20)
    assert (config.learning_rate, config.beta1, config.beta2) == (5e-4, 0.5, 0.999)
    assert config.steps == 15 * -(-6472 // 20)  # the last batch of an epoch is smaller
    assert config.adversarial_step == 0
    assert not config.nested


def test_the_nested_preset_serves_the_published_channel_counts():
    config = PRESETS["nested"]
    assert config.num_channels == (2, 4, 8, 16, 28)
    assert config.nested
    assert config.adversarial_step == config.steps


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("steps", "12", 12),
        ("learning_rate", "1e-3", 1e-3),
        ("learning_rate", "1", 1.0),
        ("ema_decay", "0.99", 0.99),
        ("compile", "true", True),
        ("distortion", "psnr", "psnr"),
        ("num_channels", "4", (4,)),
        ("num_channels", "[4]", (4,)),
        ("bits", "4,6,8", (4, 6, 8)),
        ("bits", "(4, 6,)", (4, 6)),
        ("bits", "[4, 6]", (4, 6)),
        ("bits", "()", ()),
        ("bits", "", ()),
    ],
)
def test_words_of_a_command_line_are_parsed(name, text, value):
    loaded = getattr(load_config(VaeGanConfig, {name: text}), name)
    assert loaded == value
    assert type(loaded) is type(value)


def test_values_of_a_yaml_file_are_taken_as_they_are():
    config = load_config(VaeGanConfig, {"num_channels": [2], "learning_rate": 1, "compile": False})
    assert config.num_channels == (2,)
    assert type(config.learning_rate) is float
    assert config.compile is False


def test_other_settings_stay_those_of_the_base():
    config = load_config(VaeGanConfig, {"steps": "7"}, PRESETS["nested"])
    assert config == dataclasses.replace(PRESETS["nested"], steps=7)
    assert PRESETS["nested"].steps != 7


@pytest.mark.parametrize(
    "values",
    [
        {"stepz": 3},
        {"steps": "many"},
        {"steps": 1.5},
        {"steps": True},
        {"steps": None},
        {"learning_rate": "fast"},
        {"learning_rate": True},
        {"compile": 1},
        {"distortion": "l2"},
        {"bits": "4,x"},
        {"bits": "[4, 6"},
        {"bits": [4.5]},
        {"num_channels": {"a": 1}},
        {"num_channels": ()},
        {"num_channels": (0,), **NO_DISCRIMINATOR},
        {"num_channels": (33,), "initialisation": "klt"},
        {"num_channels": (2, 4)},
        {"bits": (9,)},
        {"bits": (0,)},
        {"crop_height": 98},
        {"crop_height": 96, **NO_DISCRIMINATOR},
        {"crop_width": 10, **NO_DISCRIMINATOR},
        {"batch": 0},
        {"log_every": 0},
        {"validate_every": 0},
        {"steps": -1},
        {"learning_rate": 0},
        {"learning_rate": "nan"},
        {"beta1": 1.0},
        {"ema_decay": 1.5},
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_in_one_line(values):
    with pytest.raises(ParameterError) as caught:
        load_config(VaeGanConfig, values)
    assert "\n" not in str(caught.value)
    assert next(iter(values)) in str(caught.value) or "training:" in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"num_channels": 8},
        {"model": "vaegan"},
        {"groups": ()},
        {"groups": (0, 4)},
        {"groups": (700, 69), "context_sides": (3, 3)},
        {"groups": (16, 32)},  # five sides
        {"context_sides": (3, 3, 3, 3, 2)},
        {"synthesis_latent": 0},
        {"analysis_widths": (64, 96)},
        {"synthesis_widths": (0, 8, 8)},
        {"synthesis_blocks": (1, -1, 1)},
        {"hidden": 0},
        {"initial_crops": 0},
        {"lambda_low": 0},
        {"lambda_high": 8e-4},
        {"crop_side": 72},
        {"late_crop_side": 0},
        {"late_from": 1.5},
        {"table_rate": -1},
        {"final_rate": 2},
        {"clip_norm": -1},
        {"bf16": True},
        {"validation_pictures": -1},
    ],
    ids=str,
)
def test_what_cannot_work_for_the_codec_is_refused_in_one_line(values):
    with pytest.raises(ParameterError) as caught:
        load_config(HyperpriorConfig, values)
    assert "\n" not in str(caught.value)
    assert (
        next(iter(values)) in str(caught.value)
        or "widths" in str(caught.value)
        or "blocks" in str(caught.value)
    )


def test_late_batches_have_the_pixels_of_earlier_ones():
    config = HyperpriorConfig(batch=16, crop_side=128, late_from=0.75, late_crop_side=256, steps=100)
    assert config.sampling(74) == ((128, 128), 16)
    assert config.sampling(75) == ((256, 256), 4)
    assert PRESETS["hyperprior-cpu"].sampling(15999) == ((128, 128), 16)
    assert PRESETS["hyperprior-gpu"].sampling(59999) == ((512, 512), 8)
    assert VaeGanConfig().sampling(0) == ((218, 178), 20)


def test_presets_name_their_model():
    assert {type(config) for config in PRESETS.values()} == set(CONFIGS.values())
    assert all(type(config) is CONFIGS[config.model] for config in PRESETS.values())


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ParameterError, match="stepz.*steps.*num_channels"):
        load_config(VaeGanConfig, {"stepz": 3})


@pytest.mark.parametrize(("fraction", "step"), [(0.0, 0), (0.5, 5), (1.0, 10)])
def test_the_discriminator_joins_after_a_fraction_of_the_steps(fraction, step):
    assert VaeGanConfig(adversarial_from=fraction, steps=10).adversarial_step == step

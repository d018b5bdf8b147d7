# SPDX-License-Identifier: MIT
"""From photographs to weights that code a picture: what `vgic train` does."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.samples import smooth_pictures
from PIL import Image

from vgic_lib import paths
from vgic_lib.codec import compress, decompress
from vgic_lib.datasets.photographs import prepare
from vgic_lib.errors import DataError, ModelError
from vgic_lib.models.store import list_models, load_model
from vgic_lib.training import loop
from vgic_lib.training.config import HyperpriorConfig, VaeGanConfig
from vgic_lib.training.run import train_model

CONFIG = VaeGanConfig(
    num_channels=(2, 4), bits=(4, 8), initialisation="klt", distortion="psnr", adversarial_from=1.0,
    crop_height=14, crop_width=14, batch=1, steps=2, log_every=1, validate_every=1,
)  # fmt: skip
CODEC = HyperpriorConfig(
    groups=(2, 6), context_sides=(3, 3), analysis_widths=(4, 4, 8), synthesis_widths=(4, 4, 8),
    hyper_latent=4, features=8, context=4, hidden=8, batch=2, crop_side=16, initial_crops=8, steps=2,
    log_every=1, validate_every=1,
)  # fmt: skip
NAMES = {
    "checkpoint.pt",
    "config.json",
    "curves.csv",
    "curves.pdf",
    "curves.png",
    "metrics.csv",
    "samples.png",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A project folder with photographs and without shipped weights."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "photographs").mkdir()
    for index, pixels in enumerate(smooth_pictures(5, 30, 34)):
        Image.fromarray(pixels).save(folder / "photographs" / f"{index}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VGIC_HOME", str(folder))
        patch.setattr(paths, "WEIGHTS", folder / "weights")
        yield folder


@pytest.fixture(scope="module")
def photographs(home):
    folder = str(home / "photographs")
    return prepare("folder", folder=folder, minimum_side=16, fractions=(0.6, 0.2, 0.2)).photographs


@pytest.fixture(scope="module")
def weights(home, photographs):
    return train_model(CONFIG, "run", photographs)


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_leaves_what_it_says(weights):
    folder = paths.training_dir("run") / "vaegan"
    assert weights == folder / "vaegan.safetensors"
    assert set(files_of(folder)) == NAMES | {"vaegan.safetensors"}
    config = json.loads((folder / "config.json").read_text())
    assert config["num_channels"] == [2, 4]
    assert config["steps"] == 2
    metrics = pd.read_csv(folder / "metrics.csv")
    assert list(metrics["step"]) == [1, 2]
    assert metrics[["loss", "validation_psnr_db_2", "validation_psnr_db_4"]].notna().all(axis=None)
    with Image.open(folder / "samples.png") as samples:
        assert samples.size == (3 * 178, 218)  # an original and two reconstructions


def test_the_weights_are_those_of_the_run(weights, photographs):
    """Averaged weights in float16; the card tells the validation result."""
    model = load_model(str(weights))
    trained = loop.Trainer(CONFIG, [np.zeros((14, 14, 3), np.uint8)])
    trained.load(weights.parent / "checkpoint.pt")
    for name, value in trained.averaged()[0].state_dict().items():
        assert torch.equal(model.encoder.state_dict()[name], value.half().float())
    (card, _) = list_models()
    score = pd.read_csv(weights.parent / "metrics.csv")["validation_psnr_db_4"].iloc[-1]
    assert f"{score:.2f}" in card.description
    assert "2 steps" in card.description


@pytest.mark.parametrize("count", [2, 4])
def test_the_weights_code_a_picture(weights, count):
    image = Image.fromarray(smooth_pictures(1, 30, 34, seed=9)[0])
    data = compress(image, model=f"{weights}:{count}", quality=80)
    decoded = decompress(data)  # finds the model by its id, below outputs/runs/
    assert decoded.size == image.size
    error = np.asarray(decoded, float)[5:-5, 5:-5] - np.asarray(image, float)[5:-5, 5:-5]
    assert np.square(error).mean() < np.asarray(image, float).var()


def test_the_priors_are_fitted(weights):
    """Each bit depth to its own symbols: no centre stays where it began for all channels."""
    for bits, prior in load_model(str(weights)).priors.items():
        assert (prior.centre != 2 ** (int(bits) - 1)).any()
        assert (prior.table != 0).any()


def test_a_finished_run_is_not_repeated(weights, photographs, monkeypatch):
    """Nor does it change: files that were made with its weights stay decodable."""
    before = files_of(weights.parent)
    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "train_step", lambda self: pytest.fail("trained again"))
        assert train_model(CONFIG, "run", photographs) == weights
    assert files_of(weights.parent) == before


def test_other_settings_are_refused_and_nothing_changes(weights, photographs):
    before = files_of(weights.parent)
    with pytest.raises(ModelError, match="other settings"):
        train_model(replace(CONFIG, seed=5), "run", photographs)
    assert files_of(weights.parent) == before


def test_overwriting_starts_again(home, photographs):
    config = replace(CONFIG, num_channels=(2,), steps=1)
    photographs = [photograph for photograph in photographs if photograph.split == "train"]
    weights = train_model(config, "again", photographs, name="mine")
    assert weights == paths.training_dir("again") / "mine" / "mine.safetensors"
    train_model(replace(config, seed=5), "again", photographs, name="mine", overwrite=True)
    assert json.loads((weights.parent / "config.json").read_text())["seed"] == 5


def test_runs_are_named_for_their_channels():
    assert CONFIG.name == "vaegan"
    assert replace(CONFIG, num_channels=(16,)).name == "vaegan-16"


def test_a_codec_is_trained_and_codes_a_picture(home, photographs):
    """From photographs to a file; a finished run writes the same weights again without training."""
    weights = train_model(CODEC, "codec", photographs)
    assert weights == paths.training_dir("codec") / "hyperprior" / "hyperprior.safetensors"
    before = files_of(weights.parent)
    assert set(before) == NAMES | {"hyperprior.safetensors"}
    with Image.open(weights.parent / "samples.png") as samples:
        assert samples.size == (4 * 178, 218)  # an original and three reconstructions
    assert train_model(CODEC, "codec", photographs) == weights
    assert files_of(weights.parent) == before
    (card,) = (card for card in list_models() if card.path == weights)
    assert "2 steps" in card.description and "bits per pixel" in card.description

    image = Image.fromarray(smooth_pictures(1, 30, 34, seed=9)[0])
    small, large = (compress(image, model=str(weights), quality=quality) for quality in (1, 100))
    assert len(small) < len(large)
    error = np.asarray(decompress(large), float) - np.asarray(image, float)
    assert np.square(error).mean() < 0.2 * np.asarray(image, float).var()


def test_without_training_photographs_there_is_one_line(home, photographs):
    tests = [photograph for photograph in photographs if photograph.split == "test"]
    with pytest.raises(DataError, match="no training photographs") as caught:
        train_model(CONFIG, "none", tests)
    assert "\n" not in str(caught.value)

# SPDX-License-Identifier: MIT
"""Weights on disk: what is saved comes back, is found by name and id, and bad files are one line."""

import hashlib
import json
from dataclasses import asdict

import pytest
import torch
from helpers.samples import assert_near, fitted_model, smooth_crops, smooth_symbols
from helpers.tiny_hyperprior import tiny_model, tiny_network
from safetensors.torch import save_file

from vgic_lib import paths
from vgic_lib.errors import ModelError
from vgic_lib.models import store
from vgic_lib.models.hyperprior import HyperpriorModel, QualitySetting
from vgic_lib.models.store import (
    as_stored,
    find_model,
    list_models,
    load_model,
    model_id_of,
    save_model,
)
from vgic_lib.models.vaegan import BitSetting, VaeGan
from vgic_lib.networks.vaegan import Generator


@pytest.fixture(scope="module")
def model():
    return fitted_model()


@pytest.fixture
def shipped(tmp_path, monkeypatch, model, home):
    """A folder of shipped weights that holds one file, vaegan.safetensors."""
    folder = tmp_path / "weights"
    monkeypatch.setattr(paths, "WEIGHTS", folder)
    save_model(model, folder / "vaegan.safetensors", "for tests")
    return folder


def one_line(caught):
    return "\n" not in str(caught.value)


def test_a_model_comes_back_in_float16(shipped, model):
    loaded = load_model("vaegan")
    expected = {n: v.half().float() if v.is_floating_point() else v for n, v in model.state_dict().items()}
    state = loaded.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], value) for name, value in expected.items())
    assert loaded.settings == model.settings
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    k = smooth_symbols(2, 11, 7, 6, seed=3)
    assert loaded.encode((k,), BitSetting(2, 6)) == model.encode((k,), BitSetting(2, 6))


def test_the_id_is_the_beginning_of_the_hash_of_the_file(shipped, model):
    path = shipped / "other.safetensors"
    identity = save_model(model, path, "for tests, too")
    assert identity == hashlib.sha256(path.read_bytes()).digest()[:4]
    assert load_model("other").model_id == identity
    assert load_model("vaegan").model_id != identity
    assert save_model(model, path, "for tests, too") == identity  # the same model is the same file


def test_names_choose_the_channel_count(shipped):
    path = shipped / "vaegan.safetensors"
    for name in ("vaegan-2", f"{path}:2"):
        assert load_model(name).num_channels == 2
        assert load_model(name).name == "vaegan-2"
    for name in ("vaegan", str(path)):
        assert load_model(name).num_channels == 4
    assert load_model("vaegan-4").setting(1) == BitSetting(4, 4)
    assert load_model("vaegan-2").model_id == load_model("vaegan-4").model_id
    assert load_model("vaegan-2") is load_model("vaegan-2")


def test_a_file_that_changed_is_read_again(shipped, model):
    before = load_model("vaegan").model_id
    save_model(model, shipped / "vaegan.safetensors", "another description")
    assert load_model("vaegan").model_id != before


@pytest.mark.parametrize(
    "name", ["nothing", "vaegan-3", "vaegan-0", "nothing-2", "", "-2", "../vaegan", "a:2"]
)
def test_unknown_names_are_one_line(shipped, name):
    with pytest.raises(ModelError) as caught:
        load_model(name)
    assert one_line(caught)


def test_an_unknown_name_is_answered_with_the_known_ones(shipped):
    with pytest.raises(ModelError, match="unknown model 'nothing'.*vaegan-2, vaegan-4"):
        load_model("nothing")


def test_without_any_weights_the_answer_is_to_train(tmp_path, monkeypatch, home):
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path / "empty")
    assert list_models() == []
    with pytest.raises(ModelError, match="vgic train"):
        load_model("vaegan-8")


def damaged(path):
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path):
    path.write_bytes(b"")


def foreign(path):
    save_file({"x": torch.zeros(2)}, path)


def incomplete(path):
    metadata = {"format": VaeGan.kind, "channel_counts": "[2]", "bit_depths": "[8]", "description": ""}
    save_file({"x": torch.zeros(2)}, path, metadata)


def nonsense(path):
    metadata = {
        "format": VaeGan.kind,
        "channel_counts": json.dumps("two"),
        "bit_depths": "8",
        "description": "",
    }
    save_file({"x": torch.zeros(2)}, path, metadata)


@pytest.mark.parametrize("spoil", [damaged, empty, foreign, incomplete, nonsense])
def test_damaged_weights_are_one_line_and_not_listed(shipped, model, spoil):
    path = shipped / "bad.safetensors"
    save_model(model, path, "soon spoilt")
    spoil(path)
    with pytest.raises(ModelError, match="bad") as caught:
        load_model("bad")
    assert one_line(caught)
    assert {card.path.stem for card in list_models()} == {"vaegan"}


def test_a_missing_path_and_a_folder_are_one_line(tmp_path):
    (tmp_path / "folder.safetensors").mkdir()
    for name in ("missing.safetensors", "folder.safetensors", "missing.model"):
        with pytest.raises(ModelError, match=name) as caught:
            load_model(str(tmp_path / name))
        assert one_line(caught)


def test_models_are_found_by_id_among_shipped_weights_and_runs(shipped, model):
    trained = paths.training_dir("some run") / "mine" / "mine.safetensors"
    identity = save_model(model, trained, "of a run")
    assert find_model(identity).name == "mine"
    assert find_model(load_model("vaegan").model_id).name == "vaegan"
    with pytest.raises(ModelError, match="01020304") as caught:
        find_model(bytes([1, 2, 3, 4]))
    assert one_line(caught)


def test_models_are_listed_under_names_that_load(shipped, model):
    trained = paths.training_dir("run") / "mine" / "mine.safetensors"
    save_model(model, trained, "of a run")
    cards = list_models()
    assert [(card.path.stem, card.settings[0][0]) for card in cards] == [
        ("vaegan", 2), ("vaegan", 4), ("mine", 2), ("mine", 4),
    ]  # fmt: skip
    assert {card.description for card in cards} == {"for tests", "of a run"}
    for card in cards:
        assert card.parameters == sum(p.numel() for p in model.parameters())
        loaded = load_model(card.name)
        assert loaded.model_id == card.model_id
        assert {setting for setting in loaded.settings if setting.num_channels == loaded.num_channels} == set(
            card.settings
        )


def test_a_hyperprior_comes_back(shipped):
    model = tiny_model()
    identity = save_model(model, shipped / "hyperprior.safetensors", "for all rates")
    loaded = load_model("hyperprior")
    assert (loaded.name, loaded.model_id, loaded.lambdas) == ("hyperprior", identity, model.lambdas)
    assert find_model(identity) is loaded
    state = loaded.state_dict()
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    setting, x = QualitySetting(448), smooth_crops(1, 40, 56)
    sections = model.encode(model.analysis(x, setting), setting)
    ours, theirs = (one.decode(sections, setting, (40, 56)) for one in (loaded, model))
    assert all(torch.equal(k, other) for k, other in zip(ours, theirs, strict=True))
    card = list_models()[0]
    assert (card.name, card.description, card.settings) == ("hyperprior", "for all rates", model.settings)
    with pytest.raises(ModelError, match="no variant with 8 channels") as caught:
        load_model("hyperprior-8")
    assert one_line(caught)


def test_what_is_stored_is_what_was_rounded(shipped):
    model = tiny_model()
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.add_(1e-3 * torch.rand(parameter.shape, generator=torch.Generator().manual_seed(1)))
    gains = model.network.log_gain.clone()
    as_stored(model.network)
    save_model(model, shipped / "hyperprior.safetensors", "odd weights")
    state = load_model("hyperprior").network.state_dict()
    assert all(torch.equal(state[name], value) for name, value in model.network.state_dict().items())
    assert torch.equal(state["log_gain"], gains)  # not in half precision
    assert not torch.equal(state["z_base"], tiny_network().z_base)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("architecture", "[1, 2]"),
        ("architecture", '{"groups": "many"}'),
        ("architecture", '{"unknown": 1}'),
        ("architecture", "{}"),
        ("lambdas", "[1]"),
        ("lambdas", "no JSON"),
    ],
)
def test_a_hyperprior_with_wrong_metadata_is_one_line(shipped, name, value):
    model, path = tiny_model(), shipped / "bad.safetensors"
    metadata = {
        "format": HyperpriorModel.kind,
        "architecture": json.dumps(asdict(model.network.architecture)),
        "lambdas": "[0.1, 0.2]",
        "description": "",
    }
    save_file({n: v.contiguous() for n, v in model.state_dict().items()}, path, metadata | {name: value})
    with pytest.raises(ModelError, match="bad") as caught:
        load_model("bad")
    assert one_line(caught)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy pickle"])
def test_a_generator_published_in_2020_loads(tmp_path, zipped):
    torch.manual_seed(0)
    generator = Generator(2)
    torch.save(generator.state_dict(), tmp_path / "generator_2.model", _use_new_zipfile_serialization=zipped)
    loaded = load_model(str(tmp_path / "generator_2.model"))
    assert loaded.encoder is None
    assert loaded.settings == tuple(BitSetting(2, bits) for bits in (4, 6, 8))
    k = torch.full((1, 2, 3, 4), 100.0)
    x_hat = generator(k / 255 * 2 - 1) / 2 + 0.5
    assert_near(loaded.synthesis((k,), BitSetting(2, 8), (14, 18)), x_hat, atol=1e-5)


@pytest.mark.parametrize("content", ["bytes", "another network", "code"])
def test_other_files_are_no_published_generator(tmp_path, content):
    path = tmp_path / "x.model"
    if content == "bytes":
        path.write_bytes(b"not a model")
    elif content == "another network":
        state = Generator(2).state_dict()
        torch.save({name: value for name, value in state.items() if "block_2" not in name}, path)
    else:
        torch.save(Generator(2), path)  # a pickled object could run code: never unpickled
    with pytest.raises(ModelError, match="x.model") as caught:
        load_model(str(path))
    assert one_line(caught)


def test_weights_tell_what_they_were_trained_for(tmp_path):
    model = tiny_model()
    assert load_model("hyperprior").tune == model.tune == "psnr"
    model.tune = "eye"
    save_model(model, tmp_path / "eye.safetensors", "for the eye")
    assert load_model(str(tmp_path / "eye.safetensors")).tune == "eye"
    model.tune = "ear"
    save_model(model, tmp_path / "ear.safetensors", "for the ear")
    with pytest.raises(ModelError, match="damaged or of another version"):
        load_model(str(tmp_path / "ear.safetensors"))


def test_weights_files_are_hashed_once_until_they_change(shipped, model, monkeypatch):
    path, hashed = shipped / "vaegan.safetensors", []
    monkeypatch.setattr(store, "model_id_of", lambda data: hashed.append(len(data)) or model_id_of(data))
    first = find_model(load_model("vaegan").model_id)
    hashed.clear()
    assert find_model(first.model_id) is first and not hashed
    changed = save_model(model, path, "for other tests")
    assert find_model(changed).model_id == changed
    with pytest.raises(ModelError, match="which is not here"):
        find_model(first.model_id)

# SPDX-License-Identifier: MIT
"""Lossless files are exact and the others within their bound: pictures of all sizes and kinds."""

import numpy as np
import pytest
import skimage
import torch
from helpers.pictures import KINDS, generated, of_photo_cd, opened, saved
from helpers.tiny_lossless import tiny_lossless
from PIL import Image

from vgic_lib.bitstream import colour_origins
from vgic_lib.bitstream.colour_origins import JPEG_SECTION, PHOTO_CD_SECTION
from vgic_lib.errors import BitstreamError, ParameterError
from vgic_lib.images import to_tensor
from vgic_lib.models.lossless import (
    FirstLosslessModel,
    LosslessModel,
    MaxError,
    SecondLosslessModel,
    bound,
)
from vgic_lib.models.store import load_model, save_model


@pytest.fixture(scope="module")
def model():
    return tiny_lossless()


def picture(random, kind, height, width):
    """Pixels (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(generated(random, kind, height, width)).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_come_back_within_their_bound(model, kind):
    random = np.random.default_rng(KINDS.index(kind))
    for number in range(17):
        height, width = random.integers(1, 24 if number % 8 == 0 else 7, size=2)
        setting = (
            model.settings[-1] if number % 3 == 0 else model.settings[random.integers(len(model.settings))]
        )
        x = picture(random, kind, height, width)
        latents = model.analysis(x, setting)
        sections = model.encode(latents, setting)
        found = model.decode(sections, setting, (height, width))
        miss = (found[0] - latents[0]).abs().amax((0, 2, 3))
        assert (miss <= torch.tensor(setting)).all(), (kind, height, width, setting)
        assert torch.equal((model.synthesis(found, setting, (height, width)) * 255).round(), found[0])


def test_settings_and_their_codes(model):
    settings = model.settings
    assert len(set(settings)) == len(settings) and settings[-1] == bound(0) == model.setting(100)
    assert settings[0] == bound(64) == model.setting(1)
    sums = [sum(setting) for setting in settings]
    assert sums == sorted(sums, reverse=True)
    codes = [model.code(setting) for setting in settings]
    assert max(codes) < 2**16 and [model.from_code(code) for code in codes] == list(settings)
    assert {setting.label for setting in settings[-4:]} == {"e1", "e1-0-1", "e0-0-1", "e0"}
    for code in (7, 1, 8 * 65, 8 * 3 + 7, 2**16 - 1):
        with pytest.raises(BitstreamError, match="setting"):
            model.from_code(code)


def test_bounds_out_of_range():
    for error in (-1, 65, 1.5):
        with pytest.raises(ParameterError, match=r"0\.\.64"):
            bound(error)


def test_more_sections_than_one(model):
    with pytest.raises(BitstreamError, match="2 sections"):
        model.decode([b"\3", b""], bound(0), (4, 4))


def test_bits_map_adds_up(model):
    x = picture(np.random.default_rng(1), "slope", 30, 20)
    setting = MaxError(1, 1, 2)
    latents = model.analysis(x, setting)
    bits = model.bits_map(latents, setting)
    assert bits.shape == (1, 30, 20)
    coded, total = model.quantise(latents, setting)
    assert float(bits.sum()) == pytest.approx(float(total))
    assert torch.equal(coded[0], model.decode(model.encode(latents, setting), setting, (30, 20))[0])


@pytest.fixture(scope="module")
def was_jpeg():
    """Pixels (1, 3, H, W) of a JPEG file, decoded."""
    photograph = Image.fromarray(skimage.data.astronaut()).crop((150, 50, 230, 114))
    decoded = opened(saved(photograph, "JPEG", quality=60))
    return (to_tensor(decoded) * 255).round()


def test_what_was_a_jpeg_file_comes_back(model, was_jpeg):
    (section,) = model.encode((was_jpeg,), bound(0))
    assert section[:1] == JPEG_SECTION
    assert torch.equal(model.decode([section], bound(0), (64, 80))[0], was_jpeg)
    coded, bits = model.quantise((was_jpeg,), bound(0))
    assert torch.equal(coded[0], was_jpeg)
    assert float(bits) / 8 == pytest.approx(len(section), rel=0.1)  # and weights of its own
    first = tiny_lossless(FirstLosslessModel)
    for other in (model.encode((was_jpeg,), bound(1)), first.encode((was_jpeg,), bound(0))):
        assert other[0][:1] == b"\3"


def test_what_was_a_jpeg_file_is_smaller_by_its_colours(was_jpeg, monkeypatch):
    model = load_model("lossless")
    (section,) = model.encode((was_jpeg,), bound(0))
    monkeypatch.setattr(colour_origins, "found", lambda *_: None)
    assert len(section) < 0.9 * len(model.encode((was_jpeg,), bound(0))[0])


@pytest.fixture(scope="module")
def scan():
    """Pixels (1, 3, H, W) of a Photo CD, some of them cut off, upside down."""
    photograph = np.asarray(Image.fromarray(skimage.data.astronaut()).crop((150, 50, 230, 114)))
    return torch.from_numpy(of_photo_cd(photograph * 1.4)[::-1].copy()).permute(2, 0, 1)[None].float()


def test_pictures_of_a_photo_cd_come_back(model, scan):
    (section,) = model.encode((scan,), bound(0))
    assert section[:2] == PHOTO_CD_SECTION + bytes([1])
    assert torch.equal(model.decode([section], bound(0), (64, 80))[0], scan)
    coded, bits = model.quantise((scan,), bound(0))
    assert torch.equal(coded[0], scan) and float(bits) / 8 == pytest.approx(len(section), rel=0.1)
    second = tiny_lossless(SecondLosslessModel)
    for other in (model.encode((scan,), bound(1)), second.encode((scan,), bound(0))):
        assert other[0][:1] == b"\3"


def test_bits_lie_where_the_pixels_lie(scan):
    """Also where the picture was turned over to be coded: a part without detail has few."""
    model, still = load_model("lossless"), scan.clone()
    still[..., :32, :] = torch.tensor([135.0, 135.0, 135.0])[:, None, None]
    bits = model.bits_map((still,), bound(0))[0]
    assert bits[:24].sum() < 0.1 * bits[40:].sum()


def test_pictures_of_a_photo_cd_are_smaller_by_their_colours(scan, monkeypatch):
    model = load_model("lossless")
    (section,) = model.encode((scan,), bound(0))
    monkeypatch.setattr(colour_origins, "found", lambda *_: None)
    assert len(section) < 0.7 * len(model.encode((scan,), bound(0))[0])


@pytest.mark.parametrize("error", [0, 1])
def test_photo_cd_colours_where_there_can_be_none(model, scan, error):
    (section,) = model.encode((scan,), bound(0))
    reader = model if error else tiny_lossless(SecondLosslessModel)
    for damaged in (section, PHOTO_CD_SECTION, PHOTO_CD_SECTION + bytes([9]) + section[2:]):
        with pytest.raises(BitstreamError, match="coded channels"):
            reader.decode([damaged], bound(error), (64, 80))


@pytest.mark.parametrize("error", [0, 1])
def test_jpeg_colours_where_there_can_be_none(model, was_jpeg, error):
    """A model of before, or a bound, never has them: a file that says so is damaged."""
    (section,) = model.encode((was_jpeg,), bound(0))
    reader = model if error else tiny_lossless(FirstLosslessModel)
    with pytest.raises(BitstreamError, match="coded channels"):
        reader.decode([section], bound(error), (64, 80))


def test_saved_and_read_again_it_writes_the_same(model, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_model(model, path, "tiny")
    again = load_model(str(path))
    assert isinstance(again, LosslessModel) and again.network.sizes == model.network.sizes
    x = picture(np.random.default_rng(2), "slope", 33, 21)
    for setting in (bound(0), bound(3)):
        assert again.encode(again.analysis(x, setting), setting) == model.encode(
            model.analysis(x, setting), setting
        )

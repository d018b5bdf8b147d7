# SPDX-License-Identifier: MIT
"""Realism when a file is read: library, command and Pillow, and what refuses it."""

import numpy as np
import pytest
from helpers.heads import install_head
from helpers.samples import smooth_pictures
from PIL import Image

import vgic_lib.pillow_plugin as plugin
from vgic_lib import codec
from vgic_lib.cli import main
from vgic_lib.errors import ModelError, ParameterError
from vgic_lib.models.tunes import USUAL_REALISM


@pytest.fixture
def body(home):
    return install_head(home)


@pytest.fixture
def picture():
    return Image.fromarray(smooth_pictures(1, 45, 60)[0])


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
def test_realism_adds_what_the_head_makes(body, picture, mode):
    data = codec.compress(picture.convert(mode), model=body)
    plain, half, whole = (np.asarray(codec.decompress(data, realism=r)).astype(int) for r in (0, 0.5, 1))
    assert np.array_equal(plain, np.asarray(codec.decompress(data)))
    assert plain.shape == whole.shape
    assert 0 < np.abs(half - plain).mean() < np.abs(whole - plain).mean()
    if mode.endswith("A"):
        assert np.array_equal(plain[..., -1], whole[..., -1])


@pytest.mark.parametrize("realism", [-0.1, 1.1, float("nan")])
def test_realism_beyond_its_range_is_refused(body, picture, realism):
    with pytest.raises(ParameterError, match=r"realism .* is not in 0\.\.1"):
        codec.decompress(codec.compress(picture, model=body), realism=realism)


def test_a_model_without_a_head_says_so(picture):
    data = codec.compress(picture, model="vaegan-4")
    with pytest.raises(ModelError, match="model vaegan has no generative head, so its realism is 0 only"):
        codec.decompress(data, realism=0.5)


def test_the_command_takes_realism(body, picture, tmp_path, capsys):
    file = tmp_path / "a.vgic"
    file.write_bytes(codec.compress(picture, model=body))
    expected = {
        name: codec.decompress(file.read_bytes(), realism=r)
        for name, r in {"p": 0, "h": 0.3, "u": USUAL_REALISM}.items()
    }
    for name, options in {"p": [], "h": ["--realism", "0.3"], "u": ["--realism"]}.items():
        assert main(["decompress", str(file), str(tmp_path / f"{name}.png"), *options]) == 0
        assert Image.open(tmp_path / f"{name}.png").tobytes() == expected[name].tobytes()
    assert main(["decompress", str(file), str(tmp_path / "p.png"), "--realism", "0.3"]) == 1
    assert "not from this input with these settings" in capsys.readouterr().err
    assert main(["decompress", str(file), str(tmp_path / "n.png"), "--realism", "2"]) == 1
    assert "realism 2 is not in 0..1" in capsys.readouterr().err
    assert not (tmp_path / "n.png").exists()


def test_pillow_takes_realism_until_the_pixels_are_decoded(body, picture, tmp_path):
    path = tmp_path / "a.vgic"
    plugin.save(picture, path, model=body)
    data = path.read_bytes()
    with Image.open(path) as opened:
        assert opened.realism == 0
        opened.realism = 0.6
        assert opened.tobytes() == codec.decompress(data, realism=0.6).tobytes()
        with pytest.raises(ValueError, match="decoded already"):
            opened.realism = 0.2
        assert opened.realism == 0.6
    with Image.open(path) as opened:
        assert opened.tobytes() == codec.decompress(data).tobytes()
    with Image.open(path) as opened, pytest.raises(ValueError, match="not in 0"):
        opened.realism = 3

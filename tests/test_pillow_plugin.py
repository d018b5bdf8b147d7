# SPDX-License-Identifier: MIT
"""Pillow with the plug-in: what opens, what loads, what is saved, and how it fails."""

import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
from helpers.fakes import FakeModel, install
from PIL import Image, ImageFile, UnidentifiedImageError

from vgic_lib import codec, pillow_plugin
from vgic_lib.bitstream import container
from vgic_lib.errors import BitstreamError

MODES = ("RGB", "L", "LA", "RGBA")
SIZE = (23, 17)


@pytest.fixture(autouse=True)
def model(monkeypatch):
    fake = FakeModel()
    install(monkeypatch, fake)
    return fake


@pytest.fixture
def undecodable(monkeypatch):
    """Decoding is an error, as a proof that something needs none."""

    def refuse(data):
        raise AssertionError("decoded")

    monkeypatch.setattr(codec, "decompress", refuse)


def picture(mode="RGB", size=SIZE):
    ramp = Image.linear_gradient("L").resize(size)
    bands = [ramp, ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT), ramp.rotate(180), ramp]
    return Image.merge(mode, bands[: len(mode)])


def saved(image, **options):
    stream = io.BytesIO()
    image.save(stream, "VGIC", **options)
    return stream.getvalue()


@pytest.mark.parametrize("mode", MODES)
def test_a_file_saved_and_opened_is_what_the_codec_makes(tmp_path, mode):
    path = tmp_path / "x.vgic"
    picture(mode).save(path, quality=90)
    data = path.read_bytes()
    assert data == codec.compress(picture(mode), quality=90)
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size) == ("VGIC", mode, SIZE)
        assert image.get_format_mimetype() == "image/vgic"
        assert np.array_equal(image, codec.decompress(data))


@pytest.mark.parametrize("size", [(1, 1), (300, 2), (2, 300)])
def test_any_size_in_memory(size):
    image = Image.open(io.BytesIO(saved(picture(size=size))))
    assert image.size == size
    assert image.load()[0, 0] == codec.decompress(saved(picture(size=size))).getpixel((0, 0))


@pytest.mark.parametrize("mode", MODES)
def test_opening_reads_the_header_alone(mode, undecodable):
    start = saved(picture(mode))[: container.LONGEST_HEADER]
    image = Image.open(io.BytesIO(start))
    assert (image.mode, image.size) == (mode, SIZE)


def test_opening_needs_no_networks():
    """A new process that opens a file does not even import torch."""
    header = container.Header(model_id=1, setting=2, width=640, height=480)
    program = (
        "import io, sys, vgic_lib.pillow_plugin; from PIL import Image;"
        f"print(Image.open(io.BytesIO({container.pack(header, [b''])!r})).size, 'torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "(640, 480) False"


def test_pillow_knows_the_ending_and_only_after_the_import():
    assert Image.registered_extensions()[".vgic"] == "VGIC"
    program = "from PIL import Image; print('.vgic' in Image.registered_extensions())"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"  # else Pillow has got a mechanism that we should use


def test_save_hands_its_options_to_the_codec_and_ignores_others(monkeypatch):
    seen = {}

    def compress(image, **options):
        seen.update(options)
        return b"data"

    monkeypatch.setattr(codec, "compress", compress)
    options = dict(
        quality=60,
        search_steps=3,
        model="fake",
        target_bytes=900,
        target_psnr=30.0,
        tune="eye",
        target_ssimulacra2=70.0,
    )
    assert saved(picture(), **options, optimize=True, icc_profile=None) == b"data"
    assert seen == options


def test_quality_has_an_effect():
    noise = Image.effect_noise((64, 64), 50)
    assert len(saved(noise, quality=10)) < len(saved(noise, quality=90))


def test_a_file_may_be_saved_over_itself(tmp_path):
    path = tmp_path / "x.vgic"
    picture().save(path, quality=90)
    Image.open(path).save(path, quality=10)
    assert Image.open(path).size == SIZE
    Image.open(path).load()


def test_an_open_file_can_be_copied_cropped_and_pickled():
    image = Image.open(io.BytesIO(saved(picture())))
    assert image.crop((2, 3, 8, 8)).size == (6, 5)
    assert pickle.loads(pickle.dumps(image)).tobytes() == image.copy().tobytes() == image.tobytes()


@pytest.mark.parametrize("kept", [20, 30, -5, -1])
def test_a_truncated_file_opens_but_does_not_load(kept):
    image = Image.open(io.BytesIO(saved(picture())[:kept]))
    for _ in range(2):  # the second time, too
        with pytest.raises(OSError, match="truncated"):
            image.load()


def test_truncated_is_an_error_even_where_pillow_may_be_lenient(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(saved(picture())[:-2])).load()


@pytest.mark.parametrize("kept", [0, 3, 4, 9, 13])
def test_a_file_cut_in_its_header_is_not_identified(kept):
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(saved(picture())[:kept]))


@pytest.mark.parametrize("place", range(0, 40, 3))
def test_an_altered_byte_is_an_error_of_the_usual_kind(place):
    data = bytearray(saved(picture()))
    data[place] ^= 0x55
    with pytest.raises(OSError):
        Image.open(io.BytesIO(data)).load()


def test_a_newer_version_is_named_in_a_warning():
    data = bytearray(saved(picture()))
    data[len(container.MAGIC)] = 200
    with pytest.warns(UserWarning, match="version 200"), pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(data))


def test_a_missing_model_is_an_error_when_loading(monkeypatch):
    data = saved(picture())
    install(monkeypatch, FakeModel("another"))
    image = Image.open(io.BytesIO(data))
    with pytest.raises(OSError, match="not installed"):
        image.load()


def test_another_picture_in_the_place_of_an_open_one():
    stream = io.BytesIO(saved(picture("L", (8, 8))))
    image = Image.open(stream)
    stream.truncate(0)
    stream.seek(0)
    stream.write(saved(picture("RGB", (40, 30))))
    with pytest.raises(OSError, match="changed"):
        image.load()


def test_a_size_above_pillows_own_limit_does_not_open(monkeypatch):
    header, sections = container.unpack(saved(picture()))
    forged = container.Header(header.model_id, header.setting, 65535, 1024)
    data = container.pack(forged, sections)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**6)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data))


def test_verify_finds_damage_without_decoding(undecodable):
    data = saved(picture())
    Image.open(io.BytesIO(data)).verify()
    with pytest.raises(OSError, match="altered"):
        Image.open(io.BytesIO(data[:-1])).verify()


def test_a_failed_save_leaves_no_new_file(tmp_path):
    path = tmp_path / "x.vgic"
    with pytest.raises(ValueError, match="quality"):
        picture().save(path, quality=101)
    with pytest.raises(OSError, match="CMYK"):
        Image.new("CMYK", SIZE).save(path)
    with pytest.raises(OSError, match="unknown model"):
        picture().save(path, model="none such")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        {"quality": "high"}, {"quality": [50]}, {"search_steps": "1"}, {"search_steps": 1.5},
        {"search_steps": None}, {"target_bytes": 9.5}, {"target_bytes": b"9"}, {"target_psnr": "30"},
        {"model": 3}, {"tune": 3}, {"target_ssimulacra2": "70"},
    ],
)  # fmt: skip
def test_a_wrong_type_is_an_impossible_option(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        saved(picture(), **options)


def test_numbers_of_numpy_are_numbers():
    assert saved(picture(), quality=np.float32(50)) == saved(picture(), search_steps=np.int64(0))


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_parser_that_is_fed_in_pieces(size):
    data = saved(picture())
    with ImageFile.Parser() as parser:
        for start in range(0, len(data), size):
            parser.feed(data[start : start + size])
    assert parser.close().tobytes() == codec.decompress(data).tobytes()


def test_a_parser_that_is_fed_too_little():
    parser = ImageFile.Parser()
    parser.feed(saved(picture())[:-3])
    with pytest.raises(OSError, match="truncated"):
        parser.close()


def test_our_own_save_keeps_an_existing_file_when_it_fails(tmp_path):
    path = tmp_path / "x.vgic"
    pillow_plugin.save(picture(), path, quality=90)
    assert path.read_bytes() == saved(picture(), quality=90)
    with pytest.raises(ValueError, match="quality"):
        pillow_plugin.save(picture(), path, quality=101)
    with pytest.raises(OSError, match="cannot write"):
        pillow_plugin.save(picture(), path / "below")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [saved(picture(), quality=90)]


def test_the_longest_header_is_read_from_its_bytes_alone():
    data = container.pack(container.Header(1, 2, 65535, 1024), [b"section"])
    assert container.read_header(data[: container.LONGEST_HEADER]) == container.unpack(data)[0]
    with pytest.raises(BitstreamError, match="height"):
        container.read_header(data[:16])

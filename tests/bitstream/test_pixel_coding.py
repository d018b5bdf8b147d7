# SPDX-License-Identifier: MIT
"""Pixels come back exactly, or within their bound, whatever computes them."""

import hashlib

import numpy as np
import pytest
import torch
from helpers.pictures import of_photo_cd
from helpers.surroundings import threads
from helpers.tiny_lossless import tiny_lossless

from vgic_lib.bitstream import pixel_coding, pixel_trims
from vgic_lib.bitstream.colour_origins import found
from vgic_lib.bitstream.pixel_tables import LARGEST
from vgic_lib.errors import BitstreamError
from vgic_lib.models.lossless import FirstLosslessModel, LosslessModel, bound
from vgic_lib.networks.shapes import PARTS

EXACT = (0, 0, 0)


@pytest.fixture(scope="module")
def model():
    return tiny_lossless()


@pytest.fixture(scope="module")
def coder(model):
    return model._coder(bound(0))


def picture(seed, height, width):
    """Steps, slopes and noise."""
    random = torch.Generator().manual_seed(seed)
    noise = torch.rand((1, 3, height, width), generator=random)
    slope = torch.arange(width) * 3 + torch.arange(height)[:, None] * 2
    pixels = torch.where(noise[:, :1] < 0.02, 255 * noise, slope % 256 + 8 * noise)
    return pixels.clamp(0, LARGEST).floor()


def test_two_threads_write_and_read_the_same(coder):
    pixels = picture(0, 100, 180)
    section = coder.encode(pixels, EXACT)
    with threads(2):
        assert coder.encode(pixels, EXACT) == section
        assert torch.equal(coder.decode(section, (100, 180), EXACT), pixels)


def test_float64_writes_and_reads_the_same(coder, monkeypatch):
    """Which is taken where float32 is not to be trusted."""
    pixels = picture(5, 50, 70)
    section = coder.encode(pixels, EXACT)
    monkeypatch.setattr(pixel_coding, "_is_exact", lambda: False)
    assert coder.encode(pixels, EXACT) == section
    assert torch.equal(coder.decode(section, (50, 70), EXACT), pixels)


def test_a_rule_is_followed_whatever_computes_it(model, monkeypatch):
    pixels = torch.from_numpy(of_photo_cd(picture(5, 50, 70)[0].permute(1, 2, 0).numpy())).permute(2, 0, 1)
    origin, colours = found(pixels[None].float(), PARTS)
    coder = model._coder_of(origin.part)
    section = coder.encode(colours, EXACT, origin.rule)
    assert len(section) < len(coder.encode(colours, EXACT))
    with threads(2):
        assert coder.encode(colours, EXACT, origin.rule) == section
    monkeypatch.setattr(pixel_coding, "_is_exact", lambda: False)
    assert coder.encode(colours, EXACT, origin.rule) == section
    assert torch.equal(coder.decode(section, (50, 70), EXACT, origin.rule), colours)


EXPECTED = {
    (LosslessModel, 0): "f989995097a01985",
    (LosslessModel, 2): "6f511d7b00148cc3",
    (FirstLosslessModel, 0): "389d806a58888a26",
    (FirstLosslessModel, 2): "169fecf6c9fc4127",
}  # start of the SHA-256 of a section, for a model and an error allowed


@pytest.mark.parametrize(("kind", "error"), EXPECTED, ids=str)
def test_bytes_are_those_of_all_machines(kind, error):
    """Change them with a new format version only. The picture is too small for weights of its own."""
    section = tiny_lossless(kind)._coder(bound(error)).encode(picture(1, 37, 50), (error,) * 3)
    assert hashlib.sha256(section).hexdigest()[:16] == EXPECTED[kind, error]


def test_reduced_precision_is_noticed(monkeypatch):
    assert pixel_coding._is_exact()
    product = torch.mm
    monkeypatch.setattr(torch, "mm", lambda a, b: product(a.bfloat16(), b.bfloat16()).float())
    assert not pixel_coding._is_exact()


def test_measured_bits_are_those_of_the_file(coder):
    pixels = picture(2, 120, 90)
    coded, bits = coder.measure(pixels, EXACT)
    assert torch.equal(coded, pixels) and bits.shape == (1, 120, 90)
    assert float(bits.sum()) / 8 == pytest.approx(len(coder.encode(pixels, EXACT)), rel=0.06, abs=8)


def test_scales_are_trimmed_to_the_picture(coder, monkeypatch):
    pixels = picture(6, 90, 90)
    trimmed = coder.encode(pixels, EXACT)
    assert torch.equal(coder.decode(trimmed, (90, 90), EXACT), pixels)
    monkeypatch.setattr(pixel_trims, "TRIMMED_PIXELS", 10**9)
    assert len(trimmed) < 0.99 * len(coder.encode(pixels, EXACT))


def test_gray_pictures_cost_one_channel(coder):
    gray = picture(3, 60, 60)[:, :1].expand(-1, 3, -1, -1)
    section = coder.encode(gray, EXACT)
    assert section[0] == 1 and len(section) < 0.5 * len(coder.encode(picture(3, 60, 60), EXACT))
    assert torch.equal(coder.decode(section, (60, 60), EXACT), gray)


@pytest.mark.parametrize("section", [b"", b"\0", b"\2abc", b"\3", b"\1"])
def test_senseless_sections(coder, section):
    with pytest.raises(BitstreamError, match="damaged"):
        coder.decode(section, (200, 200), EXACT)


def test_altered_sections_give_a_picture_or_one_error(coder):
    section = coder.encode(picture(4, 40, 40), EXACT)
    random = np.random.default_rng(0)
    for _ in range(30):
        data = bytearray(section)
        for place in random.integers(len(data), size=3):
            data[place] = random.integers(256)
        try:
            found = coder.decode(bytes(data[: random.integers(1, len(data) + 1)]), (40, 40), EXACT)
        except BitstreamError:
            continue
        assert found.shape == (1, 3, 40, 40) and 0 <= found.min() <= found.max() <= LARGEST

# SPDX-License-Identifier: MIT
"""Pixels come back exactly, or within their bound, whatever computes them."""

import hashlib

import numpy as np
import pytest
import torch
from helpers.surroundings import threads
from helpers.tiny_lossless import tiny_lossless

from vgic_lib.bitstream import pixel_coding
from vgic_lib.bitstream.pixel_coding import (
    FINE_SCALES,
    LARGEST,
    OFFSETS,
    PER_LEVEL,
    TABLES,
    PixelCoder,
    coder_tables,
    table_parameters,
)
from vgic_lib.errors import BitstreamError, ModelError
from vgic_lib.models.lossless import bound
from vgic_lib.networks.pixels import SCALES

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


EXPECTED = {
    0: "389d806a58888a26",
    2: "169fecf6c9fc4127",
}  # start of the SHA-256 of a section, for an error allowed


@pytest.mark.parametrize("error", EXPECTED)
def test_bytes_are_those_of_all_machines(model, error):
    """Change them with a new format version only."""
    section = model._coder(bound(error)).encode(picture(1, 37, 50), (error,) * 3)
    assert hashlib.sha256(section).hexdigest()[:16] == EXPECTED[error]


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
    monkeypatch.setattr(pixel_coding, "TRIMMED_PIXELS", 10**9)
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


def test_tables_follow_the_densities():
    scale = torch.logspace(-1, 1.77, SCALES, dtype=torch.float64)
    width, share = (torch.full((SCALES,), value, dtype=torch.float64) for value in (2.5, 0.2))
    tables = coder_tables(*table_parameters(scale, width, share))
    assert len(tables) == TABLES
    residuals = np.arange(-LARGEST, LARGEST + 1)
    for entry in (0, 9, FINE_SCALES - 1):
        for offset in range(OFFSETS):
            edges = (torch.from_numpy(residuals) - 0.5 - offset / PER_LEVEL)[:, None] + torch.tensor(
                [0.0, 1.0]
            )
            narrow, wide = (
                torch.sigmoid(edges / s).diff(dim=1)[:, 0] for s in (scale[entry], 2.5 * scale[entry])
            )
            wanted = (0.8 * narrow + 0.2 * wide).numpy()
            found = tables.frequencies[entry * OFFSETS + offset] / 2**24
            assert np.abs(found - wanted).max() < 1e-6


def test_weights_that_are_too_large(model):
    network = model.network.exact
    kept = network.passes[0].middle.weight.clone()
    network.passes[0].middle.weight.fill_(40.0)
    try:
        with pytest.raises(ModelError, match="too large for exact"):
            PixelCoder(network, model._coder(bound(0)).tables, model.shifts)
    finally:
        network.passes[0].middle.weight.copy_(kept)

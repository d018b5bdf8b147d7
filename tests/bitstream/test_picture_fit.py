# SPDX-License-Identifier: MIT
"""Weights of a picture's own: they save bytes, and decoders agree on them."""

import hashlib

import numpy as np
import pytest
import torch
from helpers.pictures import KINDS, generated
from helpers.tiny_lossless import tiny_lossless

from vgic_lib.bitstream import picture_fit, pixel_coding
from vgic_lib.bitstream.picture_fit import (
    LARGEST_WEIGHT,
    MEAN,
    SCALE,
    PictureFit,
    samples,
    weight_count,
    with_weights,
)
from vgic_lib.bitstream.pixel_coding import PixelCoder
from vgic_lib.bitstream.pixel_tables import LARGEST, TABLES, tables_for
from vgic_lib.errors import BitstreamError
from vgic_lib.models.lossless import bound
from vgic_lib.models.store import load_model
from vgic_lib.networks.pixels import Place, Terms

EXACT = (0, 0, 0)


@pytest.fixture(scope="module")
def coder():
    return tiny_lossless()._coder(bound(0))


def coloured(seed, height, width):
    """Smooth noise whose red follows from green, and blue from both, as no network could know."""
    random = torch.Generator().manual_seed(seed)
    noise = 60 * torch.randn((3, 1, height + 4, width + 4), generator=random)
    smooth = torch.nn.functional.avg_pool2d(noise, 5, 1)[:, 0]
    green = 128 + smooth[0]
    red, blue = 30 + 0.7 * green + 0.1 * smooth[1], 250 - 0.4 * green + 0.3 * smooth[1] + 0.05 * smooth[2]
    return torch.stack([red, green, blue])[None].round().clamp(0, LARGEST)


@pytest.mark.parametrize("error", [0, 3])
def test_pictures_have_weights_of_their_own(monkeypatch, error):
    pixels, errors = coloured(0, 100, 120), (error,) * 3
    coder = load_model("lossless")._coder(bound(error))
    section = coder.encode(pixels, errors)
    decoded = coder.decode(section, (100, 120), errors)
    assert (decoded - pixels).abs().max() <= error and torch.equal(decoded, coder.measure(pixels, errors)[0])
    monkeypatch.setattr(PixelCoder, "_best_weights", lambda *_: {})
    assert len(section) < 0.95 * len(coder.encode(pixels, errors))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [0, 2])
def test_pictures_of_all_kinds_with_weights_of_their_own(kind, error):
    """Large enough to have some; nothing between black and white, say, asks for means far beyond."""
    coder = tiny_lossless()._coder(bound(error))
    for seed in range(3):
        pixels = generated(np.random.default_rng(seed), kind, 66, 69)
        x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()
        decoded = coder.decode(coder.encode(x, (error,) * 3), (66, 69), (error,) * 3)
        assert (decoded - x).abs().max() <= error


def test_weights_of_a_picture_are_those_of_all_machines(coder, monkeypatch):
    """Change what they give with a new format version only."""
    own = {
        (0, 0, MEAN): torch.arange(-24, 25),
        (0, 0, SCALE): torch.arange(-3, 4) * 5,
        (2, 2, MEAN): torch.arange(75) % 7 - 3,
    }
    monkeypatch.setattr(PixelCoder, "_best_weights", lambda *_: own)
    pixels = coloured(1, 80, 90)
    section = coder.encode(pixels, EXACT)
    assert hashlib.sha256(section).hexdigest()[:16] == "bd39ed53910aad3b"
    assert torch.equal(coder.decode(section, (80, 90), EXACT), pixels)


def test_weights_that_would_not_be_exact(coder, monkeypatch):
    """A damaged file may have them; an encoder does without."""
    own = {(0, 0, MEAN): torch.full((49,), LARGEST_WEIGHT)}
    pixels = coloured(2, 70, 70)
    with monkeypatch.context() as patch:
        patch.setattr(PixelCoder, "_best_weights", lambda *_: own)
        patch.setattr(pixel_coding, "sums_fit", lambda network: True)
        damaged = coder.encode(pixels, EXACT)
    with pytest.raises(BitstreamError, match="weights are too large"):
        coder.decode(damaged, (70, 70), EXACT)
    monkeypatch.setattr(PixelCoder, "_best_weights", lambda *_: own)
    section = coder.encode(pixels, EXACT)
    assert torch.equal(coder.decode(section, (70, 70), EXACT), pixels)


def test_weights_of_a_large_picture_come_from_squares_of_it(monkeypatch):
    coder, pixels = load_model("lossless")._coder(bound(0)), coloured(3, 300, 200)
    whole = len(coder.encode(pixels, EXACT))
    monkeypatch.setattr(picture_fit, "SAMPLE_SIDE", 50)
    squares = samples(pixels)
    assert squares.shape == (16, 3, 50, 50) and torch.equal(squares[-1], pixels[0, :, -50:, -50:])
    section = coder.encode(pixels, EXACT)
    assert torch.equal(coder.decode(section, (300, 200), EXACT), pixels)
    assert len(section) < 1.05 * whole


def at(network, channel):
    return Place(network, channel, slice(0, 1), slice(0, 1))


@pytest.fixture
def random():
    return torch.Generator().manual_seed(0)


def test_what_made_the_pixels_is_found(random):
    """Misses that are a sum of terms, with weights on the grid, and noise."""
    straight, earlier, noise = (torch.randn(shape, generator=random) * 8 for shape in ((3, 4000), 4000, 4000))
    miss = (64 * straight[0] - 13 * straight[2] + 100 * earlier + 16 * 20) / 256 + noise / 1000
    fit = PictureFit([(2, 1, MEAN)], torch.full((TABLES, 2 * LARGEST + 1), 8.0))
    scale = torch.full((1, 40, 100), 0.1)
    terms = Terms(straight, [earlier], straight)
    added = fit.means(at(2, 1), terms, miss.view(1, 40, 100), scale)
    assert fit.weights[2, 1, MEAN].tolist() == [64, 0, -13, 20, 100]
    assert (added.flatten() - miss).abs().max() < 0.5


def residuals_of(coder, index, random):
    """Residuals (N,) as scales of some indices (N,) have them, with means at whole levels."""
    tables = tables_for(index.round().long(), torch.zeros_like(index).long()).long()
    return torch.multinomial(2 ** -coder._costs[tables].double(), 1, generator=random)[:, 0] - LARGEST


def test_scales_are_found(random):
    """Scale indices that lie apart by a sum of hidden units, with weights on the grid."""
    coder = load_model("lossless")._coder(bound(0))
    units = torch.randint(0, 200, (3, 20000), generator=random).float()
    index = 20 + 6 * torch.rand(20000, generator=random)
    apart = (20 * units[0] / 64 - 30 * units[2] / 64 + 50) * 8 / 256
    fit = PictureFit([(1, 0, SCALE)], coder._costs)
    residual = residuals_of(coder, index + apart, random)
    terms = Terms(units, [], units)
    added = fit.scales(at(1, 0), terms, index, torch.zeros_like(index), residual)
    assert (added - apart).std() < 0.2 * apart.std() and (added - apart).mean().abs() < 0.3
    assert fit.weights[1, 0, SCALE].sub(torch.tensor([20, 0, -30, 50])).abs().max() < 12


def test_weights_that_save_less_than_they_take_are_left_out(coder, random):
    noise, units = torch.randn(4000, generator=random), torch.rand((9, 4000), generator=random) * 64
    fit = PictureFit([(0, 0, MEAN), (0, 0, SCALE)], coder._costs)
    terms, scale = Terms(torch.randn((3, 4000), generator=random), [], units), torch.ones(4000)
    index = torch.full((4000,), 20.0)
    right = index, torch.zeros_like(index), residuals_of(coder, index, random)
    assert not fit.means(at(0, 0), terms, noise, scale).any()
    assert not fit.scales(at(0, 0), terms, *right).any()
    assert fit.means(at(1, 0), terms, terms.straight[0] * 9, scale) == 0  # the place may have none
    assert fit.scales(at(1, 0), terms, index, *right[1:]) == 0
    assert not fit.weights


def test_a_network_with_weights_is_another_one():
    network = tiny_lossless().network.exact
    before = {name: value.clone() for name, value in network.state_dict().items()}
    counts = [weight_count(network, (4, 2, part)) for part in (MEAN, SCALE)]
    own = {(4, 2, part): torch.arange(1, count + 1) for part, count in enumerate(counts)}
    other = with_weights(network, own).state_dict()
    names = "straight.2.weight", "straight.2.bias", "out.2.weight", "out.2.bias"
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, other[name])}
    assert changed == {f"passes.4.{name}" for name in names}
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    added = {name: 256 * (other[f"passes.4.{name}"] - before[f"passes.4.{name}"]) for name in names}
    assert added["out.2.bias"].flatten().tolist() == [0, counts[SCALE], counts[MEAN] - 1, counts[MEAN]]
    assert added["out.2.weight"][1].tolist() == list(range(1, counts[SCALE]))
    assert not added["out.2.weight"][[0, 2, 3]].any()

# SPDX-License-Identifier: MIT
"""Weights of a picture's own: they save bytes, and decoders agree on them."""

import hashlib

import pytest
import torch
from helpers.tiny_lossless import tiny_lossless

from vgic_lib.bitstream import picture_fit, pixel_coding
from vgic_lib.bitstream.picture_fit import LARGEST_WEIGHT, PictureFit, samples, weight_count, with_weights
from vgic_lib.bitstream.pixel_coding import PixelCoder
from vgic_lib.bitstream.pixel_tables import LARGEST
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
    assert len(section) < 0.9 * len(coder.encode(pixels, errors))


def test_weights_of_a_picture_are_those_of_all_machines(coder, monkeypatch):
    """Change what they give with a new format version only."""
    own = {
        (0, 0): torch.arange(-24, 25),
        (2, 2): torch.arange(75) % 7 - 3,
    }
    monkeypatch.setattr(PixelCoder, "_best_weights", lambda *_: own)
    pixels = coloured(1, 80, 90)
    section = coder.encode(pixels, EXACT)
    assert hashlib.sha256(section).hexdigest()[:16] == "e63b3391451fc730"
    assert torch.equal(coder.decode(section, (80, 90), EXACT), pixels)


def test_weights_that_would_not_be_exact(coder, monkeypatch):
    """A damaged file may have them; an encoder does without."""
    own = {(0, 0): torch.full((49,), LARGEST_WEIGHT)}
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


def test_what_made_the_pixels_is_found():
    """Misses that are a sum of terms, with weights on the grid, and noise."""
    random = torch.Generator().manual_seed(0)
    straight, earlier, noise = (torch.randn(shape, generator=random) * 8 for shape in ((3, 4000), 4000, 4000))
    miss = (64 * straight[0] - 13 * straight[2] + 100 * earlier + 16 * 20) / 256 + noise / 1000
    fit = PictureFit([(2, 1)], torch.full((2 * LARGEST_WEIGHT + 1,), 8.0))
    at, scale = Place(2, 1, slice(0, 1), slice(0, 1)), torch.full((1, 40, 100), 0.1)
    added = fit.correction(at, Terms(straight, [earlier]), miss.view(1, 40, 100), scale)
    assert fit.weights[2, 1].tolist() == [64, 0, -13, 20, 100]
    assert (added.flatten() - miss).abs().max() < 0.5


def test_weights_that_save_less_than_they_take_are_left_out():
    noise = torch.randn(4000, generator=torch.Generator().manual_seed(0))
    fit, at = PictureFit([(0, 0)], torch.full((2 * LARGEST_WEIGHT + 1,), 8.0)), slice(0, 1)
    terms, scale = Terms(torch.randn((3, 4000)), []), torch.ones(4000)
    assert fit.correction(Place(0, 0, at, at), terms, noise, scale) == 0 and not fit.weights
    assert fit.correction(Place(1, 0, at, at), terms, terms.straight[0] * 9, scale) == 0 and not fit.weights


def test_a_network_with_weights_is_another_one():
    network = tiny_lossless().network.exact
    before = {name: value.clone() for name, value in network.state_dict().items()}
    count = weight_count(network, (4, 2))
    other = with_weights(network, {(4, 2): torch.arange(count)}).state_dict()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, other[name])}
    assert changed == {f"passes.4.{name}" for name in ("straight.2.weight", "straight.2.bias", "out.2.bias")}
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    bias = other["passes.4.out.2.bias"] - before["passes.4.out.2.bias"]
    assert (256 * bias).flatten().tolist() == [0, 0, count - 2, count - 1]

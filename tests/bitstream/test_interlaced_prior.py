# SPDX-License-Identifier: MIT
"""The prior: exact coding, honest rates, and a gradient that latent search can trust."""

import numpy as np
import pytest
import torch
from helpers.samples import assert_near, smooth_symbols

from vgic_lib.bitstream.interlaced_prior import (
    CATEGORIES,
    LARGEST,
    TOTAL,
    InterlacedPrior,
    passes,
    residual_tables,
)
from vgic_lib.errors import BitstreamError

SIZES = [(1, 1), (1, 2), (2, 1), (1, 40), (40, 1), (3, 3), (8, 16), (16, 16), (17, 33), (31, 5), (54, 44)]


@pytest.fixture(scope="module")
def frequencies():
    return residual_tables()


@pytest.fixture(scope="module")
def fitted(frequencies):
    """A prior for 3 channels of 6 bits, fitted to smooth symbols."""
    prior = InterlacedPrior(3, 6, frequencies)
    prior.fit([smooth_symbols(3, 40, 40, 6, seed) for seed in (1, 2)])
    return prior


def random_symbols(channels, height, width, bits, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(2**bits, (1, channels, height, width), generator=random).float()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_passes_cover_each_position_once_and_look_at_earlier_ones_only(size):
    height, width = size
    done = np.zeros(size, int)
    for at in passes(height, width):
        rows, columns = at.rows.numpy(), at.columns.numpy()
        for down, right in at.neighbours:
            for row in rows + down:
                for column in columns + right:
                    assert not (0 <= row < height and 0 <= column < width) or done[row, column]
        done[np.ix_(rows, columns)] += 1
        assert 0 <= at.category < CATEGORIES
    assert (done == 1).all()


@pytest.mark.parametrize("bits", [1, 4, 6, 8])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_random_symbols_come_back(frequencies, size, bits):
    prior = InterlacedPrior(2, bits, frequencies)
    k = random_symbols(2, *size, bits)
    assert torch.equal(prior.decode(prior.encode(k), k.shape), k)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_symbols_come_back_from_a_fitted_prior(fitted, size):
    for k in (smooth_symbols(3, *size, 6, seed=9), random_symbols(3, *size, 6)):
        assert torch.equal(fitted.decode(fitted.encode(k), k.shape), k)


@pytest.mark.parametrize("value", [0, 63])
def test_constant_symbols_come_back(fitted, value):
    k = torch.full((1, 3, 20, 20), float(value))
    assert torch.equal(fitted.decode(fitted.encode(k), k.shape), k)


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_estimated_bits_are_those_of_the_file(frequencies, bits):
    prior = InterlacedPrior(4, bits, frequencies)
    prior.fit([smooth_symbols(4, 60, 60, bits, seed) for seed in (1, 2)])
    k = smooth_symbols(4, 96, 80, bits, seed=3)
    data = prior.encode(k)
    assert torch.equal(prior.decode(data, k.shape), k)
    assert prior.bits_of(k).item() / 8 == pytest.approx(len(data), rel=0.005, abs=4)


def test_map_of_bits_adds_up_and_shows_where_they_are(fitted):
    k = torch.full((1, 3, 20, 30), 30.0)
    k[..., 15:] = torch.randint(0, 63, (1, 3, 20, 15)).float()
    bits = fitted.bits_map(k)
    assert bits.shape == (1, 20, 30)
    assert torch.allclose(bits.sum((1, 2)), fitted.bits_of(k), rtol=1e-5)
    assert bits[..., 17:].mean() > 2 * bits[..., :13].mean()


def test_bits_of_a_batch_are_those_of_its_members(fitted):
    members = [smooth_symbols(3, 19, 14, 6, seed) for seed in (4, 5)]
    apart = torch.cat([fitted.bits_of(k) for k in members])
    assert_near(fitted.bits_of(torch.cat(members)), apart, atol=0, rtol=1e-6)


def histogram_bits(k):
    """Cost under the best table for each channel, the table itself free of charge."""
    total = 0.0
    for channel in k[0]:
        count = torch.bincount(channel.long().ravel()).double()
        total -= (count * torch.log2(count / count.sum())).nansum().item()
    return total


def test_a_fitted_prior_beats_an_unfitted_and_a_factorised_one(frequencies, fitted):
    k = smooth_symbols(3, 48, 48, 6, seed=6)
    bits = fitted.bits_of(k).item()
    assert bits < 0.8 * InterlacedPrior(3, 6, frequencies).bits_of(k).item()
    assert bits < 0.8 * histogram_bits(k)


def test_fitting_serves_what_it_was_fitted_to(frequencies):
    """Rough and smooth symbols get different tables, each better for its own kind."""
    kinds = [smooth_symbols(1, 48, 48, 6, seed=1), random_symbols(1, 48, 48, 6, seed=1)]
    priors = [InterlacedPrior(1, 6, frequencies) for _ in kinds]
    for prior, k in zip(priors, kinds, strict=True):
        prior.fit([k])
    cost = [[prior.bits_of(k).item() for prior in priors] for k in kinds]
    assert cost[0][0] < cost[0][1]
    assert cost[1][1] < cost[1][0]
    assert cost[1][1] < 1.05 * 6 * 48 * 48  # random symbols cost their 6 bits and hardly more


def test_later_symbols_do_not_change_earlier_predictions(fitted):
    height, width = 21, 35
    k = smooth_symbols(3, height, width, 6, seed=7)
    known = torch.zeros(height, width, dtype=torch.bool)
    for at in passes(height, width):
        changed = torch.where(known, k, random_symbols(3, height, width, 6, seed=8))
        for before, after in zip(fitted.predict(k, at), fitted.predict(changed, at), strict=True):
            assert torch.equal(before, after)
        known[at.rows[:, None], at.columns] = True
    assert known.all()


def test_the_first_channels_are_coded_the_same_without_the_others(fitted, frequencies):
    k = smooth_symbols(3, 33, 26, 6, seed=8)
    for at in passes(33, 26):
        for whole, part in zip(fitted.predict(k, at), fitted.predict(k[:, :2], at), strict=True):
            assert torch.equal(whole[:, :2], part)
    narrow = InterlacedPrior(2, 6, frequencies)
    narrow.load_state_dict({name: value[:2] for name, value in fitted.state_dict().items()})
    data = fitted.encode(k[:, :2])
    assert data == narrow.encode(k[:, :2])
    assert torch.equal(fitted.decode(data, (1, 2, 33, 26)), k[:, :2])


def slopes(function, k, places, step=1e-4):
    """Central differences of `function`, of a batch, at single elements of `k` (1, n, h, w)."""
    change = torch.zeros(len(places), *k.shape[1:], dtype=k.dtype)
    for row, place in zip(change, places, strict=True):
        row[place] = step
    return (function(k + change) - function(k - change)) / (2 * step)


def between_integers(k, seed=0):
    """Each symbol moved by less than half a step, away from integers and half-integers."""
    random = torch.Generator().manual_seed(seed)
    return k.clamp(2, 60).double() + 0.1 + 0.3 * torch.rand(k.shape, generator=random, dtype=torch.double)


def gradient(prior, k):
    k = k.clone().requires_grad_()
    prior.bits_of(k).sum().backward()
    return k.grad


def test_the_gradient_is_the_slope_where_symbols_predict_no_other(fitted):
    """Those of the last two passes: an even row and an odd column, or the reverse."""
    k = between_integers(smooth_symbols(3, 8, 9, 6, seed=3))
    places = [(c, i, j) for c in range(1, 3) for i in range(8) for j in range(9) if (i + j) % 2]
    expected = slopes(fitted.bits_of, k, places)
    assert expected.abs().max() > 0.1
    found = gradient(fitted, k)[0][tuple(zip(*places, strict=True))]
    assert_near(found, expected, rtol=1e-5, atol=1e-6)


def test_the_gradient_is_the_slope_everywhere_without_prediction(fitted, frequencies):
    prior = InterlacedPrior(3, 6, frequencies)
    prior.load_state_dict(fitted.state_dict())
    prior.alpha.zero_()
    k = between_integers(smooth_symbols(3, 6, 7, 6, seed=3)).round(decimals=2)
    k = k.floor() + 0.25  # one fraction for all: spreads stay integers, so contexts stay what they are
    places = [(c, i, j) for c in range(3) for i in range(6) for j in range(7)]
    expected = slopes(prior.bits_of, k, places)
    assert_near(gradient(prior, k).ravel(), expected, rtol=1e-5, atol=1e-6)


def test_the_gradient_reaches_what_a_symbol_is_predicted_from(frequencies):
    """Two symbols, the second predicted to equal the first: its residual pulls at both, oppositely."""
    prior = InterlacedPrior(1, 6, frequencies)
    prior.table.fill_(30)
    k = torch.tensor([[[[40.3, 45.6]]]], dtype=torch.double)
    pull = slopes(prior.bits_of, k, [(0, 0, 1)]).item()
    alone = slopes(prior.bits_of, k[..., :1], [(0, 0, 0)]).item()
    assert pull != 0
    expected = torch.tensor([alone - pull, pull], dtype=torch.double)
    assert_near(gradient(prior, k).ravel(), expected, rtol=1e-5, atol=1e-6)


def test_the_gradient_is_finite_at_integers_and_beyond_the_range(fitted):
    for k in (smooth_symbols(3, 9, 9, 6), torch.full((2, 3, 9, 9), 63.0), torch.zeros(1, 3, 1, 1) - 5):
        assert gradient(fitted, k).isfinite().all()


def test_tables_are_frequencies_of_symmetric_residuals(frequencies):
    assert frequencies.shape[1] == 2 * LARGEST + 1
    assert frequencies.dtype == torch.int32
    assert frequencies.min() >= 1
    assert torch.equal(frequencies, frequencies.flip(1))
    sums = frequencies.double().sum(1)
    assert (sums[:50] / TOTAL - 1).abs().max() < 0.001  # wider densities reach beyond the residuals


def test_damaged_data_give_symbols_in_range_or_a_clear_error(fitted):
    k = smooth_symbols(3, 24, 24, 6, seed=5)
    data = fitted.encode(k)
    random = np.random.default_rng(0)
    for _ in range(20):
        altered = bytearray(data)
        altered[random.integers(len(data))] ^= 1 << random.integers(8)
        try:
            decoded = fitted.decode(bytes(altered), k.shape)
        except BitstreamError as error:
            assert "\n" not in str(error)
        else:
            assert 0 <= decoded.min() <= decoded.max() <= 63
    with pytest.raises(BitstreamError):
        fitted.decode(b"", (1, 3, 400, 400))

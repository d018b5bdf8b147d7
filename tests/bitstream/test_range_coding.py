# SPDX-License-Identifier: MIT
"""Range coding: exact, close to the entropy, short at the end, harmless on garbage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgic_lib.bitstream.range_coding import RangeDecoder, RangeEncoder, Tables
from vgic_lib.errors import BitstreamError


def round_trip(tables: Tables, calls: list[tuple[np.ndarray, np.ndarray]]) -> bytes:
    encoder = RangeEncoder(tables)
    for symbols, index in calls:
        encoder.put(symbols, index)
    data = encoder.finish()
    decoder = RangeDecoder(data, tables)
    for symbols, index in calls:
        np.testing.assert_array_equal(decoder.get(index), symbols)
    return data


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), counts=st.lists(st.integers(0, 60), max_size=4))
def test_any_symbols_survive(seed: int, counts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    tables_count, width = int(rng.integers(1, 6)), int(rng.integers(2, 40))
    frequencies = rng.integers(0, 2 ** rng.integers(1, 40), (tables_count, width))
    frequencies[:, 0] += 1
    offset = int(rng.integers(-300, 300))
    calls = [
        (rng.integers(0, width, count) - offset, rng.integers(0, tables_count, count)) for count in counts
    ]
    round_trip(Tables(frequencies, offset), calls)


def test_length_is_close_to_the_entropy() -> None:
    rng = np.random.default_rng(1)
    frequencies = np.array([[1, 6, 50, 6, 1], [10, 10, 10, 10, 10]])
    index = rng.integers(0, 2, (40, 50))
    draws = [rng.choice(5, index.shape, p=row / row.sum()) for row in frequencies]
    symbols = np.where(index == 0, draws[0], draws[1])
    data = round_trip(Tables(frequencies, 2), [(symbols - 2, index)])
    chance = (frequencies / frequencies.sum(axis=1, keepdims=True))[index, symbols]
    ideal_bytes = -np.log2(chance).sum() / 8
    assert ideal_bytes - 1 < len(data) < ideal_bytes + 2


def test_short_streams_are_short() -> None:
    tables = Tables(np.array([[1, 1]]))
    lengths = [len(round_trip(tables, [(np.arange(n) % 2, np.zeros(n, int))])) for n in range(33)]
    assert lengths[0] == 0
    assert all(length <= -(-n // 8) + 1 for n, length in enumerate(lengths))


def test_runs_at_the_edges_of_the_interval() -> None:
    """Carries and long runs of the last symbol are where range coders go wrong."""
    tables = Tables(np.array([[1, 2**20], [2**20, 1]]))
    for symbol in (0, 1):
        for table in (0, 1):
            for count in (1, 2, 3, 10, 1000):
                round_trip(tables, [(np.full(count, symbol), np.full(count, table))])


def test_stream_is_frozen() -> None:
    """The bytes of a known message: a change here would make old files unreadable."""
    tables = Tables(np.array([[5, 3, 1], [1, 1, 30]]), 1)
    data = round_trip(tables, [(np.arange(24) % 3 - 1, np.arange(24) % 2)])
    assert data.hex() == "8a0a06c2ee2372b1"


@given(data=st.binary(max_size=40))
def test_garbage_gives_symbols_in_range_or_an_error(data: bytes) -> None:
    decoder = RangeDecoder(data, Tables(np.array([[1, 1000, 3], [4, 4, 0]]), 1))
    try:
        symbols = decoder.get(np.arange(300) % 2)
    except BitstreamError:
        return
    assert symbols.shape == (300,)
    assert symbols.min() >= -1 and symbols.max() <= 1


def test_too_short_a_stream_is_refused_at_once() -> None:
    """A forged size of a million symbols in four bytes must not cost a million symbols of work."""
    with pytest.raises(BitstreamError, match="too short"):
        RangeDecoder(bytes(4), Tables(np.array([[1, 2, 1]]))).get(np.zeros(10**6, np.uint8))


@pytest.mark.parametrize(
    "frequencies",
    [np.ones((2, 3)), np.ones(3, int), np.array([[1, -1]]), np.array([[0, 0]]), np.array([[2**53, 1]])],
)
def test_bad_tables_are_refused(frequencies: np.ndarray) -> None:
    with pytest.raises(ValueError):
        Tables(frequencies)


@pytest.mark.parametrize(("symbol", "table"), [(-2, 0), (2, 0), (0, 1), (0, -1)])
def test_symbols_and_tables_out_of_range_are_refused(symbol: int, table: int) -> None:
    with pytest.raises(ValueError):
        RangeEncoder(Tables(np.array([[1, 1, 1]]), 1)).put(np.array([symbol]), np.array([table]))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError):
        RangeEncoder(Tables(np.array([[1, 1]]))).put(np.zeros(3, int), np.zeros(2, int))

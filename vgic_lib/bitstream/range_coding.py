# SPDX-License-Identifier: MIT
"""Range coding of integer symbols under stored integer tables: a thin layer over `constriction`.

Probabilities come from integers alone (sums below 2**53 are exact in float64, the rest is one IEEE division
and multiplication), so that encoder and decoder agree on every machine.
"""

import constriction
import numpy as np

from vgic_lib.errors import BitstreamError

_WORD_BITS = 32  # the coder emits 32-bit words and keeps an interval of two words
_STATE_BITS = 2 * _WORD_BITS
_LARGEST_SUM = 2**53
_MOST_TABLES = 2**16
_CHUNK = 2**20  # table indices looked at together: a forged size must not cost memory
_SMALLEST_PROBABILITY = 2.0**-24  # of the library's fixed-point models


class Tables:
    """Frequency tables: row t holds how often each symbol is expected where table t applies.

    Frequencies need no common sum. A frequency of zero still gets the smallest probability, 2**-24, so every
    symbol in range can be coded. What the first `certain` tables apply to is 0 and takes no bits.

    Attributes:
        frequencies: (T, S) int64.
        offset: column c of a table stands for the symbol c - offset.
    """

    def __init__(self, frequencies: np.ndarray, offset: int = 0, certain: int = 0) -> None:
        """Take (T, S) integer `frequencies` with T >= 1, S >= 2.

        Raises:
            ValueError: not integers, negative, a row of zeros, or sums beyond 2**53.
        """
        frequencies = np.asarray(frequencies)
        if frequencies.ndim != 2 or not np.issubdtype(frequencies.dtype, np.integer):
            raise ValueError(f"tables must be (T, S) integers, not {frequencies.dtype} {frequencies.shape}")
        rows, columns = frequencies.shape
        if not 1 <= rows <= _MOST_TABLES or columns < 2 or frequencies.min() < 0:
            raise ValueError("tables need 1 to 65536 rows, two columns or more, and no negative frequency")
        sums = frequencies.sum(axis=1, dtype=np.float64)
        if sums.min() < 1 or sums.max() >= _LARGEST_SUM:
            raise ValueError("each table must have a sum from 1 to 2**53")
        self.frequencies = frequencies.astype(np.int64)
        self.offset, self.certain = int(offset), int(certain)
        likeliest = self.frequencies.max(axis=1) / sums + 2 * _SMALLEST_PROBABILITY
        self._least_bits = -np.log2(np.minimum(likeliest, 1.0))
        self._least_bits[:certain] = 0
        self._models = [
            constriction.stream.model.Categorical(row.astype(np.float64), perfect=False)
            for row in self.frequencies
        ]

    def __len__(self) -> int:
        """Number of tables."""
        return len(self._models)

    def model(self, index: int) -> constriction.stream.model.Categorical:
        """Entropy model of table `index`."""
        return self._models[index]

    def counts(self, table_index: np.ndarray) -> np.ndarray:
        """How many symbols use each table (T,). Raises ValueError if a table does not exist."""
        if table_index.size and not 0 <= table_index.min() <= table_index.max() < len(self):
            raise ValueError(f"table index beyond 0..{len(self) - 1}")
        flat = table_index.ravel()
        parts = (flat[start : start + _CHUNK] for start in range(0, flat.size, _CHUNK))
        return sum((np.bincount(part, minlength=len(self)) for part in parts), np.zeros(len(self), np.int64))

    def least_bits(self, counts: np.ndarray) -> float:
        """Bits below which no message of `counts[t]` symbols under each table t can be."""
        return float(counts @ self._least_bits)


class RangeEncoder:
    """Codes symbols one call after the other; within a call they are grouped by table, ascending."""

    def __init__(self, tables: Tables) -> None:
        """Start an empty stream that uses `tables`."""
        self._tables = tables
        self._coder = constriction.stream.queue.RangeEncoder()

    def put(self, symbols: np.ndarray, table_index: np.ndarray) -> None:
        """Append integer `symbols`, each under the table at the same place of `table_index`.

        Raises:
            ValueError: a symbol or an index out of range, or shapes that differ.
        """
        symbols = np.asarray(symbols)
        if symbols.shape != np.shape(table_index):
            raise ValueError(f"{symbols.shape} symbols for {np.shape(table_index)} table indices")
        table_index = np.asarray(table_index)
        counts = self._tables.counts(table_index)
        low, high = -self._tables.offset, self._tables.frequencies.shape[1] - self._tables.offset
        if symbols.size and not low <= symbols.min() <= symbols.max() < high:
            raise ValueError("a symbol lies outside its table")
        order, runs = _by_table(table_index, counts, self._tables.certain)
        columns = (symbols.ravel()[order] - low).astype(np.int32)
        for table, start, end in runs:
            self._coder.encode(columns[start:end], self._tables.model(table))

    def finish(self) -> bytes:
        """The stream so far: the shortest byte string inside the coder's final interval."""
        words = self._coder.get_compressed()
        position, (low, width) = self._coder.pos()
        length_bits = _WORD_BITS * (position + 2)
        point = int.from_bytes(words.astype(">u4").tobytes()) << (length_bits - _WORD_BITS * len(words))
        # `low` is known modulo the state only (carries travel into earlier words); `point` fixes the rest.
        low = point - (point - low) % 2**_STATE_BITS
        for dropped_bits in range(_STATE_BITS, -1, -8):
            kept = -(-low >> dropped_bits)
            if kept << dropped_bits < low + width:
                break
        return kept.to_bytes((length_bits - dropped_bits) // 8)


class RangeDecoder:
    """Reads symbols in the order and grouping of `Encoder.put`.

    Bytes that no `RangeEncoder` wrote give meaningless symbols in range, or a BitstreamError.
    """

    def __init__(self, data: bytes, tables: Tables) -> None:
        """Read from `data`, which stands for itself followed by zeros without end."""
        self._tables = tables
        self._bits_left = 8.0 * len(data) + _STATE_BITS  # the coder may keep up to its state unwritten
        padding = -len(data) % 4 + _STATE_BITS // 8
        words = np.frombuffer(data + bytes(padding), dtype=">u4").astype(np.uint32)
        self._coder = constriction.stream.queue.RangeDecoder(words)

    def get(self, table_index: np.ndarray) -> np.ndarray:
        """Next symbols, int32, in the shape of `table_index`.

        Raises:
            BitstreamError: the data cannot come from an encoder with these tables. Data too short for so
                many symbols are refused before anything is decoded.
            ValueError: a table does not exist.
        """
        table_index = np.asarray(table_index)
        counts = self._tables.counts(table_index)
        self._bits_left -= self._tables.least_bits(counts)
        if self._bits_left < 0:
            raise BitstreamError("the file is damaged: it is too short for its picture; get a fresh copy")
        order, runs = _by_table(table_index, counts, self._tables.certain)
        columns = np.empty(len(order), dtype=np.int32)
        try:
            for table, start, end in runs:
                columns[start:end] = self._coder.decode(self._tables.model(table), end - start)
        except AssertionError as error:  # how the library reports impossible data
            raise BitstreamError(
                "the file is damaged: its compressed data make no sense; get a fresh copy"
            ) from error
        symbols = np.zeros(table_index.size, dtype=np.int32)
        symbols[order] = columns - self._tables.offset
        return symbols.reshape(table_index.shape)


def _by_table(
    table_index: np.ndarray, counts: np.ndarray, certain: int
) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """Places in the flat `table_index`, sorted by table; each table in use, and where it starts and ends."""
    small = np.uint8 if len(counts) <= 2**8 else np.uint16  # sorted in linear time
    table_index = table_index.astype(small, copy=False).ravel()
    places = np.flatnonzero(table_index >= certain)
    order = places[np.argsort(table_index[places], kind="stable")]
    used = certain + np.flatnonzero(counts[certain:])
    ends = np.cumsum(counts[used])
    return order, list(zip(used.tolist(), (ends - counts[used]).tolist(), ends.tolist(), strict=True))

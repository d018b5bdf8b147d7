# SPDX-License-Identifier: MIT
"""The header of a JPEG XL file, which Pillow's plug-in keeps to itself (ISO/IEC 18181-1, annex D)."""

from typing import NamedTuple


class JxlHeader(NamedTuple):
    """Start of the code stream of a JPEG XL file."""

    width: int
    height: int
    orientation: int  # already applied by the decoder
    bits: int


def read_header(code: bytes) -> JxlHeader:
    """Header of a code stream, which begins with FF 0A; only the first 66 bytes are looked at."""
    bits = _Bits(bytes(code[2:66]))
    width, height = _size(bits)
    if bits.take(1):  # all fields have their defaults
        return JxlHeader(width, height, 1, 8)
    turned = 1
    if bits.take(1):
        turned = 1 + bits.take(3)
        if bits.take(1):  # a size to be shown at
            _size(bits)
        if bits.take(1):  # a preview: its size is written in another way, but nothing asks for more
            return JxlHeader(width, height, turned, 8)
        if bits.take(1):  # an animation: ticks a second, loops, time codes
            bits.choice((100, 0), (1000, 0), (1, 10), (1, 30))
            bits.choice((1, 0), (1001, 0), (1, 8), (1, 10))
            bits.choice((0, 0), (0, 3), (0, 16), (0, 32))
            bits.take(1)
    if bits.take(1):  # samples are floating-point numbers
        return JxlHeader(width, height, turned, 16)
    return JxlHeader(width, height, turned, bits.choice((8, 0), (10, 0), (12, 0), (1, 6)))


class _Bits:
    """Numbers read from the lowest bits of `data` on."""

    def __init__(self, data: bytes) -> None:
        self._rest = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._rest & ((1 << count) - 1)
        self._rest >>= count
        return value

    def choice(self, *ways: tuple[int, int]) -> int:
        """One of four (offset, bits that follow), which two bits select."""
        offset, count = ways[self.take(2)]
        return offset + self.take(count)


def _size(bits: _Bits) -> tuple[int, int]:
    """Width and height in pixels."""

    def side() -> int:
        return 8 * (1 + bits.take(5)) if small else bits.choice((1, 9), (1, 13), (1, 18), (1, 30))

    small = bits.take(1)
    height = side()
    ratio = bits.take(3)
    if not ratio:
        return side(), height
    above, below = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
    return height * above // below, height

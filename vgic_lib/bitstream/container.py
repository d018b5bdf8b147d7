# SPDX-License-Identifier: MIT
"""The .vgic container: a short header, sections of coded data, a checksum.

    "VGIC" | header fields | number of sections | lengths of all but the last | sections | CRC-32

Integers are big-endian; a varint holds 7 bits a byte, lowest first, with the top bit set on all but its last
byte. The header fields are declared once, in `_FIELDS`; writing, reading and range checks follow from there.
"""

import lzma
import zlib
from dataclasses import dataclass, replace
from enum import IntFlag
from typing import NamedTuple

import numpy as np

from vgic_lib.errors import BitstreamError
from vgic_lib.formats.limits import MAX_PIXELS

MAGIC = b"VGIC"
VERSION = 3  # the newest; a file has the lowest that can say what is in it
MAX_SIDE = 65535  # pixels
MAX_SECTIONS = 255
LARGEST_METADATA = 2**24  # bytes, unpacked
_CRC_BYTES = 4
_EXIF_START = b"Exif\0\0"  # as Pillow has it
_VARINT = 0  # width of a field that takes as many bytes as its value needs
_ALPHA_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6}]


class Layout(IntFlag):
    """What the picture has beside, or instead of, red, green and blue."""

    GRAY = 1
    ALPHA = 2  # losslessly coded, in the last section
    METADATA = 4  # EXIF and XMP, in the last section but alpha's; since version 2
    EXACT = 8  # pixels that are the same on every machine, within a bound of the original's; since version 3
    FINER = 16  # a setting beyond quality 100; since version 3

    @property
    def mode(self) -> str:
        """Pillow's name of such pictures: "L", "LA", "RGB" or "RGBA"."""
        return ("L" if Layout.GRAY in self else "RGB") + "A" * (Layout.ALPHA in self)

    @property
    def extras(self) -> int:
        """Number of sections behind those of the model."""
        return (Layout.ALPHA in self) + (Layout.METADATA in self)


@dataclass(frozen=True)
class Header:
    """What a decoder must know before it reads the sections."""

    model_id: int  # first 4 bytes of the SHA-256 of the weights
    setting: int  # operating point of the model, meaningful to the model alone
    width: int  # pixels
    height: int  # pixels
    layout: Layout = Layout(0)
    version: int = 1


class Parts(NamedTuple):
    """A file taken apart, nothing of it decoded."""

    header: Header
    sections: list[bytes]  # latents, metadata, alpha

    @property
    def latents(self) -> list[bytes]:
        """Sections of the model."""
        return self.sections[: len(self.sections) - self.header.layout.extras]

    @property
    def metadata(self) -> bytes | None:
        """Code of EXIF and XMP, for `unpack_metadata`."""
        if Layout.METADATA not in self.header.layout:
            return None
        return self.sections[-2 if Layout.ALPHA in self.header.layout else -1]

    @property
    def alpha(self) -> bytes | None:
        """Code of the alpha plane, for `unpack_alpha`."""
        return self.sections[-1] if Layout.ALPHA in self.header.layout else None


class _Field(NamedTuple):
    name: str
    width: int  # bytes, or _VARINT
    low: int
    high: int


_FIELDS = (
    _Field("version", 1, 1, VERSION),
    _Field("layout", 1, 0, sum(Layout)),
    _Field("model_id", 4, 0, 2**32 - 1),
    _Field("setting", 2, 0, 2**16 - 1),
    _Field("width", _VARINT, 1, MAX_SIDE),
    _Field("height", _VARINT, 1, MAX_SIDE),
)

LONGEST_HEADER = len(MAGIC) + sum(field.width or -(-field.high.bit_length() // 7) for field in _FIELDS)


def pack(header: Header, sections: list[bytes]) -> bytes:
    """A whole file. Raises ValueError if a field is out of range or there is no section, or too many."""
    if not 1 <= len(sections) <= MAX_SECTIONS or header.width * header.height > MAX_PIXELS:
        raise ValueError(f"{len(sections)} sections for {header.width} x {header.height} pixels")
    parts = [MAGIC]
    header = replace(header, version=version_of(header.layout))
    for field in _FIELDS:
        value = int(getattr(header, field.name))
        if not field.low <= value <= field.high:
            raise ValueError(f"{field.name} must lie in {field.low}..{field.high}, not {value}")
        parts.append(value.to_bytes(field.width) if field.width else _varint(value))
    parts += [_varint(len(sections)), *(_varint(len(section)) for section in sections[:-1]), *sections]
    body = b"".join(parts)
    return body + zlib.crc32(body).to_bytes(_CRC_BYTES)


def unpack(data: bytes) -> Parts:
    """Header and sections of a file; nothing is allocated beyond the size of `data`.

    Raises:
        BitstreamError: not a .vgic file, of a newer version, truncated, altered or too large.
    """
    _check_start(data)
    body, checksum = data[:-_CRC_BYTES], data[-_CRC_BYTES:]
    if len(body) < len(MAGIC) or zlib.crc32(body).to_bytes(_CRC_BYTES) != checksum:
        raise BitstreamError("the file is truncated or altered: its checksum is wrong; get a fresh copy")
    reader = _Reader(body[len(MAGIC) :])
    header = _read_header(reader)
    fewest = 1 + header.layout.extras
    count = reader.integer("number of sections", _VARINT, fewest, MAX_SECTIONS)
    lengths = [reader.integer("section length", _VARINT, 0, reader.left) for _ in range(count - 1)]
    sections = [reader.take("section", length) for length in lengths]
    return Parts(header, [*sections, reader.take("section", reader.left)])


def read_header(data: bytes) -> Header:
    """Header of a file from its first LONGEST_HEADER bytes or more, without a look at the rest.

    Raises:
        BitstreamError: not a .vgic file, of a newer version, too large, or shorter than its header.
    """
    _check_start(data)
    return _read_header(_Reader(data[len(MAGIC) :]))


def pack_alpha(plane: np.ndarray) -> bytes:
    """Lossless code of an alpha plane (H, W), uint8."""
    return lzma.compress(plane.tobytes(), lzma.FORMAT_RAW, filters=_ALPHA_FILTERS)


def unpack_alpha(data: bytes, width: int, height: int) -> np.ndarray:
    """Alpha plane (H, W), uint8. Raises BitstreamError if `data` does not hold just that many values."""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_ALPHA_FILTERS)
    try:
        plane = decoder.decompress(data, max_length=width * height)
        if not decoder.eof and len(plane) == width * height:  # the end marker may not be read yet
            plane += decoder.decompress(b"", max_length=1)
    except (lzma.LZMAError, EOFError) as error:
        raise _damaged("its alpha plane cannot be read") from error
    if not decoder.eof or decoder.unused_data or len(plane) != width * height:
        raise _damaged("its alpha plane does not fit its size")
    return np.frombuffer(plane, np.uint8).reshape(height, width)


def pack_metadata(exif: bytes, xmp: bytes) -> bytes:
    """Code of metadata; EXIF may start as in JPEG, which it does again when it is unpacked."""
    exif = exif.removeprefix(_EXIF_START)
    return zlib.compress(_varint(len(exif)) + exif + xmp, 9)


def unpack_metadata(data: bytes) -> dict[str, bytes]:
    """What there is of "exif" and "xmp".

    Raises:
        BitstreamError: `data` is no such section, or holds more than LARGEST_METADATA bytes.
    """
    decoder = zlib.decompressobj()
    try:
        plain = decoder.decompress(data, LARGEST_METADATA)
    except zlib.error as error:
        raise _damaged("its metadata cannot be read") from error
    if not decoder.eof or decoder.unused_data:
        raise _damaged("its metadata are cut short or too large")
    reader = _Reader(plain)
    exif = reader.take("EXIF", reader.integer("length of EXIF", _VARINT, 0, reader.left))
    found = {"exif": exif and _EXIF_START + exif, "xmp": reader.take("XMP", reader.left)}
    return {name: value for name, value in found.items() if value}


class _Reader:
    """Takes values from the front of the body of a file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._position

    def take(self, name: str, length: int) -> bytes:
        """The next `length` bytes."""
        if length > self.left:
            raise _damaged(f"its {name} is cut short")
        self._position += length
        return self._data[self._position - length : self._position]

    def integer(self, name: str, width: int, low: int, high: int) -> int:
        """The next integer of `width` bytes (or a varint), checked against its range."""
        value = int.from_bytes(self.take(name, width)) if width else self._varint(name, high)
        if not low <= value <= high:
            raise _damaged(f"its {name} is {value}, beyond {low}..{high}")
        return value

    def _varint(self, name: str, high: int) -> int:
        value = 0
        for shift in range(0, high.bit_length(), 7):
            byte = self.take(name, 1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise _damaged(f"its {name} is too large")


def _check_start(data: bytes) -> None:
    if not data.startswith(MAGIC):
        raise BitstreamError("this is not a .vgic file; give one that 'vgic compress' wrote")
    if len(data) > len(MAGIC) and data[len(MAGIC)] > VERSION:
        raise BitstreamError(f"the file has format version {data[len(MAGIC)]}; update vgic to read it")


def _read_header(reader: _Reader) -> Header:
    values = {field.name: reader.integer(*field) for field in _FIELDS}
    header = Header(**{**values, "layout": Layout(values["layout"])})
    if header.version != version_of(header.layout):
        raise _damaged(f"its layout is {header.layout}, which version {header.version} does not have")
    if header.width * header.height > MAX_PIXELS:
        raise _damaged(f"{header.width} x {header.height} pixels are more than {MAX_PIXELS}")
    return header


def version_of(layout: Layout) -> int:
    """Lowest version that has such a layout."""
    return 3 if (Layout.EXACT | Layout.FINER) & layout else 2 if Layout.METADATA in layout else 1


def _varint(value: int) -> bytes:
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def _damaged(what: str) -> BitstreamError:
    return BitstreamError(f"the file is damaged: {what}; get a fresh copy")

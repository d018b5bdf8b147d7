# SPDX-License-Identifier: MIT
"""What the header of a picture file says and Pillow does not: bits per channel, colours, frames.

Every function takes a picture as `Image.open` returns it. While its file is open the header is read from
there; a picture whose pixels were loaded before tells only what Pillow has kept.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple

from PIL import Image, PngImagePlugin

from vgic_lib.formats import jpeg_xl

_BITS_PER_SAMPLE, _COMPRESSION, _SAMPLE_FORMAT, _SUBSAMPLING = 258, 259, 339, 530  # tags of TIFF
_RAW, _UNSIGNED = 1, 1  # their usual values
_PNG = b"\x89PNG\r\n\x1a\n"
_NEEDED = {  # chunks of PNG that say how it looks, beside those in capitals -> their sizes in bytes
    b"tRNS": range(1, 257), b"gAMA": range(4, 5), b"cHRM": range(32, 33), b"sRGB": range(1, 2),
    b"cICP": range(4, 5), b"iCCP": range(2**24), b"eXIf": range(2**24),
}  # fmt: skip
_LARGEST_TEXT = PngImagePlugin.MAX_TEXT_CHUNK  # bytes, unpacked
_FRAMELESS = ("PSD",)  # Pillow counts its layers as frames; what it opens shows them all


class CodePoints(NamedTuple):
    """Colours as numbers of ITU-T H.273."""

    primaries: int
    transfer: int
    full_range: bool


class Colours(NamedTuple):
    """What a file says about its colours, in the order of precedence; None where it says nothing."""

    code_points: CodePoints | None
    icc_profile: bytes | None  # b"" for one that is there and cannot be unpacked
    gamma: float | None  # exponent of the encoder, as in the gAMA chunk of PNG
    chromaticity: tuple[float, ...] | None  # x and y of white, red, green, blue


def bits_per_channel(image: Image.Image) -> int:
    """Bits of the deepest channel in the file; Pillow opens many deep files as if they had 8."""
    if image.mode[0] in "IF":
        return 16
    if hasattr(image, "tag_v2"):
        return max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,)))
    if image.format == "JPEG2000":
        return _jpeg2000_bits(_content(image))
    if image.format == "AVIF":
        return _avif_bits(_content(image))
    if header := jxl_header(image):
        return header.bits
    for codec, _, _, arguments in getattr(image, "tile", []):
        raw = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
        if ";16" in str(raw) and not str(raw).startswith("BGR"):  # BGR;16 has 16 bits in three channels
            return 16
        if codec == "SGI16":
            return 16
        if codec.startswith("ppm") and isinstance(arguments, tuple) and arguments[-1] > 255:
            return 16
    return 8


def has_odd_samples(image: Image.Image) -> bool:
    """Whether Pillow takes samples of TIFF, signed or subsampled, for plain ones."""
    tags = getattr(image, "tag_v2", {})
    signed = set(tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))) != {_UNSIGNED}
    plain = tags.get(_COMPRESSION, _RAW) == _RAW
    return signed or (image.mode == "YCbCr" and plain and tags.get(_SUBSAMPLING, (2, 2)) != (1, 1))


def has_more_frames(image: Image.Image) -> bool:
    """Whether the file holds more pictures than the one that is open: frames, pages, a second view."""
    try:
        return image.format not in _FRAMELESS and bool(getattr(image, "is_animated", False))
    except Exception:  # Pillow looks for the second frame, which may be damaged
        return True


def colours(image: Image.Image) -> Colours:
    """What the file says about its colours; call it before the pixels are loaded."""
    profile = image.info.get("icc_profile", b"" if "icc_profile" in image.info else None)
    profile = b"" if "icc_profile" in image.info and not profile else profile
    gamma, chromaticity = image.info.get("gamma"), image.info.get("chromaticity")
    if "srgb" in image.info:
        gamma = chromaticity = None
    points = None
    if image.format == "PNG":
        chunk = _cicp(image.fp) if _is_open(image) else b""
        points = CodePoints(chunk[0], chunk[1], bool(chunk[3])) if len(chunk) == 4 else None
    elif image.format == "AVIF" and profile is None:
        for kind, payload in _avif_properties(_content(image)):
            if kind == b"colr" and payload[:4] == b"nclx":
                points = CodePoints(*struct.unpack(">HH", payload[4:8]), True)  # Pillow widens the range
    elif image.format == "JPEG2000" and profile is None:
        header = dict(_boxes(_content(image))).get(b"jp2h", b"")
        colour = dict(_boxes(header)).get(b"colr", b"")
        profile = bytes(colour[3:]) if colour[:1] == b"\2" else None
    return Colours(points, profile, gamma, chromaticity)


def jxl(stream: IO[bytes]) -> jpeg_xl.JxlHeader | None:
    """What an open file of JPEG XL says of itself; None for another kind of file.

    The plug-in unpacks all pixels when it opens a file, so its size is to be asked here first.
    """
    data = stream.read(12)
    if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        data += stream.read()
    stream.seek(0)
    if data.startswith(b"\xff\x0a"):
        return jpeg_xl.read_header(data)
    for kind, payload in _boxes(data):
        if kind in (b"jxlc", b"jxlp"):  # the code stream, or its parts after their numbers
            return jpeg_xl.read_header(payload[4 * (kind == b"jxlp") :])
    return None


def jxl_header(image: Image.Image) -> jpeg_xl.JxlHeader | None:
    """Header of an open JPEG XL file; None for one that wraps a JPEG file, and for other formats."""
    return None if image.format != "JXL" or image.jpeg else jxl(io.BytesIO(image.fc))


def png_without_remarks(stream: IO[bytes]) -> io.BytesIO | None:
    """File of PNG with nothing in it but what the picture needs; None for a file of another kind.

    Pillow refuses pictures for a text, or a colour profile, that is damaged or of more than 1 MB.
    """
    stream.seek(0)
    if stream.read(8) != _PNG:
        return None
    kept = [_PNG]
    for kind, content, chunk in _png_chunks(stream):
        sound = zlib.crc32(chunk[4:-4]).to_bytes(4) == chunk[-4:] and len(content) in _NEEDED.get(kind, ())
        if kind == b"iCCP" and not (sound and _is_profile(content)):
            sound, empty = True, b"iCCPempty\0\0" + zlib.compress(b"")
            chunk = (len(empty) - 4).to_bytes(4) + empty + zlib.crc32(empty).to_bytes(4)
        if kind[:1].isupper() or sound:
            kept.append(chunk)
    return io.BytesIO(b"".join(kept))


def _png_chunks(stream: IO[bytes], until: bytes = b"") -> Iterator[tuple[bytes, bytes, bytes]]:
    """Kind, content and all bytes of each chunk of a PNG file before the first of kind `until`."""
    position, end = stream.tell(), stream.seek(0, 2)
    stream.seek(len(_PNG))
    while len(start := stream.read(8)) == 8 and start[4:] != until:
        size = min(int.from_bytes(start[:4]) + 4, end)
        chunk = start + stream.read(size)
        yield start[4:], chunk[8:-4], chunk
    stream.seek(position)


def _cicp(stream: IO[bytes]) -> bytes:
    """Content of the chunk with the colours' code points, or nothing."""
    return next((content for kind, content, _ in _png_chunks(stream, b"IDAT") if kind == b"cICP"), b"")


def _is_profile(content: bytes) -> bool:
    """Whether a chunk holds a colour profile that Pillow unpacks."""
    _, _, packed = content.partition(b"\0")
    try:
        unpacked = zlib.decompressobj().decompress(packed[1:], _LARGEST_TEXT + 1)
    except zlib.error:
        return False
    return packed[:1] == b"\0" and len(unpacked) <= _LARGEST_TEXT


def _is_open(image: Image.Image) -> bool:
    stream = getattr(image, "fp", None)
    return stream is not None and not stream.closed


def _content(image: Image.Image) -> bytes:
    """The whole file of an open picture, or nothing where it was closed after loading."""
    if not _is_open(image):
        return b""
    position = image.fp.tell()
    image.fp.seek(0)
    content = image.fp.read()
    image.fp.seek(position)
    return content


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kinds and contents of the boxes of JPEG 2000, JPEG XL and AVIF."""
    place = 0
    while place + 8 <= len(data):
        size, kind, start = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8], 8
        if size == 1:
            size, start = int.from_bytes(data[place + 8 : place + 16]), 16
        end = place + size if size else len(data)
        if end < place + start:
            return
        yield bytes(kind), data[place + start : end]
        place = end


def _jpeg2000_bits(data: bytes) -> int:
    start = data.find(b"\xff\x4f\xff\x51")  # of the code stream: its sizes follow
    if start < 0:
        return 8
    count = int.from_bytes(data[start + 40 : start + 42])
    return max(((depth & 0x7F) + 1 for depth in data[start + 42 : start + 42 + 3 * count : 3]), default=8)


def _avif_bits(data: bytes) -> int:
    properties = _avif_properties(data)
    for kind, payload in properties:
        if kind == b"pixi":
            return max(payload[5:], default=8)
    for kind, payload in properties:
        if kind == b"av1C":
            return 10 if payload[2] & 0x40 else 8
    return 8


def _avif_properties(data: bytes) -> list[tuple[bytes, bytes]]:
    """Properties of the picture that is shown, among those of its alpha, thumbnail and gain map."""
    meta = dict(_boxes(dict(_boxes(data)).get(b"meta", b"")[4:]))
    primary, properties = meta.get(b"pitm", b""), dict(_boxes(meta.get(b"iprp", b"")))
    shown = int.from_bytes(primary[4:])
    known, table = list(_boxes(properties.get(b"ipco", b""))), properties.get(b"ipma", b"")
    wide_id, wide_index = (4 if table[:1] > b"\0" else 2), (2 if table[3:4] > b"\0" else 1)
    place = 8
    while place < len(table):
        item, count = int.from_bytes(table[place : place + wide_id]), table[place + wide_id]
        place += wide_id + 1
        indices = [table[place + wide_index * i :][:wide_index] for i in range(count)]
        place += wide_index * count
        if item == shown:
            numbers = [int.from_bytes(index) & (0x7FFF if wide_index == 2 else 0x7F) for index in indices]
            return [known[number - 1] for number in numbers if 0 < number <= len(known)]
    return []

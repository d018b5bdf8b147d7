# SPDX-License-Identifier: MIT
"""What a picture file says beside its pixels: orientation, EXIF and XMP, however damaged they are."""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from PIL import Image

from vgic_lib.formats import headers

_ORIENTATION = 0x0112  # tags of EXIF
_CHANGED, _DATES, _LATITUDE = 0x0132, (0x9003, 0x9004), 2  # dates: taken, digitised
_EXIF_FOLDER, _GPS_FOLDER = 0x8769, 0x8825
_SIZES = {1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4}  # type of an integer -> bytes
_DESCRIPTIONS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)  # from description to copyright
_XMP_ORIENTATION = re.compile(rb'(tiff:Orientation(?:="|>))([0-9])')


class _Entry(NamedTuple):
    """One entry of a folder of EXIF."""

    tag: int
    count: int  # values; what follows is about the first
    value: int  # 0 where it is no integer
    place: int  # of its first byte
    size: int  # bytes; 0 where it is no integer
    order: Literal["little", "big"]


class Metadata(NamedTuple):
    """What a file says beside its pixels, fit for a picture that was turned upright; b"" for nothing."""

    exif: bytes  # starts with the byte order, as in TIFF; its orientation is 1
    xmp: bytes

    @property
    def facts(self) -> tuple[str, ...]:
        """What many people care about and is in here: "date", "place", or both."""
        main = {entry.tag: entry for entry in _entries(self.exif)}
        inner = {
            entry.tag
            for folder in (_EXIF_FOLDER, _GPS_FOLDER)
            if folder in main
            for entry in _entries(self.exif, main[folder].value)
        }
        dated = _CHANGED in main or not inner.isdisjoint(_DATES)
        return ("date",) * dated + ("place",) * (_LATITUDE in inner)


def orientation(image: Image.Image) -> int:
    """Orientation of a loaded picture as EXIF counts it, 1 to 8; what is no such number counts as 1."""
    if hasattr(image, "tag_v2"):
        return 1  # Pillow turns TIFF while loading
    if (header := headers.jxl_header(image)) and header.orientation != 1:
        return 1  # turned by the decoder; EXIF repeats what was done
    if entry := _orientation_entry(_exif(image)):
        value = entry.value
    else:
        found = _XMP_ORIENTATION.search(_xmp(image))
        value = int(found[2]) if found else 1
    return value if 1 <= value <= 8 else 1


def metadata(image: Image.Image) -> Metadata:
    """EXIF and XMP of a loaded picture, with the orientation set to upright, otherwise as they are."""
    exif = bytearray(_exif(image))
    if entry := _orientation_entry(exif):
        exif[entry.place : entry.place + entry.size] = (1).to_bytes(entry.size, entry.order)
    return Metadata(bytes(exif), _XMP_ORIENTATION.sub(rb"\g<1>1", _xmp(image)))


def _exif(image: Image.Image) -> bytes:
    """EXIF from its byte order on, or nothing."""
    block = image.info.get("exif", b"")
    try:
        if not block and hasattr(image, "tag_v2"):
            block = _exif_of_tiff(image)
        elif not block and "Raw profile type exif" in image.info:  # text of PNG, by ImageMagick
            block = bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[3:]))
    except Exception:  # damaged EXIF makes its parser raise nearly anything
        return b""
    while isinstance(block, bytes) and block.startswith(b"Exif\0\0"):
        block = block[6:]
    return block if isinstance(block, bytes) and block[:4] in (b"II*\0", b"MM\0*") else b""


def _exif_of_tiff(image: Image.Image) -> bytes:
    """Tags that describe the picture, without those that describe the file."""
    tags, kept = image.getexif(), Image.Exif()
    for tag in _DESCRIPTIONS:
        if tag in tags:
            kept[tag] = tags[tag]
    for folder in (_EXIF_FOLDER, _GPS_FOLDER):
        if content := tags.get_ifd(folder):
            kept[folder] = content
    return kept.tobytes() if len(kept) else b""


def _xmp(image: Image.Image) -> bytes:
    block = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return block.encode() if isinstance(block, str) else bytes(block)


def _orientation_entry(exif: bytes) -> _Entry | None:
    """Where the orientation is; of several values the first counts, and text is none."""
    for entry in _entries(exif):
        if entry.tag == _ORIENTATION and entry.size and 1 <= entry.count <= 4 // entry.size:
            return entry
    return None


def _entries(exif: bytes, folder: int | None = None) -> Iterator[_Entry]:
    """Entries of a folder (the first if None) that begins at this byte; all else may be damaged."""
    order = {b"II": "little", b"MM": "big"}.get(bytes(exif[:2]))
    if order is None:
        return

    def number(place: int, size: int) -> int:
        return int.from_bytes(exif[place : place + size], order)

    start = number(4, 4) if folder is None else folder
    for place in range(start + 2, min(start + 2 + 12 * number(start, 2), len(exif) - 11), 12):
        size = _SIZES.get(number(place + 2, 2), 0)
        yield _Entry(number(place, 2), number(place + 4, 4), number(place + 8, size), place + 8, size, order)

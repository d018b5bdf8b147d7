# SPDX-License-Identifier: MIT
"""What a picture file says beside its pixels: orientation, EXIF and XMP, however damaged they are."""

import io
import re
from typing import NamedTuple

from PIL import Image

from vgic_lib import headers

_ORIENTATION = 0x0112  # tags of EXIF
_DATES = (0x0132, 0x9003)  # changed, taken
_EXIF_FOLDER, _GPS_FOLDER = 0x8769, 0x8825
_XMP_ORIENTATION = re.compile(rb'(tiff:Orientation(?:="|>))([0-9])')


class Metadata(NamedTuple):
    """What a file says beside its pixels, fit for a picture that was turned upright; b"" for nothing."""

    exif: bytes  # starts with the byte order, as in TIFF; its orientation is 1
    xmp: bytes

    @property
    def facts(self) -> tuple[str, ...]:
        """What many people care about and is in here: "date", "place", or both."""
        exif = Image.Exif()
        try:
            exif.load(self.exif)
            dated = any(tag in exif or tag in exif.get_ifd(_EXIF_FOLDER) for tag in _DATES)
            placed = bool(exif.get_ifd(_GPS_FOLDER))
        except Exception:  # damaged EXIF makes its parser raise nearly anything
            return ()
        return ("date",) * dated + ("place",) * placed


def orientation(image: Image.Image) -> int:
    """Orientation of a loaded picture as EXIF counts it, 1 to 8; what is no such number counts as 1."""
    if hasattr(image, "tag_v2"):
        return 1  # Pillow turns TIFF while loading
    if image.format == "JXL" and not image.jpeg and headers.jxl(io.BytesIO(image.fc)).orientation != 1:
        return 1  # turned by the decoder; EXIF repeats what was done
    field = _orientation_field(_exif(image))
    if field is not None:
        value = field[0]
    else:
        found = _XMP_ORIENTATION.search(_xmp(image))
        value = int(found[2]) if found else 1
    return value if 1 <= value <= 8 else 1


def metadata(image: Image.Image) -> Metadata:
    """EXIF and XMP of a loaded picture, with the orientation set to upright, otherwise as they are."""
    exif = bytearray(_exif(image))
    if field := _orientation_field(exif):
        _, place, size, order = field
        exif[place : place + size] = (1).to_bytes(size, order)
    return Metadata(bytes(exif), _XMP_ORIENTATION.sub(rb"\g<1>1", _xmp(image)))


def _exif(image: Image.Image) -> bytes:
    """EXIF from its byte order on, or nothing."""
    block = image.info.get("exif", b"")
    try:
        if not block and hasattr(image, "tag_v2"):
            block = image.getexif().tobytes()
        elif not block and "Raw profile type exif" in image.info:  # text of PNG, by ImageMagick
            block = bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[3:]))
    except Exception:  # damaged EXIF makes its parser raise nearly anything
        return b""
    while isinstance(block, bytes) and block.startswith(b"Exif\0\0"):
        block = block[6:]
    return block if isinstance(block, bytes) and block[:4] in (b"II*\0", b"MM\0*") else b""


def _xmp(image: Image.Image) -> bytes:
    block = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return block.encode() if isinstance(block, str) else bytes(block)


def _orientation_field(exif: bytes) -> tuple[int, int, int, str] | None:
    """Value, place, size in bytes and byte order of the orientation; None where there is none.

    All else in the block may be damaged. Of several values the first counts; text is none.
    """
    order = {b"II": "little", b"MM": "big"}.get(bytes(exif[:2]))
    if order is None:
        return None

    def number(place: int, size: int) -> int:
        return int.from_bytes(exif[place : place + size], order)

    folder = number(4, 4)
    for entry in range(folder + 2, min(folder + 2 + 12 * number(folder, 2), len(exif) - 11), 12):
        size = {1: 1, 3: 2, 4: 4}.get(number(entry + 2, 2))  # of a BYTE, SHORT, LONG
        if number(entry, 2) == _ORIENTATION and size and 1 <= number(entry + 4, 4) <= 4 // size:
            return number(entry + 8, size), entry + 8, size, order
    return None

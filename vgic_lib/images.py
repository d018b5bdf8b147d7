# SPDX-License-Identifier: MIT
"""Pictures in and out: one way to open them, one way to turn them into tensors and arrays.

Everything downstream may rely on what `normalise_image` promises: 8 bits, upright, sRGB.
"""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import pillow_jxl  # noqa: F401  (registers JPEG XL with Pillow)
from PIL import Image, UnidentifiedImageError

from vgic_lib.errors import ImageError, PictureWarning
from vgic_lib.formats import colours, headers
from vgic_lib.formats.limits import MAX_PIXELS
from vgic_lib.formats.metadata import Metadata, metadata, orientation

if TYPE_CHECKING:
    import torch

CROP_2020 = (178, 218)  # width, height of the pictures of the 2020 project

_MODES = {  # mode of an open picture -> mode without transparency that it is read as
    "1": "L", "L": "L", "LA": "L",
    "P": "RGB", "PA": "RGB", "RGB": "RGB", "RGBA": "RGB", "RGBX": "RGB", "YCbCr": "RGB",
}  # fmt: skip
_TURNS = {  # orientation in EXIF -> what makes the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}  # known to Pillow, read by other programs


def endings() -> frozenset[str]:
    """Endings of the names of files that can be read, such as ".png", in lower case."""
    known = Image.registered_extensions()
    readable = {*Image.OPEN, "MPO"} - _NO_PICTURES  # MPO is opened as JPEG
    return frozenset(ending for ending, kind in known.items() if kind in readable)


def read_image(path: str | Path, data: bytes | None = None) -> Image.Image:
    """Picture in a file, as `read_with_metadata` reads it, alone."""
    return read_with_metadata(path, data)[0]


def read_with_metadata(path: str | Path, data: bytes | None = None) -> tuple[Image.Image, Metadata]:
    """Open a picture of any format that Pillow reads; of an animation, the first frame.

    Where something of the file is left out, a `PictureWarning` says so.

    Args:
        path: of the file.
        data: content of the file, where it is in memory; `path` then only names it.

    Returns:
        picture of mode "L", "LA", "RGB" or "RGBA", 8 bits, upright, sRGB, and the metadata that it lost.

    Raises:
        ImageError: the file is missing, not a picture, damaged, too large, or of a kind that
            `normalise_image` refuses.
    """
    with _one_line(path), open(path, "rb") if data is None else io.BytesIO(data) as stream:
        if not stream.seek(0, os.SEEK_END):
            raise ImageError(f"{path} is empty; get a good copy of it")
        stream.seek(0)
        try:
            found = _read(stream, str(path))
        except Exception:
            pixels = headers.png_without_remarks(stream)  # such as texts of sizes that Pillow refuses
            if pixels is None:
                raise
            found = _read(pixels, str(path))
    picture, notes, kept = found
    _warn(path, notes)
    return picture, kept


def normalise_image(image: Image.Image) -> Image.Image:
    """Apply orientation and colour profile of an open picture; palettes become colours.

    Where something of the picture is left out, a `PictureWarning` says so.

    Returns:
        new picture of mode "L", "LA", "RGB" or "RGBA", upright, sRGB, without metadata.

    Raises:
        ImageError: more than MAX_PIXELS pixels or none, more than 8 bits a channel, a colour model
            other than gray and RGB (such as CMYK), or colours of HDR.
    """
    name = getattr(image, "filename", "") or "the picture"
    picture, notes = _normalise(image, name)
    _warn(name, notes)
    return picture


def to_array(image: Image.Image) -> np.ndarray:
    """Pixels (H, W, 3), uint8, RGB; gray is repeated, transparency left out."""
    return np.asarray(image.convert("RGB"))


def to_tensor(image: Image.Image) -> "torch.Tensor":
    """Pixels (1, 3, H, W), float32 in [0, 1]; gray is repeated, transparency left out."""
    import torch  # takes seconds, and reading photographs needs none

    return torch.tensor(to_array(image)).permute(2, 0, 1)[None].float() / 255


def to_image(x: "torch.Tensor") -> Image.Image:
    """Picture of mode "RGB" from x (1, 3, H, W) in [0, 1], clamped and rounded to 8 bits."""
    pixels = (x.detach()[0] * 255).round_().clamp_(0, 255).byte()
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().cpu().numpy())


def centre_crop(image: Image.Image, width: int, height: int) -> Image.Image:
    """Middle of a picture; where it is smaller than asked, that side is kept whole."""
    width, height = min(width, image.width), min(height, image.height)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _read(stream: IO[bytes], name: str) -> tuple[Image.Image, list[str], Metadata]:
    """Picture in an open file, what is to be said about it, and its metadata."""
    if (header := headers.jxl(stream)) and header.width * header.height > MAX_PIXELS:
        raise ImageError(_too_large(name))
    Image.init()
    formats = [kind for kind in Image.OPEN if kind not in _NO_PICTURES]
    try:
        opened = Image.open(stream, formats=formats)
    except UnidentifiedImageError as error:
        if kind := _begins_like(stream, formats):
            reason = f"is damaged, or a kind of {kind} that cannot be read"
            raise ImageError(f"{name} {reason}; convert it to an 8-bit PNG first") from error
        raise
    with opened as image:
        return *_normalise(image, name), metadata(image)


def _normalise(image: Image.Image, name: str) -> tuple[Image.Image, list[str]]:
    """Picture as `normalise_image` returns it, and what is to be said about it.

    In this order: refuse what cannot be right, take the first frame, turn it upright, leave palettes and
    transparency aside, convert the colours, put the transparency back.
    """
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(_too_large(name))
    if reason := _refusal(image):
        raise ImageError(f"{name} {reason}")
    notes = []
    if headers.has_more_frames(image):
        notes.append("holds several pictures (frames, pages or views); only the first is taken")
    described = headers.colours(image)  # while the file is open
    image.load()
    turn = _TURNS.get(orientation(image))
    upright = image if turn is None else image.transpose(turn)
    plain = upright.convert("RGBA") if upright.has_transparency_data else upright
    result = plain.convert(_MODES[image.mode])
    try:
        result = colours.to_srgb(result, described)
    except colours.OutOfGamut as error:
        raise ImageError(f"{name} has {error}; convert it to sRGB first") from error
    except ValueError as error:
        notes.append(f"its colour profile cannot be used ({error}); its colours are taken as sRGB")
    if upright.has_transparency_data:
        result.putalpha(plain.getchannel("A"))
    result.info = {}
    return result, notes


def _refusal(image: Image.Image) -> str | None:
    """Why a picture is refused, for a message that begins with its name; None for one that is fine."""
    if not image.width * image.height:
        return "has no pixels; give one of at least 1x1"
    if headers.bits_per_channel(image) > 8:
        return "has more than 8 bits per channel; convert it to 8 bits first"
    if headers.has_odd_samples(image):
        return "has signed or subsampled pixels; convert it to 8-bit RGB first"
    if image.mode not in _MODES:
        return f"has colour mode {image.mode}; convert it to RGB first"
    return None


def _begins_like(stream: IO[bytes], formats: list[str]) -> str | None:
    """Format that the first bytes of a file belong to."""
    stream.seek(0)
    start = stream.read(16)
    accept = {kind: Image.OPEN[kind][1] for kind in formats}
    return next((kind for kind in formats if accept[kind] and accept[kind](start) is True), None)


def _too_large(name: str | Path) -> str:
    return f"{name} has more than {MAX_PIXELS / 1e6:.0f} million pixels; make it smaller first"


def _warn(name: str | Path, notes: list[str]) -> None:
    for text in notes:
        warnings.warn(PictureWarning(str(name), text), stacklevel=3)


@contextmanager
def _one_line(path: str | Path) -> Iterator[None]:
    """Turns whatever opening a picture raises into an ImageError of one line."""
    try:
        yield
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist; check the name") from error
    except IsADirectoryError as error:
        raise ImageError(f"{path} is a folder; name a picture in it") from error
    except PermissionError as error:
        raise ImageError(f"{path} cannot be read: permission denied; change its permissions") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{path} is not a picture of a known format; try PNG or JPEG") from error
    except Image.DecompressionBombError as error:
        raise ImageError(_too_large(path)) from error
    except MemoryError as error:
        raise ImageError(f"{path} needs more memory than there is; make it smaller first") from error
    except Exception as error:  # damaged files make decoders raise nearly anything
        if isinstance(error, OSError) and error.errno:
            raise ImageError(f"{path} cannot be read: {os.strerror(error.errno)}; check the file") from error
        reason = " ".join(str(error).split()).split(". ")[0] or type(error).__name__
        raise ImageError(f"{path} is truncated or damaged ({reason}); get a good copy of it") from error

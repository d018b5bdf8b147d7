# SPDX-License-Identifier: MIT
"""Files to files, both ways: one picture, or all pictures below a folder."""

import io
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from vgic_lib import codec
from vgic_lib.errors import (
    BitstreamError,
    DataError,
    ImageError,
    ModelError,
    ParameterError,
    StorageError,
    VgicError,
)
from vgic_lib.files import read_bytes, write_bytes
from vgic_lib.images import endings, read_image
from vgic_lib.models.base import LatentModel
from vgic_lib.progress import counted, progress

ENDING = ".vgic"

_FORMATS = {  # ending of a decompressed picture -> Pillow's format and its options
    ".png": ("PNG", {}),
    ".webp": ("WEBP", {"lossless": True}),
    ".tif": ("TIFF", {"compression": "tiff_lzw"}),
    ".tiff": ("TIFF", {"compression": "tiff_lzw"}),
    ".jpg": ("JPEG", {"quality": 95}),
    ".jpeg": ("JPEG", {"quality": 95}),
}


class Conversion(NamedTuple):
    """A way to turn one kind of file into another."""

    convert: Callable[[Path, Path], str]  # source, target -> what was done, for people to read
    endings: frozenset[str]  # of the files in a folder that are converted
    new_ending: str
    label: str  # what is being done


class Summary(NamedTuple):
    """What became of a file or folder."""

    text: str  # what was done, for people to read
    errors: tuple[str, ...]  # one for each file of the folder that could not be converted
    count: int  # files


def compression(
    model: LatentModel,
    quality: float | None = None,
    search_steps: int = 0,
    target_bytes: int | None = None,
    target_psnr: float | None = None,
) -> Conversion:
    """Pictures to .vgic files; what can go wrong is in `codec.compress`, `images.read_image` and `files`.

    Raises:
        ParameterError: options that contradict each other, or a quality out of range.
    """
    codec.check_options(quality, search_steps, target_bytes, target_psnr)
    options = {"target_bytes": target_bytes, "target_psnr": target_psnr, "search_steps": search_steps}
    if quality is not None:
        model.setting(quality)
    steps = search_steps + 1 if target_bytes is target_psnr is None else None  # else: unknown before the end

    def convert(source: Path, target: Path) -> str:
        image = read_image(source)
        with counted("latent search", steps) if search_steps else nullcontext() as report:
            data = codec.compress(image, model=model, quality=quality, report=report, **options)
        write_bytes(target, data)
        pixels = image.width * image.height
        return f"{len(data)} bytes, {8 * len(data) / pixels:.3f} bpp, {3 * pixels / len(data):.1f} : 1"

    return Conversion(convert, endings() - {ENDING}, ENDING, "compress")


def decompression() -> Conversion:
    """Files of .vgic to pictures; what can go wrong is in `codec.decompress` and `files`."""

    def convert(source: Path, target: Path) -> str:
        if target.suffix.lower() not in _FORMATS:
            raise ParameterError(f"{target} must end in {', '.join(_FORMATS)}; choose another name")
        try:
            image = codec.decompress(read_bytes(source))
        except (BitstreamError, ModelError) as error:
            raise type(error)(f"{source}: {error}") from error
        write_bytes(target, _picture_bytes(image, target))
        return f"{image.width} x {image.height} {image.mode}"

    return Conversion(convert, frozenset({ENDING}), ".png", "decompress")


def run(conversion: Conversion, source: Path, target: Path, force: bool = False) -> Summary:
    """Convert the file `source`, or all files below the folder `source` that are of its kind.

    In a folder, files that cannot be converted are left out and reported. Where two new names would be
    the same (of a.png and a.jpg), the old ending stays in them.

    Args:
        conversion: what to do.
        source: file or folder.
        target: file, or folder; it may exist or not.
        force: replace existing files.

    Raises:
        VgicError: a single file cannot be converted, or a folder holds none.
    """
    if not source.is_dir():
        target = target / f"{source.stem}{conversion.new_ending}" if target.is_dir() else target
        return Summary(_run_one(conversion, source, target, force), (), 1)
    names = _names(source, conversion.endings)
    stems = Counter(name.with_suffix("") for name in names)
    errors = []
    for name in progress(names, conversion.label):
        unique = stems[name.with_suffix("")] == 1
        new_name = name.with_suffix("") if unique else name
        try:
            _run_one(conversion, source / name, target / f"{new_name}{conversion.new_ending}", force)
        except VgicError as error:
            errors.append(str(error))
    return Summary(f"{len(names) - len(errors)} of {len(names)} files done", tuple(errors), len(names))


def _run_one(conversion: Conversion, source: Path, target: Path, force: bool) -> str:
    if target.exists():
        if source.exists() and target.samefile(source):
            raise ParameterError(f"{target} is the input itself; choose another output")
        if not force:
            raise StorageError(f"{target} exists; add --force to replace it, or choose another name")
    return conversion.convert(source, target)


def _names(folder: Path, endings: frozenset[str]) -> list[Path]:
    """Files below `folder` with one of `endings`, relative to it, sorted; hidden ones are left out."""
    found = [path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in endings]
    names = sorted(path for path in found if not any(part.startswith(".") for part in path.parts))
    if not names:
        raise DataError(f"{folder} holds no file to convert; check the folder's name")
    return names


def _picture_bytes(image: Image.Image, target: Path) -> bytes:
    """`image` in the format that the ending of `target` names."""
    kind, options = _FORMATS[target.suffix.lower()]
    stream = io.BytesIO()
    try:
        image.save(stream, kind, **options)
    except (OSError, ValueError) as error:  # alpha in JPEG, sides that WebP does not hold
        raise ImageError(
            f"{kind} cannot hold this picture ({error}); choose a name that ends in .png"
        ) from error
    return stream.getvalue()

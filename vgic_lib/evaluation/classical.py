# SPDX-License-Identifier: MIT
"""JPEG, WebP, AVIF, JPEG XL and JPEG 2000 behind one compress / decompress pair, all in memory.

A new codec is one entry of `CLASSICAL`.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pillow_jxl  # noqa: F401  (registers JPEG XL with Pillow)
from PIL import Image, features

from vgic_lib.errors import ParameterError

QUALITY_SCALE = tuple(float(quality) for quality in range(1, 101))
LADDER = (1.0, 5.0, 10.0, 20.0, 35.0, 50.0, 65.0, 80.0, 90.0, 95.0, 98.0)
JXL_SCALE = tuple(step / 4 for step in range(4, 400))  # 1 to 99.75; the plug-in refuses a lossy 100
JP2_RATIOS = tuple(round(400 / 1.05**step, 1) for step in range(110))  # 400 to 2


@dataclass(frozen=True)
class ClassicalCodec:
    """One file format as Pillow writes it, with fixed encoder options."""

    name: str
    title: str  # as a reader of tables knows it
    extension: str
    format: str  # Pillow's name
    options: Callable[[float], dict[str, Any]]  # quality -> arguments of Image.save
    grid: tuple[float, ...]  # every quality on offer, smallest files first
    qualities: tuple[float, ...]  # those that make a rate-distortion curve

    def compress(self, image: Image.Image, *, quality: float) -> bytes:
        """Encode `image`; `quality` is in the codec's own unit and one of `grid`.

        Raises:
            ParameterError: no such quality, or this Pillow cannot write the format.
        """
        if quality not in self.grid:
            raise ParameterError(
                f"{self.title} has no quality {quality:g}; use {self.grid[0]:g} to {self.grid[-1]:g}"
            )
        if self.format == "AVIF" and not features.check("avif"):
            raise ParameterError("this Pillow has no AVIF; install a newer one or leave avif out")
        buffer = io.BytesIO()
        try:
            image.save(buffer, self.format, **self.options(quality))
        except ValueError as error:
            raise ParameterError(
                f"this Pillow cannot write {self.title} ({error}); take a newer one or leave {self.name} out"
            ) from error
        return buffer.getvalue()

    def decompress(self, data: bytes) -> Image.Image:
        """Decode what `compress` made."""
        with Image.open(io.BytesIO(data), formats=[self.format]) as image:
            image.load()
            return image.copy()


def _jpeg(quality: float) -> dict[str, Any]:
    return {"quality": int(quality), "subsampling": "4:2:0"}


def _webp(quality: float) -> dict[str, Any]:
    return {"quality": quality, "method": 6}


def _avif(quality: float) -> dict[str, Any]:
    return {"quality": int(quality), "speed": 6, "subsampling": "4:4:4"}


def _avif_psnr(quality: float) -> dict[str, Any]:
    return {**_avif(quality), "advanced": {"tune": "psnr"}}


def _avif_ssimulacra2(quality: float) -> dict[str, Any]:
    return {**_avif(quality), "advanced": {"tune": "ssimulacra2"}}


def _jxl(quality: float) -> dict[str, Any]:
    # Without the last one, the plug-in would repack the JPEG file that a picture was read from.
    return {"quality": quality, "effort": 7, "num_threads": 1, "lossless_jpeg": False}


def _jp2(ratio: float) -> dict[str, Any]:
    # mct is the colour transform, worth 3 to 6 dB; left out, Pillow codes red, green and blue apart.
    return {"irreversible": True, "mct": 1, "quality_mode": "rates", "quality_layers": [ratio]}


CLASSICAL: dict[str, ClassicalCodec] = {
    codec.name: codec
    for codec in (
        # JPEG is baseline with the standard Huffman tables; AVIF is tuned for perception, libavif's default
        # ("iq": the same bytes).
        ClassicalCodec("jpeg", "JPEG", ".jpg", "JPEG", _jpeg, QUALITY_SCALE, LADDER),
        ClassicalCodec("webp", "WebP", ".webp", "WEBP", _webp, QUALITY_SCALE, LADDER),
        ClassicalCodec("avif", "AVIF", ".avif", "AVIF", _avif, QUALITY_SCALE, LADDER),
        ClassicalCodec("avif-psnr", "AVIF (PSNR)", ".avif", "AVIF", _avif_psnr, QUALITY_SCALE, LADDER),
        ClassicalCodec(  # the encoder refuses a lossless 100 for this tune
            "avif-ssimulacra2",
            "AVIF (SSIMULACRA2)",
            ".avif",
            "AVIF",
            _avif_ssimulacra2,
            QUALITY_SCALE[:-1],
            LADDER,
        ),  # fmt: skip
        ClassicalCodec("jxl", "JPEG XL", ".jxl", "JXL", _jxl, JXL_SCALE, LADDER),
        # The quality of JPEG 2000 is the compression ratio that its encoder is asked for.
        ClassicalCodec("jp2", "JPEG 2000", ".jp2", "JPEG2000", _jp2, JP2_RATIOS, JP2_RATIOS[::11]),
    )
}


def classical_codec(name: str) -> ClassicalCodec:
    """The codec called `name`. Raises ParameterError, listing the names, if there is none."""
    if name not in CLASSICAL:
        raise ParameterError(f"unknown classical codec {name!r}; choose from {', '.join(CLASSICAL)}")
    return CLASSICAL[name]


class SizedFile(NamedTuple):
    """A file and the quality that made it."""

    data: bytes
    quality: float


class FileSizes:
    """Files of one picture at every quality tried so far: finds sizes without encoding twice."""

    def __init__(self, codec: ClassicalCodec, image: Image.Image) -> None:
        """Nothing is encoded yet."""
        self._codec = codec
        self._image = image
        self._files: dict[float, bytes] = {}

    def at_quality(self, quality: float) -> bytes:
        """The file at this quality."""
        if quality not in self._files:
            self._files[quality] = self._codec.compress(self._image, quality=quality)
        return self._files[quality]

    def nearest(self, target_bytes: int) -> SizedFile:
        """The file whose length is nearest to `target_bytes` (the smaller of two equally near).

        Bisects the codec's grid, then looks at the neighbours: sizes grow with quality, small steps apart.
        """
        grid = self._codec.grid
        low, high = 0, len(grid) - 1
        while low < high:
            middle = (low + high) // 2
            if len(self.at_quality(grid[middle])) < target_bytes:
                low = middle + 1
            else:
                high = middle
        candidates = [(self.at_quality(quality), quality) for quality in grid[max(low - 2, 0) : low + 2]]
        data, quality = min(candidates, key=lambda file: (abs(len(file[0]) - target_bytes), len(file[0])))
        return SizedFile(data, quality)

# SPDX-License-Identifier: MIT
"""Files of one picture beyond quality 100: within a largest error, and lossless, beside other formats."""

import io
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pillow_jxl  # noqa: F401  (registers JPEG XL with Pillow)
from PIL import Image

from vgic_lib import codec
from vgic_lib.metrics.distortion import psnr_db

OURS, LOSSLESS = "VGIC", "lossless"
ERRORS = 4, 2, 1
FORMATS: Mapping[str, tuple[str, dict[str, object]]] = {  # name -> Pillow's format and options of exact files
    "PNG": ("PNG", {"optimize": True}),
    "WebP": ("WEBP", {"lossless": True}),
    "JPEG XL": ("JXL", {"lossless": True, "effort": 7}),
}


def exact_files(image: Image.Image) -> pd.DataFrame:
    """Bytes of an RGB picture in files within a largest error and in lossless ones, all decoded."""
    ours = {"quality 100": {"quality": 100}} | {f"error {error}": {"max_error": error} for error in ERRORS}
    lines = [
        _line(image, OURS, setting, codec.compress(image, **options), codec.decompress)
        for setting, options in (ours | {LOSSLESS: {"lossless": True}}).items()
    ]
    lines += [_line(image, name, LOSSLESS, saved(image, *way), opened) for name, way in FORMATS.items()]
    return pd.DataFrame(lines)


def saved(image: Image.Image, kind: str, options: Mapping[str, object]) -> bytes:
    """The file that Pillow writes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def opened(data: bytes) -> Image.Image:
    """What Pillow reads, RGB."""
    return Image.open(io.BytesIO(data)).convert("RGB")


def differences(image: Image.Image, decoded: Image.Image) -> tuple[int, float]:
    """Largest difference in levels of a channel of two pictures, and PSNR in dB; 100 dB for equal ones."""
    before, after = (np.asarray(x.convert("RGB")) for x in (image, decoded))
    return int(np.abs(before.astype(int) - after).max()), psnr_db(before, after)


def _line(
    image: Image.Image, name: str, setting: str, data: bytes, decode: Callable[[bytes], Image.Image]
) -> dict[str, object]:
    largest, psnr = differences(image, decode(data))
    bpp = 8 * len(data) / (image.width * image.height)
    facts = {"bytes": len(data), "bpp": bpp, "largest_error": largest, "psnr_db": psnr}
    return {"codec": name, "setting": setting} | facts

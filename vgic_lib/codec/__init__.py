# SPDX-License-Identifier: MIT
"""Picture to .vgic bytes and back, rate control, files and folders."""

from vgic_lib.codec.image import (
    DEFAULT_QUALITY,
    DEFAULT_TUNE,
    Encoded,
    check_options,
    compress,
    encode,
    exact_model,
    model_of,
)
from vgic_lib.codec.reading import FileInfo, check_pixels, decompress, info

__all__ = [
    "DEFAULT_QUALITY",
    "DEFAULT_TUNE",
    "Encoded",
    "FileInfo",
    "check_options",
    "check_pixels",
    "compress",
    "decompress",
    "encode",
    "exact_model",
    "info",
    "model_of",
]

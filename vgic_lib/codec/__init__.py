# SPDX-License-Identifier: MIT
"""Picture to .vgic bytes and back, rate control, files and folders."""

from vgic_lib.codec.image import (
    DEFAULT_QUALITY,
    Encoded,
    FileInfo,
    check_options,
    check_pixels,
    compress,
    decompress,
    encode,
    info,
)

__all__ = [
    "DEFAULT_QUALITY",
    "Encoded",
    "FileInfo",
    "check_options",
    "check_pixels",
    "compress",
    "decompress",
    "encode",
    "info",
]

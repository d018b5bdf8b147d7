# SPDX-License-Identifier: MIT
"""Picture to .vgic bytes and back, rate control, files and folders."""

from vgic_lib.codec.image import DEFAULT_QUALITY, DEFAULT_TUNE, Encoded, check_options, compress, encode
from vgic_lib.codec.reading import FileInfo, decompress, info

__all__ = [
    "DEFAULT_QUALITY",
    "DEFAULT_TUNE",
    "Encoded",
    "FileInfo",
    "check_options",
    "compress",
    "decompress",
    "encode",
    "info",
]

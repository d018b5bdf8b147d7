# SPDX-License-Identifier: MIT
"""Memory that work on a picture takes, compared with what there is before the work starts."""

from pathlib import Path
from typing import Literal

from vgic_lib.errors import ImageError
from vgic_lib.models.base import LatentModel
from vgic_lib.models.vaegan import VaeGan

Work = Literal["compress", "search", "decompress"]

# Peak beside the libraries, as benchmarks/memory.py finds it, rounded up: bytes a pixel of the first TILED
# pixels, and of the rest, which decoders and encoders work on piece by piece.
TILED = 2**20
HYPERPRIOR: dict[Work, tuple[int, int]] = {
    "compress": (200, 160),
    "search": (1200, 1000),
    "decompress": (140, 130),
}
VAEGAN: dict[Work, tuple[int, int]] = {"compress": (140, 90), "search": (2900, 2900), "decompress": (900, 70)}
MEMINFO = Path("/proc/meminfo")
_TORCH = ("can't allocate memory", "not enough memory", "out of memory")  # in messages of its RuntimeError


def needed_bytes(width: int, height: int, model: LatentModel, work: Work) -> int:
    """Memory in bytes that `work` on a picture of `width` x `height` pixels takes, from above."""
    first, rest = (VAEGAN if isinstance(model, VaeGan) else HYPERPRIOR)[work]
    pixels = width * height
    return first * min(pixels, TILED) + rest * max(0, pixels - TILED)


def available_bytes() -> int | None:
    """Memory and swap space in bytes that the system could give now; None where it does not tell."""
    try:
        lines = MEMINFO.read_text(encoding="ascii").splitlines()
        kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        return 1024 * (kib["MemAvailable"] + kib.get("SwapFree", 0))
    except (OSError, ValueError, KeyError, IndexError):
        return None


def check_memory(width: int, height: int, model: LatentModel, work: Work) -> None:
    """Refuse `work` on a picture of `width` x `height` pixels that would not fit. Raises ImageError."""
    needed, available = needed_bytes(width, height, model, work), available_bytes()
    if available is not None and needed > available:
        raise ImageError(
            f"{width} x {height} pixels need {needed / 1e9:.1f} GB of memory, "
            f"{available / 1e9:.1f} GB are free; close other programs or make the picture smaller"
        )


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether `error`, or one that caused it, says that memory has run out."""
    while error is not None:
        message = str(error).lower()
        if isinstance(error, MemoryError):
            return True
        if isinstance(error, RuntimeError) and any(words in message for words in _TORCH):
            return True
        error = error.__cause__
    return False

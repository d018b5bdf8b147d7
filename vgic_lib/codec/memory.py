# SPDX-License-Identifier: MIT
"""Memory that work on a picture takes, compared with what there is before the work starts."""

from pathlib import Path

from vgic_lib.errors import ImageError
from vgic_lib.models.base import TILED_PIXELS, LatentModel, Work

MEMINFO = Path("/proc/meminfo")
_TORCH = ("can't allocate memory", "not enough memory", "out of memory")  # in messages of its RuntimeError


def needed_bytes(width: int, height: int, model: LatentModel, work: Work) -> int:
    """Memory in bytes that `work` on a picture of `width` x `height` pixels takes, from above."""
    pixels = width * height
    first, more = model.bytes_per_pixel[work]
    return min(pixels, TILED_PIXELS) * first + max(0, pixels - TILED_PIXELS) * more


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

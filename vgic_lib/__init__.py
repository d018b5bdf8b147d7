# SPDX-License-Identifier: MIT
"""VGIC: variational generative image compression, a research workbook and a codec."""

import os
import sys

__version__ = "0.1.0"

# oneDNN's bfloat16 convolutions for AMX tiles (torch 2.15) give other numbers, or none, from one call to the
# next where channels are few. It reads this before its first convolution.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")


def _after_fork() -> None:
    """Go on with one thread: OpenMP's others do not live on in a forked process, and it waits for them."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)

# SPDX-License-Identifier: MIT
"""VGIC: variational generative image compression, a research workbook and a codec."""

import os
import sys

__version__ = "0.1.0"


def _after_fork() -> None:
    """Go on with one thread: OpenMP's others do not live on in a forked process, and it waits for them."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)

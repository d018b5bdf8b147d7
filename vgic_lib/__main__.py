# SPDX-License-Identifier: MIT
"""Lets `python -m vgic_lib` do what the `vgic` command does."""

import sys

from vgic_lib.cli import main

if __name__ == "__main__":
    sys.exit(main())

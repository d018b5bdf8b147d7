# SPDX-License-Identifier: MIT
"""VGIC: variational generative image compression, a research workbook and a codec."""

__version__ = "0.1.0"

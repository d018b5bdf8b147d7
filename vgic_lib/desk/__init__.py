# SPDX-License-Identifier: MIT
"""The interactive page of sliders."""

from vgic_lib.desk.desk import Desk

__all__ = ["Desk"]

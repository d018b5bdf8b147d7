# SPDX-License-Identifier: MIT
"""The interactive page."""

from vgic_lib.desk.desk import Desk

__all__ = ["Desk"]

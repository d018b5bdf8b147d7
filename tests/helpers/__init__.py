# SPDX-License-Identifier: MIT
"""What tests share."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

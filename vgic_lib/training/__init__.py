# SPDX-License-Identifier: MIT
"""Photographs to weights: configuration, loop, tasks, losses, crops, export."""

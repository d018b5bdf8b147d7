# SPDX-License-Identifier: MIT
"""Symbols to bytes and back: container, range coder, exact networks, the prior of the 2020 networks."""

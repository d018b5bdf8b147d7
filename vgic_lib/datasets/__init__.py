# SPDX-License-Identifier: MIT
"""Which photographs there are, where they come from, and what each is for."""

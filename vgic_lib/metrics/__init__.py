# SPDX-License-Identifier: MIT
"""Two pictures to a number."""

# SPDX-License-Identifier: MIT
"""How large a picture may be that is read or written."""

MAX_PIXELS = 2**26  # width times height

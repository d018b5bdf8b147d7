# SPDX-License-Identifier: MIT
"""What picture files say of themselves: depth, colours, orientation, metadata."""

# SPDX-License-Identifier: MIT
"""Tables and figures of rows that were measured."""

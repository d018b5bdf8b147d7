# SPDX-License-Identifier: MIT
"""Running notebooks: profiles, plan, manifest of a run, HTML report."""

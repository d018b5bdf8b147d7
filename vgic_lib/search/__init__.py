# SPDX-License-Identifier: MIT
"""Optimisation of the latents of one picture at the encoder: loop, relaxations, objectives."""

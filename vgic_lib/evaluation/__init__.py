# SPDX-License-Identifier: MIT
"""Real files measured: rows, points, classical codecs, rate-distortion, search methods, perceptual scores."""

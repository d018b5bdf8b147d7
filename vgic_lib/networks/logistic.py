# SPDX-License-Identifier: MIT
"""Distributions of residuals: zero-mean logistic densities of 64 scales, integrated over quantiser steps.

A scale is a standard deviation in quantiser steps. Networks say it as a place in the table of scales, which
may lie between two entries; the coder takes the nearest.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SCALES = 64  # entries of the scale table
SMALLEST_SCALE, LARGEST_SCALE = 0.09, 256.0  # quantiser steps
LOG_STEP = math.log(LARGEST_SCALE / SMALLEST_SCALE) / (SCALES - 1)
LOGISTIC = math.sqrt(3) / math.pi  # parameter of the logistic density with standard deviation 1


def log_scale(index: Tensor) -> Tensor:
    """Natural logarithm of the scale at a (fractional) place in the table, in quantiser steps."""
    return index.clamp(0, SCALES - 1) * LOG_STEP + math.log(SMALLEST_SCALE)


def scale_index(scale: Tensor) -> Tensor:
    """Place in the scale table, fractional, of scales in quantiser steps."""
    return (scale / SMALLEST_SCALE).log() / LOG_STEP


def residual_bits(residual: Tensor, index: Tensor) -> Tensor:
    """Ideal code length in bits of integers (or noisy ones), in a form that never rounds to infinity."""
    inverse = torch.exp(-log_scale(index)) / LOGISTIC
    width = torch.log(-torch.expm1(-inverse))
    sides = F.softplus((residual - 0.5) * inverse) + F.softplus((-residual - 0.5) * inverse)
    return (sides - width) / math.log(2)

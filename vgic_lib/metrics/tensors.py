# SPDX-License-Identifier: MIT
"""Pictures as the differentiable metrics take them."""

import numpy as np
import torch
from torch import Tensor


def as_tensor(pixels: np.ndarray, dtype: torch.dtype = torch.float32) -> Tensor:
    """Picture, uint8 (H, W, 3), to (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].to(dtype) / 255


def luma(x: Tensor) -> Tensor:
    """Luma (B, H, W) of pictures (B, 3, H, W), in their range (ITU-R BT.601)."""
    return torch.einsum("c,bchw->bhw", x.new_tensor((0.299, 0.587, 0.114)), x)

# SPDX-License-Identifier: MIT
"""Which of a device's arithmetic a training run uses, and how much of it."""

import time
from functools import cache

import torch

from vgic_lib.environment import has_bfloat16
from vgic_lib.training.config import TrainingConfig

_SIDE = {"cpu": 1024, "cuda": 8192}  # of the matrices that are multiplied
_MEASURE_S = 0.3


def uses_bf16(config: TrainingConfig, device: torch.device) -> bool:
    """Whether convolutions run in bfloat16: as configured, or where the hardware multiplies such numbers."""
    return has_bfloat16(device) if config.bf16 == "auto" else config.bf16 == "on"


@cache
def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of matrix products on `device`, measured once."""
    side = _SIDE.get(device.type, 1024)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    for _ in range(2):  # the first products load libraries
        (a @ b).sum().item()
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < _MEASURE_S:
        for _ in range(4):
            product = a @ b
        product[0, 0].item()  # waits for the device
        count += 4
    return count * 2 * side**3 / (time.perf_counter() - started)

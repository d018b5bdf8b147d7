# SPDX-License-Identifier: MIT
"""How much of a device's arithmetic a training run uses."""

import time
from functools import cache

import torch

_SIDE = {"cpu": 1024, "cuda": 8192}  # of the matrices that are multiplied
_MEASURE_S = 0.3


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

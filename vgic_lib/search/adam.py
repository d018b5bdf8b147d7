# SPDX-License-Identifier: MIT
"""Adam (Kingma and Ba 2015, algorithm 1) for the few tensors of a latent search.

It computes what torch.optim.Adam does, with the same defaults. The first optimizer of torch.optim that a
process makes imports PyTorch's compiler, which takes longer than a short search.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

BETAS = 0.9, 0.999  # decay of the means of gradients and of their squares
EPS = 1e-8


class Adam:
    """Moves tensors against their gradients."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        """Start with means of zero; `tensors` are leaves that require gradients."""
        self._tensors = tensors
        self._means = [(torch.zeros_like(tensor), torch.zeros_like(tensor)) for tensor in tensors]
        self._steps = 0

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move each tensor by about `rate` an element, and forget its gradient."""
        self._steps += 1
        first, second = (1 - beta**self._steps for beta in BETAS)
        for tensor, (mean, square) in zip(self._tensors, self._means, strict=True):
            mean.lerp_(tensor.grad, 1 - BETAS[0])
            square.mul_(BETAS[1]).addcmul_(tensor.grad, tensor.grad, value=1 - BETAS[1])
            tensor.addcdiv_(mean, (square.sqrt() / math.sqrt(second)).add_(EPS), value=-rate / first)
            tensor.grad = None

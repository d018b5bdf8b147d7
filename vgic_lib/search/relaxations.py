# SPDX-License-Identifier: MIT
"""Stand-ins for rounding that have a gradient, for the latent search.

Each takes values in quantiser steps, of any shape, the progress of the search from 0 to 1 and a source of
random numbers, and gives values of the same shape. To add one is to write a function and name it in
RELAXATIONS.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Relaxation = Callable[[Tensor, float, torch.Generator], Tensor]


def continuous(k: Tensor, progress: float, random: torch.Generator) -> Tensor:
    """No rounding at all: the search of 2020."""
    return k


def straight_through(k: Tensor, progress: float, random: torch.Generator) -> Tensor:
    """Round, and let the gradient pass (Bengio et al. 2013)."""
    return k + (k.round() - k).detach()


def additive_noise(k: Tensor, progress: float, random: torch.Generator) -> Tensor:
    """Uniform noise of one quantiser step (Balle et al. 2017, section 3)."""
    return k + torch.rand(k.shape, generator=random, device=k.device) - 0.5


def soft_rounding(k: Tensor, progress: float, random: torch.Generator) -> Tensor:
    """Smooth steps that sharpen as the search goes on (Agustsson and Theis 2020, section 4.1)."""
    sharpness = 2.0 + 10.0 * progress
    below = k.detach().floor()
    r = k - below - 0.5
    return below + 0.5 + torch.tanh(sharpness * r) / (2 * math.tanh(sharpness / 2))


def stochastic_gumbel(k: Tensor, progress: float, random: torch.Generator) -> Tensor:
    """Up or down at random, ever surer (Yang, Bamler, Mandt 2020, section 3.2).

    Not very sure even at the end: what is left is better decided by straight-through steps.
    """
    temperature = 0.5 * math.exp(-1.5 * progress)
    below = k.detach().floor()
    r = (k - below).clamp(1e-4, 1 - 1e-4)
    logit = 0.5 * (r.logit() + torch.log((1 + r) / (2 - r)))  # atanh(r) - atanh(1 - r): up against down
    noise = torch.rand(k.shape, generator=random, device=k.device).logit(1e-7)  # of two Gumbel variables
    return below + torch.sigmoid((logit / temperature + noise) / temperature)


RELAXATIONS: dict[str, Relaxation] = {
    "continuous": continuous,
    "straight-through": straight_through,
    "noise": additive_noise,
    "soft-rounding": soft_rounding,
    "gumbel": stochastic_gumbel,
}

# SPDX-License-Identifier: MIT
"""Random numbers of a batch of which this process may hold a share.

Where several processes train together, each draws the numbers of the whole batch, from a seed that all of
them have, and keeps those of its own rows. What a step does then does not depend on how many they are.
"""

from collections.abc import Callable

import torch
from torch import Tensor, distributed, nn


def share() -> tuple[int, int]:
    """Number of this process, from 0, and how many there are."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def own_rows(like: Tensor, fill: Callable[[Tensor], Tensor]) -> Tensor:
    """This process's rows of what `fill` fills in place: of shape, kind and device of `like` (B, ...)."""
    index, count = share()
    rows = len(like)
    whole = fill(like.new_empty((count * rows, *like.shape[1:])))
    return whole[index * rows : (index + 1) * rows]


def uniform_like(x: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Numbers from low to high, for each of x (B, ...)."""
    return own_rows(x, lambda whole: whole.uniform_(low, high))


def normal_like(x: Tensor) -> Tensor:
    """Numbers of mean 0 and deviation 1, for each of x (B, ...)."""
    return own_rows(x, Tensor.normal_)


def choices(values: tuple[int, ...], count: int) -> Tensor:
    """One of `values` for each of `count` rows: (count,)."""
    chosen = own_rows(torch.empty(count, dtype=torch.long), lambda whole: whole.random_(len(values)))
    return torch.tensor(values)[chosen]


class Dropout(nn.Dropout):
    """Dropout of activations (B, ...)."""

    def forward(self, x: Tensor) -> Tensor:
        """In training, set a share `p` of x to zero and enlarge the rest."""
        if not self.training:
            return x
        kept = own_rows(torch.empty_like(x, dtype=torch.bool), lambda whole: whole.bernoulli_(1 - self.p))
        return x * kept / (1 - self.p)

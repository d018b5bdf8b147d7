# SPDX-License-Identifier: MIT
"""What every model is to codec, search and evaluation."""

from typing import NamedTuple

from torch import Tensor


class Quantised(NamedTuple):
    """Quantised (or relaxed) latents and their ideal code length in bits, (B,)."""

    latents: tuple[Tensor, ...]
    bits: Tensor

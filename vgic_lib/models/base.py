# SPDX-License-Identifier: MIT
"""What every model is to codec, search, training and evaluation: the one contract.

    x -> analysis -> latents -> quantise -> encode -> bytes -> decode -> synthesis -> x_hat

Latents are tuples of tensors in units of quantiser steps, so rounding them is quantising them. A new model is
a subclass of `LatentModel` in a file of its own, and one line in `store.MODELS`; docs/develop.md shows one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self, SupportsIndex

import torch
from torch import Tensor, nn

from vgic_lib.errors import ParameterError
from vgic_lib.models.tunes import DEFAULT_TUNE

Latents = tuple[Tensor, ...]  # each (B, C, h, w)
Rounding = Callable[[Tensor], Tensor]
Size = tuple[int, int]  # height and width of a picture in pixels
Work = Literal["compress", "search", "decompress"]
TILED_PIXELS = 2**20  # of a picture; what is beyond may be worked on piece by piece


class Setting(Protocol):
    """Operating point of a model: a named tuple of what the model needs to know."""

    label: str  # in tables: "q448", "b6"
    num_channels: int  # latent channels, where a setting chooses them; else 0
    bits: int  # for each latent element, where a setting chooses them; else 0

    def _asdict(self) -> dict[str, int]: ...


class Quantised(NamedTuple):
    """Quantised (or relaxed) latents and their ideal code length in bits, (B,)."""

    latents: Latents
    bits: Tensor


class LatentModel(nn.Module):
    """A frozen pair of transforms with probabilities for what lies between them.

    Abilities below the line "optional" have a meaning where a model does not define them; all others must be
    defined.

    Attributes:
        kind: that weights files name.
        name: that users type.
        model_id: 4 bytes, the first of the SHA-256 of the weights file.
        reload: function and arguments that load the model from there; None for one that is being made.
        search_relaxation: of rounding, that suits latent search best here; a key of `search.relaxations`.
        search_rate: learning rate of latent search that suits it, in units of `latent_range`.
        search_rates: of other relaxations, where that is too fast or too slow.
        tune: what it was trained for, a key of `tunes.TUNED_MODELS`, and what a search for it improves.
    """

    kind: ClassVar[str]
    search_relaxation: ClassVar[str]
    search_rate: ClassVar[float]
    search_rates: ClassVar[Mapping[str, float]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.name, self.model_id, self.tune = self.kind, bytes(4), DEFAULT_TUNE
        self.reload: tuple[Callable[..., LatentModel], tuple[object, ...]] | None = None

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Pickle a model that came from a file as the call that loads it: other processes do, once each."""
        return self.reload or super().__reduce_ex__(protocol)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """All operating points that a quality can choose."""
        raise NotImplementedError

    def setting(self, quality: float) -> Setting:
        """Operating point for a quality from 1 to 100. Raises ParameterError if it is out of range."""
        raise NotImplementedError

    def code(self, setting: Setting) -> int:
        """Number below 2**16 that stands for an operating point in a file."""
        raise NotImplementedError

    def from_code(self, code: int) -> Setting:
        """Operating point of a file. Raises BitstreamError if there is none of that number."""
        raise NotImplementedError

    def latent_range(self, setting: Setting) -> float:
        """Unit of learning rates for the latents, in quantiser steps."""
        raise NotImplementedError

    def latent_shapes(self, setting: Setting, size: Size) -> tuple[tuple[int, int, int, int], ...]:
        """Shapes (1, C, h, w) of the latents of a picture of `size`."""
        raise NotImplementedError

    def analysis(self, x: Tensor, setting: Setting) -> Latents:
        """Picture (B, 3, H, W) in [0, 1], of any size, to its continuous latents."""
        raise NotImplementedError

    def quantise(self, latents: Latents, setting: Setting, rounding: Rounding = torch.round) -> Quantised:
        """Round latents, or relax the rounding, and count the bits that they take; differentiable."""
        raise NotImplementedError

    def bits_map(self, latents: Latents, setting: Setting) -> Tensor:
        """Bits at each place of the first latent, (B, h, w); they add up to those of `quantise`."""
        raise NotImplementedError

    def synthesis(self, latents: Latents, setting: Setting, size: Size) -> Tensor:
        """Quantised latents to the picture (B, 3, H, W) in [0, 1] of `size`; differentiable."""
        raise NotImplementedError

    def encode(self, latents: Latents, setting: Setting) -> list[bytes]:
        """Round and entropy-code latents (of one picture), continuous or quantised, into sections."""
        raise NotImplementedError

    def decode(self, sections: Sequence[bytes], setting: Setting, size: Size) -> Latents:
        """Quantised latents from sections. Raises BitstreamError if they cannot be an encoding."""
        raise NotImplementedError

    def construction(self) -> dict[str, str]:
        """Metadata of a weights file from which `construct` builds an equal model."""
        raise NotImplementedError

    @classmethod
    def construct(cls, metadata: Mapping[str, str]) -> Self:
        """A model without its weights. Raises KeyError, TypeError or ValueError for senseless metadata."""
        raise NotImplementedError

    # optional

    bytes_per_pixel: ClassVar[Mapping[Work, tuple[int, int]]] = {  # peak memory, of TILED_PIXELS and of more
        "compress": (200, 200), "search": (3000, 3000), "decompress": (1000, 1000),
    }  # fmt: skip
    exact: ClassVar[bool] = False  # whether decoded pixels are the same on every machine, within a bound
    continued_by: ClassVar[str] = ""  # name of an exact model for what is beyond the best quality here
    finer: tuple[Setting, ...] = ()  # operating points beyond quality 100, coarse to fine, for targets alone
    starts_from_noise: ClassVar[bool] = False  # whether latent search may do without the encoder
    bit_depths: tuple[int, ...] = ()  # of latent elements, where settings choose them; else quality does all
    variants: tuple[int, ...] = ()  # channel counts that one set of weights serves, where there are several

    def trade_off(self, setting: Setting) -> float | None:
        """Lambda of lambda * 255**2 * MSE + bits per pixel that a setting stands for; None: it has none."""
        return None

    def finer_for_less(self, x: Tensor, setting: Setting) -> tuple[Setting, ...]:
        """Finer settings at which the file of a picture x (1, 3, H, W) in [0, 1] may yet be smaller."""
        return ()

    def rounded(self, latents: Latents, setting: Setting, rounding: Rounding = torch.round) -> Latents:
        """As `quantise`, without the bits."""
        return self.quantise(latents, setting, rounding).latents

    def choose(self, variant: int) -> None:
        """Let `setting` stand for one of `variants`. Raises ParameterError."""
        choices = ", ".join(map(str, self.variants)) or "none: it has no variants"
        if variant not in self.variants:
            raise ParameterError(f"no variant with {variant} channels; choose from {choices}")

    def shown_settings(self) -> tuple[Setting, ...]:
        """Settings at which samples of a training run are shown, lowest rate first."""
        return tuple(map(self.setting, (10, 50, 90)))

    @torch.no_grad()
    def shown(self, x: Tensor) -> list[Tensor]:
        """Reconstructions of a picture (1, 3, H, W) in [0, 1] at `shown_settings`."""
        pictures = []
        for setting in self.shown_settings():
            latents = self.rounded(self.analysis(x, setting), setting)
            pictures.append(self.synthesis(latents, setting, tuple(x.shape[2:])))
        return pictures

    def fit(self, pictures: Iterable[Tensor]) -> None:
        """Fit what gradients do not, to pictures (1, 3, H, W) in [0, 1]; often nothing."""

# SPDX-License-Identifier: MIT
"""The latent model: what training leaves and what codec and latent search need.

    x -> analysis -> latents -> quantise -> encode -> bytes -> decode -> synthesis -> x_hat

Latents are tuples of tensors in units of quantiser steps, so rounding them is quantising them. The
VAE-GAN of 2020 has one latent: tanh's range [-1, 1] mapped to the symbols 0..2**bits - 1.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from vgic_lib.bitstream.interlaced_prior import InterlacedPrior, residual_tables
from vgic_lib.errors import BitstreamError, ParameterError
from vgic_lib.models.base import Quantised
from vgic_lib.networks.vaegan import STRIDE, Encoder, Generator

BIT_DEPTHS = (4, 6, 8)
SMALLEST_SIDE = 3 * STRIDE + 2  # pixels: the generator's first convolution needs three latent elements
TILE = 192  # latent elements a tile: bounds the memory of large pictures
ENCODER_HALO, GENERATOR_HALO = 12, 8  # latent elements beyond the reach of the networks' receptive fields


class Setting(NamedTuple):
    """Operating point of the VAE-GAN: latent channels and bits for each latent element."""

    num_channels: int
    bits: int

    @property
    def largest(self) -> int:
        """Largest symbol."""
        return 2**self.bits - 1


class VaeGan(nn.Module):
    """Encoder, generator and priors of one network for one or several (nested) channel counts.

    Attributes:
        name: that users type.
        model_id: 4 bytes, the first of the SHA-256 of the weights file.
        num_channels: that `setting` chooses.
        encoder: None for a published generator without its encoder.
    """

    search_relaxation, search_rate = "straight-through", 0.015  # of latent search

    def __init__(self, channel_counts: Sequence[int], bit_depths: Sequence[int] = BIT_DEPTHS) -> None:
        super().__init__()
        self.channel_counts, self.bit_depths = tuple(channel_counts), tuple(bit_depths)
        self.channels = self.num_channels = max(channel_counts)
        self.name, self.model_id = "vaegan", bytes(4)
        self.encoder: Encoder | None = Encoder(self.channels)
        self.generator = Generator(self.channels)
        self.register_buffer("frequencies", residual_tables())
        self.priors = nn.ModuleDict(
            {str(bits): InterlacedPrior(self.channels, bits, self.frequencies) for bits in bit_depths}
        )

    @property
    def settings(self) -> tuple[Setting, ...]:
        """All operating points."""
        return tuple(Setting(count, bits) for count in self.channel_counts for bits in self.bit_depths)

    def setting(self, quality: float) -> Setting:
        """Operating point for a quality from 1 to 100: equal ranges of it choose the bit depth.

        Raises:
            ParameterError: quality out of range.
        """
        if not 1 <= quality <= 100:
            raise ParameterError(f"quality {quality:g} is not in 1..100; choose a number in that range")
        index = min(int(len(self.bit_depths) * quality / 100.0001), len(self.bit_depths) - 1)
        return Setting(self.num_channels, sorted(self.bit_depths)[index])

    def code(self, setting: Setting) -> int:
        """Number that stands for an operating point in a file."""
        return setting.num_channels << 4 | setting.bits

    def from_code(self, code: int) -> Setting:
        """Operating point of a file. Raises BitstreamError if this model has none of that number."""
        setting = Setting(code >> 4, code & 15)
        if setting not in self.settings:
            raise BitstreamError("the file is damaged: it names a setting that its model does not have")
        return setting

    def latent_range(self, setting: Setting) -> float:
        """Width of the latents' range in quantiser steps."""
        return float(setting.largest)

    def latent_shape(self, setting: Setting, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Shape (1, n, h, w) of the latent of a picture of `size` (H, W)."""
        return (1, setting.num_channels, *(_padded(side) // STRIDE for side in size))

    def analysis(self, x: Tensor, setting: Setting) -> tuple[Tensor, ...]:
        """Picture (B, 3, H, W) in [0, 1], of any size, to its continuous latent, in quantiser steps."""
        if self.encoder is None:
            raise ParameterError(f"model {self.name} has no encoder; start the latent search from noise")
        height, width = x.shape[2:]
        x = F.pad(2 * x - 1, (0, _padded(width) - width, 0, _padded(height) - height), mode="replicate")
        tiles = [
            [
                _inner(self.encoder(x[:, :, _pixels(row), _pixels(column)]), row, column, 1, 0)
                for column in _tiles(x.shape[3] // STRIDE, ENCODER_HALO)
            ]
            for row in _tiles(x.shape[2] // STRIDE, ENCODER_HALO)
        ]
        y = torch.cat([torch.cat(line, 3) for line in tiles], 2)[:, : setting.num_channels]
        return ((y + 1) / 2 * setting.largest,)

    def rounded(
        self,
        latents: tuple[Tensor, ...],
        setting: Setting,
        rounding: Callable[[Tensor], Tensor] = torch.round,
    ) -> tuple[Tensor, ...]:
        """Round latents, or relax the rounding, within their range."""
        return (rounding(latents[0]).clamp(0, setting.largest),)

    def quantise(
        self,
        latents: tuple[Tensor, ...],
        setting: Setting,
        rounding: Callable[[Tensor], Tensor] = torch.round,
    ) -> Quantised:
        """As `rounded`, and count the bits that the latents take."""
        latents_hat = self.rounded(latents, setting, rounding)
        return Quantised(latents_hat, self.priors[str(setting.bits)].bits_of(latents_hat[0]))

    def bits_map(self, latents: tuple[Tensor, ...], setting: Setting) -> Tensor:
        """Bits that the latents take at each of their positions, (B, h, w)."""
        return self.priors[str(setting.bits)].bits_map(self.rounded(latents, setting)[0])

    def synthesis(self, latents: tuple[Tensor, ...], setting: Setting, size: tuple[int, int]) -> Tensor:
        """Latents to the picture (B, 3, H, W) in [0, 1] of `size` (H, W).

        Large pictures are made in tiles with overlap, the same ones whenever the size is the same.
        """
        y = latents[0] / setting.largest * 2 - 1
        y = F.pad(y, (0, 0, 0, 0, 0, self.channels - setting.num_channels))  # (B, channels, h, w)
        rows, columns = (list(_tiles(side, GENERATOR_HALO)) for side in y.shape[2:])
        several = len(rows) * len(columns) > 1 and y.requires_grad
        lines = []
        for row in rows:
            tiles = [y[:, :, row.outer, column.outer] for column in columns]
            made = [
                checkpoint(self.generator, t, use_reentrant=False) if several else self.generator(t)
                for t in tiles
            ]
            lines.append(
                torch.cat([_inner(x, row, c, STRIDE, 2) for x, c in zip(made, columns, strict=True)], 3)
            )
        x_hat = torch.cat(lines, 2)[:, :, : size[0], : size[1]]
        return ((x_hat + 1) / 2).clamp(0, 1)

    def encode(self, latents: tuple[Tensor, ...], setting: Setting) -> list[bytes]:
        """Round and entropy-code latents (of one picture), continuous or quantised, into sections."""
        return [self.priors[str(setting.bits)].encode(self.rounded(latents, setting)[0])]

    def decode(
        self, sections: Sequence[bytes], setting: Setting, size: tuple[int, int]
    ) -> tuple[Tensor, ...]:
        """Quantised latents from sections. Raises BitstreamError if they cannot be an encoding."""
        if len(sections) != 1:
            raise BitstreamError(f"the file is damaged: {len(sections)} sections where its model writes one")
        return (self.priors[str(setting.bits)].decode(sections[0], self.latent_shape(setting, size)),)


class _Span(NamedTuple):
    """Part of an axis, in latent elements: what a tile contributes, and what it is computed from."""

    inner: slice
    outer: slice
    last: bool


def _padded(side: int) -> int:
    """Next side length in pixels that the networks map to itself: at least 14, and 2 modulo 4."""
    return max(SMALLEST_SIDE, side + (2 - side) % STRIDE)


def _tiles(length: int, halo: int) -> Iterator[_Span]:
    for start in range(0, length, TILE):
        stop = min(start + TILE, length)
        yield _Span(slice(start, stop), slice(max(0, start - halo), min(length, stop + halo)), stop == length)


def _pixels(span: _Span) -> slice:
    """Pixels that the encoder needs for a span: four for each latent element, and two more."""
    return slice(STRIDE * span.outer.start, STRIDE * span.outer.stop + 2)


def _inner(x: Tensor, row: _Span, column: _Span, scale: int, border: int) -> Tensor:
    """Cut the halo off a tile made at `scale` values a latent element; the last tile keeps `border` more."""
    start, stop = [], []
    for span in (row, column):
        start.append(scale * (span.inner.start - span.outer.start))
        stop.append(scale * (span.inner.stop - span.outer.start) + (border if span.last else 0))
    return x[:, :, start[0] : stop[0], start[1] : stop[1]]

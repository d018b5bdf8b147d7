# SPDX-License-Identifier: MIT
"""The VAE-GAN of 2020 as latent model. It has one latent: tanh's range [-1, 1] mapped to 0..2**bits - 1."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from vgic_lib.bitstream.interlaced_prior import InterlacedPrior, residual_tables
from vgic_lib.errors import BitstreamError, ParameterError
from vgic_lib.models.base import LatentModel, Latents, Quantised, Rounding, Size
from vgic_lib.networks.vaegan import STRIDE, Encoder, Generator

BIT_DEPTHS = (4, 6, 8)
SMALLEST_SIDE = 3 * STRIDE + 2  # pixels: the generator's first convolution needs three latent elements
TILE = 192  # latent elements a tile: bounds the memory of large pictures
ENCODER_HALO, GENERATOR_HALO = 12, 8  # latent elements beyond the reach of the networks' receptive fields


class BitSetting(NamedTuple):
    """Operating point of the VAE-GAN: latent channels and bits for each latent element."""

    num_channels: int
    bits: int

    @property
    def largest(self) -> int:
        """Largest symbol."""
        return 2**self.bits - 1

    @property
    def label(self) -> str:
        """Name in tables."""
        return f"b{self.bits}"


class VaeGan(LatentModel):
    """Encoder, generator and priors of one network for one or several (nested) channel counts.

    Attributes:
        num_channels: that `setting` chooses, one of `variants`.
        encoder: None for a published generator without its encoder.
    """

    kind = "vgic-vaegan-1"
    search_relaxation, search_rate = "straight-through", 0.015
    starts_from_noise = True
    bytes_per_pixel = {"compress": (140, 90), "search": (2900, 2900), "decompress": (900, 70)}

    def __init__(self, channel_counts: Sequence[int], bit_depths: Sequence[int] = BIT_DEPTHS) -> None:
        super().__init__()
        self.variants, self.bit_depths = tuple(channel_counts), tuple(bit_depths)
        self.channels = self.num_channels = max(channel_counts)
        self.encoder: Encoder | None = Encoder(self.channels)
        self.generator = Generator(self.channels)
        self.register_buffer("frequencies", residual_tables())
        self.priors = nn.ModuleDict(
            {str(bits): InterlacedPrior(self.channels, bits, self.frequencies) for bits in bit_depths}
        )

    @property
    def settings(self) -> tuple[BitSetting, ...]:
        """All operating points."""
        return tuple(BitSetting(count, bits) for count in self.variants for bits in self.bit_depths)

    def choose(self, variant: int) -> None:
        """Let `setting` stand for `variant` channels. Raises ParameterError."""
        super().choose(variant)
        self.num_channels = variant

    def setting(self, quality: float) -> BitSetting:
        """Operating point for a quality from 1 to 100: equal ranges of it choose the bit depth.

        Raises:
            ParameterError: quality out of range.
        """
        if not 1 <= quality <= 100:
            raise ParameterError(f"quality {quality:g} is not in 1..100; choose a number in that range")
        index = min(int(len(self.bit_depths) * quality / 100.0001), len(self.bit_depths) - 1)
        return BitSetting(self.num_channels, sorted(self.bit_depths)[index])

    def code(self, setting: BitSetting) -> int:
        """Number that stands for an operating point in a file."""
        return setting.num_channels << 4 | setting.bits

    def from_code(self, code: int) -> BitSetting:
        """Operating point of a file. Raises BitstreamError if this model has none of that number."""
        setting = BitSetting(code >> 4, code & 15)
        if setting not in self.settings:
            raise BitstreamError("the file is damaged: it names a setting that its model does not have")
        return setting

    def latent_range(self, setting: BitSetting) -> float:
        """Width of the latents' range in quantiser steps."""
        return float(setting.largest)

    def latent_shapes(self, setting: BitSetting, size: Size) -> tuple[tuple[int, int, int, int], ...]:
        """Shape (1, n, h, w) of the one latent of a picture of `size` (H, W)."""
        return ((1, setting.num_channels, *(_padded(side) // STRIDE for side in size)),)

    def analysis(self, x: Tensor, setting: BitSetting) -> Latents:
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
        latents: Latents,
        setting: BitSetting,
        rounding: Rounding = torch.round,
    ) -> Latents:
        """Round latents, or relax the rounding, within their range."""
        return (rounding(latents[0]).clamp(0, setting.largest),)

    def quantise(
        self,
        latents: Latents,
        setting: BitSetting,
        rounding: Rounding = torch.round,
    ) -> Quantised:
        """As `rounded`, and count the bits that the latents take."""
        latents_hat = self.rounded(latents, setting, rounding)
        return Quantised(latents_hat, self.priors[str(setting.bits)].bits_of(latents_hat[0]))

    def bits_map(self, latents: Latents, setting: BitSetting) -> Tensor:
        """Bits that the latents take at each of their positions, (B, h, w)."""
        return self.priors[str(setting.bits)].bits_map(self.rounded(latents, setting)[0])

    def synthesis(self, latents: Latents, setting: BitSetting, size: Size) -> Tensor:
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

    def encode(self, latents: Latents, setting: BitSetting) -> list[bytes]:
        """Round and entropy-code latents (of one picture), continuous or quantised, into sections."""
        return [self.priors[str(setting.bits)].encode(self.rounded(latents, setting)[0])]

    def decode(self, sections: Sequence[bytes], setting: BitSetting, size: Size) -> Latents:
        """Quantised latents from sections. Raises BitstreamError if they cannot be an encoding."""
        if len(sections) != 1:
            raise BitstreamError(f"the file is damaged: {len(sections)} sections where its model writes one")
        return (self.priors[str(setting.bits)].decode(sections[0], self.latent_shapes(setting, size)[0]),)

    def shown_settings(self) -> tuple[BitSetting, ...]:
        """Each channel count at its finest rounding."""
        return tuple(BitSetting(count, max(self.bit_depths)) for count in self.variants)

    @torch.no_grad()
    def fit(self, pictures: Iterable[Tensor]) -> None:
        """Fit the priors to pictures (1, 3, H, W) in [0, 1]."""
        finest = BitSetting(self.channels, max(self.bit_depths))
        latents = [y for x in pictures for y in self.analysis(x, finest)]
        for bits in self.bit_depths:
            scale = BitSetting(self.channels, bits).largest / finest.largest
            self.priors[str(bits)].fit([(y * scale).round() for y in latents])

    def construction(self) -> dict[str, str]:
        """Channel counts and bit depths."""
        return {"channel_counts": json.dumps(self.variants), "bit_depths": json.dumps(self.bit_depths)}

    @classmethod
    def construct(cls, metadata: Mapping[str, str]) -> "VaeGan":
        """See `LatentModel`."""
        return cls(json.loads(metadata["channel_counts"]), json.loads(metadata["bit_depths"]))


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

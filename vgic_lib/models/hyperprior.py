# SPDX-License-Identifier: MIT
"""The hyperprior as latent model: what codec and latent search need of it.

Latents are the pair (y, z), in quantiser steps. What is rounded and coded is z, and then the difference of y
from its mean, pass by pass.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from vgic_lib.bitstream.fixed_point import (
    LARGEST_RESIDUAL,
    ExactNetworks,
    code_lengths,
    mirrored,
    receiver,
    scale_frequencies,
    sender,
)
from vgic_lib.bitstream.range_coding import RangeDecoder, RangeEncoder, Tables
from vgic_lib.errors import BitstreamError, ParameterError
from vgic_lib.models.base import LatentModel, Latents, Quantised, Rounding, Size
from vgic_lib.models.tunes import DEFAULT_TUNE, TUNED_MODELS
from vgic_lib.networks.context import INDEX_UNIT, Pass
from vgic_lib.networks.hyperprior import Z_STRIDE, Architecture, Hyperprior
from vgic_lib.networks.lapped import BLOCK
from vgic_lib.networks.logistic import SCALES, residual_bits
from vgic_lib.networks.quality import ANCHORS, at_quality, geometric, least_index

STRIP = 3 * 2**13  # places of y that are made at once: 6 megapixels
HALO = 8  # rows of y beyond a strip that its pixels, or its latents, depend on
CODES_PER_ANCHOR = 128  # a power of two: interpolation of tables is exact
LARGEST_CODE = CODES_PER_ANCHOR * (ANCHORS - 1)  # quality 100
FINEST_CODE = LARGEST_CODE + 3 * CODES_PER_ANCHOR  # beyond it tables go on as straight lines


class QualitySetting(NamedTuple):
    """Operating point of the hyperprior."""

    quality_code: int  # 0..FINEST_CODE

    num_channels = bits = 0  # settings choose neither

    @property
    def label(self) -> str:
        """Name in tables."""
        return f"q{self.quality_code}"

    @property
    def network_quality(self) -> float:
        """What the networks take: up to ANCHORS - 1 as trained, up to 3 more beyond quality 100."""
        return self.quality_code / CODES_PER_ANCHOR


class HyperpriorModel(LatentModel):
    """One network for all rates. Latents are y (B, M, H/16, W/16) and z (B, Z, H/64, W/64), sizes rounded up.

    Latent search finds most here with stochastic Gumbel annealing and small steps (docs/LOG.md): larger ones
    round so many elements anew that means and scales, which depend on them, no longer fit.

    Attributes:
        lambdas: lambda at the lowest and highest quality, of lambda * 255**2 * MSE + bits per pixel.
    """

    kind = "vgic-hyperprior-1"
    search_relaxation, search_rate = "gumbel", 0.03
    search_rates = {"noise": 0.01, "soft-rounding": 0.005, "straight-through": 0.001}
    continued_by = "lossless"
    bytes_per_pixel = {"compress": (200, 160), "search": (1200, 1000), "decompress": (140, 130)}

    def __init__(self, network: Hyperprior, lambdas: tuple[float, float], tune: str = DEFAULT_TUNE) -> None:
        super().__init__()
        self.network, self.lambdas, self.tune = network, lambdas, tune
        self.register_buffer("frequencies", scale_frequencies())
        self._exact: tuple[ExactNetworks, Tables] | None = None

    @property
    def settings(self) -> tuple[QualitySetting, ...]:
        """All operating points that a quality chooses."""
        return tuple(map(QualitySetting, range(LARGEST_CODE + 1)))

    @property
    def finer(self) -> tuple[QualitySetting, ...]:
        """Operating points beyond quality 100."""
        return tuple(map(QualitySetting, range(LARGEST_CODE + 1, FINEST_CODE + 1)))

    def setting(self, quality: float) -> QualitySetting:
        """Operating point for a quality from 1 to 100.

        Raises:
            ParameterError: quality out of range.
        """
        if not 1 <= quality <= 100:
            raise ParameterError(f"quality {quality:g} is not in 1..100; choose a number in that range")
        return QualitySetting(round((quality - 1) / 99 * LARGEST_CODE))

    def code(self, setting: QualitySetting) -> int:
        """Number that stands for an operating point in a file."""
        return setting.quality_code

    def from_code(self, code: int) -> QualitySetting:
        """Operating point of a file. Raises BitstreamError if there is none of that number."""
        if not 0 <= code <= FINEST_CODE:
            raise BitstreamError("the file is damaged: it names a setting that its model does not have")
        return QualitySetting(code)

    def trade_off(self, setting: QualitySetting) -> float:
        """Lambda that the networks were trained for at this setting, or would have been."""
        return geometric(*self.lambdas, setting.quality_code / LARGEST_CODE)

    def latent_range(self, setting: QualitySetting) -> float:
        """Unit of latents, for learning rates: one quantiser step."""
        return 1.0

    def latent_shapes(self, setting: QualitySetting, size: Size) -> tuple[tuple[int, int, int, int], ...]:
        """Shapes of y and z of a picture of `size` (H, W); the same for all settings."""
        channels = len(self.network.context.norm), self.network.z_base.shape[1]
        strides = BLOCK, Z_STRIDE
        return tuple(
            (1, count, -(-size[0] // stride), -(-size[1] // stride))
            for count, stride in zip(channels, strides, strict=True)
        )

    def analysis(self, x: Tensor, setting: QualitySetting) -> Latents:
        """Picture (B, 3, H, W) in [0, 1], of any size, to continuous y and z.

        Without gradients, large pictures are analysed in strips, to bound memory.
        """
        height, width = x.shape[2:]
        quality = self._quality(setting, x)
        x = F.pad(x, (0, -width % BLOCK, 0, -height % BLOCK), mode="replicate")
        y = in_strips(partial(self.network.latent, quality=quality), x, 1, BLOCK)
        return y, self.network.hyper_latent(y, quality)

    def quantise(
        self, latents: Latents, setting: QualitySetting, rounding: Rounding = torch.round
    ) -> Quantised:
        """Round latents, or relax the rounding, and count the bits that they take.

        In float32, hence differentiable and a little different from what `encode` computes. Where gradients
        are wanted, bits are those of logistic densities; else, those of the stored tables.
        """
        bits = []
        latents_hat = self._coded(
            latents, setting, rounding, lambda cost, _: bits.append(cost.flatten(1).sum(1))
        )
        return Quantised(latents_hat, sum(bits))

    @torch.no_grad()
    def bits_map(self, latents: Latents, setting: QualitySetting) -> Tensor:
        """Bits that the latents take at each place of y, (B, H/16, W/16); they add up to those of `quantise`.

        A place of z costs something too; the places of y that it describes share it evenly.
        """
        height, width = latents[0].shape[2:]
        ratio = Z_STRIDE // BLOCK
        rows, columns = (torch.arange(side, device=latents[0].device) // ratio for side in (height, width))
        cell = (rows[:, None] * latents[1].shape[3] + columns).flatten()  # place of z for each place of y
        bits = latents[0].new_zeros(len(latents[0]), height * width)

        def count(cost: Tensor, at: Pass | None) -> None:
            if at is None:
                bits.add_((cost.sum(1).flatten(1) / cell.bincount())[:, cell])
            else:
                bits[:, at.places] += cost.sum(1)

        self._coded(latents, setting, torch.round, count)
        return bits.unflatten(1, (height, width))

    def synthesis(self, latents: Latents, setting: QualitySetting, size: Size) -> Tensor:
        """Quantised latents to the picture (B, 3, H, W) in [0, 1] of `size` (H, W).

        Without gradients, large pictures are made in strips, the same ones whenever the size is the same.
        """
        y, quality = latents[0], self._quality(setting, latents[0])
        x_hat = in_strips(partial(self.network.picture, quality=quality), y, BLOCK, 1)
        return x_hat.clamp_(0, 1)[:, :, : size[0], : size[1]]

    def encode(self, latents: Latents, setting: QualitySetting) -> list[bytes]:
        """Round and entropy-code latents (of one picture), continuous or quantised, into one section."""
        networks, tables = self._coder()
        encoder = RangeEncoder(tables)
        latents = tuple(latent.detach().cpu() for latent in latents)
        shapes = tuple(latent.shape for latent in latents)
        networks.traverse(setting.network_quality, shapes, sender(encoder), latents)
        return [encoder.finish()]

    def decode(self, sections: Sequence[bytes], setting: QualitySetting, size: Size) -> Latents:
        """Quantised latents from sections. Raises BitstreamError if they cannot be an encoding."""
        if len(sections) != 1:
            raise BitstreamError(f"the file is damaged: {len(sections)} sections where its model writes one")
        networks, tables = self._coder()
        exchange = receiver(RangeDecoder(sections[0], tables))
        latents = networks.traverse(setting.network_quality, self.latent_shapes(setting, size), exchange)
        return tuple(latent.to(self.frequencies.device) for latent in latents)

    def construction(self) -> dict[str, str]:
        """Sizes of the network, and what its qualities stand for."""
        architecture, lambdas = json.dumps(asdict(self.network.architecture)), json.dumps(self.lambdas)
        return {"architecture": architecture, "lambdas": lambdas, "tune": self.tune}

    @classmethod
    def construct(cls, metadata: Mapping[str, str]) -> "HyperpriorModel":
        """See `LatentModel`."""
        low, high = map(float, json.loads(metadata["lambdas"]))
        tune = metadata.get("tune", DEFAULT_TUNE)  # older weights do not say
        if tune not in TUNED_MODELS:
            raise ValueError(f"tune {tune!r}")
        return cls(Hyperprior(architecture(metadata)), (low, high), tune)

    def _coded(
        self,
        latents: Latents,
        setting: QualitySetting,
        rounding: Rounding,
        count: Callable[[Tensor, Pass | None], None],
    ) -> Latents:
        """Quantised latents; `count` is told what each element costs, of z (no pass), then pass by pass."""
        y, z = latents
        quality = self._quality(setting, y)
        costs, least = code_lengths(self.frequencies), least_index(setting.network_quality)

        def coded(values: Tensor, index: Tensor, at: Pass | None = None) -> Tensor:
            table = index.detach().round().clamp(least, SCALES - 1).expand_as(values).long()
            residual = rounding(values).clamp(-LARGEST_RESIDUAL, LARGEST_RESIDUAL) * (table > 0)
            if torch.is_grad_enabled():
                cost = residual_bits(residual, index)
            else:
                cost = costs[table, residual.abs().round().long()]
            count(cost * (table > 0), at)
            return residual

        rows = y.permute(0, 2, 3, 1).flatten(1, 2)  # (B, H * W, M)

        def code(at: Pass) -> Tensor:
            values = rows[..., at.channels][:, at.places].transpose(1, 2)
            return coded(values - at.mean, at.index, at) + at.mean

        z_hat = coded(z, INDEX_UNIT * at_quality(self.network.z_base, quality)[:, :, None, None])
        features = self.network.hyper_synthesis(z_hat, quality, y.shape[2:])
        return self.network.context.traverse(features, quality, code), z_hat

    def _coder(self) -> tuple[ExactNetworks, Tables]:
        """Exact networks and coder tables, made at first use; weights must not change afterwards."""
        if self._exact is None:
            tables = Tables(mirrored(self.frequencies), LARGEST_RESIDUAL, certain=1)
            self._exact = ExactNetworks(self.network), tables
        return self._exact

    def _quality(self, setting: QualitySetting, like: Tensor) -> Tensor:
        return torch.full((len(like),), setting.network_quality, device=like.device)


def architecture(metadata: Mapping[str, str]) -> Architecture:
    """Sizes in a weights file. Raises KeyError, TypeError or ValueError for senseless metadata."""
    sizes = json.loads(metadata["architecture"]).items()
    return Architecture(**{k: tuple(v) if isinstance(v, list) else v for k, v in sizes})


def in_strips(transform: Callable[[Tensor], Tensor], x: Tensor, up: int, down: int, halos: int = 1) -> Tensor:
    """`transform` of x (B, C, H, W), whose rows it turns into `up` / `down` as many, a strip after the other.

    The transform sees `halos` times HALO places of y more on both sides of a strip than it makes.
    """
    halo = halos * HALO
    places, width = x.shape[2] // down, x.shape[3] // down
    rows = max(halo, STRIP // width)
    if places <= rows or torch.is_grad_enabled():
        return transform(x)
    strips = []
    for start in range(0, places, rows):
        stop = min(start + rows, places)
        low, high = max(0, start - halo), min(places, stop + halo)
        strip = transform(x[:, :, low * down : high * down])
        strips.append(strip[:, :, (start - low) * up : (stop - low) * up])
    return torch.cat(strips, 2)

# SPDX-License-Identifier: MIT
"""The codec's transforms: analysis, synthesis, hyper networks and gains, one set for all rates.

    x -> analysis -> y -> gain -> quantise -> inverse gain -> synthesis -> x_hat
                          y -> hyper_analysis -> z -> quantise -> hyper_synthesis -> features

Both transforms are a linear lapped transform plus a correction by residual networks that starts at zero, so
training starts from a good linear codec. Depth sits where positions are few, at 1/16 and 1/8 of the size.
Quality is continuous: tables of `ANCHORS` rows are interpolated (Cui et al. 2021, "Asymmetric Gained Deep
Image Compression with Continuous Rate Adaptation", sec. 3).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vgic_lib.networks.context import INDEX_UNIT, ContextModel, HyperSynthesis, Pass
from vgic_lib.networks.lapped import BLOCK, LappedAnalysis, LappedSynthesis, initialise_linear
from vgic_lib.networks.logistic import residual_bits, scale_index
from vgic_lib.networks.quality import ANCHORS, at_quality
from vgic_lib.networks.shared_random import uniform_like
from vgic_lib.networks.stages import Halving, Pointwise, Stage, cells, coarse, upsample, zero

QUARTER, EIGHTH = 4, 8  # sides in pixels of the cells that make positions at these scales
CORRECTION = 0.1  # unit of what the networks add to the linear transforms: keeps early steps small
Z_STRIDE = 4 * BLOCK  # pixels a side for one hyper-latent element


class Analysis(nn.Module):
    """Picture to latent y."""

    def __init__(self, latent: int, widths: tuple[int, int, int], blocks: tuple[int, int, int]) -> None:
        super().__init__()
        quarter, eighth, sixteenth = widths
        self.linear = LappedAnalysis(latent)
        self.stages = nn.ModuleList(
            [
                Stage(nn.Conv2d(3 * QUARTER**2, quarter, 3, padding=1), quarter, blocks[0]),
                Stage(Halving(quarter, eighth), eighth, blocks[1]),
                Stage(Halving(eighth, sixteenth), sixteenth, blocks[2]),
            ]
        )
        self.last = zero(nn.Conv2d(sixteenth, latent, 3, padding=1))

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        """Map pixels (B, 3, H, W) in [-0.5, 0.5], H and W multiples of 16, to y (B, M, H/16, W/16)."""
        features = cells(x, QUARTER)
        with coarse(x):
            for stage in self.stages:
                features = stage(features, quality)
            correction = self.last(features).float()
        return self.linear(x).add_(correction, alpha=CORRECTION)


class Correction(nn.Module):
    """What networks add to a picture that is nearly right, from the latent and that picture.

    Of y they see the first `seen` channels only: the others matter at high rates, and are many. Starts at
    zero.
    """

    def __init__(self, seen: int, widths: tuple[int, int, int], blocks: tuple[int, int, int]) -> None:
        super().__init__()
        self.seen = seen
        quarter, eighth, sixteenth = widths
        self.register_buffer("norm", torch.ones(seen))  # evens out the channels' magnitudes
        self.stages = nn.ModuleList(
            [
                Stage(nn.Conv2d(seen, sixteenth, 3, padding=1), sixteenth, blocks[2]),
                Stage(upsample(sixteenth, eighth), eighth, blocks[1]),
                Stage(upsample(eighth, quarter), quarter, blocks[0]),
            ]
        )
        self.eighth = zero(Pointwise(3 * EIGHTH**2, eighth))  # what the picture shows
        self.quarter = zero(Pointwise(3 * QUARTER**2, quarter))
        self.last = zero(nn.Conv2d(quarter, 3 * QUARTER**2, 3, padding=1))

    def normalised(self, y: Tensor) -> Tensor:
        """The channels of y (B, M, h, w) that the networks see, all about as large."""
        return (y[:, : self.seen] * self.norm[:, None, None]).contiguous(memory_format=torch.channels_last)

    def correction(self, y: Tensor, quality: Tensor, picture: Tensor, more: Tensor | float = 0.0) -> Tensor:
        """Map y (B, M, h, w) and a picture (B, 3, 16h, 16w) to what to add to it.

        `more` (B, widths[0], 4h, 4w) is added to the features at 1/4 of the size.
        """
        with coarse(y):
            features = self.stages[0](self.normalised(y), quality)
            features = self.stages[1](features, quality, self.eighth(cells(picture, EIGHTH)))
        if not torch.is_autocast_enabled(y.device.type):
            features = features.float()
        features = self.stages[2](features, quality, self.quarter(cells(picture, QUARTER)).add_(more))
        return F.pixel_shuffle(self.last(features), QUARTER).float().mul_(CORRECTION)


class Synthesis(Correction):
    """Latent y to picture: a linear transform, and a correction of what it made."""

    def __init__(
        self, latent: int, seen: int, widths: tuple[int, int, int], blocks: tuple[int, int, int]
    ) -> None:
        super().__init__(min(seen, latent), widths, blocks)
        self.linear = LappedSynthesis(latent)

    def forward(self, y: Tensor, quality: Tensor) -> Tensor:
        """Map y (B, M, h, w) to pixels (B, 3, 16h, 16w), about [-0.5, 0.5]."""
        linear = self.linear(y)
        return linear.add_(self.correction(y, quality, linear))


class HyperAnalysis(nn.Sequential):
    """Normalised y (B, M, h, w) to z (B, Z, ceil(h/4), ceil(w/4))."""

    def __init__(self, latent: int, width: int, hyper_latent: int) -> None:
        super().__init__(
            nn.Conv2d(latent, width, 3, padding=1),
            nn.LeakyReLU(0.1),
            Halving(width, width),
            nn.LeakyReLU(0.1),
            Halving(width, hyper_latent),
        )


@dataclass(frozen=True)
class Architecture:
    """Sizes of the codec's networks; widths and blocks are those at 1/4, 1/8 and 1/16 of the size."""

    groups: tuple[int, ...] = (16, 32, 64, 144, 144)  # channels of y that are coded together
    context_sides: tuple[int, ...] = (3, 3, 3, 3, 1)  # positions a side that each group sees of earlier ones
    analysis_widths: tuple[int, ...] = (64, 96, 192)  # channels
    analysis_blocks: tuple[int, ...] = (1, 1, 1)  # residual blocks
    synthesis_latent: int = 256  # channels of y that the synthesis networks see directly
    synthesis_widths: tuple[int, ...] = (48, 96, 160)
    synthesis_blocks: tuple[int, ...] = (1, 2, 2)
    hyper_latent: int = 64  # channels of z
    features: int = 128  # channels from z for the context model
    context: int = 64  # channels from what is decoded already
    hidden: int = 160  # width of the network that joins them

    @property
    def latent(self) -> int:
        """Channels of y."""
        return sum(self.groups)


class Hyperprior(nn.Module):
    """All networks of the codec."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.architecture = sizes
        self.analysis = Analysis(sizes.latent, sizes.analysis_widths, sizes.analysis_blocks)
        self.synthesis = Synthesis(
            sizes.latent, sizes.synthesis_latent, sizes.synthesis_widths, sizes.synthesis_blocks
        )
        self.hyper_analysis = HyperAnalysis(sizes.latent, sizes.features, sizes.hyper_latent)
        self.hyper_synthesis = HyperSynthesis(sizes.hyper_latent, sizes.features)
        self.context = ContextModel(
            sizes.groups, sizes.context_sides, sizes.features, sizes.context, sizes.hidden
        )
        self.log_gain = nn.Parameter(torch.zeros(ANCHORS, sizes.latent))
        self.log_inverse_gain = nn.Parameter(torch.zeros(ANCHORS, sizes.latent))
        self.log_z_gain = nn.Parameter(torch.zeros(ANCHORS, sizes.hyper_latent))
        self.z_base = nn.Parameter(torch.ones(ANCHORS, sizes.hyper_latent))  # scale of z, in INDEX_UNIT

    @torch.no_grad()
    def initialise(self, crops: Tensor, steps: Tensor) -> None:
        """Start from the best linear codec for `crops` (B, 3, H, W) in [-0.5, 0.5].

        Args:
            crops: as many as possible; H and W multiples of 16.
            steps: (ANCHORS,) quantiser step of each anchor for orthonormal coefficients of such pixels.
        """
        deviation = initialise_linear(self.analysis.linear, self.synthesis.linear, crops)
        self.log_gain.copy_(-steps.log()[:, None].expand_as(self.log_gain))
        self.log_inverse_gain.copy_(-self.log_gain)
        self.synthesis.norm.copy_(deviation[: self.synthesis.seen].rsqrt())
        scale = deviation / steps[:, None]
        self.context.base.copy_(scale_index(scale) / INDEX_UNIT)
        self.context.norm.copy_(2 ** -scale[ANCHORS // 2].clamp(min=0.25).log2().round())

    def latent(self, x: Tensor, quality: Tensor) -> Tensor:
        """Continuous y (B, M, H/16, W/16) in quantiser steps, of pixels (B, 3, H, W) in [0, 1]."""
        gain = at_quality(self.log_gain, quality).exp()
        return self.analysis(x - 0.5, quality) * gain[:, :, None, None]

    def hyper_latent(self, y: Tensor, quality: Tensor) -> Tensor:
        """Continuous z in quantiser steps."""
        gain = at_quality(self.log_z_gain, quality).exp()
        return self.hyper_analysis(y * self.context.norm[:, None, None]) * gain[:, :, None, None]

    def picture(self, y_hat: Tensor, quality: Tensor) -> Tensor:
        """Pixels (B, 3, 16h, 16w) of quantised y (B, M, h, w)."""
        return self.synthesis(self.dequantised(y_hat, quality), quality).add_(0.5)

    def dequantised(self, y_hat: Tensor, quality: Tensor) -> Tensor:
        """What the synthesis takes of quantised y (B, M, h, w)."""
        return y_hat * at_quality(self.log_inverse_gain, quality).exp()[:, :, None, None]

    def forward(self, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruct, and estimate the rate.

        In training mode noise stands in for rounding where the rate is concerned, and gradients pass
        through the rounding of all else. In evaluation mode everything is rounded.

        Returns:
            pixels (B, 3, H, W), bits of y (B,), bits of z (B,).
        """
        y_hat, bits_y, bits_z = self.coded(x, quality)
        return self.picture(y_hat, quality), bits_y, bits_z

    def coded(self, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`, with quantised y (B, M, H/16, W/16) instead of the pixels that it makes."""
        y = self.latent(x, quality)
        z = self.hyper_latent(y, quality)
        z_index = INDEX_UNIT * at_quality(self.z_base, quality)[:, :, None, None]
        z_bits = residual_bits(self._quantised(z), z_index).sum((1, 2, 3))
        z_hat = _straight_through(z)
        features = self.hyper_synthesis(z_hat, quality, y.shape[2:])
        flat, bits = y.flatten(2), []

        def code(at: Pass) -> Tensor:
            residual = flat[:, at.channels, at.places] - at.mean
            bits.append(residual_bits(self._quantised(residual), at.index).sum((1, 2)))
            return _straight_through(residual) + at.mean

        return self.context.traverse(features, quality, code), sum(bits), z_bits

    def _quantised(self, x: Tensor) -> Tensor:
        return x + uniform_like(x, -0.5, 0.5) if self.training else x.round()


def _straight_through(x: Tensor) -> Tensor:
    return x + (x.round() - x).detach()

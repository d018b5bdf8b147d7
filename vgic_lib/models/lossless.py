# SPDX-License-Identifier: MIT
"""Lossless and near-lossless coding as a model: its latents are the pixels themselves, in levels 0..255."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vgic_lib.bitstream import colour_origins
from vgic_lib.bitstream.colour_origins import Origin
from vgic_lib.bitstream.pixel_coding import LARGEST_ERROR, SHIFT_UNIT, PixelCoder
from vgic_lib.bitstream.pixel_tables import LARGEST, coder_tables, table_parameters
from vgic_lib.errors import BitstreamError, ParameterError
from vgic_lib.models.base import LatentModel, Latents, Quantised, Rounding, Size
from vgic_lib.networks.pixels import CHANNELS, SCALE_FACTOR, SCALES, SMALLEST_SCALE
from vgic_lib.networks.shapes import EXACT, JPEG, NEAR, PARTS, LosslessNetwork

CODES_PER_ERROR = 8
ORIGIN_ERROR = 2  # up to which exact files of the colours that pixels were made of may be smaller


class MaxError(NamedTuple):
    """Operating point: the largest difference of a channel's value in a decoded picture."""

    red: int  # levels
    green: int
    blue: int

    num_channels = bits = 0  # settings choose neither

    @property
    def largest(self) -> int:
        """Largest difference of any value."""
        return max(self)

    @property
    def label(self) -> str:
        """Name in tables."""
        return f"e{self.red}" if len(set(self)) == 1 else "e" + "-".join(map(str, self))


def bound(error: int) -> MaxError:
    """The operating point of one bound for all channels. Raises ParameterError if it is out of range."""
    if not 0 <= error <= LARGEST_ERROR or error != int(error):
        raise ParameterError(
            f"the largest error must be a whole number in 0..{LARGEST_ERROR}, not {error}; 0 is lossless"
        )
    return MaxError(*(int(error),) * CHANNELS)


class LosslessModel(LatentModel):
    """Pixels are predicted from pixels, coarse to fine, and coded exactly or within a bound.

    Decoding is done in whole numbers, so every machine shows the same pixels. Where no error is allowed other
    networks predict than where some is, because there neighbours are exact; and others again where a picture
    was made of other colours, which are coded then (`bitstream.colour_origins`).
    """

    kind = "vgic-lossless-3"
    parts = PARTS  # networks that there are
    signed = True  # see `PassNetwork`; whether pictures have weights of their own, too
    exact = True
    search_relaxation, search_rate = "gumbel", 0.0
    bytes_per_pixel = {"compress": (650, 155), "search": (650, 155), "decompress": (300, 110)}

    def __init__(self, network: LosslessNetwork) -> None:
        """Take networks, with tables for the distributions that they have now."""
        super().__init__()
        self.network = network
        scale = SMALLEST_SCALE * SCALE_FACTOR ** torch.arange(SCALES, dtype=torch.float64)
        for name in network.parts:
            share, width = network.part(name)[1].mixture()
            decays, shares = table_parameters(scale, width.double(), share.double())
            self.register_buffer(f"{name}_decays", decays)
            self.register_buffer(f"{name}_shares", shares)
        steps = 2 * torch.arange(LARGEST_ERROR + 1) + 1.0
        shifts = (steps.log() / math.log(SCALE_FACTOR) / SHIFT_UNIT).round()
        self.register_buffer("shifts", shifts.to(torch.int16))
        self._coders: dict[str, PixelCoder] = {}

    @property
    def settings(self) -> tuple[MaxError, ...]:
        """All operating points, the smallest files first: three for each error, green and red finer first."""
        coarse_to_fine = range(LARGEST_ERROR, 0, -1)
        return (
            *(_finer(error, mask) for error in coarse_to_fine for mask in (0, 0b010, 0b011)),
            bound(0),
        )

    def setting(self, quality: float) -> MaxError:
        """Operating point for a quality from 1 to 100, which is lossless. Raises ParameterError."""
        if not 1 <= quality <= 100:
            raise ParameterError(f"quality {quality:g} is not in 1..100; choose a number in that range")
        return self.settings[round((quality - 1) / 99 * (len(self.settings) - 1))]

    def code(self, setting: MaxError) -> int:
        """Number that stands for an operating point: the largest error, and where it is one less."""
        less = [setting.largest - error for error in setting]
        return CODES_PER_ERROR * setting.largest + sum(bit << place for place, bit in enumerate(less))

    def from_code(self, code: int) -> MaxError:
        """Operating point of a file. Raises BitstreamError if there is none of that number."""
        error, mask = divmod(code, CODES_PER_ERROR)
        if not 0 <= error <= LARGEST_ERROR or mask == CODES_PER_ERROR - 1 or (mask and not error):
            raise BitstreamError("the file is damaged: it names a setting that its model does not have")
        return _finer(error, mask)

    def finer_for_less(self, x: Tensor, setting: MaxError) -> tuple[MaxError, ...]:
        """Exact pixels, where these were made of colours that take less."""
        if not 0 < setting.largest <= ORIGIN_ERROR:
            return ()
        (pixels,) = self.analysis(x, bound(0))
        return (bound(0),) if self._way(pixels.float().cpu(), bound(0))[2].head else ()

    def latent_range(self, setting: MaxError) -> float:
        """One level."""
        return 1.0

    def latent_shapes(self, setting: MaxError, size: Size) -> tuple[tuple[int, int, int, int], ...]:
        """One latent: the picture."""
        return ((1, CHANNELS, *size),)

    def analysis(self, x: Tensor, setting: MaxError) -> Latents:
        """Picture (B, 3, H, W) in [0, 1] to its pixels in levels 0..255."""
        return ((x * LARGEST).round().clamp(0, LARGEST),)

    @torch.no_grad()
    def quantise(self, latents: Latents, setting: MaxError, rounding: Rounding = torch.round) -> Quantised:
        """Pixels that are decoded, and the bits that they take; without gradients."""
        coded, bits = self._measured(latents, setting)
        return Quantised((coded,), bits.sum((1, 2)))

    def bits_map(self, latents: Latents, setting: MaxError) -> Tensor:
        """Bits of each pixel, (B, H, W)."""
        return self._measured(latents, setting)[1]

    def synthesis(self, latents: Latents, setting: MaxError, size: Size) -> Tensor:
        """Pixels to a picture (B, 3, H, W) in [0, 1]."""
        return latents[0] / LARGEST

    def encode(self, latents: Latents, setting: MaxError) -> list[bytes]:
        """One section of one picture's pixels."""
        coder, x, origin = self._way(latents[0].round().float().cpu(), setting)
        return [origin.head + coder.encode(x, tuple(setting), origin.rule)]

    def decode(self, sections: Sequence[bytes], setting: MaxError, size: Size) -> Latents:
        """Pixels within the error of the setting. Raises BitstreamError if sections cannot be an encoding."""
        if len(sections) != 1:
            raise BitstreamError(f"the file is damaged: {len(sections)} sections where its model writes one")
        named = None if setting.largest else colour_origins.named(sections[0], self.parts)
        origin = named or self._no_origin(setting)
        coder, section = self._coder_of(origin.part), sections[0][len(origin.head) :]
        return (origin.pixels(coder.decode(section, size, tuple(setting), origin.rule)),)

    def construction(self) -> dict[str, str]:
        """Sizes of the networks."""
        return {"sizes": json.dumps(self.network.sizes)}

    @classmethod
    def construct(cls, metadata: Mapping[str, str]) -> "LosslessModel":
        """See `LatentModel`."""
        width, head = map(int, json.loads(metadata["sizes"]))
        return cls(LosslessNetwork(width, head, cls.signed, cls.parts))

    def _measured(self, latents: Latents, setting: MaxError) -> tuple[Tensor, Tensor]:
        """Decoded pixels, and the bits that each takes, of every picture of a batch."""
        found = [self._measured_one(one[None].round().float().cpu(), setting) for one in latents[0]]
        pixels, bits = map(torch.cat, zip(*found, strict=True))
        return pixels, bits

    def _measured_one(self, pixels: Tensor, setting: MaxError) -> tuple[Tensor, Tensor]:
        coder, x, origin = self._way(pixels, setting)
        colours, bits = coder.measure(x, tuple(setting), origin.rule)
        return origin.pixels(colours), bits[:, None].flip(origin.turned)[:, 0]

    def _way(self, pixels: Tensor, setting: MaxError) -> tuple[PixelCoder, Tensor, Origin]:
        """The coder for a picture (1, 3, H, W), what it is to code, and of what origin that is."""
        looked_for = not setting.largest and (pixels != pixels[:, :1]).any()
        found = colour_origins.found(pixels, self.parts) if looked_for else None
        origin, colours = found or (self._no_origin(setting), pixels)
        return self._coder_of(origin.part), colours, origin

    def _no_origin(self, setting: MaxError) -> Origin:
        return colour_origins.none_of(NEAR if setting.largest else EXACT)

    def _coder(self, setting: MaxError) -> PixelCoder:
        """Coder of pixels for a setting."""
        return self._coder_of(self._no_origin(setting).part)

    def _coder_of(self, part: str) -> PixelCoder:
        """Coder made at first use; weights must not change afterwards."""
        if part not in self._coders:
            tables = coder_tables(getattr(self, f"{part}_decays"), getattr(self, f"{part}_shares"))
            self._coders[part] = PixelCoder(self.network.part(part)[0], tables, self.shifts)
        return self._coders[part]


class SecondLosslessModel(LosslessModel):
    """Which reads the files of November 2026, when pictures of a Photo CD were coded as others."""

    kind = "vgic-lossless-2"
    parts = EXACT, NEAR, JPEG


class FirstLosslessModel(LosslessModel):
    """Which reads the first files of that month, whose predictions are those of the networks alone."""

    kind = "vgic-lossless-1"
    parts = EXACT, NEAR
    signed = False


def _finer(error: int, mask: int) -> MaxError:
    """Error of red, green and blue; one less for those whose bit (1, 2, 4) is in `mask`."""
    return MaxError(*(error - (mask >> channel & 1) for channel in range(CHANNELS)))

# SPDX-License-Identifier: MIT
"""Networks for lossless and near-lossless files in training: bits per pixel are all there is to lose."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vgic_lib.bitstream import photo_cd
from vgic_lib.bitstream.halved_colour import mean_colour
from vgic_lib.bitstream.jpeg_colours import LUMA, nearest_colours
from vgic_lib.errors import ModelError
from vgic_lib.models.lossless import LosslessModel
from vgic_lib.models.store import load_model
from vgic_lib.networks.pixels import (
    CHANNELS,
    MEAN_GRID,
    ORDER,
    PixelNetwork,
    Place,
    Rule,
    Terms,
)
from vgic_lib.networks.shapes import EXACT, JPEG, NEAR, PHOTO_CD, LosslessNetwork, Shapes
from vgic_lib.networks.shared_random import normal_like
from vgic_lib.networks.whole_numbers import WEIGHT_GRID, Linear, on_grid_, rounded
from vgic_lib.training.crops import CropSampler
from vgic_lib.training.losses import update
from vgic_lib.training.lossless_config import LosslessConfig
from vgic_lib.training.soap import optimizer
from vgic_lib.training.task import Task

LEVELS = 3  # of a crop that are trained; the finest three have networks of their own, or share the last
FACTORS = (0.5, 0.5, 0.6, 0.75)  # by which crops are reduced, to lose what JPEG left in them
NOISY, GRAY = 0.12, 0.04  # shares of the steps whose crops get noise, or lose their colours
LARGEST_NOISE = 3.0  # levels, standard deviation
SOFT = 0.35  # share of the steps whose crops are softened, and then get some noise
LARGEST_GRAIN = 2.0  # levels, standard deviation of that
HALVED = 0.3  # share of the steps whose crops have their colour at half the resolution, as most JPEG files do
UNCHANGED = 0.6  # share of the steps for colours of JPEG files whose crops are what was read,
HALVED_JPEG = 0.7  # and of the other steps, share of those whose crops get halved colour
ERRORS = (0, 1, 1, 1, 1, 2, 2, 3, 4, 6, 16, 64)  # that are allowed in a step, each as often
VALIDATION_SIDE, VALIDATION_FACTOR = 160, 0.6  # pixels of a photograph, and how much they are reduced
VALIDATION_ERRORS = (1, 2, 4)  # with networks for pixels within a bound


class LosslessTask(Task):
    """See there; whole numbers need float32 throughout."""

    def __init__(self, config: LosslessConfig, sampler: CropSampler, device: torch.device) -> None:
        """Make the networks, or take those of `start_from`.

        Raises:
            ModelError: the weights of `start_from` are missing, damaged or of another kind or size.
        """
        super().__init__(config, device)
        self.dtype = torch.float32
        self.network = LosslessNetwork(config.width, config.head).to(device)
        if config.start_from:
            self.network.load_state_dict(_trained(config).state_dict())
        self.networks = (self.network,)
        self.optimizers = (optimizer(config, [{"params": self.weights()}]),)

    def weights(self, networks: Iterable[nn.Module] | None = None) -> list[nn.Parameter]:
        """Those of the part that is trained."""
        return super().weights(
            part for network in networks or self.saved for part in network.part(self.config.part)
        )

    def step(self, x: Tensor, step: int) -> dict[str, Tensor]:
        """One update on crops `x` (B, 3, H, W), uint8, which are reduced first."""
        prepared = {JPEG: self._jpeg_colours, PHOTO_CD: self._photo_cd_colours}
        x = prepared.get(self.config.part, self._prepared)(x)
        errors = (0,) * CHANNELS
        if self.config.part == NEAR:
            error = ERRORS[int(torch.randint(len(ERRORS), ()))]
            errors = tuple((error + torch.randint(-1, 2, (CHANNELS,))).clamp(0, max(ERRORS)).tolist())
        rule = _means if self.config.part == PHOTO_CD else None
        loss = bits(*self.network.part(self.config.part), x, errors, rule) / (x.numel() / CHANNELS)
        update(self.optimizers[0], loss, self.config.clip_norm)
        return {"loss": loss.detach()}

    def _prepared(self, x: Tensor) -> Tensor:
        """Reduced crops (B, 3, side, side) of whole numbers, sometimes noisy or gray."""
        factor = FACTORS[int(torch.randint(len(FACTORS), ()))]
        mode = "bicubic" if torch.rand(()) < 0.7 else "bilinear"  # sharper and softer pictures
        x = reduced(x, self.config.crop_side, factor, mode)
        if torch.rand(()) < HALVED:
            x = colour_halved(x)
        if torch.rand(()) < SOFT:
            x = softened(x, float(torch.rand(())) / 4)
            x = _noisy(x, LARGEST_GRAIN)
        if torch.rand(()) < NOISY:
            x = _noisy(x, LARGEST_NOISE)
        if torch.rand(()) < GRAY:
            x = x.mean(1, keepdim=True).round().expand_as(x)
        return x

    def _jpeg_colours(self, x: Tensor) -> Tensor:
        """Cr, Y, Cb (B, 3, side, side) of crops that are what JPEG files had, or could have."""
        side = self.config.crop_side
        if torch.rand(()) < UNCHANGED:
            return nearest_colours(x[:, :, :side, :side].float())
        x = nearest_colours(reduced(x, side, FACTORS[int(torch.randint(len(FACTORS), ()))], "bicubic"))
        if torch.rand(()) < HALVED_JPEG:
            x[:, ::2] = _halved(x[:, ::2]).round()
        return x

    def _photo_cd_colours(self, x: Tensor) -> Tensor:
        """C2, Y, C1 (B, 3, side, side) of crops, as a Photo CD could have them: reduced, with grain."""
        x = reduced(x, self.config.crop_side, FACTORS[int(torch.randint(len(FACTORS), ()))], "bicubic")
        x = photo_cd.nearest_colours(_noisy(x, LARGEST_GRAIN))
        x[:, ::2] = F.interpolate(
            F.avg_pool2d(x[:, ::2], 2).round(), scale_factor=2.0
        )  # of these every second counts
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Bits of crops `x` (B, 3, H, W), uint8."""
        part = self.network.part(self.config.part)
        return bits(*part, reduced(x, self.config.crop_side, 0.5, "bilinear"), (0,) * CHANNELS)

    @torch.no_grad()
    def averaged(self, values: Sequence[Tensor]) -> tuple[LosslessNetwork]:
        """The networks on the CPU, in whole numbers, with `values` as weights of the part that is trained."""
        (network,) = super().averaged(values)
        if not self.config.start_from:  # a start for those, until they are trained
            for part in network.parts[1:]:
                for ours, theirs in zip(network.part(part), network.part(EXACT), strict=True):
                    ours.load_state_dict(theirs.state_dict())
        for layer in network.modules():
            if isinstance(layer, Linear):
                on_grid_(layer.weight, WEIGHT_GRID)
                on_grid_(layer.bias, WEIGHT_GRID)
        return (network,)

    @staticmethod
    def make_model(networks: tuple[LosslessNetwork], config: LosslessConfig) -> LosslessModel:
        """The model of what `averaged` returns."""
        return LosslessModel(*networks)

    def samples(self, networks: tuple[LosslessNetwork], x: Tensor) -> list[Tensor]:
        """Reconstructions of x (1, 3, H, W) in [0, 1] at some settings."""
        return self.make_model(networks, self.config).shown(x)

    @torch.no_grad()
    def validate(
        self, networks: tuple[LosslessNetwork], images: Sequence[np.ndarray]
    ) -> list[dict[str, float]]:
        """Bits per pixel of reduced photographs: validation_loss, and a column for each error allowed."""
        part = networks[0].to(self.device).part(self.config.part)
        allowed = VALIDATION_ERRORS if self.config.part == NEAR else (0,)
        rule = _means if self.config.part == PHOTO_CD else None
        rows = []
        for crop in (_validation_crop(image, self.config.part) for image in images):
            x, pixels = crop.to(self.device), crop.numel() / CHANNELS
            found = {error: float(bits(*part, x, (error,) * CHANNELS, rule)) / pixels for error in allowed}
            rows.append(
                {"validation_loss": sum(found.values()) / len(found)}
                | {f"validation_bits_{error}": value for error, value in found.items()}
            )
        return rows


def bits(
    network: PixelNetwork, shapes: Shapes, x: Tensor, errors: tuple[int, ...], rule: Rule | None = None
) -> Tensor:
    """Ideal code length in bits of pictures within errors; with gradients, of their finest LEVELS only.

    Args:
        network: predicts.
        shapes: distributions around the predictions.
        x: pictures (B, CHANNELS, H, W), whole numbers 0..255.
        errors: allowed in each channel, in the order of coding.
        rule: gives the channels after the first at the finest level, which then take no bits.
    """
    x = x[:, list(ORDER)].transpose(0, 1).contiguous()
    steps = 2 * torch.tensor(errors, dtype=x.dtype, device=x.device) + 1
    found = []

    def code(at: Place, mean: Tensor, index: Tensor, terms: Terms | None) -> tuple[Tensor, Tensor]:
        if terms is None:
            return mean, torch.zeros_like(mean)
        step, near = steps[at.channel], torch.floor(mean.detach() + 0.5)
        mean = rounded(mean, MEAN_GRID)
        value = near + step * torch.floor((x[at.channel, :, at.rows, at.columns] - near) / step + 0.5)
        found.append(((value - mean).flatten(), index.flatten(), step.expand(mean.numel())))
        value = value.clamp(0, 255)
        return value, value - mean.detach()

    if torch.is_grad_enabled():
        known = x[:, :, :: 2**LEVELS, :: 2**LEVELS]
        known = torch.cat([known, torch.zeros_like(known)])
        for level in reversed(range(LEVELS)):
            here = None if level else rule
            known = network.refine(known, level, tuple(x.shape[2:]), steps, code, rule=here)
    else:
        network.traverse(x.shape[1], tuple(x.shape[2:]), steps, code, rule=rule)
    miss, index, step = map(torch.cat, zip(*found, strict=True))
    below = -miss.abs()
    return shapes.bits(below - step / 2, below + step / 2, index).sum()


def _means(between: Tensor, luma: Tensor) -> tuple[Tensor, Tensor]:
    """See `networks.pixels.Rule`; never in doubt."""
    return mean_colour(between[:, 1:]), torch.zeros_like(luma, dtype=torch.bool)


def reduced(x: Tensor, side: int, factor: float, mode: str) -> Tensor:
    """Upper left corners (B, 3, side, side) of crops (B, 3, H, W), reduced by a factor; whole numbers."""
    before = math.ceil(side / factor)
    size = tuple(min(side, round(length * factor)) for length in x.shape[2:])
    x = x[:, :, :before, :before].float()
    return F.interpolate(x, size, mode=mode, antialias=True).clamp(0, 255).add(0.5).floor()


def colour_halved(x: Tensor) -> Tensor:
    """Pictures x (B, 3, H, W) of whole numbers with one colour for 2 x 2 pixels (4:2:0)."""
    luma = (x * torch.tensor(LUMA, device=x.device)[:, None, None]).sum(1, keepdim=True)
    return (luma + _halved(x - luma)).clamp(0, 255).round()


def _halved(x: Tensor) -> Tensor:
    return F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear")


def softened(x: Tensor, share: float) -> Tensor:
    """Pictures x (B, 3, H, W) to which both neighbours in a row, then in a column, give a share each."""
    kernel = torch.tensor([share, 1 - 2 * share, share], device=x.device).expand(CHANNELS, 1, 1, 3)
    x = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=CHANNELS)
    return F.conv2d(x, kernel.transpose(2, 3), groups=CHANNELS)


def _noisy(x: Tensor, largest: float) -> Tensor:
    """Whole numbers: x with noise of up to a standard deviation."""
    noise = normal_like(x) * float(torch.rand(())) * largest
    return (x + noise).clamp(0, 255).round()


def _validation_crop(image: np.ndarray, part: str) -> Tensor:
    corner = torch.from_numpy(image[:VALIDATION_SIDE, :VALIDATION_SIDE].copy()).permute(2, 0, 1)[None]
    if part == JPEG:
        return nearest_colours(corner.float())
    x = reduced(corner, round(VALIDATION_SIDE * VALIDATION_FACTOR), VALIDATION_FACTOR, "bicubic")
    return photo_cd.nearest_colours(x) if part == PHOTO_CD else x


def _trained(config: LosslessConfig) -> LosslessNetwork:
    """The network that `start_from` names. Raises ModelError if it is of another kind or size."""
    model = load_model(config.start_from)
    if model.kind != LosslessModel.kind:
        raise ModelError(
            f"start_from: {config.start_from!r} is no lossless model of today's format; give weights of one"
        )
    if model.network.sizes != (config.width, config.head):
        width, head = model.network.sizes
        raise ModelError(f"start_from: {config.start_from!r} has other sizes; set width={width}, head={head}")
    return model.network

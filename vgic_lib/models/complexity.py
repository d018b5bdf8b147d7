# SPDX-License-Identifier: MIT
"""What a model costs: parameters, and the decoder's multiplications for each pixel."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from vgic_lib.models.base import LatentModel

SIZE = 512, 768  # pixels, height and width of the picture that is counted
QUALITY = 50


@dataclass(frozen=True)
class ModelInfo:
    """Facts about a model."""

    model: str
    model_id: str  # 8 hex digits
    parameters: int
    operating_points: int
    decoder_kmac_per_pixel: float  # thousands of multiply-accumulates, everything that a decoder runs


def describe(model: LatentModel) -> ModelInfo:
    """Count what a model has and does."""
    return ModelInfo(
        model=model.name,
        model_id=model.model_id.hex(),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        operating_points=len(model.settings),
        decoder_kmac_per_pixel=decoder_kmac_per_pixel(model),
    )


@torch.no_grad()
def decoder_kmac_per_pixel(model: LatentModel) -> float:
    """Thousands of multiply-accumulates that decoding a picture of SIZE takes for each pixel.

    Counted by PyTorch while sections are decoded and the picture is synthesised, exact entropy networks
    included; half of its floating-point operations.
    """
    setting = model.setting(QUALITY)
    mid_grey = torch.full((1, 3, *SIZE), 0.5)
    sections = model.encode(model.analysis(mid_grey, setting), setting)
    count = flops(lambda: model.synthesis(model.decode(sections, setting, SIZE), setting, SIZE))
    return count / 2 / (SIZE[0] * SIZE[1]) / 1000


@torch.no_grad()
def flops(function: Callable[[], object]) -> int:
    """Floating-point operations of a call: convolutions and matrix products, by torch's counter."""
    in_place = {torch.ops.aten.addmm_: _addmm_flops}  # the library counts only its out-of-place version
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        function()
    return counter.get_total_flops()


def _addmm_flops(total: torch.Size, left: torch.Size, right: torch.Size, **_: object) -> int:
    """Operations of total += left @ right, from the shapes."""
    return 2 * left[0] * left[1] * right[1]

# SPDX-License-Identifier: MIT
"""MS-SSIM (Wang, Simoncelli, Bovik 2003, section 3.2) on tensors, differentiable.

Gaussian window of 11 pixels (sigma 1.5) without padding. Negative contrast terms count as zero. A scale is
the mean of 2 x 2 pixels of the one before; odd sides are padded with zeros, as is customary for this metric.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from vgic_lib.errors import ParameterError
from vgic_lib.metrics.windows import RADIUS, window_means

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # section 4 of the paper
C1, C2 = 0.01**2, 0.03**2

Colours = Literal["rgb", "ycbcr"]
CHANNEL_WEIGHTS: dict[Colours, tuple[float, float, float]] = {"rgb": (1, 1, 1), "ycbcr": (6, 1, 1)}
_YCBCR = (  # ITU-R BT.601, full range, without the offset of Cb and Cr
    (0.299, 0.587, 0.114),
    (-0.299 / 1.772, -0.587 / 1.772, 0.886 / 1.772),
    (0.701 / 1.402, -0.587 / 1.402, -0.114 / 1.402),
)


class _Scale(NamedTuple):
    """The originals at one scale, (B, 3, h, w), and their statistics where the window fits."""

    x: Tensor
    mean: Tensor
    variance: Tensor


def smallest_side(scales: int) -> int:
    """Pixels that a side needs for so many scales: 161 for all five, 81 for four, 41, 21, 11."""
    return 2 * RADIUS * 2 ** (scales - 1) + 1


def ms_ssim(
    x: Tensor,
    x_hat: Tensor,
    colours: Colours = "rgb",
    channel_weights: Sequence[float] | None = None,
    scales: int = len(SCALE_WEIGHTS),
) -> Tensor:
    """Multi-scale structural similarity of decoded pictures: 1 is equal.

    Args:
        x: originals, sRGB (B, 3, H, W) in [0, 1]; sides of at least `smallest_side(scales)`.
        x_hat: decoded pictures, of the same shape.
        colours: "rgb", or "ycbcr" (ITU-R BT.601, full range).
        channel_weights: of the mean over channels, in any unit; None: CHANNEL_WEIGHTS.
        scales: how many, from the finest on; the weights of fewer than five grow in proportion, to the sum of
            all five. Fewer are for crops, and are another measure: compare only with the same number.

    Returns:
        (B,). The gradient with respect to x_hat is finite.

    Raises:
        ParameterError: a side is too short, or an argument is out of range.
    """
    return MsSsimReference(x, colours, channel_weights, scales).score(x_hat)


class MsSsimReference:
    """Originals prepared for many comparisons; arguments and errors are those of `ms_ssim`."""

    def __init__(
        self,
        x: Tensor,
        colours: Colours = "rgb",
        channel_weights: Sequence[float] | None = None,
        scales: int = len(SCALE_WEIGHTS),
    ) -> None:
        _check(tuple(x.shape[2:]), colours, channel_weights, scales)
        self._colours = colours
        weights = x.new_tensor(CHANNEL_WEIGHTS[colours] if channel_weights is None else channel_weights)
        self._channel_weights = weights / weights.sum()
        share = sum(SCALE_WEIGHTS[:scales]) / sum(SCALE_WEIGHTS)
        self._scale_weights = [weight / share for weight in SCALE_WEIGHTS[:scales]]
        with torch.no_grad():
            self._scales = [_scale(level) for level in _pyramid(_converted(x, colours), scales)]

    def score(self, x_hat: Tensor) -> Tensor:
        """Similarity (B,) of decoded pictures (B, 3, H, W) in [0, 1]; see `ms_ssim`."""
        similarity, last = 1.0, len(self._scales) - 1
        for k, y in enumerate(_pyramid(_converted(x_hat, self._colours), len(self._scales))):
            term = _term(self._scales[k], y, k == last).mean((2, 3))
            positive = term > 0  # a power below 1 has no slope at zero
            power = torch.where(positive, term, 1) ** self._scale_weights[k]
            similarity = similarity * torch.where(positive, power, 0)
        return similarity @ self._channel_weights


def _converted(x: Tensor, colours: Colours) -> Tensor:
    """Colours as asked for, all channels in [0, 1]."""
    if colours == "rgb":
        return x
    offset = x.new_tensor([0, 0.5, 0.5])[:, None, None]
    return torch.einsum("oc,bchw->bohw", x.new_tensor(_YCBCR), x) + offset


def _pyramid(x: Tensor, scales: int) -> list[Tensor]:
    levels = [x]
    for _ in range(scales - 1):
        height, width = levels[-1].shape[2:]
        levels.append(F.avg_pool2d(levels[-1], 2, padding=(height % 2, width % 2)))
    return levels


def _scale(x: Tensor) -> _Scale:
    mean = window_means(x)
    return _Scale(x, mean, window_means(x * x) - mean * mean)


def _term(scale: _Scale, y: Tensor, with_luminance: bool) -> Tensor:
    """Map of the contrast-structure term, on the last scale times the luminance term."""
    mean_y = window_means(y)
    variance_y = window_means(y * y) - mean_y * mean_y
    covariance = window_means(scale.x * y) - scale.mean * mean_y
    contrast = (2 * covariance + C2) / (scale.variance + variance_y + C2)
    if not with_luminance:
        return contrast
    return contrast * (2 * scale.mean * mean_y + C1) / (scale.mean * scale.mean + mean_y * mean_y + C1)


def _check(
    size: tuple[int, int], colours: Colours, channel_weights: Sequence[float] | None, scales: int
) -> None:
    if colours not in CHANNEL_WEIGHTS:
        raise ParameterError(f"unknown colours {colours!r}; choose from {', '.join(CHANNEL_WEIGHTS)}")
    if channel_weights is not None and (
        len(channel_weights) != 3 or min(channel_weights) < 0 or not sum(channel_weights)
    ):
        raise ParameterError("channel_weights must be three, none negative, not all zero")
    if not 1 <= scales <= len(SCALE_WEIGHTS):
        raise ParameterError(f"scales must be 1 to {len(SCALE_WEIGHTS)}, got {scales}")
    if min(size) < smallest_side(scales):
        raise ParameterError(
            f"{scales} scales of MS-SSIM need sides of at least {smallest_side(scales)}, got {size}"
        )

# SPDX-License-Identifier: MIT
"""SSIMULACRA2 (Sneyers 2023) on tensors, differentiable: what a search or a training can climb.

It follows the package ssimulacra2 0.3.0, which stays the judge (`perceptual.ssimulacra2`), borders included:
windows see zeros beyond the left and right border and a mirror beyond the upper and lower one. Of the 108
weights of the metric, those under 0.01 are left out: together they move a score by hundredths of a point,
but half of the maps, all of the chroma at full resolution among them, need not be made. Then d, the map of
1 - SSIM, is written as a sum of what is not negative; in the metric's form it is a difference of near equals.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from vgic_lib.errors import ParameterError
from vgic_lib.metrics.windows import RADIUS, window_means

SMALLEST_SIDE = 8  # pixels, of every scale
SCALES = 6
C2 = 0.0009  # of SSIM, in the range of XYB

# Weights by their number, ((channel * scales + scale) * 2 + norm) * 3 + feature; the order of channels is
# X, Y, B, that of norms mean, fourth power, that of features SSIM, artifacts, lost detail. In a picture too
# small for six scales the same numbers fall to other features; that, too, is as in the metric.
_WEIGHTS = {
    9: 1.1041726426657346, 15: 1.8422455520539298, 16: 11.441172603757666, 21: 1.8787594979546387,
    22: 10.94906990605142, 25: 0.9677937080626833, 28: 0.9981766977854967, 39: 7.466890328078848,
    41: 17.445833984131262, 45: 6.683678146179332, 47: 1.027889937768264, 48: 225.20515300849274,
    51: 19.213238186143016, 54: 176.39317598450694, 57: 24.43300999870476, 58: 0.28520802612117757,
    63: 34.77906344483772, 64: 44.835625328877896, 93: 8.826982764996862, 94: 23.19243343998926,
    96: 95.1080498811086, 97: 0.9863978034400682, 98: 0.9834382792465353, 100: 171.2667255897307,
    101: 0.9807858872435379,
}  # fmt: skip

_TO_CONES = (  # of linear RGB; each row sums to 1
    (0.30, 0.622, 0.078),
    (0.23, 0.692, 0.078),
    (0.24342268924547819, 0.20476744424496821, 0.5518098665095536),
)
_BIAS = 0.0037930732552754493
_LEAST_POWER = 1e-36  # added to fourth powers, so that their root has a finite slope at equal pictures
_LEAST_ERROR = 1e-8


class _Term(NamedTuple):
    """One number that enters the score."""

    scale: int
    channel: int
    feature: int
    fourth_power: bool
    weight: float


class _Plane(NamedTuple):
    """What is known of one channel of the reference at one scale, (B, H, W) each."""

    x: Tensor
    mean: Tensor
    variance: Tensor  # plus C2
    edges: Tensor  # distance from the mean
    edge_scale: Tensor


def ssimulacra2(x: Tensor, x_hat: Tensor) -> Tensor:
    """Scores of decoded pictures: 100 is equal, 90 looks equal, 70 good, 50 fair, 30 poor; may be negative.

    Args:
        x: originals, sRGB (B, 3, H, W) in [0, 1]; sides of at least SMALLEST_SIDE.
        x_hat: decoded pictures, of the same shape; values beyond [0, 1] count as the nearest ones within.

    Returns:
        (B,). The gradient with respect to x_hat is finite, also where both are equal.

    Raises:
        ParameterError: a side is too short.
    """
    return Ssimulacra2Reference(x).score(x_hat)


class Ssimulacra2Reference:
    """Originals prepared for many comparisons: all that depends on them alone is computed once.

    Args:
        x: sRGB (B, 3, H, W) in [0, 1]; its type, float32 or float64, is that of the computations.

    Raises:
        ParameterError: a side is shorter than SMALLEST_SIDE.
    """

    def __init__(self, x: Tensor) -> None:
        self._terms = _terms(tuple(x.shape[2:]))
        with torch.no_grad():
            self._planes = {key: _plane(value) for key, value in _channels(x, self._terms).items()}

    def score(self, x_hat: Tensor) -> Tensor:
        """Scores (B,) of decoded pictures (B, 3, H, W) in [0, 1]; see `ssimulacra2`."""
        error = 0.0
        for key, y in _channels(x_hat, self._terms).items():
            for term, feature in _features(self._planes[key], y, key, self._terms):
                error = error + term.weight * _norm(feature, term.fourth_power)
        error = 0.9562382616834844 * error
        error = error * (2.326765642916932 + error * (-0.020884521182843837 + error * 6.248496625763138e-05))
        return 100 - 10 * error.clamp(min=_LEAST_ERROR) ** 0.6276336467831387


def _terms(size: tuple[int, int]) -> list[_Term]:
    """Terms of the score of a picture of `size` (H, W)."""
    scales, side = 0, min(size)
    while scales < SCALES and side >= SMALLEST_SIDE:
        scales, side = scales + 1, -(-side // 2)
    if not scales:
        raise ParameterError(f"SSIMULACRA2 needs sides of at least {SMALLEST_SIDE} pixels, got {size}")
    terms = []
    for channel in range(3):
        for scale in range(scales):
            for norm in range(2):
                for feature in range(3):
                    number = ((channel * scales + scale) * 2 + norm) * 3 + feature
                    if number in _WEIGHTS:
                        terms.append(_Term(scale, channel, feature, norm == 1, _WEIGHTS[number]))
    return terms


def _channels(x: Tensor, terms: list[_Term]) -> dict[tuple[int, int], Tensor]:
    """Channels (B, H, W) of XYB that the terms need, by scale and channel."""
    linear, channels = _Linear.apply(x), {}
    for scale in range(max(term.scale for term in terms) + 1):
        if scale:
            linear = F.avg_pool2d(linear, 2, ceil_mode=True, count_include_pad=False)
        wanted = {term.channel for term in terms if term.scale == scale}
        for channel, plane in _xyb(linear, wanted).items():
            channels[scale, channel] = plane
    return channels


def _xyb(linear: Tensor, wanted: set[int]) -> dict[int, Tensor]:
    """Channels of XYB in the positive range of the metric, from linear RGB (B, 3, H, W)."""
    matrix = linear.new_tensor(_TO_CONES[: 3 if 2 in wanted else 2])
    cones = torch.einsum("oc,bchw->obhw", matrix, linear) + _BIAS
    cones = (cones.pow(1 / 3) - _BIAS ** (1 / 3)).unbind()
    y = (cones[0] + cones[1]) / 2
    made = {1: y + 0.01}
    if 0 in wanted:
        made[0] = 7 * (cones[0] - cones[1]) + 0.42
    if 2 in wanted:
        made[2] = cones[2] - y + 0.55
    return {channel: made[channel] for channel in sorted(wanted)}


def _plane(x: Tensor) -> _Plane:
    mean = _blur(x)
    edges = (x - mean).abs()
    return _Plane(x, mean, _blur(x * x) - mean**2 + C2, edges, 1 / (1 + edges))


def _features(
    plane: _Plane, y: Tensor, key: tuple[int, int], terms: list[_Term]
) -> list[tuple[_Term, Tensor]]:
    """Maps (B, H, W), none of them negative, of the terms of one channel `y` at one scale."""
    terms = [term for term in terms if (term.scale, term.channel) == key]
    wanted, maps, mean = {term.feature for term in terms}, {}, _blur(y)
    if 0 in wanted:
        shift = (mean - plane.mean).square()
        error = _blur((y - plane.x).square()) - shift  # variance of the error
        variances = plane.variance + (_blur(y * y) - mean.square())
        maps[0] = error * (1 - shift) / variances + shift
    if wanted & {1, 2}:
        edges = ((y - mean).abs() - plane.edges) * plane.edge_scale
        maps[1], maps[2] = edges.relu(), (-edges).relu()
    return [(term, maps[term.feature]) for term in terms]


def _norm(feature: Tensor, fourth_power: bool) -> Tensor:
    """Mean over the picture, of the values or of their fourth powers; (B, H, W) to (B,)."""
    if not fourth_power:
        return feature.mean((1, 2))
    power = feature.square().square().mean((1, 2))
    return (power + _LEAST_POWER) ** 0.25 - _LEAST_POWER**0.25


def _blur(x: Tensor) -> Tensor:
    """Gaussian means of (B, H, W), same shape: zeros left and right, mirrored rows above and below."""
    top, bottom = x[:, :RADIUS].flip(1), x[:, -RADIUS:].flip(1)
    return window_means(F.pad(torch.cat([top, x, bottom], 1), (RADIUS, RADIUS)))


class _Linear(torch.autograd.Function):
    """Linear light of sRGB values, clamped to [0, 1]; keeps its slope, which spares a second power."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        value = x.clamp(0, 1)
        base, dark = (value + 0.055) / 1.055, value <= 0.04045
        power = base.pow(2.4)
        slope = torch.where(dark, 1 / 12.92, 2.4 / 1.055 * power / base)
        ctx.save_for_backward(slope * (value == x))
        return torch.where(dark, value / 12.92, power)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        return gradient * ctx.saved_tensors[0]

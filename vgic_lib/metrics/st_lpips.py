# SPDX-License-Identifier: MIT
"""ST-LPIPS (Ghildyal and Liu 2022, "Shift-tolerant Perceptual Similarity Metric", section 4), differentiable.

Distance of unit-length features of a trunk, AlexNet or VGG-16 made tolerant of shifts: every step of 2 is a
step of 1 and then a blur. The weights are read from the files of the package stlpips-pytorch, whose code is
not used. By the authors' measure "vgg" is the better judge; "alex" takes a fourth of the computations.
"""

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from vgic_lib.errors import ParameterError

SMALLEST_SIDE = 32  # pixels: reflection at the border of the coarsest scale needs that

Trunk = Literal["alex", "vgg"]
_VGG_LAYERS = ((0, 2), (6, 8), (12, 14, 16), (20, 22, 24), (28, 30, 32))  # convolutions, scale by scale


def st_lpips(x: Tensor, x_hat: Tensor, trunk: Trunk = "vgg") -> Tensor:
    """Distances of decoded pictures from the originals: 0 is equal.

    Args:
        x: originals, sRGB (B, 3, H, W) in [0, 1]; sides of at least SMALLEST_SIDE.
        x_hat: decoded pictures, of the same shape.
        trunk: "alex" or "vgg"; values of the two do not compare.

    Returns:
        (B,). The gradient with respect to x_hat is finite, also where both are equal.

    Raises:
        ParameterError: the package stlpips-pytorch is not installed, a side is too short, or the trunk is
            unknown.
    """
    return StLpipsReference(x, trunk).score(x_hat)


class StLpipsReference:
    """Originals prepared for many comparisons; arguments and errors are those of `st_lpips`.

    Keeps the features of the originals: "vgg" about 500 bytes a pixel, "alex" about 50.
    """

    def __init__(self, x: Tensor, trunk: Trunk = "vgg") -> None:
        self._trunk = trunk
        with torch.no_grad():
            self._features = [F.normalize(feature, dim=1) for feature in features(x, trunk)]

    def score(self, x_hat: Tensor) -> Tensor:
        """Distances (B,) of decoded pictures (B, 3, H, W) in [0, 1]; lower is better."""
        weights, distance = _weights(self._trunk, x_hat.dtype, x_hat.device), 0.0
        for scale, feature in enumerate(features(x_hat, self._trunk)):
            difference = (F.normalize(feature, dim=1) - self._features[scale]).square()
            heads = weights[f"lin{scale}.model.1.weight"]
            distance = distance + torch.einsum("bchw,c->bhw", difference, heads.flatten()).mean((1, 2))
        return distance


def features(x: Tensor, trunk: Trunk = "vgg") -> Iterator[Tensor]:
    """Activations (B, C, h, w) of a trunk at the end of each of its five scales, finest first.

    Args:
        x: sRGB (B, 3, H, W) in [0, 1]; sides of at least SMALLEST_SIDE.
        trunk: "alex" or "vgg".

    Raises:
        ParameterError: as `st_lpips`.
    """
    if trunk not in _TRUNKS:
        raise ParameterError(f"unknown trunk {trunk!r}; choose from {', '.join(_TRUNKS)}")
    if min(x.shape[2:]) < SMALLEST_SIDE:
        raise ParameterError(
            f"ST-LPIPS needs sides of at least {SMALLEST_SIDE} pixels, got {tuple(x.shape[2:])}"
        )
    weights = _weights(trunk, x.dtype, x.device)
    x = (2 * x - 1 - weights["scaling_layer.shift"]) / weights["scaling_layer.scale"]
    return _TRUNKS[trunk](x.contiguous(memory_format=torch.channels_last), weights)


def _alex(x: Tensor, weights: dict[str, Tensor]) -> Iterator[Tensor]:
    x = F.relu(_shrink(_convolved(x, weights, "net.slice1.0", 2), weights["net.slice1.1.filt"], 2))
    yield x
    for scale, layer in enumerate((5, 9, 11, 13), start=2):
        name = f"net.slice{scale}.{layer}"
        if scale < 4:
            x = _shrink(F.max_pool2d(x, 3, 1), weights[f"net.slice{scale}.{layer - 1}.filt"], 2)
        x = F.relu(_convolved(x, weights, name, 2 if scale == 2 else 1))
        yield x


def _vgg(x: Tensor, weights: dict[str, Tensor]) -> Iterator[Tensor]:
    for scale, layers in enumerate(_VGG_LAYERS, start=1):
        if scale > 1:
            x = _shrink(F.max_pool2d(x, 2, 1), weights[f"net.slice{scale}.{layers[0] - 1}.filt"], 1)
        for layer in layers:
            x = F.relu(_convolved(x, weights, f"net.slice{scale}.{layer}", 1))
        yield x


def _convolved(x: Tensor, weights: dict[str, Tensor], name: str, padding: int) -> Tensor:
    return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=padding)


def _shrink(x: Tensor, blur: Tensor, margin: int) -> Tensor:
    """Blur, and every second pixel in both directions."""
    return F.conv2d(F.pad(x, (margin,) * 4, mode="reflect"), blur, stride=2, groups=len(blur))


_TRUNKS = {"alex": _alex, "vgg": _vgg}


@cache
def _weights(trunk: Trunk, dtype: torch.dtype, device: torch.device) -> dict[str, Tensor]:
    if find_spec("stlpips_pytorch") is None:
        raise ParameterError(
            "this metric needs the package stlpips-pytorch; install it: pip install stlpips-pytorch"
        )
    folder = Path(find_spec("stlpips_pytorch").submodule_search_locations[0])
    path = folder / "weights" / "vST0.0" / f"{trunk}_shift_tolerant.pth"
    weights = torch.load(path, map_location="cpu", weights_only=True)
    return {name: _fast(value).to(device, dtype) for name, value in weights.items()}


def _fast(value: Tensor) -> Tensor:
    return value.to(memory_format=torch.channels_last) if value.ndim == 4 else value

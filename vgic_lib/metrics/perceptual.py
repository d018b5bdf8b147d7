# SPDX-License-Identifier: MIT
"""How different a decoded picture looks: SSIMULACRA2 and ST-LPIPS.

Both take seconds a picture, so they judge a choice of files, not every row. SSIMULACRA2 (Sneyers 2023) is the
package of that name. ST-LPIPS (Ghildyal and Liu 2022, "Shift-tolerant Perceptual Similarity Metric", sec. 4)
is computed here, with VGG-16 as trunk; its weights are read from the package stlpips-pytorch, whose code is
not used.
"""

import tempfile
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from vgic_lib.errors import ParameterError

SMALLEST_SIDE = 32  # pixels: reflection at the border of the coarsest scale needs that
_LAYERS = ((0, 2), (6, 8), (12, 14, 16), (20, 22, 24), (28, 30, 32))  # convolutions of VGG-16, scale by scale


def ssimulacra2(x: np.ndarray, x_hat: np.ndarray) -> float:
    """Score of a decoded picture: 100 is equal, 90 looks equal, 70 good, 50 fair, 30 poor; may be negative.

    Args:
        x: original, uint8 (H, W, 3).
        x_hat: decoded picture, same shape and type.

    Raises:
        ParameterError: the package ssimulacra2 is not installed.
    """
    _require("ssimulacra2")
    from ssimulacra2 import compute_ssimulacra2

    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("x.png", "x_hat.png")]
        for pixels, path in zip((x, x_hat), paths, strict=True):
            Image.fromarray(pixels).save(path, compress_level=1)
        return float(compute_ssimulacra2(*paths))


@torch.no_grad()
def st_lpips(x: np.ndarray, x_hat: np.ndarray) -> float:
    """Distance of a decoded picture from the original by learned features: 0 is equal.

    NaN where a side is shorter than SMALLEST_SIDE.

    Args:
        x: original, uint8 (H, W, 3).
        x_hat: decoded picture, same shape and type.

    Raises:
        ParameterError: the package stlpips-pytorch is not installed.
    """
    weights = _st_lpips_weights()
    if min(x.shape[:2]) < SMALLEST_SIDE:
        return float("nan")
    distance = 0.0
    for scale, (a, b) in enumerate(zip(_features(x, weights), _features(x_hat, weights), strict=True)):
        difference = (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square()
        distance += F.conv2d(difference, weights[f"lin{scale}.model.1.weight"]).mean().item()
    return distance


def _features(pixels: np.ndarray, weights: dict[str, Tensor]) -> Iterable[Tensor]:
    """Activations of VGG-16 at the end of each scale; pooling is a maximum, then a blur."""
    x = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].float() / 127.5 - 1
    x = (x - weights["scaling_layer.shift"]) / weights["scaling_layer.scale"]
    for scale, layers in enumerate(_LAYERS):
        name = f"net.slice{scale + 1}"
        if scale:
            blur = weights[f"{name}.{layers[0] - 1}.filt"]
            x = F.pad(F.max_pool2d(x, 2, 1), (1, 1, 1, 1), mode="reflect")
            x = F.conv2d(x, blur, stride=2, groups=len(blur))
        for layer in layers:
            x = F.conv2d(x, weights[f"{name}.{layer}.weight"], weights[f"{name}.{layer}.bias"], padding=1)
            x = F.relu(x)
        yield x


def require() -> None:
    """Refuse to go on where a package is missing that these metrics need. Raises ParameterError."""
    for package in ("ssimulacra2", "stlpips_pytorch"):
        _require(package)


@cache
def _st_lpips_weights() -> dict[str, Tensor]:
    _require("stlpips_pytorch")
    folder = Path(find_spec("stlpips_pytorch").submodule_search_locations[0])
    path = folder / "weights" / "vST0.0" / "vgg_shift_tolerant.pth"
    return torch.load(path, map_location="cpu", weights_only=True)


def _require(package: str) -> None:
    if find_spec(package) is None:
        name = package.replace("_", "-")
        raise ParameterError(f"this metric needs the package {name}; install it: pip install {name}")

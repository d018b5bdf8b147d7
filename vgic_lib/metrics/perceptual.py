# SPDX-License-Identifier: MIT
"""How different a decoded picture looks: SSIMULACRA2, ST-LPIPS and ColorVideoVDP of 8-bit pictures.

They take a second or more a picture, so they judge a choice of files, not every row. SSIMULACRA2 (Sneyers
2023) and ColorVideoVDP (Mantiuk et al. 2024) are packages, ST-LPIPS is `metrics.st_lpips` with VGG-16 as
trunk. What a search minimises are their differentiable relatives in `metrics`. To add a metric is to write a
function and name it in METRICS.
"""

import logging
import sys
import tempfile
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from vgic_lib.errors import ParameterError
from vgic_lib.metrics.st_lpips import SMALLEST_SIDE, StLpipsReference
from vgic_lib.metrics.tensors import as_tensor

CVVDP_DISPLAY = "standard_4k"


def ssimulacra2(x: np.ndarray, x_hat: np.ndarray) -> float:
    """Score of a decoded picture: 100 is equal, 90 looks equal, 70 good, 50 fair, 30 poor; may be negative.

    Args:
        x: original, uint8 (H, W, 3).
        x_hat: decoded picture, same shape and type.

    Raises:
        ParameterError: the package ssimulacra2 is not installed.
    """
    _require("ssimulacra2", "ssimulacra2")
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
    if min(x.shape[:2]) < SMALLEST_SIDE:
        return float("nan")
    return _st_lpips_reference(x.tobytes(), x.shape).score(as_tensor(x_hat)).item()


@lru_cache(maxsize=1)
def _st_lpips_reference(pixels: bytes, shape: tuple[int, int, int]) -> StLpipsReference:
    """Features of the original are half of the work, and files of one picture are judged in a row."""
    return StLpipsReference(as_tensor(np.frombuffer(pixels, np.uint8).reshape(shape)))


def cvvdp(x: np.ndarray, x_hat: np.ndarray) -> float:
    """Quality of a decoded picture in just-objectionable differences: 10 is equal, 9 is one difference below.

    ColorVideoVDP (Mantiuk et al. 2024), for the display model "standard_4k": 30 inches of 3840 x 2160 pixels
    seen from 0.75 m (75 pixels a degree), 200 cd/m2, office light. No objective of this project contains it.

    Args:
        x: original, uint8 (H, W, 3).
        x_hat: decoded picture, same shape and type.

    Raises:
        ParameterError: the package cvvdp is not installed.
    """
    score, _ = _cvvdp().predict(x_hat, x, dim_order="HWC")
    return float(score)


def require() -> None:
    """Refuse to go on where a package is missing that these metrics need. Raises ParameterError."""
    _require("ssimulacra2", "ssimulacra2")
    _require("stlpips_pytorch", "stlpips-pytorch")


@cache
def _cvvdp() -> Any:  # noqa: ANN401
    """The metric, without what the import of its package leaves: a folder on the path, a remark on CUDA."""
    _require("pycvvdp", "cvvdp")
    path, logger = sys.path.copy(), logging.getLogger("torch.utils.cpp_extension")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        from pycvvdp import cvvdp as metric
    finally:
        sys.path[:] = path
        logger.setLevel(level)
    return metric(display_name=CVVDP_DISPLAY, device=torch.device("cpu"), quiet=True)


def _require(package: str, name: str) -> None:
    if find_spec(package) is None:
        raise ParameterError(f"this metric needs the package {name}; install it: pip install {name}")


class Metric(NamedTuple):
    """A judge of how decoded pictures look; its scores go by its name in METRICS."""

    title: str  # as a reader of tables knows it
    score: Callable[[np.ndarray, np.ndarray], float] | None  # of two (H, W, 3) uint8; None: not of a picture
    rises: bool = True  # with quality
    unit: str = ""
    package: str = ""  # to be imported; without it there are no scores


METRICS: dict[str, Metric] = {
    "ssimulacra2": Metric("SSIMULACRA2", ssimulacra2),
    "ms_ssim_db": Metric("MS-SSIM", None, unit="dB"),  # of the rows
    "st_lpips": Metric("ST-LPIPS", st_lpips, rises=False),
    "cvvdp": Metric("ColorVideoVDP", cvvdp, unit="JOD", package="pycvvdp"),
    "patch_distance": Metric("patch distance", None, rises=False),  # of all pictures, by metrics.realism
}


def judges() -> dict[str, Callable[[np.ndarray, np.ndarray], float]]:
    """Functions of the METRICS that judge a picture, by name."""
    return {name: metric.score for name, metric in METRICS.items() if metric.score}


def installed(name: str) -> bool:
    """Whether the package of one of METRICS is there; `require` refuses to go on without some."""
    package = METRICS[name].package
    return not package or find_spec(package) is not None

# SPDX-License-Identifier: MIT
"""Whether decoded pictures look like photographs at all, whichever: a distance of two sets of patches.

A kernel distance as KID is one (Binkowski et al. 2018, "Demystifying MMD GANs", section 4), but not KID:
patches take the place of pictures, and means and deviations of the features of a shift-tolerant trunk that
of Inception. Values compare for the same pictures, trunk and patches, and with no published number.
"""

from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from vgic_lib.errors import ParameterError
from vgic_lib.metrics.st_lpips import SMALLEST_SIDE, Trunk, features
from vgic_lib.metrics.tensors import as_tensor

PATCH = 64  # pixels
FEATURE_SCALES = 3  # the finest of the trunk: texture, not objects
_AT_ONCE = 16  # patches that pass the trunk together


def patch_kernel_distance(
    originals: Sequence[np.ndarray],
    reconstructions: Sequence[np.ndarray],
    trunk: Trunk = "alex",
    patch: int = PATCH,
) -> float:
    """Distance of the distributions of patches: 0 is equal; estimates of next to nothing may be negative.

    Square of the maximum mean discrepancy with the kernel (a.b / dimensions + 1)^3, by the unbiased estimator
    (Gretton et al. 2012, "A Kernel Two-Sample Test", equation 4). Only patches of different pictures are
    compared, since those of one are not independent. A vector holds mean and deviation of each channel over
    a patch, those of a scale in units of how they vary among the originals. Take tens of pictures.

    Args:
        originals: uint8 (H, W, 3) each, of any sizes, two or more; what is left over to the right and below
            when patches are cut does not count.
        reconstructions: of the same number and sizes.
        trunk: "alex" or "vgg" of ST-LPIPS.
        patch: side of a patch in pixels, at least SMALLEST_SIDE of ST-LPIPS.

    Raises:
        ParameterError: pictures do not match, or fewer than two hold a patch; a patch is too small; or the
            package stlpips-pytorch is not installed.
    """
    return PatchReference(originals, trunk, patch).distance(reconstructions)


class PatchReference:
    """Originals prepared for many comparisons; arguments and errors are those of `patch_kernel_distance`."""

    def __init__(self, originals: Sequence[np.ndarray], trunk: Trunk = "alex", patch: int = PATCH) -> None:
        if patch < SMALLEST_SIDE:
            raise ParameterError(f"patches need sides of at least {SMALLEST_SIDE} pixels, got {patch}")
        counts = torch.tensor([(x.shape[0] // patch) * (x.shape[1] // patch) for x in originals])
        if (counts > 0).sum() < 2:
            raise ParameterError(f"a kernel distance needs at least two pictures of {patch} x {patch} pixels")
        self._shapes, self._trunk, self._patch = [x.shape for x in originals], trunk, patch
        self._groups = torch.arange(len(counts)).repeat_interleave(counts)
        self._moments = _moments(originals, trunk, patch)

    def distance(self, reconstructions: Sequence[np.ndarray]) -> float:
        """Distance of reconstructions, uint8 (H, W, 3) each, from the originals."""
        if self._shapes != [x.shape for x in reconstructions]:
            raise ParameterError(
                "a kernel distance needs as many reconstructions as originals, of the same sizes"
            )
        pairs = zip(self._moments, _moments(reconstructions, self._trunk, self._patch), strict=True)
        x, y = (torch.cat(parts, 1) for parts in zip(*(_scaled(*pair) for pair in pairs), strict=True))
        return kernel_distance(x, y, self._groups)


def kernel_distance(x: Tensor, y: Tensor, groups: Tensor) -> float:
    """Unbiased estimate of the squared discrepancy of two samples, cubic kernel.

    Args:
        x: (N, dimensions).
        y: of the same shape.
        groups: integers (N,); vectors are compared where theirs differ. Groups are independent.
    """
    within_x, within_y, between = ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    apart = groups[:, None] != groups[None]
    return (within_x + within_y - between - between.T)[apart].mean().item()


@torch.no_grad()
def _moments(pictures: Sequence[np.ndarray], trunk: Trunk, patch: int) -> list[Tensor]:
    """Means and deviations of the channels over every patch, scale by scale, (patches, C) in float64 each."""
    rows = []
    for pixels in (pixels for pixels in pictures if min(pixels.shape[:2]) >= patch):
        x = as_tensor(pixels).unfold(2, patch, patch).unfold(3, patch, patch)
        for patches in x[0].permute(1, 2, 0, 3, 4).flatten(0, 1).split(_AT_ONCE):
            scales = islice(features(patches, trunk), FEATURE_SCALES)
            rows.append([moment for f in scales for moment in (f.mean((2, 3)), f.std((2, 3)))])
    return [torch.cat(parts).double() for parts in zip(*rows, strict=True)]


def _scaled(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both about the mean of `x`, in units of the deviation of its dimensions together: some never vary."""
    centre, unit = x.mean(0), x.var(0).mean().sqrt() + 1e-12
    return (x - centre) / unit, (y - centre) / unit

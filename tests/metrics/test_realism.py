# SPDX-License-Identifier: MIT
"""The kernel distance of patches: against sums written out, and what it must and must not see."""

import numpy as np
import pytest
import torch
from helpers.distorted import blurred, encoded, photograph

from vgic_lib.errors import ParameterError
from vgic_lib.metrics.realism import kernel_distance, patch_kernel_distance


@pytest.fixture(scope="module")
def originals():
    places = (("astronaut", 128, 192), ("chelsea", 130, 150, 90, 120), ("coffee", 128, 128, 120, 200))
    return [photograph(*place) for place in places]


def test_kernel_distance_is_the_sum_over_pairs_of_different_groups():
    random = torch.Generator().manual_seed(0)
    x, y = (torch.randn(6, 4, generator=random, dtype=torch.float64) for _ in range(2))
    groups = [0, 0, 1, 2, 2, 2]

    def kernel(a, b):
        return (sum(p * q for p, q in zip(a.tolist(), b.tolist(), strict=True)) / 4 + 1) ** 3

    terms = [
        kernel(x[i], x[j]) + kernel(y[i], y[j]) - kernel(x[i], y[j]) - kernel(x[j], y[i])
        for i in range(6) for j in range(6) if groups[i] != groups[j]
    ]  # fmt: skip
    assert kernel_distance(x, y, torch.tensor(groups)) == pytest.approx(np.mean(terms))


def test_kernel_distance_is_unbiased():
    random = torch.Generator().manual_seed(0)
    found = [
        kernel_distance(*(torch.randn(40, 3, generator=random) for _ in range(2)), torch.arange(40))
        for _ in range(60)
    ]
    error = np.std(found) / 60**0.5
    assert abs(np.mean(found)) < 3 * error and min(found) < 0 < max(found)
    shifted = torch.randn(40, 3, generator=random) + 1
    assert kernel_distance(torch.randn(40, 3, generator=random), shifted, torch.arange(40)) > 10 * error


def test_blur_is_seen_and_grows(originals):
    found = [
        patch_kernel_distance(originals, [blurred(x, sigma) for x in originals]) for sigma in (0.5, 1, 2)
    ]
    assert patch_kernel_distance(originals, originals) == pytest.approx(0, abs=1e-9)
    assert 0.01 < found[0] < found[1] / 2 < found[2] / 4


def test_a_mirror_image_is_as_real_as_the_original(originals):
    """Which by every metric that compares pixels is worse than a blurred one."""
    mirrored = patch_kernel_distance(originals, [x[:, ::-1].copy() for x in originals])
    assert abs(mirrored) < 0.2 * patch_kernel_distance(originals, [blurred(x, 1) for x in originals])


def test_strong_compression_is_seen(originals):
    coarse, fine = (
        patch_kernel_distance(originals, [encoded(x, "AVIF", quality) for x in originals])
        for quality in (10, 90)
    )
    assert coarse > 5 * abs(fine)


def test_small_pictures_do_not_count(originals):
    x, y = originals[:2], [blurred(x, 1) for x in originals[:2]]
    small = originals[2][:63]
    assert patch_kernel_distance([*x, small], [*y, small]) == pytest.approx(patch_kernel_distance(x, y))


def test_refuses_what_cannot_be_compared(originals):
    with pytest.raises(ParameterError, match="same sizes"):
        patch_kernel_distance(originals, originals[1:])
    with pytest.raises(ParameterError, match="at least 32"):
        patch_kernel_distance(originals, originals, patch=16)
    with pytest.raises(ParameterError, match="two pictures"):
        patch_kernel_distance(originals[:1], originals[:1])

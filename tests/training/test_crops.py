# SPDX-License-Identifier: MIT
"""Random crops: parts of the pictures, the same ones for the same seed and step, wherever they are cut."""

import numpy as np
import pytest
import torch

from vgic_lib.errors import ParameterError
from vgic_lib.training.crops import CropSampler


def numbered(height, width, start):
    """Picture (H, W, 3) whose pixels all differ."""
    return (np.arange(height * width * 3).reshape(height, width, 3) + start).astype(np.uint8)


def test_batch_depends_on_seed_and_step_only():
    images = [numbered(20, 30, 0), numbered(40, 16, 9)]
    first = CropSampler(images, (8, 12), 5, seed=1)
    later = CropSampler(images, (8, 12), 5, seed=1)
    batches = [first.batch(step) for step in range(3)]
    assert batches[0].shape == (5, 3, 8, 12) and batches[0].dtype == torch.uint8
    assert torch.equal(later.batch(2), batches[2])
    assert not torch.equal(batches[1], batches[2])
    assert not torch.equal(CropSampler(images, (8, 12), 5, seed=2).batch(2), batches[2])


def test_crops_are_parts_of_the_picture():
    image = np.random.default_rng(0).integers(0, 256, (10, 11, 3), dtype=np.uint8)
    parts = {image[y : y + 8, x : x + 9].tobytes() for y in range(3) for x in range(3)}
    mirrored = {image[y : y + 8, x : x + 9][:, ::-1].tobytes() for y in range(3) for x in range(3)}
    plain = CropSampler([image], (8, 9), 200, seed=0, flip=False).batch(0)
    flipped = CropSampler([image], (8, 9), 400, seed=0).batch(0)
    assert {crop.permute(1, 2, 0).numpy().tobytes() for crop in plain} == parts
    assert {crop.permute(1, 2, 0).numpy().tobytes() for crop in flipped} == parts | mirrored


def test_larger_pictures_are_drawn_more_often_and_small_ones_never():
    images = [np.full((h, w, 3), value, np.uint8) for value, h, w in [(1, 10, 10), (2, 30, 10), (3, 5, 99)]]
    drawn = CropSampler(images, (8, 8), 4000, seed=0).batch(0)[:, 0, 0, 0]
    assert set(drawn.tolist()) == {1, 2}
    assert 0.72 < (drawn == 2).float().mean() < 0.78
    with pytest.raises(ParameterError, match="smaller crops"):
        CropSampler(images, (64, 64), 1, seed=0)


def test_crops_that_a_device_cuts_are_the_same():
    """The CPU stands for an accelerator: all pictures in one tensor there."""
    images = [numbered(20, 30, 0), numbered(9, 99, 5), numbered(40, 16, 9)]
    ours = CropSampler(images, (8, 12), 50, seed=1)
    device = CropSampler(images, (8, 12), 50, seed=1, device=torch.device("cpu"))
    for step in range(3):
        assert torch.equal(device.batch(step), ours.batch(step))

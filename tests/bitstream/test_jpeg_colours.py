# SPDX-License-Identifier: MIT
"""Colours that a JPEG file had are found, and give the pixels that its decoder gave."""

import numpy as np
import pytest
import torch
from helpers.pictures import opened, saved
from PIL import Image

from vgic_lib.bitstream.jpeg_colours import colours_of, rgb_of


def batch(array):
    return torch.from_numpy(np.array(array)).permute(2, 0, 1)[None].float()


@pytest.fixture(scope="module")
def photograph():
    """Waves and noise; in part so bright, dark or coloured that a decoder cuts off."""
    down, right = np.mgrid[:90, :130]
    waves = [128 + 150 * np.sin(down / (9 + 3 * k)) * np.cos(right / (7 + 5 * k)) for k in range(3)]
    noise = np.random.default_rng(0).normal(0, 4, (90, 130, 3))
    return Image.fromarray((np.stack(waves, 2) + noise).clip(0, 255).astype(np.uint8))


def decoded(data, mode):
    picture = opened(data)
    picture.draft(mode, picture.size)
    assert picture.mode == mode
    return picture


@pytest.mark.parametrize("options", [{"quality": 60}, {"quality": 95, "subsampling": 0}], ids=str)
def test_pixels_are_those_of_libjpeg(photograph, options):
    data = saved(photograph, "JPEG", **options)
    luma, cb, cr = decoded(data, "YCbCr").split()
    pixels = batch(decoded(data, "RGB"))
    assert torch.equal(rgb_of(batch(Image.merge("RGB", [cr, luma, cb]))), pixels)


@pytest.mark.parametrize("quality", [50, 85, 97])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_colours_of_a_decoded_file_are_found(photograph, quality, subsampling):
    data = saved(photograph, "JPEG", quality=quality, subsampling=subsampling)
    pixels = batch(decoded(data, "RGB"))
    found = colours_of(pixels)
    assert torch.equal(rgb_of(found), pixels)
    assert found.min() >= 0 and found.max() <= 255 and torch.equal(found, found.round())
    luma, cb, cr = decoded(data, "YCbCr").split()
    had = batch(Image.merge("RGB", [cr, luma, cb]))
    whole = ((pixels > 0) & (pixels < 255)).all(1)[0]
    assert (found - had).abs().amax(1)[0][whole].max() <= 1
    assert (found == had).all(1)[0][whole].float().mean() > 0.999


def test_other_pictures_have_none(photograph):
    pixels = batch(photograph)
    assert colours_of(pixels) is None
    drawn = batch(decoded(saved(photograph, "JPEG", quality=90), "RGB"))
    drawn[0, :, 40, 50] = torch.tensor([10.0, 200.0, 31.0])
    assert colours_of(drawn) is None


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 0, 255), (0, 255, 0)])
def test_extremes(colour):
    """What is found is right, where anything is."""
    pixels = torch.tensor(colour).float()[None, :, None, None].expand(1, 3, 4, 5)
    found = colours_of(pixels)
    assert found is None or torch.equal(rgb_of(found), pixels)
    assert found is not None or colour not in ((0, 0, 0), (255, 255, 255))

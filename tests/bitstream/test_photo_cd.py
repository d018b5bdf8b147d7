# SPDX-License-Identifier: MIT
"""Colours of a Photo CD become red, green and blue as published, and are found again."""

import numpy as np
import torch

from vgic_lib.bitstream.photo_cd import colours_of, exceeds, luma_range, nearest_colours, rgb_of


def every(step=5):
    """C2, Y, C1 (1, 3, N, 1), a part of all that there are."""
    values = torch.arange(0, 256, step).float()
    return torch.cartesian_prod(values, values, values).T[None, ..., None]


def test_red_green_and_blue_are_as_published():
    """Ford and Roberts (1998): less than a level off for the fractions that are dropped."""
    second, y, first = every()[0, ..., 0].double().numpy()
    light, second, first = 1.3584 * y, 1.8215 * (second - 137), 2.2179 * (first - 156)
    exact = np.stack([light + second, light - 0.194 * first - 0.509 * second, light + first])
    found = rgb_of(every())[0, ..., 0].numpy()
    for channel, largest in enumerate((0.0, 0.71, 0.0)):
        inside = (exact[channel] > 1) & (exact[channel] < 254)
        off = (found[channel] - exact[channel])[inside]
        assert -1.01 < off.min() < -0.8 and largest - 0.1 < off.max() < largest + 0.01
    assert found.min() == 0 and found.max() == 255


def test_pixels_of_a_reader():
    """C2, Y, C1 and what is to be seen; the second and third are cut off."""
    known = {(137, 100, 156): (135, 135, 135), (200, 180, 150): (255, 189, 231), (120, 10, 130): (0, 40, 0)}
    colours = torch.tensor([*known], dtype=torch.float32).T[None, ..., None]
    assert rgb_of(colours)[0, ..., 0].T.tolist() == [list(rgb) for rgb in known.values()]


def test_colours_are_found_again_where_nothing_was_cut_off():
    colours = every()
    pixels = rgb_of(colours)
    whole = ((pixels > 0) & (pixels < 255)).all(1)[0, :, 0]
    assert not exceeds(*colours[0, :, whole, 0]).any() and exceeds(*colours[0, :, ~whole, 0]).all()
    pixels = pixels[:, :, whole]
    assert torch.equal(colours_of(pixels), colours[:, :, whole])
    assert (nearest_colours(pixels) - colours[:, :, whole]).abs().max() <= 1


def test_one_colour_in_nine_can_occur():
    colours = torch.cartesian_prod(*[torch.arange(256.0)] * 2)
    seen = set()
    for y in range(256):
        values = rgb_of(torch.stack([colours[:, 0], torch.full((2**16,), y), colours[:, 1]])[None, ..., None])
        inside = ((values >= 100) & (values < 116)).all(1)[0, :, 0]
        seen |= set(map(tuple, values[0, :, inside, 0].T.tolist()))
    assert 0.1 < len(seen) / 16**3 < 0.12


def test_range_of_luma():
    """Every luma in the range makes the pixel, and those beside it do not."""
    colours = every(11)
    pixels = rgb_of(colours)
    second, y, first = colours[0, ..., 0]
    least, largest = luma_range(second, first, pixels[0, ..., 0])
    assert ((least <= y) & (y <= largest) & (least >= 0) & (largest <= 255)).all()
    for luma, same in ((least, True), (largest, True), (least - 1, False), (largest + 1, False)):
        possible = (luma >= 0) & (luma <= 255)
        tried = torch.stack([second, luma.float(), first])[None, :, possible, None]
        assert (rgb_of(tried) == pixels[:, :, possible]).all(1).all() == same
    assert not (rgb_of(tried) == pixels[:, :, possible]).all(1).any()
    none = luma_range(torch.tensor([137.0]), torch.tensor([156.0]), torch.tensor([[10.0], [200.0], [10.0]]))
    assert none[0] > none[1]

# SPDX-License-Identifier: MIT
"""Of what pixels were made is found, named in a byte or two, and made again."""

import numpy as np
import pytest
import torch
from helpers.pictures import generated, of_photo_cd

from vgic_lib.bitstream import photo_cd
from vgic_lib.bitstream.colour_origins import ALIGNMENTS, WHOLE, found, named
from vgic_lib.networks.shapes import EXACT, JPEG, NEAR, PARTS, PHOTO_CD


def batch(pixels):
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float()


@pytest.fixture(scope="module")
def scan():
    return batch(of_photo_cd(generated(np.random.default_rng(0), "slope", 40, 50)))


def test_a_scan_however_it_lies(scan):
    heads = set()
    for turned in ALIGNMENTS:
        pixels = scan.flip(turned)
        origin, colours = found(pixels, PARTS)
        assert origin.part == PHOTO_CD and origin.rule and torch.equal(origin.pixels(colours), pixels)
        assert named(origin.head + b"...", PARTS) == origin
        heads.add(origin.head)
    assert len(heads) == len(ALIGNMENTS)


def test_a_scan_with_colour_of_its_own_at_every_pixel():
    colours = torch.randint(60, 180, (1, 3, 40, 50)).float()
    origin, coded = found(photo_cd.rgb_of(colours), PARTS)
    assert origin.head == bytes([4, WHOLE]) and origin.rule is None
    assert torch.equal(origin.pixels(coded), photo_cd.rgb_of(colours))


def test_a_jpeg_file():
    pixels = batch(generated(np.random.default_rng(1), "was JPEG", 40, 50))
    origin, colours = found(pixels, PARTS)
    assert origin.part == JPEG and torch.equal(origin.pixels(colours), pixels)
    assert named(origin.head, PARTS) == origin


def test_nothing_is_found_in_others(scan):
    for kind in ("noise", "slope"):
        assert found(batch(generated(np.random.default_rng(2), kind, 40, 50)), PARTS) is None
    edited = scan.clone()
    edited[0, 0, 7] = (edited[0, 0, 7] + 1).clamp(max=254)
    assert found(edited, PARTS) is None


def test_only_where_there_are_networks_for_it(scan):
    assert found(scan, (EXACT, NEAR, JPEG)) is None
    for section in (b"\x02", b"\x04\x00"):
        assert named(section, (EXACT, NEAR)) is None
    for section in (b"", b"\x01", b"\x03\x02", b"\x04", bytes([4, WHOLE + 1])):
        assert named(section, PARTS) is None

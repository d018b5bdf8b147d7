# SPDX-License-Identifier: MIT
"""Colours that a file describes with numbers or a profile come out as sRGB, or with a warning."""

import struct
import zlib

import numpy as np
import pytest
from helpers.pictures import chunk, noise, png_of, ramps, saved
from PIL import ImageCms

from vgic_lib import images
from vgic_lib.errors import ImageError, PictureWarning
from vgic_lib.formats import colours

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ADOBE = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
P3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)


def gamma(value):
    return chunk(b"gAMA", struct.pack(">I", round(value * 1e5)))


def chromaticity(values):
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 1e5) for value in values)))


def code_points(primaries, transfer, full=1):
    return chunk(b"cICP", bytes([primaries, transfer, 0, full]))


def decoded(values):
    """Linear light of sRGB in [0, 1]."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encoded(light):
    """Values of sRGB, 0 to 255, from linear light."""
    light = light.clip(0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def primaries(values):
    """Matrix (3, 3) from linear RGB to XYZ."""
    x, y = np.reshape(values, (4, 2)).T
    xyz = np.stack([x / y, 1 + 0 * x, (1 - x - y) / y])
    return xyz[:, 1:] * np.linalg.solve(xyz[:, 1:], xyz[:, 0])


def expected(image, wide, exponent=None):
    """What a picture with these primaries and this curve (sRGB's if None) looks like in sRGB."""
    values = np.asarray(image) / 255
    light = decoded(values) if exponent is None else values**exponent
    return encoded(light @ (np.linalg.inv(primaries(colours._SRGB)) @ primaries(wide)).T)


def read(*chunks, image=None):
    return np.asarray(images.read_image("x.png", png_of(image or ramps(), before=b"".join(chunks))), float)


@pytest.mark.parametrize(
    "chunks",
    [
        (gamma(0.45455),),
        (gamma(0.45),),
        (gamma(0.45455), chromaticity(colours._SRGB)),
        (gamma(1), chunk(b"sRGB", b"\0")),
        (chromaticity(colours._SRGB),),
        (code_points(1, 13),),
        (code_points(1, 1),),
        (code_points(2, 2),),
        (code_points(1, 13), gamma(1)),
        (code_points(1, 13), chunk(b"iCCP", b"n\0\0" + zlib.compress(b"rubbish"))),
    ],
)
def test_descriptions_of_srgb_change_nothing(chunks, recwarn):
    assert (read(*chunks) == np.asarray(ramps())).all()
    assert not recwarn.list


@pytest.mark.parametrize(
    ("chunks", "wide", "exponent"),
    [
        ((gamma(1),), colours._SRGB, 1),
        ((gamma(1 / 1.8),), colours._SRGB, 1.8),
        ((gamma(0.45455), chromaticity(ADOBE)), ADOBE, 2.2),
        ((chromaticity(P3),), P3, None),
        ((code_points(12, 13),), P3, None),
        ((code_points(12, 8),), P3, 1),
        ((code_points(9, 14),), colours._PRIMARIES[9], None),
    ],
)
def test_other_descriptions_are_converted(chunks, wide, exponent):
    assert abs(read(*chunks) - expected(ramps(), wide, exponent)).max() < 2.5


def test_gray_with_gamma():
    image = noise("L")
    data = saved(image, "PNG")
    place = data.index(b"IDAT") - 4
    found = images.read_image("x", data[:place] + gamma(1) + data[place:])
    assert found.mode == "L"
    assert abs(np.asarray(found, float) - encoded(np.asarray(image) / 255)).max() < 1.5


@pytest.mark.parametrize("points", [(9, 16), (9, 18), (1, 16), (1, 13, 0), (99, 13)])
def test_colours_of_hdr_and_video_are_refused(points):
    with pytest.raises(ImageError, match="x.png has colours of HDR or video; convert it to sRGB"):
        read(code_points(*points))


def test_code_points_of_avif():
    data = saved(ramps(), "AVIF", quality=95)
    place = data.index(b"colrnclx") + 8
    assert data[place : place + 4] == b"\0\1\0\x0d"
    hdr = data[:place] + b"\0\x09\0\x10" + data[place + 4 :]
    with pytest.raises(ImageError, match="HDR"):
        images.read_image("x", hdr)
    wide = np.asarray(images.read_image("x", data[:place] + b"\0\x0c" + data[place + 2 :]), float)
    plain = images.read_image("x", data)
    assert abs(wide - expected(plain, P3)).max() < 2.5
    with_profile = saved(ramps(), "AVIF", quality=95, icc_profile=SRGB)
    assert abs(np.asarray(images.read_image("x", with_profile), int) - np.asarray(plain, int)).max() <= 1


def test_profile_of_jpeg_2000():
    data = saved(noise(size=(16, 16)), "JPEG2000")
    profile = colours.matrix_profile(P3, None)
    place = data.index(b"colr") - 4
    end = place + int.from_bytes(data[place : place + 4])
    box = struct.pack(">I", 11 + len(profile)) + b"colr\2\0\0" + profile
    head = data.index(b"jp2h") - 4
    size = int.from_bytes(data[head : head + 4]) + len(box) - (end - place)
    data = data[:head] + size.to_bytes(4) + data[head + 4 : place] + box + data[end:]
    found = np.asarray(images.read_image("x", data), float)
    assert abs(found - expected(noise(size=(16, 16)), P3)).max() < 2.5


def altered(space):
    profile = bytearray(SRGB)
    profile[16:20] = space
    return bytes(profile)


GRAY = colours.matrix_profile(colours._SRGB, 1.0).replace(b"RGB ", b"GRAY").replace(b"rTRC", b"kTRC")
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


@pytest.mark.parametrize(
    "profile",
    [b"not a profile" * 20, SRGB[:200], LAB, altered(b"GRAY"), GRAY, altered(b"CMYK"), b"x"],
    ids=["text", "cut", "Lab", "gray-in-name", "gray", "CMYK", "byte"],
)
def test_a_profile_that_cannot_be_used_is_a_warning(profile):
    with pytest.warns(PictureWarning, match="^x.png: its colour profile cannot be used .*taken as sRGB$"):
        image = images.read_image("x.png", saved(noise(), "PNG", icc_profile=profile))
    assert image.tobytes() == noise().tobytes()


@pytest.mark.parametrize(
    "chunks",
    [
        (chunk(b"iCCP", b"n\0\0" + zlib.compress(bytes(2_000_000))),),
        (chunk(b"iCCP", b"n\0\0rubbish"),),
        (chunk(b"iCCP", b"n"),),
        (chunk(b"iCCP", b"n\0\7x"),),
        (gamma(0),),
        (gamma(0.45455), chromaticity([0] * 8)),
        (chromaticity([0.3, 0.3] * 4),),
    ],
)
def test_a_description_that_cannot_be_used_is_a_warning(chunks):
    with pytest.warns(PictureWarning, match="taken as sRGB"):
        assert (read(*chunks) == np.asarray(ramps())).all()


def test_gray_keeps_its_mode_with_a_profile_of_rgb():
    image = images.read_image("x", saved(noise("L"), "PNG", icc_profile=SRGB))
    assert image.mode == "L" and image.tobytes() == noise("L").tobytes()


def test_profile_of_gray_is_for_gray():
    found = images.read_image("x", saved(noise("L"), "PNG", icc_profile=GRAY))
    assert abs(np.asarray(found, float) - encoded(np.asarray(noise("L")) / 255)).max() < 1.5

# SPDX-License-Identifier: MIT
"""Depth, frames and sizes come from the header where Pillow does not tell them."""

import zlib

import numpy as np
import pytest
from helpers.pictures import chunk, exif, jxl_of, noise, opened, orientation, png, png_of, ramps, saved, tiff
from PIL import Image

from vgic_lib import images
from vgic_lib.errors import ImageError
from vgic_lib.formats import headers

SIZE = (7, 5)
GRAY16 = Image.fromarray(np.asarray(noise("L")).astype(np.uint16) * 257)


def deep_jpeg2000(**options):
    data = bytearray(saved(noise(size=(16, 16)), "JPEG2000", **options))
    place = data.index(b"\xff\x4f\xff\x51") + 42
    data[place], data[place + 3], data[place + 6] = 7, 11, 7  # one channel of 12 bits
    return bytes(data)


def deep_avif():
    data = bytearray(saved(ramps(), "AVIF", quality=95))
    depths, codec = data.index(b"pixi") + 9, data.index(b"av1C") + 6
    data[depths : depths + 3], data[codec] = b"\x0a\x0a\x0a", data[codec] | 0x40
    return bytes(data)


def planes():
    return [
        plane.astype("<u2").tobytes() for plane in np.moveaxis(np.asarray(noise()).astype(int) * 257, 2, 0)
    ]


def sgi16():
    head = b"\x01\xda\0\2\0\3" + b"".join(n.to_bytes(2) for n in (*SIZE, 3))
    return head.ljust(512, b"\0") + bytes(2 * 3 * SIZE[0] * SIZE[1])


DEEP = {
    "gray16.png": png(2, 2, 16, 0, bytes(10)),
    "rgb16.png": png(2, 2, 16, 2, bytes(26)),
    "rgba16.png": png(2, 2, 16, 6, bytes(34)),
    "rgb16.ppm": b"P6 2 2 1023\n" + bytes(24),
    "gray16.pgm": b"P5 2 2 65535\n" + bytes(8),
    "text16.ppm": b"P3 1 1 65535\n65535 0 0\n",
    "float.pfm": saved(noise("L").convert("F"), "PPM"),
    "gray16.tif": saved(GRAY16, "TIFF"),
    "float.tif": saved(noise("L").convert("F"), "TIFF"),
    "planar16.tif": tiff(SIZE, [16] * 3, planes(), planar=2),
    "rgb16.tif": tiff(SIZE, [16] * 3, [bytes(2 * 105)]),
    "gray16.jp2": saved(GRAY16, "JPEG2000"),
    "rgb12.jp2": deep_jpeg2000(),
    "rgb12.j2k": deep_jpeg2000(no_jp2=True),
    "rgb10.jxl": jxl_of(ramps(), deep=True),
    "gray16.jxl": saved(GRAY16, "JXL", lossless=True),
    "rgb10.avif": deep_avif(),
    "rgb16.sgi": sgi16(),
}


@pytest.mark.parametrize("name", DEEP)
def test_more_than_eight_bits_are_refused_in_every_format(name):
    with pytest.raises(ImageError, match=f"{name} has more than 8 bits per channel; convert it to 8 bits"):
        images.read_image(name, DEEP[name])


def test_the_shown_picture_of_avif_is_told_from_its_transparency():
    kinds = [kind for kind, _ in headers._avif_properties(saved(noise("RGBA"), "AVIF"))]
    assert {b"ispe", b"pixi", b"av1C", b"colr"} <= set(kinds) and b"auxC" not in kinds
    assert headers._avif_properties(b"") == []


def bmp565():
    """BMP of 16 bits a pixel, which are fewer than 8 a channel."""
    pixels = np.full((4, 4), 0b11111_000000_00000, "<u2").tobytes()
    sizes = [14 + 52 + len(pixels), 0, 14 + 52, 52, 4, 4]
    fields = [1, 16], [3, len(pixels), 2835, 2835, 0, 0, 0xF800, 0x7E0, 0x1F]
    packed = b"".join(n.to_bytes(4, "little") for n in sizes)
    packed += b"".join(n.to_bytes(2, "little") for n in fields[0])
    return b"BM" + packed + b"".join(n.to_bytes(4, "little") for n in fields[1]) + pixels


SHALLOW = {
    "planar8.tif": tiff(SIZE, [8] * 3, [noise().getchannel(c).tobytes() for c in "RGB"], planar=2),
    "rgb.tif": tiff(SIZE, [8] * 3, [noise().tobytes()]),
    "rgb.avif": saved(noise(), "AVIF", quality=95),
    "rgb.jxl": saved(noise(), "JXL", lossless=True),
    "rgb.jp2": saved(noise(), "JPEG2000"),
    "rgb.tga": saved(noise(), "TGA"),
    "ppm": b"P6 1 1 100\n" + bytes([100, 50, 0]),
    "sbit.png": png_of(noise(), before=chunk(b"sBIT", b"\5\6\5")),
}  # fmt: skip


@pytest.mark.parametrize("name", SHALLOW)
def test_eight_bits_are_read_in_every_format(name):
    assert headers.bits_per_channel(opened(SHALLOW[name])) == 8
    image = images.read_image(name, SHALLOW[name])
    if image.size == SIZE and "avif" not in name:
        assert image.tobytes() == noise().tobytes()


def test_sixteen_bits_a_pixel_are_not_sixteen_a_channel():
    assert images.read_image("x.bmp", bmp565()).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    "data",
    [
        tiff(SIZE, [8], [noise("L").tobytes()], photometric=1, more={339: (3, [2])}),
        tiff(SIZE, [8] * 3, [noise().tobytes()], photometric=6, more={530: (3, [2, 2])}),
    ],
    ids=["signed", "subsampled"],
)
def test_odd_samples_of_tiff_are_refused(data):
    with pytest.raises(ImageError, match="signed or subsampled"):
        images.read_image("x.tif", data)


def test_gray_and_premultiplied_samples_of_tiff():
    inverted = tiff(SIZE, [8], [noise("L").tobytes()], photometric=0)
    assert (np.asarray(images.read_image("x", inverted)) == 255 - np.asarray(noise("L"))).all()
    half = np.full((5, 7, 4), 128, np.uint8)
    half[..., 0] = 64
    image = images.read_image("x", tiff(SIZE, [8] * 4, [half.tobytes()], more={338: (3, [1])}))
    assert image.getpixel((0, 0)) == (127, 255, 255, 128)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "MPO", "AVIF"])
def test_files_of_several_frames(kind):
    one, two = ramps(), ramps().transpose(Image.Transpose.ROTATE_180)
    assert headers.has_more_frames(opened(saved(one, kind, save_all=True, append_images=[two])))
    assert not headers.has_more_frames(opened(saved(one, kind)))


REMARKS = {
    "large text": chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2_000_000))),
    "many texts": chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(900_000))) * 80,
    "large international text": chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(bytes(2_000_000))),
    "unknown packing": chunk(b"zTXt", b"k\0\5abc"),
    "wrong checksum": chunk(b"tEXt", b"k\0v")[:-1] + b"\0",
    "short gamma": chunk(b"gAMA", b"\0"),
}


@pytest.mark.parametrize("name", REMARKS)
def test_remarks_that_pillow_refuses_do_not_refuse_the_picture(name):
    for place in ("before", "after"):
        data = png_of(noise(), **{place: REMARKS[name]})
        assert images.read_image("x", data).tobytes() == noise().tobytes()


def test_what_the_picture_needs_is_kept_beside_such_remarks():
    needed = chunk(b"tRNS", b"".join(int(value).to_bytes(2) for value in noise().getpixel((2, 1))))
    needed += chunk(b"eXIf", exif(orientation(3))[6:])
    image = images.read_image("x", png_of(noise(), before=needed + REMARKS["large text"]))
    expected = noise().transpose(Image.Transpose.ROTATE_180)
    assert image.mode == "RGBA" and image.convert("RGB").tobytes() == expected.tobytes()
    assert image.getpixel((7 - 1 - 2, 5 - 1 - 1))[3] == 0


def test_damaged_pixels_of_png_are_not_mended():
    data = png_of(noise(size=(64, 64)), before=REMARKS["large text"])
    with pytest.raises(ImageError, match="truncated or damaged"):
        images.read_image("x", data[:-3000])
    altered = bytearray(data)
    altered[-2000] ^= 1
    with pytest.raises(ImageError, match="truncated or damaged"):
        images.read_image("x", bytes(altered))

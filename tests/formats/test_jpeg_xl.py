# SPDX-License-Identifier: MIT
"""Size, orientation and depth are read from the first bits of JPEG XL files."""

import io

import pytest
from helpers.pictures import exif, jxl_of, noise, orientation, ramps, saved
from PIL import Image

from vgic_lib.formats import headers
from vgic_lib.formats.jpeg_xl import JxlHeader

SIZES = [(1, 1), (256, 256), (300, 200), (2000, 3), (320, 180), (264, 8), (40, 32), (1, 9000)]


def read(data):
    return headers.jxl(io.BytesIO(data))


def test_fields():
    assert read(jxl_of(ramps())) == JxlHeader(24, 16, orientation=1, bits=8)
    assert read(jxl_of(ramps(), turned=True, deep=True)) == JxlHeader(24, 16, orientation=6, bits=10)
    assert read(saved(noise("L").convert("F"), "JXL", lossless=True)).bits == 16


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize(
    "options", [{"lossless": True}, {"quality": 90}, {"exif": exif(orientation(1))[6:]}], ids=" ".join
)
def test_sizes(size, options):
    assert read(saved(Image.new("RGB", size), "JXL", **options)) == JxlHeader(*size, orientation=1, bits=8)


def test_other_and_cut_files():
    assert read(saved(noise(), "PNG")) is read(b"") is None
    boxed = saved(noise(), "JXL", exif=exif(orientation(1))[6:])
    assert boxed.startswith(b"\0\0\0\x0cJXL ")
    for kept in range(len(boxed)):
        read(boxed[:kept])

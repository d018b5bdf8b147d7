# SPDX-License-Identifier: MIT
"""The orientation is found in damaged EXIF; metadata is kept as it was, for an upright picture."""

import struct

import numpy as np
import pytest
from helpers import pictures
from helpers.mutations import damaged_exif_block
from helpers.pictures import UPRIGHT, exif, noise, orientation, ramps, saved
from PIL import Image, PngImagePlugin

from vgic_lib import images
from vgic_lib.formats import metadata

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
MAKE = (0x010F, 2, 4, b"cam\0")
FORMATS = {
    "JPEG": {"quality": 95}, "PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}, "AVIF": {"quality": 95},
    "JXL": {"lossless": True}, "MPO": {"quality": 95},
}  # fmt: skip


def turned(block):
    """Orientation of a picture with this EXIF block."""
    image = Image.new("RGB", (3, 2))
    image.info["exif"] = block
    return metadata.orientation(image)


def close(data, expected):
    image = images.read_image("x", data)
    assert image.size == expected.size
    assert (
        abs(np.asarray(image, int) - np.asarray(expected, int)).mean() < 8
    )  # of another orientation: above 50


@pytest.mark.parametrize("value", UPRIGHT)
@pytest.mark.parametrize("kind", FORMATS)
def test_pictures_of_every_format_are_turned_upright_once(kind, value):
    stored = ramps().transpose(UPRIGHT[value])
    block = Image.Exif()
    block[0x0112] = value
    close(saved(stored, kind, exif=block.tobytes(), **FORMATS[kind]), ramps())


def test_jpeg_xl_that_its_decoder_turns_is_not_turned_again():
    block, code = exif(orientation(6))[6:], pictures.jxl_of(ramps(), turned=True)
    box = struct.pack(">I", 8 + 4 + len(block)) + b"Exif" + bytes(4) + block
    start = bytes.fromhex("0000000c4a584c200d0a870a00000014667479706a786c20000000006a786c20")
    data = start + box + struct.pack(">I", 8 + len(code)) + b"jxlc" + code
    assert pictures.opened(data).info["exif"] == block
    close(data, ramps().transpose(Image.Transpose.ROTATE_270))


@pytest.mark.filterwarnings("ignore:Using JPEG reconstruction")
def test_jpeg_wrapped_in_jpeg_xl_is_turned_by_its_exif(tmp_path):
    stored = ramps().transpose(UPRIGHT[6])
    (tmp_path / "x.jpg").write_bytes(saved(stored, "JPEG", quality=95, exif=exif(orientation(6))))
    Image.open(tmp_path / "x.jpg").save(tmp_path / "x.jxl")
    assert Image.open(tmp_path / "x.jxl").jpeg
    close((tmp_path / "x.jxl").read_bytes(), ramps())


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (exif(orientation(6)), 6),
        (b"Exif\0\0" + exif(orientation(6)), 6),
        (exif(orientation(6))[6:], 6),
        (b"Exif\0\0MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0), 6),
        (exif(orientation(6, kind=4)), 6),
        (exif(orientation(6, kind=1)), 6),
        (exif((0x0112, 3, 2, struct.pack("<HH", 6, 6))), 6),
        (exif(orientation(6), (0x010F, 2, 400, b"\x40\0\0\0"), rest=b"Cam"), 6),  # text cut off
        (exif(orientation(6), (0x011A, 2, 4, b"72\0\0")), 6),  # a resolution as text
        (exif(orientation(6), (0x8825, 4, 1, b"\xff\xff\1\0")), 6),  # place outside the block
        (exif(orientation(6))[:-4], 6),
        (exif((0x0112, 2, 4, b"six\0")), 1),
        (exif((0x0112, 3, 3, b"\x20\0\0\0"), rest=bytes([6] * 20)), 1),
        (exif(orientation(0)), 1),
        (exif(orientation(9)), 1),
        (exif(orientation(0xFFFF)), 1),
        (exif(MAKE, following=26, rest=struct.pack("<H", 1) + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)), 1),
        (exif(), 1),
        (b"Exif\0\0", 1),
        (b"Exif\0\0garbage that is no TIFF", 1),
        (b"", 1),
    ],
)
def test_orientation_of_odd_blocks(block, expected):
    assert turned(block) == expected


def test_three_thousand_damaged_blocks():
    """Whatever is damaged, nothing is raised; where the orientation is not, it is found."""
    found = 0
    for number in range(3000):
        block, sound = damaged_exif_block(0, number)
        image = Image.new("RGB", (3, 2))
        image.info["exif"] = block
        size = images.normalise_image(image).size
        assert set(metadata.metadata(image).facts) <= {"date", "place"}
        if sound:
            found += 1
            assert size == (2, 3)
    assert found > 1000


def test_orientation_in_xmp_counts_where_exif_has_none():
    stored = noise().transpose(UPRIGHT[6])
    for kind, options in (("WEBP", {"lossless": True, "xmp": XMP}), ("TIFF", {"tiffinfo": {700: XMP}})):
        assert images.read_image("x", saved(stored, kind, **options)).tobytes() == noise().tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    assert images.read_image("x", saved(stored, "PNG", pnginfo=text)).tobytes() == noise().tobytes()
    upright = saved(noise(), "WEBP", lossless=True, xmp=XMP, exif=exif(orientation(1)))
    assert images.read_image("x", upright).tobytes() == noise().tobytes()


def test_exif_of_png_after_its_pixels_and_as_text():
    stored, block = noise().transpose(UPRIGHT[6]), exif(orientation(6))
    data = pictures.png_of(stored, after=pictures.chunk(b"eXIf", block[6:]))
    assert images.read_image("x", data).tobytes() == noise().tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=True)
    assert images.read_image("x", saved(stored, "PNG", pnginfo=text)).tobytes() == noise().tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", "\nexif\n 4\nno hex")
    assert images.read_image("x", saved(stored, "PNG", pnginfo=text)).size == stored.size


@pytest.mark.parametrize(
    "tag",
    [
        (0x011A, (2, [b"7", b"2", b"\0"])),
        (0x8825, (4, [99999])),
        (0x8769, (4, [3])),
        (0x0112, (2, [b"6", b"\0"])),
    ],
    ids=["resolution", "place", "folder", "orientation"],
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_odd_tags_of_tiff_do_not_refuse_its_pixels(tag):
    data = pictures.tiff((7, 5), [8, 8, 8], [noise().tobytes()], more=dict([tag]))
    assert images.read_image("x", data).tobytes() == noise().tobytes()


def test_metadata_is_kept_with_the_orientation_of_an_upright_picture():
    block = exif(orientation(6), MAKE, (0x011A, 2, 4, b"72\0\0"))
    data = saved(noise(), "WEBP", lossless=True, exif=block, xmp=XMP)
    _, kept = images.read_with_metadata("x", data)
    assert kept.exif == exif(orientation(1), MAKE, (0x011A, 2, 4, b"72\0\0"))[6:]
    assert kept.xmp == XMP.replace(b'"6"', b'"1"')
    again = images.read_image("x", saved(noise(), "WEBP", lossless=True, exif=kept.exif, xmp=kept.xmp))
    assert again.tobytes() == noise().tobytes()
    assert images.read_with_metadata("x", saved(noise(), "PNG"))[1] == metadata.Metadata(b"", b"")


def test_metadata_of_tiff_describes_the_picture_alone():
    source = Image.Exif()
    source[0x010F], source[0x0112], source[0x0132] = "Camera", 3, "2026:01:02 03:04:05"
    _, kept = images.read_with_metadata("x", saved(noise(), "TIFF", exif=source))
    found = Image.Exif()
    found.load(kept.exif)
    assert dict(found) == {0x010F: "Camera", 0x0132: "2026:01:02 03:04:05"}


@pytest.mark.parametrize(
    ("tags", "facts"),
    [
        ({0x010F: "Camera"}, ()),
        ({0x0132: "2026:01:02 03:04:05"}, ("date",)),
        ({0x8769: {0x9003: "2026:01:02 03:04:05"}}, ("date",)),
        ({0x8825: {1: "N", 2: (1.0, 2.0, 3.0)}}, ("place",)),
        ({0x8825: {2: (1.0, 2.0, 3.0)}, 0x0132: "2026:01:02 03:04:05"}, ("date", "place")),
    ],
)
def test_facts_that_people_care_about(tags, facts):
    source = Image.Exif()
    for tag, value in tags.items():
        source[tag] = value
    _, kept = images.read_with_metadata("x", saved(noise(), "JPEG", exif=source.tobytes()))
    assert kept.facts == facts

# SPDX-License-Identifier: MIT
"""Small picture files made in memory, also of kinds that Pillow does not write."""

import io
import struct
import zlib

import numpy as np
import torch
from PIL import Image

from vgic_lib.bitstream import photo_cd
from vgic_lib.bitstream.halved_colour import expected

TIFF_TYPES = {1: "B", 2: "c", 3: "H", 4: "I"}
UPRIGHT = {  # orientation -> what turns an upright picture into the one that is stored
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}  # fmt: skip


KINDS = (  # of generated pictures
    "noise", "flat", "slope", "extremes", "gray", "one colour apart", "was JPEG", "of a Photo CD",
)  # fmt: skip


def generated(random, kind, height, width):
    """Pixels (H, W, 3), uint8, of a kind."""
    shape, one = (height, width, 3), (height, width, 1)
    slope = np.add.outer(2 * np.arange(height), np.arange(width))[..., None]
    pixels = {
        "noise": lambda: random.integers(0, 256, shape),
        "flat": lambda: np.broadcast_to(random.integers(0, 256, 3), shape),
        "slope": lambda: (slope + random.integers(9, size=shape)) % 256,
        "extremes": lambda: 255 * random.integers(0, 2, shape),
        "gray": lambda: np.broadcast_to(random.integers(0, 256, one), shape),
        "one colour apart": lambda: random.integers(0, 256, one) * (0, 0, 1),
        "was JPEG": lambda: _once_jpeg(slope + random.integers(90, size=shape), int(random.integers(30, 99))),
        "of a Photo CD": lambda: of_photo_cd((slope + random.integers(40, size=shape)) % 288)[
            :: random.choice([-1, 1]), :: random.choice([-1, 1])
        ],
    }[kind]()
    return pixels.astype(np.uint8)


def of_photo_cd(pixels):
    """Pixels (H, W, 3), uint8, like others, as a reader of Photo CDs makes them."""
    colours = photo_cd.nearest_colours(torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float())
    colours[0, ::2] = expected(colours[0, ::2, ::2, ::2], colours.shape[2:])
    return photo_cd.rgb_of(colours)[0].permute(1, 2, 0).byte().numpy()


def _once_jpeg(pixels, quality):
    return np.asarray(
        opened(saved(Image.fromarray((pixels % 256).astype(np.uint8)), "JPEG", quality=quality))
    )


def noise(mode="RGB", size=(7, 5), seed=0):
    """Picture of random pixels."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    shape = (size[1], size[0], channels) if channels > 1 else (size[1], size[0])
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def ramps(size=(24, 16)):
    """Smooth picture with a red corner at its top left, for lossy formats."""
    y, x = np.mgrid[: size[1], : size[0]]
    pixels = np.stack([x * 255 // size[0], y * 255 // size[1], 0 * x + 90], 2).astype(np.uint8)
    pixels[:5, :5] = (230, 30, 30)
    return Image.fromarray(pixels)


def saved(image, kind, **options):
    """Bytes of a file of `image`."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def opened(data):
    """A file in memory, opened by Pillow and not yet loaded."""
    return Image.open(io.BytesIO(data))


def chunk(kind, content):
    """Chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, depth=8, colour=2, pixels=b"", before=b"", after=b""):
    """PNG file by hand; `pixels` are rows that begin with their filter, the rest chunks around them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = before + chunk(b"IDAT", zlib.compress(pixels)) + after
    return b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b"")


def png_of(image, before=b"", after=b""):
    """PNG file of an RGB picture, with chunks before and after its pixels."""
    rows = b"".join(b"\0" + row.tobytes() for row in np.asarray(image))
    return png(*image.size, pixels=rows, before=before, after=after)


def jxl_of(image, turned=False, deep=False):
    """JPEG XL file of 24 x 16 pixels whose header says orientation 6, or 10 bits per channel."""
    code = saved(image, "JXL", quality=95)
    assert code[:4] == b"\xff\x0a\x03\x07"  # its size, and that all else is as usual
    fields = 0x139005 | (5 << 3 if turned else 0) | (1 << 10 if deep else 0)  # the usual, spelled out
    return code[:3] + fields.to_bytes(3, "little") + code[4:]


def tiff(size, bits, strips, photometric=2, planar=1, more=()):
    """Uncompressed TIFF file by hand; `more` maps tags to (type, values)."""
    many = [len(strip) for strip in strips]
    tags = {
        256: (3, [size[0]]), 257: (3, [size[1]]), 258: (3, bits), 259: (3, [1]), 262: (3, [photometric]),
        273: (4, many), 277: (3, [len(bits)]), 278: (3, [size[1]]), 279: (4, many), 284: (3, [planar]),
    } | dict(more)  # fmt: skip
    place = 8 + 2 + 12 * len(tags) + 4
    start = place + sum(len(_packed(*tag)) for tag in tags.values() if len(_packed(*tag)) > 4)
    tags[273] = (4, [start + sum(many[:index]) for index in range(len(many))])
    table, rest = struct.pack("<H", len(tags)), b""
    for number, (kind, values) in sorted(tags.items()):
        packed = _packed(kind, values)
        if len(packed) > 4:
            packed, rest = struct.pack("<I", place + len(rest)), rest + packed
        table += struct.pack("<HHI", number, kind, len(values)) + packed.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<I", 8) + table + bytes(4) + rest + b"".join(strips)


def _packed(kind, values):
    return b"".join(struct.pack(f"<{TIFF_TYPES[kind]}", value) for value in values)


def exif(*entries, rest=b"", following=0):
    """EXIF block of (tag, type, count, four bytes), as in JPEG; `rest` lies after its first folder."""
    folder = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    head = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    return head + folder + struct.pack("<I", following) + rest


def orientation(value, kind=3, count=1):
    """Entry of an EXIF block."""
    return 0x0112, kind, count, struct.pack("<HH", value, 0)

# SPDX-License-Identifier: MIT
"""Damaged and forged .vgic files, each by its number: tests take some, benchmarks/trust.py 100,000."""

import zlib
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from PIL import Image

from vgic_lib.bitstream import container
from vgic_lib.bitstream.container import Layout


class Mutation(NamedTuple):
    """A file that was altered."""

    kind: str  # one of KINDS
    data: bytes


def mutation(originals, seed, number):
    """The altered file of this number; kinds take turns."""
    random = np.random.default_rng([seed, number])
    kind = KINDS[number % len(KINDS)]
    one, other = (originals[random.integers(len(originals))] for _ in range(2))
    if kind in FORGERIES:
        return Mutation(kind, FORGERIES[kind](random, one))
    data = damaged(random, one, other, kind.removesuffix(MENDED))
    return Mutation(kind, with_checksum(data) if kind.endswith(MENDED) else data)


def damaged(random, data, other, kind):
    """`data` with damage of one of DAMAGES; the kind of damage takes no heed of what the bytes mean."""
    data, size = bytearray(data), len(data)
    start, end = sorted(random.integers(size + 1, size=2).tolist())
    if kind == "bits flipped":
        for place in random.integers(size, size=random.integers(1, 9)):
            data[place] ^= 1 << random.integers(8)
    elif kind == "cut short":
        del data[random.integers(size) :]
    elif kind == "ranges swapped":
        middle = random.integers(start, end + 1)
        data[start:end] = data[middle:end] + data[start:middle]
    elif kind == "range repeated":
        data[start:start] = data[start:end] * random.integers(1, 4)
    elif kind == "front of one, back of another":
        data[start:] = other[random.integers(len(other)) :]
    else:
        data[min(start, 4) if random.integers(8) == 0 else start :] = random.bytes(random.integers(200))
    return bytes(data)


def with_checksum(data):
    """`data` with its last four bytes made the checksum of all before."""
    return data[:-4] + zlib.crc32(data[:-4]).to_bytes(4)


def wild_header(random, data):
    """Random bytes where sizes and operating points are; the model stays, or no file would get further."""
    data = bytearray(data)
    data[5:19] = random.bytes(14)[:1] + data[6:10] + random.bytes(9)
    if random.integers(2):
        data[5] %= 32
    data[4] = container.version_of(Layout(data[5] % 32))
    return with_checksum(bytes(data))


def forged_fields(random, data):
    """Some fields of the header replaced by others in their range."""
    header, sections = container.unpack(data)
    width, height = (int(2 ** random.uniform(0, 16)) for _ in range(2))
    forged = {
        "width": width,
        "height": min(height, container.MAX_PIXELS // width),
        "setting": int(random.integers(2**16) if random.integers(2) else random.integers(1024)),
        "layout": Layout(int(random.integers(32))),
        "model_id": int(random.integers(2**32)),
    }
    chosen = random.permutation([*forged])[: random.integers(1, 4)]
    fields = {name: forged[name] for name in chosen if name != "model_id" or random.integers(4) == 0}
    if {"width", "height"} & {*fields}:
        fields |= {"width": width, "height": forged["height"]}
    return container.pack(replace(header, **fields), sections)


def forged_lengths(random, data):
    """Another number of sections, or other lengths."""
    header, _ = container.unpack(data)
    start = len(container.pack(header, [b""])) - 5  # before the number and the checksum
    data = bytearray(data)
    data[start] = random.integers(1, 10) if random.integers(8) else random.integers(256)
    for place in range(start + 1, min(start + 1 + random.integers(6), len(data) - 4)):
        data[place] = random.integers(256)
    return with_checksum(bytes(data))


def damaged_latents(random, data):
    """One section of latents damaged, in a container that is right."""
    header, sections = container.unpack(data)
    count = len(sections) - (Layout.ALPHA in header.layout) - (Layout.METADATA in header.layout)
    place = random.integers(count)
    sections[place] = _damaged_section(random, sections[place])
    return container.pack(header, sections)


def damaged_metadata(random, data):
    """Metadata damaged, packed as something else, or far too large."""
    header, sections = container.unpack(data)
    place = len(sections) - (Layout.ALPHA in header.layout)
    sections[place - 1 if Layout.METADATA in header.layout else place : place] = []
    place = len(sections) - (Layout.ALPHA in header.layout)
    plain = random.bytes(random.integers(60))
    kind = random.integers(20)
    if kind == 0:
        packed = container.pack_metadata(b"", bytes(container.LARGEST_METADATA + 1))
    elif kind < 6:
        packed = zlib.compress(plain)
    else:
        packed = _damaged_section(random, container.pack_metadata(b"II*\0" + plain, b"<x/>"))
    sections.insert(place, packed)
    return container.pack(replace(header, layout=header.layout | Layout.METADATA), sections)


def damaged_alpha(random, data):
    """An alpha plane that is damaged, or of another size."""
    header, sections = container.unpack(data)
    if Layout.ALPHA in header.layout:
        sections.pop()
    size = header.height * header.width
    wrong = int(random.integers(2 * size + 2)) if random.integers(3) else size
    packed = container.pack_alpha(np.frombuffer(random.bytes(wrong), np.uint8))
    sections.append(_damaged_section(random, packed) if wrong == size or random.integers(2) else packed)
    return container.pack(replace(header, layout=header.layout | Layout.ALPHA), sections)


def _damaged_section(random, section):
    kind = DAMAGES[random.integers(len(DAMAGES))]
    return damaged(random, section, section, kind) if section else random.bytes(5)


DAMAGES = (
    "bits flipped", "cut short", "ranges swapped", "range repeated", "front of one, back of another", "noise",
)  # fmt: skip
MENDED = ", checksum mended"
FORGERIES = {  # all with a right checksum
    "wild header": wild_header,
    "fields of the header forged": forged_fields,
    "lengths of sections forged": forged_lengths,
    "latents damaged": damaged_latents,
    "metadata damaged": damaged_metadata,
    "alpha damaged": damaged_alpha,
}
KINDS = (*DAMAGES, *(name + MENDED for name in DAMAGES), *FORGERIES)


def exif_block():
    """A block of EXIF with an orientation of 6, and the places of all bytes that lead to it."""
    source = Image.Exif()
    source[0x0112], source[0x010F], source[0x0132], source[0x011A] = 6, "Camera", "2026:01:02 03:04:05", 72.0
    source[0x8825], source[0x8769] = {1: "N", 2: (1.0, 2.0, 3.0)}, {0x9003: "2026:01:02 03:04:05"}
    block = source.tobytes()
    folder = 6 + 8 + 2
    (at,) = (place for place in range(folder, folder + 72, 12) if block[place : place + 2] == b"\1\x12")
    return block, {*range(folder), *range(at, at + 12)}


def damaged_exif_block(seed, number):
    """The damaged block of this number, and whether its orientation still says 6."""
    random = np.random.default_rng([seed, number])
    block, vital = exif_block()
    damaged_block = bytearray(block)
    for place in random.integers(6, len(block), random.integers(1, 12)):
        damaged_block[place] = random.integers(256)
    return bytes(damaged_block), all(block[place] == damaged_block[place] for place in vital)

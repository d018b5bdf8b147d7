# SPDX-License-Identifier: MIT
"""The container: what goes in comes out, it stays small, and damage is always noticed."""

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgic_lib.bitstream import container
from vgic_lib.bitstream.container import MAX_PIXELS, Header, Layout, pack, pack_alpha, unpack, unpack_alpha
from vgic_lib.errors import BitstreamError

HEADER = Header(model_id=0x01020304, setting=0x0506, width=300, height=5)


def with_checksum(body: bytes) -> bytes:
    return body + zlib.crc32(body).to_bytes(4)


headers = st.builds(
    Header,
    model_id=st.integers(0, 2**32 - 1),
    setting=st.integers(0, 2**16 - 1),
    width=st.integers(1, 65535),
    height=st.integers(1, MAX_PIXELS // 65535),
    layout=st.sampled_from([Layout(value) for value in range(4)]),
)


@given(header=headers, sections=st.lists(st.binary(max_size=300), min_size=2, max_size=5))
def test_round_trip(header: Header, sections: list[bytes]) -> None:
    assert unpack(pack(header, sections)) == (header, sections)


def test_bytes_are_frozen() -> None:
    """A change here needs a new version number."""
    packed = pack(replace(HEADER, layout=Layout.GRAY | Layout.ALPHA), [b"abc", b"", b"d"])
    expected = b"VGIC" + bytes([1, 3, 1, 2, 3, 4, 5, 6, 0xAC, 2, 5, 3, 3, 0]) + b"abcd"
    assert packed == with_checksum(expected)


@pytest.mark.parametrize(
    ("width", "height", "overhead"), [(1, 1, 19), (178, 218, 21), (5472, 3648, 21), (65535, 1024, 22)]
)
def test_overhead(width: int, height: int, overhead: int) -> None:
    header = replace(HEADER, width=width, height=height)
    assert len(pack(header, [b"12345"])) - 5 == overhead <= 24


def test_every_truncation_and_bit_flip_is_noticed() -> None:
    data = pack(HEADER, [b"some", b"sections"])
    damaged = [data[:length] for length in range(len(data))] + [data + b"\0"]
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))
    for candidate in damaged:
        with pytest.raises(BitstreamError) as caught:
            unpack(candidate)
        assert "\n" not in str(caught.value)


@given(body=st.binary(max_size=60))
def test_garbage_behind_a_right_checksum(body: bytes) -> None:
    try:
        header, sections = unpack(with_checksum(b"VGIC\x01" + body))
    except BitstreamError:
        return
    assert 1 <= header.width * header.height <= MAX_PIXELS
    assert sum(map(len, sections)) <= len(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not a .vgic file"),
        (b"\x89PNG\r\n\x1a\n", "not a .vgic file"),
        (b"VGIC\x04", "version 4; update vgic"),
        (b"VGIC\x00" + bytes(20), "version"),
        (b"VGIC\x01\x20", "layout"),
        (b"VGIC\x01\x00\x00", "model_id is cut short"),
        (b"VGIC\x01\x00abcdee\x00\x01", "width is 0"),
        (b"VGIC\x01\x00abcdee\xff\xff\xff", "width is too large"),
        (b"VGIC\x01\x00abcdee\xff\xff\x03\xff\xff\x03\x01", "65535 x 65535 pixels"),
        (b"VGIC\x01\x00abcdee\x01\x01\x00", "number of sections"),
        (b"VGIC\x01\x00abcdee\x01\x01\x02\x03ab", "section"),
        (b"VGIC\x01\x02abcdee\x01\x01\x01ab", r"number of sections is 1, beyond 2\.\."),
        (b"VGIC\x02\x04abcdee\x01\x01\x01ab", r"number of sections is 1, beyond 2\.\."),
        (b"VGIC\x02\x06abcdee\x01\x01\x02\x01ab", r"number of sections is 2, beyond 3\.\."),
    ],
)
def test_the_message_says_what_is_wrong(body: bytes, message: str) -> None:
    with pytest.raises(BitstreamError, match=message):
        unpack(with_checksum(body))


@pytest.mark.parametrize(
    "header",
    [replace(HEADER, width=0), replace(HEADER, width=65535, height=65535), replace(HEADER, setting=2**16)],
)
def test_headers_out_of_range_are_not_written(header: Header) -> None:
    with pytest.raises(ValueError):
        pack(header, [b""])


@pytest.mark.parametrize("count", [0, 256])
def test_count_of_sections_is_limited(count: int) -> None:
    with pytest.raises(ValueError):
        pack(HEADER, [b""] * count)


@given(
    width=st.integers(1, 40), height=st.integers(1, 40), seed=st.integers(0, 99), levels=st.integers(1, 256)
)
def test_alpha_is_lossless(width: int, height: int, seed: int, levels: int) -> None:
    plane = np.random.default_rng(seed).integers(0, levels, (height, width), dtype=np.uint8)
    np.testing.assert_array_equal(unpack_alpha(pack_alpha(plane), width, height), plane)


@pytest.mark.parametrize(("width", "height"), [(6, 5), (4, 5), (1, 1), (8000, 8000)])
def test_alpha_of_another_size_is_refused(width: int, height: int) -> None:
    with pytest.raises(BitstreamError, match="alpha"):
        unpack_alpha(pack_alpha(np.zeros((5, 5), np.uint8)), width, height)


def test_alpha_bomb_is_refused() -> None:
    """Data that unpack to far more than the picture needs stop at its size."""
    with pytest.raises(BitstreamError, match="does not fit"):
        unpack_alpha(pack_alpha(np.zeros((4000, 4000), np.uint8)), 10, 10)


@given(data=st.binary(max_size=60))
def test_alpha_garbage(data: bytes) -> None:
    try:
        assert unpack_alpha(data, 3, 4).shape == (4, 3)
    except BitstreamError:
        pass


@pytest.mark.parametrize("layout", [Layout(value) for value in range(8)], ids=str)
def test_each_section_is_known_by_the_layout(layout: Layout) -> None:
    extras = {Layout.METADATA: b"metadata", Layout.ALPHA: b"alpha"}
    sections = [b"y", b"", *(section for flag, section in extras.items() if flag in layout)]
    parts = unpack(pack(replace(HEADER, layout=layout), sections))
    assert (parts.sections, parts.latents) == (sections, [b"y", b""])
    assert [parts.metadata, parts.alpha] == [extras[flag] if flag in layout else None for flag in extras]


def test_modes_are_those_of_pillow() -> None:
    assert [Layout(value).mode for value in range(8)] == ["RGB", "L", "RGBA", "LA"] * 2


def test_metadata_come_back_and_need_version_2():
    section = container.pack_metadata(b"II*\0 and more", b"<x:xmpmeta/>" * 9)
    assert container.unpack_metadata(section) == {
        "exif": b"Exif\0\0II*\0 and more",
        "xmp": b"<x:xmpmeta/>" * 9,
    }
    assert container.unpack_metadata(container.pack_metadata(b"", b"x")) == {"xmp": b"x"}
    header = replace(HEADER, layout=HEADER.layout | container.Layout.METADATA)
    data = container.pack(header, [b"latents", section])
    parts = container.unpack(data)
    assert (parts.header.version, parts.header.layout, parts.metadata) == (2, header.layout, section)
    assert container.unpack(container.pack(HEADER, [b"latents"]))[0].version == 1


@pytest.mark.parametrize("version", [1, 2])
def test_a_version_has_the_layouts_that_it_knows(version):
    body = bytearray(container.pack(HEADER, [b"latents"])[:-4])
    body[4], body[5] = version, {1: 4, 2: 0}[version]
    with pytest.raises(BitstreamError, match="which version . does not have"):
        container.unpack(bytes(body) + zlib.crc32(body).to_bytes(4))


@pytest.mark.parametrize(
    "section",
    [b"", b"no zlib", container.pack_metadata(b"abc", b"")[:-1], zlib.compress(b"\x7fshort"),
     container.pack_metadata(b"a", b"") + b"more", zlib.compress(bytes(2**24 + 9))],
)  # fmt: skip
def test_damaged_metadata_are_refused(section):
    with pytest.raises(BitstreamError, match="metadata|EXIF"):
        container.unpack_metadata(section)

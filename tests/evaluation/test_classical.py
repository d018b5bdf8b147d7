# SPDX-License-Identifier: MIT
"""Classical codecs: they decode to the right picture, their ladders rise, equal bytes are found."""

import dataclasses
import io

import pytest
from PIL import Image
from skimage import data

from vgic_lib.errors import ParameterError
from vgic_lib.evaluation.classical import CLASSICAL, ClassicalCodec, FileSizes, classical_codec
from vgic_lib.images import to_array
from vgic_lib.metrics import distortion


@pytest.fixture(scope="module")
def image() -> Image.Image:
    return Image.fromarray(data.astronaut()[:98, 180:258])


@pytest.fixture(params=CLASSICAL)
def codec(request: pytest.FixtureRequest) -> ClassicalCodec:
    return CLASSICAL[request.param]


def test_ladder_rises_in_size_and_psnr(codec: ClassicalCodec, image: Image.Image) -> None:
    assert set(codec.qualities) <= set(codec.grid)
    files = [codec.compress(image, quality=quality) for quality in codec.qualities[1::3]]
    psnr_db = [distortion.psnr_db(to_array(image), to_array(codec.decompress(file))) for file in files]
    assert [len(file) for file in files] == sorted({len(file) for file in files})
    assert psnr_db == sorted(psnr_db)
    assert psnr_db[-1] > 30


def test_nearest_is_the_nearest_of_all_qualities(codec: ClassicalCodec, image: Image.Image) -> None:
    sizes = FileSizes(codec, image)
    for target in (1500, 4000):
        found = sizes.nearest(target)
        assert codec.compress(image, quality=found.quality) == found.data
        assert abs(len(found.data) / target - 1) < 0.06


def test_nearest_agrees_with_trying_every_quality(image: Image.Image) -> None:
    codec = CLASSICAL["jpeg"]
    every = [len(codec.compress(image, quality=quality)) for quality in codec.grid]
    for target in (0, 1200, 2345, 10**6):
        nearest = len(FileSizes(codec, image).nearest(target).data)
        assert abs(nearest - target) == min(abs(size - target) for size in every)


def test_sizes_are_encoded_once(image: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = FileSizes(CLASSICAL["jpeg"], image)
    first = sizes.nearest(3000)
    monkeypatch.setattr(Image.Image, "save", lambda *_, **__: pytest.fail("encoded again"))
    assert sizes.nearest(3000) == first


def test_gray_and_tiny_pictures(codec: ClassicalCodec) -> None:
    for picture in (Image.new("L", (1, 1), 7), Image.new("RGB", (3, 2), (9, 9, 9))):
        decoded = codec.decompress(codec.compress(picture, quality=codec.grid[-1]))
        assert decoded.size == picture.size
        assert abs(to_array(decoded).astype(int) - to_array(picture)).max() <= 8


def test_unknown_names_and_qualities_are_refused(codec: ClassicalCodec, image: Image.Image) -> None:
    with pytest.raises(ParameterError, match="has no quality"):
        codec.compress(image, quality=1000)
    with pytest.raises(ParameterError, match="jpeg, webp"):
        classical_codec("gif")


def test_an_encoder_without_an_option_is_one_line(image: Image.Image) -> None:
    unknown = dataclasses.replace(
        CLASSICAL["avif"], options=lambda quality: {"advanced": {"tune": "no such"}}
    )
    with pytest.raises(ParameterError, match="cannot write AVIF .*; take a newer one or leave avif out"):
        unknown.compress(image, quality=50)


def test_jpeg_2000_transforms_colours() -> None:
    """Pillow leaves the transform out unless it is asked for, which costs some 5 dB."""
    image, psnr_db = Image.fromarray(data.astronaut()), []
    for options in ({}, {"mct": 0}):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG2000", **(CLASSICAL["jp2"].options(27.3) | options))
        decoded = CLASSICAL["jp2"].decompress(buffer.getvalue())
        psnr_db.append(distortion.psnr_db(to_array(image), to_array(decoded)))
    assert psnr_db[0] > psnr_db[1] + 2

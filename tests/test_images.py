# SPDX-License-Identifier: MIT
"""Pictures of every kind come in upright, 8-bit and sRGB, or are refused with one line."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from vgic_lib import images
from vgic_lib.errors import ImageError


def noise(mode="RGB", size=(7, 5), seed=0):
    """Picture of random pixels."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    shape = (size[1], size[0], channels) if channels > 1 else (size[1], size[0])
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def png(width, height, depth=8, colour=2, pixels=b""):
    """PNG file by hand: for sizes and depths that Pillow does not write."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)),
        (b"IDAT", zlib.compress(pixels)),
        (b"IEND", b""),
    ]
    parts = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_kept_as_it_is(tmp_path, mode):
    noise(mode).save(tmp_path / "x.png")
    image = images.read_image(tmp_path / "x.png")
    assert (image.mode, image.info) == (mode, {})
    assert image.tobytes() == noise(mode).tobytes()


def test_palettes_and_bilevel_become_colours_and_gray(tmp_path):
    palette = noise().quantize(16)
    palette.save(tmp_path / "p.png")
    palette.save(tmp_path / "t.png", transparency=3)
    noise("L").convert("1").save(tmp_path / "b.png")
    assert images.read_image(tmp_path / "p.png").tobytes() == palette.convert("RGB").tobytes()
    clear = images.read_image(tmp_path / "t.png")
    assert clear.mode == "RGBA"
    assert np.array_equal(np.asarray(clear)[..., 3] == 0, np.asarray(palette) == 3)
    assert images.read_image(tmp_path / "b.png").mode == "L"


def test_transparent_colour_becomes_alpha(tmp_path):
    image = Image.new("L", (4, 4), 9)
    image.putpixel((1, 2), 200)
    image.save(tmp_path / "x.png", transparency=200)
    alpha = np.asarray(images.read_image(tmp_path / "x.png").getchannel("A"))
    assert alpha[2, 1] == 0 and (alpha == 255).sum() == 15


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_dropped(tmp_path, orientation):
    upright = noise(size=(6, 4))
    undo = {1: [], 2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}[orientation]
    stored = upright
    for method in undo:
        stored = stored.transpose(Image.Transpose(method))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "x.png", exif=exif)
    image = images.read_image(tmp_path / "x.png")
    assert image.tobytes() == upright.tobytes()
    assert not image.getexif()


def test_srgb_profile_changes_nothing(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    noise("RGBA").save(tmp_path / "x.png", icc_profile=profile)
    image = images.read_image(tmp_path / "x.png")
    assert image.tobytes() == noise("RGBA").tobytes() and image.info == {}


def test_other_profile_is_converted(tmp_path):
    """A profile with red and blue exchanged must exchange them in the picture."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    swap = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}
    for index in range(struct.unpack(">I", profile[128:132])[0]):
        entry = slice(132 + 12 * index, 136 + 12 * index)
        profile[entry] = swap.get(bytes(profile[entry]), profile[entry])
    noise().save(tmp_path / "x.png", icc_profile=bytes(profile))
    difference = np.asarray(images.read_image(tmp_path / "x.png"), int) - np.asarray(noise())[..., ::-1]
    assert abs(difference).max() <= 1


def test_profile_that_does_not_fit_is_refused(tmp_path):
    noise().save(tmp_path / "x.png", icc_profile=b"no profile at all")
    with pytest.raises(ImageError, match="colour profile"):
        images.read_image(tmp_path / "x.png")


def refused():
    """(name, content, words of the message) of files that are no picture for us."""
    cmyk, truncated = io.BytesIO(), io.BytesIO()
    Image.new("CMYK", (8, 8)).save(cmyk, "JPEG")
    noise(size=(64, 64)).save(truncated, "PNG")
    yield "cmyk.jpg", cmyk.getvalue(), "CMYK.*convert it to RGB"
    yield "truncated.png", truncated.getvalue()[:3000], "truncated or damaged"
    yield "text.png", b"not a picture", "not a picture"
    yield "empty.jpg", b"", "not a picture"
    yield "gray16.png", png(2, 2, 16, 0, bytes(10)), "8 bits first"
    yield "rgb16.png", png(2, 2, 16, 2, bytes(26)), "8 bits first"
    yield "rgba16.png", png(2, 2, 16, 6, bytes(34)), "8 bits first"
    yield "rgb16.ppm", b"P6 2 2 1023\n" + bytes(24), "8 bits first"
    yield "large.png", png(2**13, 2**13 + 1), "million pixels"
    yield "vast.png", png(2**16, 2**16), "million pixels"


@pytest.mark.parametrize(
    ("name", "content", "words"), [pytest.param(*case, id=case[0]) for case in refused()]
)
def test_refused_with_one_line(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=words) as caught:
        images.read_image(tmp_path / name)
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ImageError, match="does not exist"):
        images.read_image(tmp_path / "none.png")
    with pytest.raises(ImageError, match="is a folder"):
        images.read_image(tmp_path)


def test_damaged_files_never_raise_anything_else(tmp_path):
    random = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF"):
        buffer = io.BytesIO()
        noise(size=(32, 32)).save(buffer, kind)
        for trial in range(20):
            data = bytearray(buffer.getvalue())
            for position in random.integers(8, len(data), 5):
                data[position] = random.integers(256)
            path = tmp_path / f"{trial}.{kind}"
            path.write_bytes(data)
            try:
                assert images.read_image(path).mode in ("L", "LA", "RGB", "RGBA")
            except ImageError as error:
                assert "\n" not in str(error)


def test_picture_without_pixels_is_refused():
    with pytest.raises(ImageError, match="no pixels"):
        images.normalise_image(Image.new("RGB", (0, 3)))


def test_normalise_leaves_the_given_picture_alone():
    image = noise()
    image.info["dpi"] = (72, 72)
    images.normalise_image(image).putpixel((0, 0), (1, 2, 3))
    assert image.info == {"dpi": (72, 72)} and image.tobytes() == noise().tobytes()


def test_tensor_and_back():
    x = images.to_tensor(noise())
    assert x.shape == (1, 3, 5, 7) and x.dtype == torch.float32 and 0 <= x.min() and x.max() <= 1
    assert images.to_image(x).tobytes() == noise().tobytes()
    assert images.to_image(x * 3 - 1).tobytes() == images.to_image((x * 3 - 1).clamp(0, 1)).tobytes()
    assert np.array_equal(images.to_array(noise())[2, 3], (x[0, :, 2, 3] * 255).round())


def test_gray_is_repeated_and_alpha_left_out():
    gray = images.to_array(noise("LA"))
    assert gray.shape == (5, 7, 3)
    assert np.array_equal(gray, np.repeat(np.asarray(noise("LA"))[..., :1], 3, axis=2))


def test_centre_crop():
    image = noise(size=(20, 11))
    assert images.centre_crop(image, 10, 5).tobytes() == image.crop((5, 3, 15, 8)).tobytes()
    assert images.centre_crop(image, 10, 50).size == (10, 11)

# SPDX-License-Identifier: MIT
"""Pictures of every kind come in upright, 8-bit and sRGB, or are refused with one line."""

import io
import struct

import numpy as np
import pytest
import torch
from helpers.pictures import jxl_of, noise, opened, png, png_of, ramps, saved, tiff
from PIL import Image, ImageCms

from vgic_lib import images
from vgic_lib.errors import ImageError, PictureWarning


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


def twelve_bits():
    """JPEG file whose header says 12 bits a sample."""
    data = bytearray(saved(noise(), "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    return bytes(data)


VAST_JXL = b"\xff\x0a" + (3 << 1 | 2**15 << 3 | 1 << 33).to_bytes(8, "little")  # a square of 32769 rows


def refused():
    """(name, content, words of the message) of files that are no picture for us."""
    yield "cmyk.jpg", saved(Image.new("CMYK", (8, 8)), "JPEG"), "CMYK.*convert it to RGB"
    yield "truncated.png", saved(noise(size=(64, 64)), "PNG")[:3000], "truncated or damaged"
    yield "text.png", b"not a picture", "not a picture"
    yield "text.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture of a known format"
    yield "empty.jpg", b"", "is empty; get a good copy"
    yield "rgb12.jpg", twelve_bits(), "damaged, or a kind of JPEG that cannot be read; convert it to"
    yield "float.tif", tiff((2, 2), [32] * 3, [bytes(48)]), "damaged, or a kind of TIFF that"
    yield "cmyk.tif", saved(Image.new("CMYK", (8, 8)), "TIFF"), "CMYK.*convert it to RGB"
    yield "lab.tif", saved(Image.new("LAB", (8, 8)), "TIFF"), "LAB.*convert it to RGB"
    yield "cut.jpg", saved(noise(size=(64, 64)), "JPEG")[:2000], "truncated or damaged"
    yield "vast.jxl", VAST_JXL, "million pixels"
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


def test_transparent_colour_of_rgb_and_bilevel(tmp_path):
    image = Image.new("RGB", (3, 2), (1, 2, 3))
    image.putpixel((1, 1), (9, 9, 9))
    found = images.read_image("x", saved(image, "PNG", transparency=(9, 9, 9)))
    assert found.mode == "RGBA" and found.convert("RGB").tobytes() == image.tobytes()
    assert np.asarray(found.getchannel("A")).tolist() == [[255] * 3, [255, 0, 255]]
    found = images.read_image(
        "x", saved(image.convert("L").point(lambda v: v > 5, "1"), "PNG", transparency=0)
    )
    assert found.mode == "LA" and np.asarray(found.getchannel("A")).tolist() == [[0] * 3, [0, 255, 0]]


def test_palette_with_a_degree_of_transparency_for_each_colour():
    palette = noise().quantize(4)
    found = np.asarray(images.read_image("x", saved(palette, "PNG", transparency=bytes([0, 64, 128, 255]))))
    assert np.array_equal(found[..., 3], np.array([0, 64, 128, 255])[np.asarray(palette)])
    assert np.array_equal(found[..., :3], np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"])
def test_bytes_after_the_picture_do_not_matter(kind):
    data = saved(ramps(), kind)
    assert images.read_image("x", data + b"garbage").tobytes() == images.read_image("x", data).tobytes()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "MPO", "AVIF"])
def test_the_first_of_several_pictures_is_taken_with_a_warning(tmp_path, kind):
    one, two = ramps(), ramps().transpose(Image.Transpose.ROTATE_180)
    path = tmp_path / "x"
    path.write_bytes(saved(one, kind, save_all=True, append_images=[two]))
    with pytest.warns(PictureWarning, match="only the first is taken") as caught:
        image = images.read_image(path)
    assert abs(np.asarray(image, int) - np.asarray(one, int)).mean() < 15
    (warning,) = caught
    assert str(warning.message).startswith(f"{path}: ") and "\n" not in str(warning.message)
    assert (warning.message.name, warning.message.text) == (
        str(path),
        str(warning.message)[len(str(path)) + 2 :],
    )


def test_pictures_opened_by_others_are_told_apart_too():
    """What `codec.compress` is given may be any open picture."""
    with pytest.warns(PictureWarning, match="^the picture: holds several"):
        images.normalise_image(
            Image.open(io.BytesIO(saved(ramps(), "GIF", save_all=True, append_images=[noise()])))
        )
    with pytest.raises(ImageError, match="the picture has more than 8 bits"):
        images.normalise_image(opened(jxl_of(ramps(), deep=True)))


def test_a_plain_picture_gives_no_warning(recwarn):
    images.read_image("x", png_of(noise()))
    images.normalise_image(noise("LA"))
    assert not recwarn.list


def test_endings_are_those_of_files_that_can_be_read():
    kinds = ".png .jpg .jpeg .jfif .jxl .avif .webp .jp2 .j2k .tif .tiff .mpo .gif .bmp .tga .ppm .apng .qoi"
    assert images.endings() >= set(kinds.split())
    assert not images.endings() & {".eps", ".pdf", ".h5", ".mpg", ".wmf"}  # needs other programs, or is none


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ImageError, match="does not exist"):
        images.read_image(tmp_path / "none.png")
    with pytest.raises(ImageError, match="is a folder"):
        images.read_image(tmp_path)
    with pytest.raises(ImageError, match="cannot be read: File name too long"):
        images.read_image(tmp_path / ("x" * 300))


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

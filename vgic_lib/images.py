# SPDX-License-Identifier: MIT
"""Pictures in and out: one way to open them, one way to turn them into tensors and arrays.

Everything downstream may rely on what `normalise_image` promises: 8 bits, upright, sRGB.
"""

import io
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from vgic_lib.errors import ImageError

MAX_PIXELS = 2**26  # width times height; larger pictures are refused before they are decoded
CROP_2020 = (178, 218)  # width, height of the pictures of the 2020 project

_MODES = {  # mode of an open picture -> mode without transparency that it is read as
    "1": "L", "L": "L", "LA": "L",
    "P": "RGB", "PA": "RGB", "RGB": "RGB", "RGBA": "RGB", "RGBX": "RGB", "YCbCr": "RGB",
}  # fmt: skip


def read_image(path: str | Path, data: bytes | None = None) -> Image.Image:
    """Open a picture of any format that Pillow reads; of an animation, the first frame.

    Args:
        path: of the file.
        data: content of the file, where it is in memory; `path` then only names it.

    Returns:
        picture of mode "L", "LA", "RGB" or "RGBA", 8 bits, upright, sRGB, without metadata.

    Raises:
        ImageError: the file is missing, not a picture, damaged, too large, or of a kind that
            `normalise_image` refuses.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns about large pictures and odd metadata; ours is the stricter limit.
            warnings.simplefilter("ignore")
            with Image.open(path if data is None else io.BytesIO(data)) as image:
                return normalise_image(image)
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist; check the name") from error
    except IsADirectoryError as error:
        raise ImageError(f"{path} is a folder; name a picture in it") from error
    except PermissionError as error:
        raise ImageError(f"{path} cannot be read: permission denied; change its permissions") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{path} is not a picture of a known format; try PNG or JPEG") from error
    except Image.DecompressionBombError as error:
        raise ImageError(_too_large(path)) from error
    except Exception as error:  # damaged files make decoders raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{path} is truncated or damaged ({reason}); get a good copy of it") from error


def normalise_image(image: Image.Image) -> Image.Image:
    """Apply orientation and colour profile of an open picture; palettes become colours.

    Returns:
        new picture of mode "L", "LA", "RGB" or "RGBA", upright, sRGB, without metadata.

    Raises:
        ImageError: more than MAX_PIXELS pixels or none, more than 8 bits a channel, a colour model
            other than gray and RGB (such as CMYK), or a colour profile that does not fit.
    """
    name = getattr(image, "filename", "") or "the picture"
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(_too_large(name))
    if not image.width * image.height:
        raise ImageError(f"{name} has no pixels; give one of at least 1x1")
    if _is_deep(image):
        raise ImageError(f"{name} has more than 8 bits per channel; convert it to 8 bits first")
    if image.mode not in _MODES:
        raise ImageError(f"{name} has colour mode {image.mode}; convert it to RGB first")
    upright = ImageOps.exif_transpose(image)
    plain = upright.convert(_MODES[image.mode])
    result = _to_srgb(plain, image.info.get("icc_profile"), name)
    if upright.has_transparency_data:
        result.putalpha(upright.convert("RGBA").getchannel("A"))
    result.info = {}
    return result


def to_array(image: Image.Image) -> np.ndarray:
    """Pixels (H, W, 3), uint8, RGB; gray is repeated, transparency left out."""
    return np.asarray(image.convert("RGB"))


def to_tensor(image: Image.Image) -> torch.Tensor:
    """Pixels (1, 3, H, W), float32 in [0, 1]; gray is repeated, transparency left out."""
    return torch.tensor(to_array(image)).permute(2, 0, 1)[None].float() / 255


def to_image(x: torch.Tensor) -> Image.Image:
    """Picture of mode "RGB" from x (1, 3, H, W) in [0, 1], clamped and rounded to 8 bits."""
    pixels = (x.detach()[0].clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().cpu().numpy())


def centre_crop(image: Image.Image, width: int, height: int) -> Image.Image:
    """Middle of a picture; where it is smaller than asked, that side is kept whole."""
    width, height = min(width, image.width), min(height, image.height)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _too_large(name: str | Path) -> str:
    return f"{name} has more than {MAX_PIXELS / 1e6:.0f} million pixels; make it smaller first"


def _is_deep(image: Image.Image) -> bool:
    """Whether the file holds more than 8 bits a channel; Pillow opens 16-bit RGB as if it had 8."""
    for codec, _, _, arguments in getattr(image, "tile", []):
        if ";16" in str(arguments):
            return True
        if codec.startswith("ppm") and isinstance(arguments, tuple) and arguments[-1] > 255:
            return True
    return image.mode[0] in "IF"


def _to_srgb(image: Image.Image, icc_profile: bytes | None, name: str) -> Image.Image:
    """Colours of `image` ("L" or "RGB") as sRGB, in the same mode."""
    if not icc_profile:
        return image
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
        mode = {"GRAY": "L", "RGB": "RGB"}[profile.profile.xcolor_space.strip()]
        colours = ImageCms.profileToProfile(
            image.convert(mode), profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, KeyError) as error:
        raise ImageError(f"{name} has a colour profile that does not fit; save it without one") from error
    return colours.convert(image.mode)

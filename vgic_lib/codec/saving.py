# SPDX-License-Identifier: MIT
"""Decoded pictures as files of other formats, with the metadata they carry."""

import io

from PIL import Image, PngImagePlugin

from vgic_lib.errors import ImageError

FORMATS = {  # ending of a decompressed picture -> Pillow's format and its options
    ".png": ("PNG", {}),
    ".webp": ("WEBP", {"lossless": True}),
    ".tif": ("TIFF", {"compression": "tiff_lzw"}),
    ".tiff": ("TIFF", {"compression": "tiff_lzw"}),
    ".jpg": ("JPEG", {"quality": 95}),
    ".jpeg": ("JPEG", {"quality": 95}),
}


def picture_bytes(image: Image.Image, ending: str) -> bytes:
    """`image` in the format of an `ending`; PNG where that names none."""
    kind, options = FORMATS.get(ending.lower(), FORMATS[".png"])
    if kind != "TIFF":  # there they are tags of the picture itself
        options = options | {name: image.info[name] for name in ("exif", "xmp") if name in image.info}
    if kind == "PNG" and "xmp" in options:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", options.pop("xmp").decode(errors="replace"))
    stream = io.BytesIO()
    try:
        image.save(stream, kind, **options)
    except (OSError, ValueError) as error:  # alpha in JPEG, sides that WebP does not hold
        raise ImageError(
            f"{kind} cannot hold this picture ({error}); choose a name that ends in .png"
        ) from error
    return stream.getvalue()

# SPDX-License-Identifier: MIT
"""Colours of any picture file to sRGB, by the one way of ICC profiles.

What a file says with numbers (gAMA and cHRM of PNG, code points of PNG and AVIF) is made a profile first.
"""

import io
import struct

import numpy as np
from PIL import Image, ImageCms

from vgic_lib.formats.headers import Colours

# x and y of white, red, green, blue
_SRGB = (0.3127, 0.3290, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060)
_PRIMARIES = {  # code point of ITU-T H.273 -> chromaticity
    1: _SRGB,
    2: _SRGB,  # unspecified
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (0.3127, 0.3290, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
_SRGB_CURVE = None
_CURVES = {  # code point of ITU-T H.273 -> exponent of the decoder; viewers show video's as sRGB's
    1: _SRGB_CURVE, 2: _SRGB_CURVE, 6: _SRGB_CURVE, 13: _SRGB_CURVE, 14: _SRGB_CURVE, 15: _SRGB_CURVE,
    4: 2.2, 5: 2.8, 8: 1.0,
}  # fmt: skip
_GAMMA_TOLERANCE = 0.05  # relative; that of libpng
_CHROMATICITY_TOLERANCE = 0.005
_GAMMA_RANGE = (0.1, 10)
_D50 = np.array([0.9642, 1.0, 0.8249])  # XYZ of the white that profiles refer to
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_CHANNELS = {"GRAY": "L", "RGB": "RGB"}  # colour space of a profile -> mode of the pictures it is for


class OutOfGamut(Exception):
    """Colours go beyond what 8 bits of sRGB show; the message names them."""


def to_srgb(image: Image.Image, colours: Colours) -> Image.Image:
    """Picture ("L" or "RGB") in the same mode and sRGB, from `colours` that its file describes.

    Raises:
        OutOfGamut: the colours are those of HDR, or of video.
        ValueError: the description cannot be used.
    """
    profile = _profile(colours)
    if profile is None:
        return image
    if image.mode == "RGB":
        return _convert(image, profile)
    ramp = Image.frombytes("L", (256, 1), bytes(range(256)))
    return image.point(_convert(ramp, profile, ImageCms.Flags.NOOPTIMIZE).tobytes())


def matrix_profile(chromaticity: tuple[float, ...], gamma: float | None) -> bytes:
    """ICC profile of RGB colours.

    Args:
        chromaticity: x and y of white, red, green, blue.
        gamma: exponent of the decoder; None for the curve of sRGB.

    Raises:
        ValueError: the chromaticity describes no colours.
    """
    points = np.reshape(chromaticity, (4, 2))
    if (points[:, 1] <= 0).any():
        raise ValueError("its primaries are no colours")
    xyz = np.stack([points[:, 0], points[:, 1], 1 - points.sum(1)]) / points[:, 1]  # (3, 4)
    white, primaries = xyz[:, 0], xyz[:, 1:]
    if abs(np.linalg.det(primaries)) < 1e-3:
        raise ValueError("its primaries are no colours")
    adaptation = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    columns = np.linalg.inv(_BRADFORD) @ adaptation @ _BRADFORD @ primaries
    columns = columns * np.linalg.solve(primaries, white)
    return _icc(columns, (gamma,) if gamma else (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))


def _convert(image: Image.Image, profile: bytes, flags: ImageCms.Flags = ImageCms.Flags.NONE) -> Image.Image:
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _CHANNELS.get(opened.profile.xcolor_space.strip())
        if mode is None or (mode, image.mode) == ("L", "RGB"):
            raise ValueError("it is for pictures of another kind")
        converted = ImageCms.profileToProfile(
            image.convert(mode), opened, ImageCms.createProfile("sRGB"), outputMode="RGB", flags=flags
        )
    except (ImageCms.PyCMSError, OSError) as error:
        raise ValueError("it is damaged or too large") from error
    return converted.convert(image.mode)


def _profile(colours: Colours) -> bytes | None:
    """Profile of the first description that a file has; None for sRGB."""
    if points := colours.code_points:
        if points.primaries not in _PRIMARIES or points.transfer not in _CURVES or not points.full_range:
            raise OutOfGamut("colours of HDR or video")
        return _unless_srgb(_PRIMARIES[points.primaries], _CURVES[points.transfer])
    if colours.icc_profile is not None:
        return colours.icc_profile
    if colours.gamma is None and colours.chromaticity is None:
        return None
    exponent = _SRGB_CURVE
    if colours.gamma is not None:
        if not _GAMMA_RANGE[0] <= colours.gamma <= _GAMMA_RANGE[1]:
            raise ValueError(f"gamma {colours.gamma:g} is none")
        exponent = 1 / colours.gamma
    return _unless_srgb(colours.chromaticity or _SRGB, exponent)


def _unless_srgb(chromaticity: tuple[float, ...], exponent: float | None) -> bytes | None:
    """Profile for these colours; None where they are those of sRGB, whose curve is close to 2.2."""
    common = exponent is _SRGB_CURVE or abs(exponent / 2.2 - 1) < _GAMMA_TOLERANCE
    if common and np.allclose(chromaticity, _SRGB, rtol=0, atol=_CHROMATICITY_TOLERANCE):
        return None
    return matrix_profile(chromaticity, exponent)


def _icc(columns: np.ndarray, curve: tuple[float, ...]) -> bytes:
    """File of version 4 of ICC, from XYZ (3, 3) of red, green, blue and the parameters of their curve."""

    def fixed(values: np.ndarray | tuple[float, ...]) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    colour = [b"XYZ \0\0\0\0" + fixed(column) for column in (_D50, *columns.T)]
    parametric = b"para\0\0\0\0" + struct.pack(">HH", 0 if len(curve) == 1 else 3, 0) + fixed(curve)
    names = (b"wtpt", b"rXYZ", b"gXYZ", b"bXYZ")
    contents = [
        *zip(names, colour, strict=True),
        *((name, parametric) for name in (b"rTRC", b"gTRC", b"bTRC")),
    ]
    place, table, body = 128 + 4 + 12 * len(contents), struct.pack(">I", len(contents)), b""
    for name, content in contents:
        table += name + struct.pack(">II", place + len(body), len(content))
        body += content
    kind = bytes.fromhex("04300000") + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28) + fixed(_D50)
    return struct.pack(">II", place + len(body), 0) + kind.ljust(120, b"\0") + table + body

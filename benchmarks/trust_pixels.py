# SPDX-License-Identifier: MIT
"""Trials of trust.py with generated pictures: lossless files are exact, all others within their bound."""

import io

import numpy as np
import torch
from helpers.pictures import KINDS, generated
from PIL import Image

import vgic_lib.pillow_plugin  # noqa: F401 - Pillow learns the format
from vgic_lib import codec
from vgic_lib.bitstream.pixel_coding import LARGEST_ERROR

MODES = "RGB", "L", "RGBA", "LA"
SIDES = 7, 24, 24, 70  # largest ones


def kept(seed, number):
    """Compress a picture with one or two threads, decompress it with the other number, and compare."""
    random = np.random.default_rng([seed, number])
    kind, mode = KINDS[number % len(KINDS)], MODES[random.integers(len(MODES))]
    height, width = random.integers(1, SIDES[random.integers(len(SIDES))], size=2)
    image = Image.fromarray(generated(random, kind, height, width)).convert(mode)
    if "A" in mode:
        image.putalpha(Image.fromarray(random.integers(0, 256, (height, width), dtype=np.uint8)))
    error = 0 if random.integers(2) else int(random.integers(1, LARGEST_ERROR + 1))
    case = f"{kind}, {'within a bound' if error else 'lossless'}"
    try:
        decoded = _there_and_back(image, error, 1 + number % 2)
    except Exception as problem:
        return case, f"fault: {problem!r}"
    if (decoded.mode, decoded.size) != (image.mode, image.size):
        return case, f"fault: {decoded.mode} {decoded.size}"
    off = np.abs(np.subtract(image, decoded, dtype=int)).reshape(height, width, -1)
    colours = off[..., : 1 if mode in ("L", "LA") else 3]
    if off[..., colours.shape[2] :].any() or colours.max() > error:
        return case, f"fault: {colours.max()} levels off where {error} are allowed"
    return case, "kept"


def _there_and_back(image, error, threads):
    torch.set_num_threads(threads)
    data = codec.compress(image, max_error=error)
    torch.set_num_threads(3 - threads)
    return codec.decompress(data) if threads == 1 else _loaded(data)


def _loaded(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image

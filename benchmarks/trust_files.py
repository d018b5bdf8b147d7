# SPDX-License-Identifier: MIT
"""Trials of trust.py with altered files: what comes out must be a picture or the right error, soon."""

import io
import resource
import signal
import sys
import warnings
from contextlib import contextmanager
from functools import cache

import numpy as np
import skimage
from helpers.mutations import damaged_exif_block, mutation
from helpers.pictures import of_photo_cd, opened, ramps, saved
from helpers.tiny_hyperprior import tiny_model
from helpers.tiny_lossless import tiny_lossless
from PIL import Image, UnidentifiedImageError

import vgic_lib.pillow_plugin  # noqa: F401 - Pillow learns the format
from vgic_lib import codec, images
from vgic_lib.errors import BitstreamError, ImageError, ModelError
from vgic_lib.models import store

LIMIT_S, LIMIT_BYTES, MAX_PIXELS = 10.0, 2**31, 2**20  # of one file; bytes beyond those of the start
TINY, SHIPPED = 24, 1  # originals of each model: most of the one that decodes fast
FORMATS = ("JPEG", "PNG", "WEBP")


def decoded(seed, number):
    """Decode an altered file, for a program that trusts nobody."""
    return _decoded(mutation(originals(), seed, number))


def decoded_exact(seed, number):
    """Decode an altered file whose pixels are exact, or within a bound."""
    return _decoded(mutation(exact_originals(), seed, number))


def _decoded(altered):
    try:
        with limited():
            codec.decompress(altered.data, max_pixels=MAX_PIXELS)
    except (BitstreamError, ImageError, ModelError) as error:
        return altered.kind, _told(error)
    except Exception as error:
        return altered.kind, f"fault: {error!r}"
    return altered.kind, "picture"


def opened_by_pillow(seed, number):
    """Open and load an altered file with Pillow."""
    altered = mutation(originals(), seed, number)
    try:
        with limited():
            Image.open(io.BytesIO(altered.data)).load()
    except UnidentifiedImageError:
        return altered.kind, "UnidentifiedImageError"
    except Image.DecompressionBombError:
        return altered.kind, "DecompressionBombError"
    except Exception as error:
        fine = type(error) in (OSError, SyntaxError)
        return altered.kind, type(error).__name__ if fine else f"fault: {error!r}"
    return altered.kind, "picture"


def damaged_exif(seed, number):
    """Read a picture whose EXIF is damaged; it is turned upright where its orientation is not."""
    block, sound = damaged_exif_block(seed, number)
    kind = FORMATS[number % len(FORMATS)]
    try:
        with limited(), warnings.catch_warnings(action="ignore"):
            image, kept = images.read_with_metadata("x", saved(ramps((12, 8)), kind, exif=block))
            kept.facts  # noqa: B018 - must not raise
    except Exception as error:
        return kind, f"fault: {error!r}"
    if sound and image.size != (8, 12):
        return kind, "fault: not turned"
    return kind, "turned upright" if image.size == (8, 12) else "as it lies"


def _told(error):
    return f"fault: {error!r}" if "\n" in str(error) else type(error).__name__


class TookTooLongError(Exception):
    """A trial that does not end."""


@contextmanager
def limited():
    """Interrupts the work after LIMIT_S."""
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _give_up(*_):
    raise TookTooLongError(f"after {LIMIT_S} s")


@cache
def originals():
    """Whole files, mostly of the fast tiny model; limits time and memory from here on."""
    counts = {
        tiny_model(): TINY,
        store.load_model("vaegan"): SHIPPED,
        store.load_model("hyperprior"): SHIPPED,
    }
    return whole_files(counts, lambda place: {})


@cache
def exact_originals():
    """Whole files of exact pixels and of pixels within some bounds; limits as for `originals`."""
    counts = {tiny_lossless(): TINY, store.load_model("lossless"): SHIPPED}
    return whole_files(counts, lambda place: {"max_error": (0, 0, 1, 2, 5, 64)[place % 6]}, origins=True)


def whole_files(counts, options, origins=False):
    """So many files of each model, with options by number; limits time and memory from here on.

    With `origins`, every third pair of pictures once was a JPEG file, and every third is of a Photo CD.
    """
    find_model, known = store.find_model, {model.model_id: model for model in counts}
    store.find_model = lambda name: known.get(name) or find_model(name)
    photograph = Image.fromarray(skimage.data.astronaut()).crop((150, 50, 190, 90))
    files = []
    for model, count in counts.items():
        for place in range(count):
            mode, size = ("RGB", "LA", "L", "RGBA")[place % 4], ((23, 17), (1, 1), (9, 33))[place // 4 % 3]
            image = photograph.resize(size)
            if origins and place // 2 % 3 == 1:
                image = opened(saved(image, "JPEG"))
            elif origins and place // 2 % 3 == 2:
                image = Image.fromarray(of_photo_cd(np.asarray(image)))
            image = image.convert(mode)
            more = {"exif": b"II*\0some", "xmp": b"<x/>"} if place % 3 == 0 else {}
            files.append(codec.compress(image, model=model, **more, **options(place)))
            codec.decompress(files[-1])  # whatever a model makes once is made now
    set_limits()
    return files


def set_limits():
    """Of time and memory, for all trials from here on."""
    warnings.simplefilter("ignore")  # Pillow warns of half of these files
    signal.signal(signal.SIGALRM, _give_up)
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow refuses twice as many
    if sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as sizes:
            size = int(sizes.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + LIMIT_BYTES, resource.RLIM_INFINITY))

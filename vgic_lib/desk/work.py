# SPDX-License-Identifier: MIT
"""What the desk computes: the .vgic file of a picture, a classical file of the same length, maps of both.

No widgets here. Long work is done by a `Worker`, which drops a job for a newer one.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from vgic_lib import codec
from vgic_lib.bitstream import container
from vgic_lib.codec.exact import writer_of
from vgic_lib.codec.reading import read
from vgic_lib.errors import ModelError
from vgic_lib.evaluation.classical import FileSizes, classical_codec
from vgic_lib.images import read_image, to_array
from vgic_lib.metrics import distortion
from vgic_lib.models.store import find_head, load_model

LOSSLESS_QUALITY = 105  # end of the slider; one less for each level of error allowed
Check = Callable[[], None]  # raises Superseded


class Superseded(Exception):
    """A newer job waits; this one ends at once."""


class Worker:
    """Does one job at a time in a thread of its own; a newer job supersedes all earlier ones.

    A touch is a short job that changes what a job has shown: it waits for that job, supersedes only earlier
    touches, and is superseded by all that is newer.
    """

    def __init__(self) -> None:
        self._busy = threading.Lock()
        self._newest: list[threading.Thread] = []  # a job, and perhaps a touch

    def submit(self, job: Callable[[Check], None], *, touch: bool = False) -> None:
        """Start `job` as soon as it may; it should call its argument now and then."""

        def check() -> None:
            if thread not in self._newest:
                raise Superseded

        def work() -> None:
            for earlier in before:
                earlier.join()
            with self._busy, suppress(Superseded):
                check()
                job(check)

        before = self._newest[:1] if touch else []
        thread = threading.Thread(target=work, daemon=True)
        self._newest = [*before, thread]
        thread.start()

    def wait(self, timeout_s: float | None = None) -> None:
        """Return when the newest job has ended, or after a time. Raises RuntimeError if there was none."""
        if not self._newest:
            raise RuntimeError("nothing was asked for yet")
        self._newest[-1].join(timeout_s)


@dataclass(frozen=True)
class Request:
    """What is asked of the desk."""

    image: Image.Image  # as `open_picture` returns it
    model: str  # name, or path of a weights file
    quality: float | None  # 1 to 100; beyond, errors of at most 4 to 0 levels; None with `target_bytes`
    target_bytes: int | None
    search_steps: int
    classical: str  # name of the codec beside
    tune: str = codec.DEFAULT_TUNE  # of the search


class Outcome(NamedTuple):
    """A file and what it shows."""

    title: str
    data: bytes
    image: Image.Image  # as decoded
    quality: distortion.Quality
    encode_s: float
    decode_s: float


def open_picture(path: str | Path, megapixels: float, data: bytes | None = None) -> tuple[Image.Image, str]:
    """Read a picture, reduced to `megapixels` if it has more, and what a user should know of it.

    Args:
        path: of the file; with `data`, its name only.
        megapixels: largest number of pixels, in millions.
        data: content of the file, where it is in memory.

    Raises:
        ImageError: see `images.read_image`.
    """
    image, notes = read_image(path, data), []
    share = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
    if share < 1:
        size = tuple(max(1, int(side * share)) for side in image.size)
        notes.append(
            f"reduced from {image.width} × {image.height} to {size[0]} × {size[1]} pixels, which keeps the "
            "desk quick; the command line takes it whole"
        )
        image = image.resize(size, Image.Resampling.LANCZOS)
    if "A" in image.getbands():
        notes.append("transparency is kept in the .vgic file, and neither shown nor measured here")
    return image, "; ".join(notes)


def compress(
    request: Request,
    report: Callable[[Any], object] | None = None,
    show: Callable[[torch.Tensor], object] | None = None,
) -> Outcome:
    """Our file; `report` and `show` watch its latent search, outside the measured time. Raises VgicError."""
    model = load_model(request.model)
    codec.encode(Image.new("RGB", (64, 64)), model=model)  # its tables are made at first use
    aside_s = 0.0

    def aside(watch: Callable | None) -> Callable | None:
        def timed(value: object) -> None:
            nonlocal aside_s
            start = time.perf_counter()
            watch(value)
            aside_s += time.perf_counter() - start

        return watch and timed

    options = {
        "quality": request.quality, "target_bytes": request.target_bytes, "tune": request.tune,
        "search_steps": request.search_steps, "report": aside(report), "show": aside(show),
    }  # fmt: skip
    if request.quality is not None and request.quality > 100:
        options = {"max_error": round(LOSSLESS_QUALITY - request.quality)}  # which has nothing to search
    start = time.perf_counter()
    data = codec.compress(request.image, model=model, **options)
    encode_s = time.perf_counter() - start - aside_s
    writer = writer_of(data, model)
    return _outcome("VGIC", data, request.image, lambda data: codec.decompress(data, writer), encode_s)


def realistic(request: Request, faithful: Outcome, realism: float) -> Outcome:
    """The same file, decoded with some of what the generative head adds, 0 to 1. Raises VgicError."""
    model = load_model(request.model)
    title = f"VGIC, realism {realism:g}"

    def decode(data: bytes) -> Image.Image:
        return codec.decompress(data, writer_of(data, model), realism=realism)

    return _outcome(title, faithful.data, request.image, decode, faithful.encode_s)


def realism_trouble(request: Request) -> str:
    """Why realism cannot be had of a model; empty if it can. Raises ModelError: there is no such model."""
    model = load_model(request.model)
    try:
        find_head(model)
    except ModelError as error:
        return str(error)
    return ""


def compress_classical(request: Request, target_bytes: int, check: Check = lambda: None) -> Outcome:
    """The classical codec's file nearest in length to a target. Raises VgicError; what `check` raises."""
    beside = classical_codec(request.classical)

    def options(quality: float) -> dict[str, Any]:
        check()
        return beside.options(quality)

    rgb = request.image.convert("RGB")
    quality = FileSizes(replace(beside, options=options), rgb).nearest(target_bytes).quality
    start = time.perf_counter()
    data = beside.compress(rgb, quality=quality)
    encode_s = time.perf_counter() - start
    return _outcome(beside.title, data, request.image, beside.decompress, encode_s)


def _outcome(
    title: str, data: bytes, original: Image.Image, decode: Callable[[bytes], Image.Image], encode_s: float
) -> Outcome:
    start = time.perf_counter()
    image = decode(data)
    decode_s = time.perf_counter() - start
    return Outcome(
        title, data, image, distortion.quality(to_array(original), to_array(image)), encode_s, decode_s
    )


@torch.no_grad()
def bits_map(data: bytes, model_name: str) -> np.ndarray:
    """Bits that each latent position takes in a .vgic file, by the model's probabilities, float32 (h, w).

    Raises:
        BitstreamError: not a file of this model.
        ModelError: unknown model.
    """
    model = writer_of(data, load_model(model_name))
    contents = read(container.unpack(data), model)
    return model.bits_map(contents.latents, contents.setting)[0].cpu().numpy()

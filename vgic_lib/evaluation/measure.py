# SPDX-License-Identifier: MIT
"""The one path that measures all codecs: a picture at a point becomes a file and a row."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from vgic_lib import files
from vgic_lib.evaluation.results import Row, row_key
from vgic_lib.images import to_array
from vgic_lib.metrics import distortion


class Picture(NamedTuple):
    """What is compressed."""

    name: str
    split: str
    image: Image.Image
    image_id: str


class LatentFacts(NamedTuple):
    """What a file holds, as far as its model knows; NaN for classical codecs."""

    elements: float = float("nan")  # number of latent values
    bits_estimated: float = float("nan")  # of the entropy coder, by the model's probabilities


@dataclass(frozen=True)
class Point:
    """A codec at one setting."""

    codec: str
    setting: str
    extension: str
    encode: Callable[[Image.Image], bytes]
    decode: Callable[[bytes], Image.Image]
    quality: float = float("nan")
    matched_to: str = ""
    model_id: str = ""
    num_channels: int = 0
    bits: int = 0
    search_steps: int = 0
    encode_s: float | None = None  # of a file that is not encoded anew
    inspect: Callable[[bytes], LatentFacts] = lambda data: LatentFacts()

    def key(self, picture: Picture) -> tuple[str, ...]:
        """Key of the row of this picture."""
        setting = self.matched_to or self.setting
        return row_key(picture.name, picture.image_id, self.codec, setting, self.model_id)


class Context(NamedTuple):
    """What all rows of a run share."""

    run: str
    folder: Path  # of the compressed files
    seed: int
    commit: str
    device: str


def make_picture(name: str, split: str, image: Image.Image) -> Picture:
    """A picture with the identity of its pixels."""
    pixels = to_array(image)
    digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    return Picture(name, split, image, digest[:8])


def picture_folder(name: str, image_id: str) -> str:
    """Folder of a picture's files, relative to the folder of the rows."""
    return f"files/{name}.{image_id}"


def original_path(folder: Path, name: str, image_id: str) -> Path:
    """PNG of a picture as it was compressed."""
    return folder / picture_folder(name, image_id) / "original.png"


def reconstruction_path(file: str, folder: Path) -> Path:
    """PNG of what a file decodes to; kept for the pictures that figures show."""
    return folder / "reconstructions" / Path(file).relative_to("files").with_suffix(".png")


def measure(picture: Picture, point: Point, context: Context) -> Row:
    """Encode to a file, read it back, decode and compare with the original: the same path for every codec.

    Raises:
        VgicError: the file cannot be written, or does not decode.
    """
    name = ".".join(
        filter(None, (point.codec, point.setting, point.matched_to.replace("/", "."), point.model_id))
    )
    file = f"{picture_folder(picture.name, picture.image_id)}/{name}{point.extension}"
    start = time.perf_counter()
    encoded = point.encode(picture.image)
    encode_s = time.perf_counter() - start if point.encode_s is None else point.encode_s
    files.write_bytes(context.folder / file, encoded)
    data = files.read_bytes(context.folder / file)
    start = time.perf_counter()
    decoded = to_array(point.decode(data))
    decode_s = time.perf_counter() - start
    width, height = picture.image.size
    latents = point.inspect(data)
    return Row(
        run=context.run, image=picture.name, image_id=picture.image_id, split=picture.split,
        width=width, height=height, codec=point.codec, setting=point.setting, quality=point.quality,
        matched_to=point.matched_to, model_id=point.model_id, num_channels=point.num_channels,
        bits=point.bits, search_steps=point.search_steps, file=file, bytes=len(data),
        bpp=8 * len(data) / (width * height),
        compression_ratio=3 * width * height / len(data), nominal_cr=3 * width * height / latents.elements,
        bits_estimated=latents.bits_estimated,
        **distortion.quality(to_array(picture.image), decoded)._asdict(),
        encode_s=encode_s, decode_s=decode_s, seed=context.seed, commit=context.commit, device=context.device,
    )  # fmt: skip

# SPDX-License-Identifier: MIT
"""What notebook 04 runs: our codec and the classical ones on the same pictures, each file measured once."""

import io
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image

from vgic_lib import codec, paths
from vgic_lib.bitstream import container
from vgic_lib.datasets.photographs import SPLITS, Photograph
from vgic_lib.errors import ParameterError
from vgic_lib.evaluation.classical import CLASSICAL, ClassicalCodec, FileSizes, classical_codec
from vgic_lib.evaluation.results import (
    Context,
    Latents,
    Picture,
    Point,
    Row,
    append_rows,
    make_picture,
    measure,
    original_path,
    ratio_setting,
    read_rows,
    reconstruction_path,
)  # fmt: skip
from vgic_lib.files import read_bytes, write_bytes
from vgic_lib.images import CROP_2020, centre_crop, read_image
from vgic_lib.models.store import Model
from vgic_lib.progress import progress
from vgic_lib.workbook.manifest import describe_environment

SAVE_EVERY_S = 2.0  # how much work a killed run may lose, beside the file in progress


def make_context(run: str, seed: int) -> Context:
    """What the rows of this run share."""
    environment = describe_environment()
    device = f"{environment.device}, {torch.get_num_threads()} threads"
    return Context(run, paths.compression_dir(run), seed, environment.commit, device)


def select(photographs: Sequence[Photograph], splits: Sequence[str], limit: int = 0) -> list[Photograph]:
    """The photographs of some splits, the first `limit` of them unless it is 0.

    Raises:
        ParameterError: unknown split, or nothing is left.
    """
    if unknown := set(splits) - set(SPLITS):
        raise ParameterError(f"unknown split {min(unknown)!r}; choose from {', '.join(SPLITS)}")
    chosen = [photograph for photograph in photographs if photograph.split in splits]
    if not chosen:
        raise ParameterError(f"no photograph is in the split {','.join(splits)}; name another one")
    return chosen[:limit] if limit else chosen


def load_pictures(photographs: Iterable[Photograph], folder: Path, crop: bool) -> list[Picture]:
    """Read RGB pictures, cut to the 218 x 178 of 2020 if `crop`, and keep what is compressed as PNG.

    Raises:
        ImageError: a file is missing or unreadable.
    """
    pictures = []
    for photograph in photographs:
        image = read_image(photograph.path).convert("RGB")
        picture = make_picture(
            photograph.name, photograph.split, centre_crop(image, *CROP_2020) if crop else image
        )
        _write_png(picture.image, original_path(folder, picture.name, picture.image_id))
        pictures.append(picture)
    return pictures


def numbers(text: object) -> list[float]:
    """The numbers in a comma-separated list. Raises ParameterError."""
    try:
        return [float(word) for word in str(text).split(",") if word.strip()]
    except ValueError as error:
        raise ParameterError(f"{text!r} is no list of numbers; write it like 15,43,71") from error


class OperatingPoint(NamedTuple):
    """A setting of a latent model."""

    setting: NamedTuple  # as the model defines it
    label: str  # "b6": bits for each latent element; "q448": quality code
    quality: float  # that was asked for, 1 to 100; NaN where bits were


def operating_points(model: Model, qualities: Sequence[float], bits: Sequence[float]) -> list[OperatingPoint]:
    """The settings at which a model is measured: bit depths of a VAE-GAN, qualities of any other model.

    Raises:
        ParameterError: the model has no setting with one of the bit depths, or no such quality.
    """
    middle = model.setting(50)
    if "bits" not in middle._fields:
        settings = [(model.setting(quality), float(quality)) for quality in qualities]
        return [OperatingPoint(setting, f"q{model.code(setting)}", quality) for setting, quality in settings]
    offered = {s.bits: s for s in model.settings if s.num_channels == middle.num_channels}
    for depth in bits:
        if depth not in offered:
            depths = ", ".join(map(str, sorted(offered)))
            raise ParameterError(f"{model.name} has no setting with {depth:g} bits; choose from {depths}")
    return [OperatingPoint(offered[depth], f"b{depth:g}", float("nan")) for depth in bits]


def latent_points(
    model: Model, at: Sequence[OperatingPoint], searched: Sequence[OperatingPoint], steps: int
) -> list[Point]:
    """Our codec at some operating points, and at those of `searched` with `steps` of latent search."""
    return [_latent_point(model, point, 0) for point in at] + [
        _latent_point(model, point, steps) for point in searched if steps
    ]


def ratio_points(model: Model, ratios: Sequence[float], steps: int) -> list[Point]:
    """Our codec at compression ratios: the best file no longer than the pixels as 24-bit RGB / the ratio.

    Where even the largest file of a picture is shorter, it is that one. Models whose settings are bit
    depths have no such points.
    """
    if "bits" in model.setting(50)._fields:
        return []
    return [_ratio_point(model, ratio, steps) for ratio in ratios]


def _latent_point(model: Model, at: OperatingPoint, steps: int) -> Point:
    def encode(image: Image.Image) -> bytes:
        return codec.compress(image, model=model, setting=at.setting, search_steps=steps)

    return Point(
        model.name, f"{at.label}-s{steps}", ".vgic", encode, codec.decompress, quality=at.quality,
        model_id=model.model_id.hex(), num_channels=getattr(at.setting, "num_channels", 0),
        bits=getattr(at.setting, "bits", 0), search_steps=steps, inspect=partial(_inspect, model),
    )  # fmt: skip


def _ratio_point(model: Model, ratio: float, steps: int) -> Point:
    def encode(image: Image.Image) -> bytes:
        target = int(3 * image.width * image.height / ratio)
        try:
            return codec.compress(image, model=model, target_bytes=target, search_steps=steps)
        except ParameterError:
            largest = codec.compress(image, model=model, quality=100, search_steps=steps)
            if len(largest) > target:
                raise
            return largest

    return Point(
        model.name, ratio_setting(ratio, steps), ".vgic", encode, codec.decompress,
        model_id=model.model_id.hex(), search_steps=steps, inspect=partial(_inspect, model),
    )  # fmt: skip


def _inspect(model: Model, data: bytes) -> Latents:
    header, sections = container.unpack(data)
    setting = model.from_code(header.setting)
    with torch.no_grad():
        latents_hat = model.decode(sections, setting, (header.height, header.width))
        bits = model.quantise(latents_hat, setting).bits
    return Latents(sum(y.numel() for y in latents_hat), float(bits.sum()))


def ladder_points(names: Sequence[str]) -> list[Point]:
    """Every quality of the rate-distortion curves of some classical codecs. Raises ParameterError."""
    codecs = [classical_codec(name) for name in names]
    return [_classical_point(codec, quality) for codec in codecs for quality in codec.qualities]


def _classical_point(codec: ClassicalCodec, quality: float, target: Row | None = None) -> Point:
    def encode(image: Image.Image) -> bytes:
        return codec.compress(image, quality=quality)

    matched_to = f"{target.codec}/{target.setting}" if target else ""
    model_id = target.model_id if target else ""
    return Point(
        codec.name,
        f"q{quality:g}",
        codec.extension,
        encode,
        codec.decompress,
        quality,
        matched_to=matched_to,
        model_id=model_id,
    )


class Bench:
    """Measures what has no row yet, and keeps every row at once where a killed run finds it again."""

    def __init__(self, context: Context, overwrite: bool = False) -> None:
        """Start from the rows of earlier runs; with `overwrite`, measure them again."""
        self.context = context
        self._path = context.folder / "measured.csv"
        self._done = {} if overwrite else {row.key: row for row in read_rows(self._path)}
        self._unsaved: list[Row] = []
        self._saved_at = time.monotonic()

    def run(self, pictures: Sequence[Picture], points: Sequence[Point], label: str) -> list[Row]:
        """One row for each picture at each point, with a progress bar.

        Raises:
            VgicError: a file does not decode, or cannot be written.
        """
        jobs = [(picture, point) for picture in pictures for point in points]
        return self._finish(self._row(picture, point) for picture, point in progress(jobs, label))

    def match(
        self, pictures: Sequence[Picture], names: Sequence[str], targets: Sequence[Row], label: str
    ) -> list[Row]:
        """One row for each of `targets` and each classical codec: the nearest in length. Raises as `run`."""
        codecs = [classical_codec(name) for name in names]
        jobs = [(picture, codec) for picture in pictures for codec in codecs]
        return self._finish(
            row for picture, codec in progress(jobs, label) for row in self._matched(picture, codec, targets)
        )

    def _matched(self, picture: Picture, codec: ClassicalCodec, targets: Sequence[Row]) -> Iterator[Row]:
        sizes = FileSizes(codec, picture.image)
        for target in targets:
            if (target.image, target.image_id) == (picture.name, picture.image_id):
                any_quality = _classical_point(codec, codec.grid[0], target)  # the key does not depend on it
                if self._is_done(any_quality.key(picture)):
                    yield self._done[any_quality.key(picture)]
                else:
                    quality = sizes.nearest(target.bytes).quality
                    yield self._row(picture, _classical_point(codec, quality, target))

    def _is_done(self, key: tuple[str, ...]) -> bool:
        return key in self._done and (self.context.folder / self._done[key].file).exists()

    def _row(self, picture: Picture, point: Point) -> Row:
        key = point.key(picture)
        if not self._is_done(key):
            self._done[key] = measure(picture, point, self.context)
            self._unsaved.append(self._done[key])
            if time.monotonic() - self._saved_at > SAVE_EVERY_S:
                self._save()
        return self._done[key]

    def _finish(self, rows: Iterable[Row]) -> list[Row]:
        try:
            return list(rows)
        finally:
            self._save()

    def _save(self) -> None:
        append_rows(self._path, self._unsaved)
        self._unsaved, self._saved_at = [], time.monotonic()


def decode_file(row: Row, folder: Path) -> Image.Image:
    """The picture in the file of a row, decoded once more."""
    data = read_bytes(folder / row.file)
    return CLASSICAL[row.codec].decompress(data) if row.codec in CLASSICAL else codec.decompress(data)


def keep_reconstructions(rows: Iterable[Row], folder: Path) -> None:
    """Decode the files of `rows` and keep the pictures as PNG, so that figures need no model."""
    for row in rows:
        _write_png(decode_file(row, folder), reconstruction_path(row.file, folder))


def _write_png(image: Image.Image, path: Path) -> None:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())

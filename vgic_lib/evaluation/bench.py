# SPDX-License-Identifier: MIT
"""What notebook 04 runs: our codec and the classical ones on the same pictures, each file measured once."""

import dataclasses
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path

import torch
from PIL import Image

from vgic_lib import codec, paths
from vgic_lib.cluster import Place, each
from vgic_lib.datasets.photographs import SPLITS, Photograph
from vgic_lib.environment import describe_environment
from vgic_lib.errors import ParameterError, VgicError
from vgic_lib.evaluation.classical import CLASSICAL, ClassicalCodec, FileSizes, classical_codec
from vgic_lib.evaluation.keyed_table import KeyedTable
from vgic_lib.evaluation.measure import (
    Context,
    Picture,
    Point,
    make_picture,
    measure,
    original_path,
    reconstruction_path,
)
from vgic_lib.evaluation.points import classical_point, realistic_point
from vgic_lib.evaluation.results import COLUMNS, Row, from_text, shown_realism
from vgic_lib.files import read_bytes, write_bytes
from vgic_lib.images import CROP_2020, centre_crop, read_image


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
    check_splits(splits)
    chosen = [photograph for photograph in photographs if photograph.split in splits]
    if not chosen:
        raise ParameterError(f"no photograph is in the split {','.join(splits)}; name another one")
    return chosen[:limit] if limit else chosen


def check_splits(splits: Sequence[str]) -> None:
    """Refuse an unknown split, or none at all. Raises ParameterError."""
    unknown = [split for split in splits or [""] if split not in SPLITS]
    if unknown:
        raise ParameterError(f"unknown split {unknown[0]!r}; choose from {', '.join(SPLITS)}")


def shown_pictures(pictures: Sequence[Picture], wanted: Sequence[str], number: int = 1) -> list[Picture]:
    """The pictures that figures show: those `wanted`, or else the first `number`. Raises ParameterError."""
    by_name = {picture.name: picture for picture in pictures}
    for name in wanted:
        if name not in by_name:
            names = ", ".join(by_name)
            raise ParameterError(f"no picture is called {name!r}, to be shown; choose from {names}")
    return [by_name[name] for name in wanted] or list(pictures[:number])


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


class Bench:
    """Measures what has no row yet, and keeps every row at once where a killed run finds it again."""

    def __init__(self, context: Context, overwrite: bool = False, at: Place | None = None) -> None:
        """Start from the rows of earlier runs, or with `overwrite` anew; `at`: where, if not here."""
        self.context, self._overwrite, self._at = context, overwrite, at
        self._table = KeyedTable(
            context.folder / "measured.csv", COLUMNS, lambda line: from_text(line).key, "notebook 04"
        )
        self._done = {} if overwrite else {row.key: row for row in map(from_text, self._table)}

    def __reduce__(self) -> tuple[Callable[..., "Bench"], tuple[Context, bool]]:
        """Pickle as a bench that keeps its rows in the same table, and knows the device that it runs on."""
        return _elsewhere, (self.context._replace(folder=self.context.folder.absolute()), self._overwrite)

    def of_other_code(self) -> str:
        """How many files of earlier runs stand as other code measured them; empty if none."""
        others = [
            row.commit or "no commit" for row in self._done.values() if row.commit != self.context.commit
        ]
        if not others:
            return ""
        names = ", ".join(sorted(set(others)))
        return (
            f"{len(others)} files keep what other code measured ({names}): -p overwrite true measures again"
        )

    def run(self, pictures: Sequence[Picture], points: Sequence[Point], label: str) -> list[Row]:
        """One row for each picture at each point, with a progress bar.

        Raises:
            VgicError: a file does not decode, or cannot be written; no workers.
        """
        jobs = [(picture, point) for picture in pictures for point in points]
        return self._all(self._at_point, jobs, [[point.key(picture)] for picture, point in jobs], label)

    def with_realism(
        self,
        pictures: Sequence[Picture],
        rows: Sequence[Row],
        heads: Mapping[str, str],
        realisms: Sequence[float],
        label: str,
    ) -> list[Row]:
        """Files of ours shown once more, with each realism above 0, where `heads` has one for their model.

        Nothing is encoded again. Raises as `run`.
        """
        originals = {(picture.name, picture.image_id): picture for picture in pictures}
        jobs = [
            (originals[row.image, row.image_id], realistic_point(row, self.context.folder, head, realism))
            for row in rows
            for realism in filter(None, realisms)
            if (head := heads.get(row.model_id))
        ]
        return self._all(self._at_point, jobs, [[point.key(picture)] for picture, point in jobs], label)

    def match(
        self, pictures: Sequence[Picture], names: Sequence[str], targets: Sequence[Row], label: str
    ) -> list[Row]:
        """One row for each of `targets` and each classical codec: the nearest in length. Raises as `run`."""
        jobs = [
            (picture, codec, [target for target in targets if _shows(target, picture)])
            for picture in pictures
            for codec in map(classical_codec, names)
        ]
        keys = [[_matched_key(*job, target) for target in targets] for *job, targets in jobs]
        return self._all(self._matched, jobs, keys, label)

    def _all(
        self, work: Callable, jobs: list[tuple], keys: list[list[tuple[str, ...]]], label: str
    ) -> list[Row]:
        """Rows of some keys for each job; `work` is called where one of them is not there."""
        todo = [job for job, own in zip(jobs, keys, strict=True) if not all(map(self._is_done, own))]
        folder, reads = self.context.folder, []
        if self._at and todo:
            reads = [original_path(folder, todo[0][0].name, todo[0][0].image_id)]
            todo = [(picture._replace(image=None), *rest) for picture, *rest in todo]
        try:
            with closing(each(work, todo, label, self._at, reads, folder)) as done:
                for _, rows in done:
                    if isinstance(rows, VgicError):
                        raise rows
                    self._done |= {row.key: row for row in rows}
            return [self._done[key] for own in keys for key in own]
        finally:
            self._table.rewrite()

    def _at_point(self, job: tuple[Picture, Point]) -> list[Row]:
        picture, point = job
        return [self._row(self._whole(picture), point)]

    def _matched(self, job: tuple[Picture, ClassicalCodec, list[Row]]) -> list[Row]:
        picture, codec, targets = job
        picture = self._whole(picture)
        sizes = FileSizes(codec, picture.image)
        rows = []
        for target in targets:
            key = _matched_key(picture, codec, target)
            if not self._is_done(key):
                self._row(picture, classical_point(codec, sizes.nearest(target.bytes).quality, target))
            rows.append(self._done[key])
        return rows

    def _whole(self, picture: Picture) -> Picture:
        """A picture with its pixels, which do not travel with it."""
        if picture.image is not None:
            return picture
        return picture._replace(
            image=_pixels(original_path(self.context.folder, picture.name, picture.image_id))
        )

    def _is_done(self, key: tuple[str, ...]) -> bool:
        return key in self._done and (self.context.folder / self._done[key].file).exists()

    def _row(self, picture: Picture, point: Point) -> Row:
        key = point.key(picture)
        if not self._is_done(key):
            self._done[key] = measure(picture, point, self.context)
            self._table.add([dataclasses.asdict(self._done[key])])
        return self._done[key]


def _elsewhere(context: Context, overwrite: bool) -> Bench:
    """A bench in another process."""
    return Bench(context._replace(device=make_context(context.run, context.seed).device), overwrite)


@lru_cache(maxsize=1)
def _pixels(path: Path) -> Image.Image:
    return read_image(path)


def _shows(row: Row, picture: Picture) -> bool:
    return (row.image, row.image_id) == (picture.name, picture.image_id)


def _matched_key(picture: Picture, codec: ClassicalCodec, target: Row) -> tuple[str, ...]:
    return classical_point(codec, codec.grid[0], target).key(picture)  # it does not depend on the quality


def decode_file(row: Row, folder: Path) -> Image.Image:
    """The picture in the file of a row, decoded once more, with the realism that its setting names."""
    data = read_bytes(folder / row.file)
    if row.codec in CLASSICAL:
        return CLASSICAL[row.codec].decompress(data)
    return codec.decompress(data, realism=shown_realism(row.setting))


def keep_reconstructions(rows: Iterable[Row], folder: Path) -> None:
    """Decode the files of `rows` and keep the pictures as PNG, so that figures need no model."""
    for row in rows:
        _write_png(decode_file(row, folder), reconstruction_path(row.file, folder))


def _write_png(image: Image.Image, path: Path) -> None:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())

# SPDX-License-Identifier: MIT
"""Photographs: a checked selection of pictures, its split and the manifest."""

import csv
import hashlib
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vgic_lib import paths
from vgic_lib.datasets.sources import SOURCES, Source
from vgic_lib.errors import DataError, ParameterError, VgicError
from vgic_lib.files import files_below, read_bytes, write_text
from vgic_lib.images import endings, read_image, to_array
from vgic_lib.progress import progress

SPLITS = ("train", "validation", "test")
NAME_BYTES = 128  # longest name of a photograph: files of it have more in their names


@dataclass(frozen=True)
class Photograph:
    """One usable picture of a data set."""

    name: str  # unique in its data set, usable as a file name
    path: str  # absolute; in a manifest relative to the project, if it lies there
    sha256: str  # of the file
    width: int
    height: int
    bytes: int  # length of the file
    split: str  # one of SPLITS
    source: str  # name of the data set
    licence: str
    content: str = ""  # sha256 of the decoded pixels: decides the split and what is a duplicate


class Skipped(NamedTuple):
    """A file that was left out."""

    name: str
    reason: str


class Dataset(NamedTuple):
    """What `prepare` found."""

    photographs: tuple[Photograph, ...]
    skipped: tuple[Skipped, ...]


def prepare(
    dataset: str,
    *,
    folder: str = "",
    minimum_side: int = 64,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    limit: int = 0,
) -> Dataset:
    """Find the pictures of a data set, check each of them and split them.

    The split depends on the decoded pixels of the pictures that are used, not on file names or order. A
    picture that is damaged, of an unsupported kind, too small, or seen before is skipped and listed.

    Args:
        dataset: a key of SOURCES (downloaded if need be), or "folder".
        folder: with "folder" only: where the pictures are; folders inside it count too.
        minimum_side: shorter side in pixels from which on a picture is used.
        fractions: of train, validation and test; no part stays empty if there are enough pictures.
            The Kodak pictures are test pictures always.
        limit: use only the first so many pictures by name; 0 means all.

    Raises:
        DataError: unknown data set, failed download, missing folder, no usable picture.
        ParameterError: impossible `fractions`, `minimum_side` or `limit`.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ParameterError(f"fractions {fractions} must not be negative and must sum to 1")
    source = choose(dataset, folder=folder, minimum_side=minimum_side, limit=limit)
    root = source.locate()
    found, skipped = _examine(root, dataset, source, minimum_side, limit)
    if not found:
        reason = f"{skipped[0].name}: {skipped[0].reason}" if skipped else "it holds no picture file"
        raise DataError(f"no usable picture in {root} ({reason}); put photographs there")
    splits = split([p.content for p in found], (0, 0, 1) if source.test_only else fractions)
    return Dataset(tuple(replace(p, split=splits[p.content]) for p in found), tuple(skipped))


def choose(dataset: str, *, folder: str = "", minimum_side: int = 64, limit: int = 0) -> Source:
    """Where the pictures of a data set come from; arguments as for `prepare`, which refuses the same.

    Raises:
        DataError: unknown data set, or missing folder.
        ParameterError: impossible `minimum_side` or `limit`.
    """
    if minimum_side < 1 or limit < 0:
        raise ParameterError("minimum_side must be at least 1, limit at least 0")
    if dataset == "folder":
        root = Path(folder).expanduser()
        if not folder or not root.is_dir():
            where = f"folder {os.path.abspath(root)} does not exist" if folder else "no folder is named"
            raise DataError(f"{where}; give the folder that holds your photographs")
        return Source(lambda: root, "unknown")
    if dataset not in SOURCES:
        raise DataError(f"unknown data set {dataset!r}; choose one of {', '.join([*SOURCES, 'folder'])}")
    if folder:
        raise DataError(f"a folder is given, but the data set is {dataset!r}; set the data set to 'folder'")
    return SOURCES[dataset]


def split(contents: Sequence[str], fractions: tuple[float, float, float]) -> dict[str, str]:
    """Split of each content hash: the first in rank train, then come validation and test.

    No part with a fraction above zero stays empty, as far as there are enough pictures.
    """
    ranked = sorted(set(contents))
    edges = [0, *(round(len(ranked) * sum(fractions[:part])) for part in (1, 2)), len(ranked)]
    counts = np.diff(edges)
    for part, fraction in enumerate(fractions):
        if fraction > 0 and counts[part] == 0 and counts.max() > 1:
            counts[counts.argmax()] -= 1
            counts[part] = 1
    return dict(zip(ranked, np.repeat(SPLITS, counts).tolist(), strict=True))


def with_validation(photographs: Iterable[Photograph], folder: str) -> tuple[Photograph, ...]:
    """Use those of `folder` for validation, and all others for training. Raises DataError."""
    validation = prepare("folder", folder=folder).photographs
    known = {photograph.content for photograph in validation}
    training = [p for p in photographs if p.content not in known]
    return (
        *(replace(p, split="train") for p in training),
        *(replace(p, split="validation") for p in validation),
    )


def write_manifest(dataset: Dataset, path: str | Path) -> None:
    """Write one CSV row per picture, the skipped ones with their reason. Raises StorageError.

    Paths inside the project are written relative to it, so that it can be moved with its data.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(p) | {"path": _portable(p.path)} for p in dataset.photographs)
    writer.writerows({"name": name, "skipped": reason} for name, reason in dataset.skipped)
    write_text(path, text.getvalue())


def read_manifest(path: str | Path) -> Dataset:
    """Read what `write_manifest` wrote. Raises DataError if it is missing or something else."""
    again = "run notebook 01_data_preparation"
    if not Path(path).exists():
        raise DataError(f"{path} does not exist; {again} first")
    try:
        reader = csv.DictReader(io.StringIO(read_bytes(path).decode()))
        rows = list(reader)
        if reader.fieldnames != _COLUMNS:
            raise ValueError(f"its columns are not {', '.join(_COLUMNS)}")
        photographs = tuple(_from_row(row) for row in rows if not row["skipped"])
    except (ValueError, TypeError, csv.Error) as error:
        raise DataError(f"{path} is not a manifest ({error}); {again} again") from error
    return Dataset(photographs, tuple(Skipped(row["name"], row["skipped"]) for row in rows if row["skipped"]))


def verify(dataset: Dataset) -> None:
    """Compare the files with the checksums of the manifest. Raises DataError for the first that differs."""
    for photograph in progress(dataset.photographs, "verify"):
        if not Path(photograph.path).is_file() or _sha256(photograph.path) != photograph.sha256:
            raise DataError(
                f"{photograph.path} is missing or changed since the manifest was written; "
                "put it back or run notebook 01_data_preparation again"
            )


def load(photographs: Iterable[Photograph]) -> list[np.ndarray]:
    """Pixels of each photograph (H, W, 3), uint8, RGB; all are held in memory. Raises ImageError."""
    shown = progress(list(photographs), "load pictures")
    return [to_array(read_image(photograph.path)) for photograph in shown]


_COLUMNS = [field.name for field in fields(Photograph)] + ["skipped"]


def _examine(
    root: Path, dataset: str, source: Source, minimum_side: int, limit: int
) -> tuple[list[Photograph], list[Skipped]]:
    """Check the pictures below `root`: the usable ones (their split still open) and the others."""
    found: dict[str, Photograph] = {}
    names: set[str] = set()
    files, unreadable = files_below(root, endings())
    skipped = [Skipped(_written(folder), reason) for folder, reason in unreadable.items()]
    for path in progress([root / file for file in files], "check pictures"):
        if limit and len(found) == limit:
            break
        try:
            photograph = _photograph(path, dataset, source, minimum_side)
            if twin := found.get(photograph.content):
                raise DataError(f"the same picture as {Path(os.path.relpath(twin.path, root)).as_posix()}")
        except VgicError as error:
            skipped.append(Skipped(_written(path.relative_to(root)), str(error)))
            continue
        if photograph.name in names:  # a/1.png and b/1.png
            photograph = replace(photograph, name=f"{photograph.name}-{photograph.content[:8]}")
        names.add(photograph.name)
        found[photograph.content] = photograph
    return list(found.values()), skipped


def _written(name: Path) -> str:
    """A name as text that can be written, whatever its letters."""
    return os.fsencode(name).decode(errors="replace")


def _photograph(path: Path, dataset: str, source: Source, minimum_side: int) -> Photograph:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise DataError("its name is not UTF-8; rename it") from error
    image = read_image(path)
    if min(image.size) < minimum_side:
        raise DataError(
            f"only {image.width}x{image.height}; the shorter side must have {minimum_side} pixels"
        )
    content = hashlib.sha256(f"{image.mode} {image.size}".encode() + image.tobytes()).hexdigest()
    return Photograph(
        name=path.stem if len(path.stem.encode()) <= NAME_BYTES else f"{path.stem[:32]}-{content[:8]}",
        path=os.path.abspath(path),
        sha256=_sha256(path),
        width=image.width,
        height=image.height,
        bytes=path.stat().st_size,
        split="",
        source=dataset,
        licence=source.licences.get(path.stem, source.licence),
        content=content,
    )


def _sha256(path: str | Path) -> str:
    return hashlib.sha256(read_bytes(path)).hexdigest()


def _portable(path: str) -> str:
    root = os.path.abspath(paths.root())
    return Path(path).relative_to(root).as_posix() if Path(path).is_relative_to(root) else path


def _from_row(row: dict[str, str]) -> Photograph:
    values = {field.name: field.type(row[field.name]) for field in fields(Photograph)}
    photograph = Photograph(**values | {"path": os.path.abspath(paths.root() / values["path"])})
    if photograph.split not in SPLITS:
        raise ValueError(f"unknown split {photograph.split!r}")
    return photograph

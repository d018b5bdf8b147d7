# SPDX-License-Identifier: MIT
"""Files listed, read, and written so that none is ever half-written: a temporary name, then a rename."""

import errno
import os
import secrets
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from vgic_lib.errors import StorageError


class Listing(NamedTuple):
    """What is below a folder; all names are relative to it."""

    files: list[Path]  # sorted
    unreadable: dict[Path, str]  # folder -> what is wrong with it


_unfinished: set[Path] = set()  # temporary names in use


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is renamed to `path`, else removed.

    A file that is replaced hands on its permissions, and where possible its owner. A link stays, and what it
    leads to is replaced. What is no regular file, such as a device or a FIFO, is yielded itself.

    Raises:
        StorageError: the folder cannot be made or the file cannot be written (full disk,
            read-only folder).
    """
    path = Path(path)
    try:
        if is_special(path):
            yield path
            return
        with _temporary(Path(os.path.realpath(path))) as temporary:
            yield temporary
    except NotADirectoryError as error:
        raise StorageError(
            f"cannot write {path}: {path.parent} is not a folder; choose another name"
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(
            f"cannot write {path}: {reason}; free some space or choose a folder you may write to"
        ) from error


def is_special(path: str | Path) -> bool:
    """Whether there is something that is neither a regular file nor a folder, such as a device or a FIFO."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def discard_unfinished() -> None:
    """Remove all temporary files of this process, for an exit that unwinds nothing."""
    for temporary in tuple(_unfinished):
        with suppress(OSError):
            temporary.unlink()


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` at once, or not at all. Raises StorageError."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` (UTF-8) to `path` at once, or not at all. Raises StorageError."""
    write_bytes(path, text.encode())


def read_bytes(path: str | Path) -> bytes:
    """Content of a file. Raises StorageError if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"cannot read {path}: {reason}; check the name and its permissions") from error


def files_below(folder: Path, endings: Collection[str]) -> Listing:
    """Files below `folder` with one of `endings`, such as ".png", in lower or upper case.

    Hidden files are left out, and so is what is no file, such as folders called x.png and FIFOs;
    links to folders are not followed.
    """
    names, unreadable = [], {}

    def note(error: OSError) -> None:
        place = Path(error.filename or folder).relative_to(folder)
        unreadable[place] = f"cannot be read: {error.strerror}; change its permissions"

    for place, folders, files in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(place, name) for name in files if not name.startswith(".")]
        names += [path.relative_to(folder) for path in paths if not is_special(path)]
    return Listing(sorted(name for name in names if name.suffix.lower() in endings), unreadable)


@contextmanager
def _temporary(place: Path) -> Iterator[Path]:
    """Yield a short name beside `place`, taken by nobody else, that becomes `place`."""
    if place.is_symlink():  # all other links are resolved
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    temporary = place.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        _make_folder(place.parent)
        _unfinished.add(temporary)
        yield temporary
        if os.path.isfile(place):
            _hand_on(place.stat(), temporary)
        os.replace(temporary, place)
    finally:
        with suppress(OSError):
            temporary.unlink()
        _unfinished.discard(temporary)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error


def _hand_on(old: os.stat_result, path: Path) -> None:
    """Give `path` the owner and the permissions of another file."""
    if hasattr(os, "chown"):
        with suppress(OSError):  # only an administrator may give files away
            os.chown(path, old.st_uid, old.st_gid)
    path.chmod(stat.S_IMODE(old.st_mode))

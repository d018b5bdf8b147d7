# SPDX-License-Identifier: MIT
"""Writing files so that nothing is ever half-written: a temporary name first, then a rename."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vgic_lib.errors import StorageError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is renamed to `path`, else removed.

    Raises:
        StorageError: the folder cannot be made or the file cannot be written (full disk,
            read-only folder).
    """
    path = Path(path)
    if path.parent.exists() and not path.parent.is_dir():
        raise StorageError(f"cannot write {path}: {path.parent} is not a folder; choose another name")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(
            f"cannot write {path}: {reason}; free some space or choose a folder you may write to"
        ) from error
    finally:
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

# SPDX-License-Identifier: MIT
"""A table that survives: lines under keys in a CSV file, appended as they are made.

A killed process loses nothing that it had added; several processes may add to one file. What is added again
under a known key takes the place of the earlier lines, on disk when the file is next rewritten.

An empty line ends what was added at once; what follows the last one is what a machine that lost power left.
"""

import csv
import io
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from vgic_lib.errors import DataError, StorageError
from vgic_lib.files import read_bytes, write_bytes

END = b"\n"  # an empty line
Key = tuple[str, ...]
Line = Mapping[str, object]


class KeyedTable:
    """Lines of text under keys; all lines of a key are added at once.

    Args:
        path: of the CSV file; it need not exist.
        columns: names, in order.
        key: what makes the key of a line, or the names of the columns that do.
        source: what made the file and can make it again: "notebook 04".
        later: of the columns, those that a file of an earlier version may lack; they read as "".

    Raises:
        DataError: the file has other columns, or is damaged.
        StorageError: it cannot be read.
    """

    def __init__(
        self,
        path: str | Path,
        columns: Sequence[str],
        key: Sequence[str] | Callable[[Line], Key],
        source: str,
        later: Collection[str] = (),
    ) -> None:
        self._path, self._columns, self._source = Path(path), list(columns), source
        self._later, self._found = later, self._columns
        names = () if callable(key) else tuple(key)
        self._key = key if callable(key) else lambda line: tuple(str(line[name]) for name in names)
        self._groups = self._read()

    def __contains__(self, key: Key) -> bool:
        """Whether there are lines of a key."""
        return key in self._groups

    def __getitem__(self, key: Key) -> list[dict[str, str]]:
        """Lines of a key. Raises KeyError."""
        return self._groups[key]

    def __iter__(self) -> Iterator[dict[str, str]]:
        """All lines, in the order in which their keys were first added."""
        return (line for group in self._groups.values() for line in group)

    def add(self, lines: Iterable[Line]) -> None:
        """Add all lines of one key, on disk at once or not at all. Raises StorageError."""
        group = [{name: str(line[name]) for name in self._columns} for line in lines]
        if self._found != self._columns:
            self.rewrite()
        with self._locked():
            whole = _complete(read_bytes(self._path)) if self._path.exists() else 0
            try:
                with self._path.open("ab") as file:
                    file.truncate(whole)
                    file.write((b"" if whole else self._encoded([])) + self._encoded(group, header=False))
            except OSError as error:
                with suppress(OSError):
                    os.truncate(self._path, whole)
                reason = error.strerror or str(error)
                raise StorageError(f"cannot write {self._path}: {reason}; free some space") from error
        self._groups[self._key(group[0])] = group

    def rewrite(self) -> None:
        """Write each key once, with what other processes have added since; at once, or not at all.

        Raises:
            DataError, StorageError: the file was damaged meanwhile, or cannot be written.
        """
        with self._locked():
            self._groups = self._read()
            if self._groups or self._found != self._columns:
                write_bytes(self._path, self._encoded(self))
            self._found = self._columns

    def _encoded(self, lines: Iterable[Mapping[str, str]], header: bool = True) -> bytes:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        if header:
            writer.writerow(self._columns)
        writer.writerows([line[name] for name in self._columns] for line in lines)
        return buffer.getvalue().encode() + END

    def _read(self) -> dict[Key, list[dict[str, str]]]:
        data = read_bytes(self._path) if self._path.exists() else b""
        data = data[: _complete(data)]
        if not data:
            return {}
        again = f"delete it and run {self._source} again"
        reader = csv.reader(io.StringIO(data.decode()))
        self._found = next(reader)
        lacking = [name for name in self._columns if name not in self._found and name in self._later]
        if self._found != [name for name in self._columns if name not in lacking]:
            raise DataError(f"{self._path} was written by another version of VGIC; {again}")
        groups, last = {}, None
        for cells in reader:
            if cells and len(cells) != len(self._found):
                raise DataError(f"{self._path} is damaged in line {reader.line_num}; {again}")
            line = dict.fromkeys(lacking, "") | dict(zip(self._found, cells, strict=False))
            key = self._key(line) if cells else None
            if cells and key != last:
                groups[key] = []
            if cells:
                groups[key].append(line)
            last = key
        return groups

    def _locked(self) -> FileLock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self._path.with_name(f".{self._path.name}.lock"))


def _complete(data: bytes) -> int:
    """Length of what was added completely; a table without empty lines is one of an earlier version."""
    end = data.rfind(b"\n" + END)
    return end + 2 if end >= 0 else data.rfind(b"\n") + 1

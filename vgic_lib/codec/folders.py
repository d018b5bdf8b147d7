# SPDX-License-Identifier: MIT
"""What is in a folder, and what new files made from it are called."""

import hashlib
import os
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from vgic_lib.errors import DataError
from vgic_lib.files import is_special

LONGEST_NAME = 255  # bytes of a file's name


def files_below(folder: Path, endings: frozenset[str]) -> tuple[list[Path], list[str]]:
    """Files below `folder` with one of `endings`, relative to it, sorted; a line for each unreadable folder.

    Hidden files are left out, and so is what is no file, such as folders called x.png and FIFOs;
    links to folders are not followed.

    Raises:
        DataError: there is none.
    """
    names, errors = [], []

    def report(error: OSError) -> None:
        errors.append(f"cannot read {error.filename}: {error.strerror}; change its permissions")

    for place, folders, files in os.walk(folder, onerror=report):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(place, name) for name in files if not name.startswith(".")]
        names += [path.relative_to(folder) for path in paths if not is_special(path)]
    names = sorted(name for name in names if name.suffix.lower() in endings)
    if not names and not errors:
        raise DataError(f"{folder} holds no file to convert; check the folder's name")
    return names, errors


def new_names(names: Sequence[Path], rename: Callable[[str], str]) -> dict[Path, Path]:
    """New names of files in a folder, as `rename` makes them, all different.

    Names that a system may take for the same, as it ignores case or the way that accents are written, and
    names that are too long for a disk get "~" and eight digits of the old name's digest before the ending.
    """
    found, taken = {}, set()
    for name in sorted(names, reverse=True):  # of A.png and a.png, the latter keeps its name
        new_name = name.with_name(rename(name.name))
        same = unicodedata.normalize("NFC", str(new_name)).casefold()
        if same in taken or len(os.fsencode(new_name.name)) > LONGEST_NAME:
            end = f"~{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}{new_name.suffix}"
            start = os.fsencode(new_name.stem)[: LONGEST_NAME - len(end)].decode(errors="ignore")
            new_name = name.with_name(start + end)
        taken.add(same)
        found[name] = new_name
    return dict(sorted(found.items()))

# SPDX-License-Identifier: MIT
"""What new files made from those in a folder are called."""

import hashlib
import os
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

LONGEST_NAME = 255  # bytes of a file's name


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

# SPDX-License-Identifier: MIT
"""Names in folders: all different wherever they are written, and short enough."""

import os
from pathlib import Path

import pytest

from vgic_lib.codec.folders import new_names


def renamed(*names):
    found = new_names([Path(name) for name in names], "{}.vgic".format)
    return [found[Path(name)].as_posix() for name in names]


def test_a_name_depends_on_the_file_alone():
    assert renamed("a.png", "a.jpg", "b/a.png") == ["a.png.vgic", "a.jpg.vgic", "b/a.png.vgic"]
    assert renamed("a.png") == ["a.png.vgic"]


@pytest.mark.parametrize(
    "names",
    [("a.png", "A.png", "a.PNG"), ("b/a.png", "B/a.png"), ("\u00fc.png", "u\u0308.png"), ("ss", "\u00df")],
)
def test_names_that_some_systems_take_for_the_same(names):
    found = renamed(*names)
    assert len(set(map(str.casefold, found))) == len(names)
    assert all(Path(new).name.startswith(Path(old).name) for old, new in zip(names, found, strict=True))
    assert renamed(*names[::-1]) == found[::-1]
    assert sum("~" not in new for new in found) == 1


@pytest.mark.parametrize("letter", ["x", "\u00fc", "\udcff"])
def test_names_that_are_too_long(letter):
    stem = letter * (255 // len(os.fsencode(letter)))
    found = renamed(stem, stem[:-1] + "y")
    assert len(set(found)) == 2
    for name in found:
        assert len(os.fsencode(name)) <= 255 and name.endswith(".vgic")

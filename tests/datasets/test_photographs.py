# SPDX-License-Identifier: MIT
"""Data sets: what is used, what is skipped and why, the split, the manifest, the crops."""

import csv
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers.surroundings import closed
from PIL import Image

from vgic_lib.datasets.photographs import (
    SPLITS,
    load,
    prepare,
    read_manifest,
    split,
    verify,
    write_manifest,
)
from vgic_lib.errors import DataError, ParameterError


def picture(path, seed=0, size=(80, 70)):
    """Write a picture of random pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    """Twelve good pictures and one bad one of each kind."""
    folder = tmp_path / "photos"
    for index in range(12):
        picture(folder / f"{index:02}.png", index)
    picture(folder / "inside" / "03.png", 100)
    picture(folder / "tiny.png", 101, (80, 10))
    picture(folder / "twin.tif", 5)
    whole = picture(folder / "cut.png", 102).read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.new("CMYK", (80, 80)).save(folder / "print.jpg")
    (folder / "notes.txt").write_text("not a picture, and not named like one")
    (folder / ".hidden.png").write_text("left by a file manager")
    return folder


def test_folder_uses_good_pictures_and_lists_the_others(folder):
    found = prepare("folder", folder=str(folder))
    assert len(found.photographs) == 13
    reasons = {skipped.name: skipped.reason for skipped in found.skipped}
    assert set(reasons) == {"cut.png", "print.jpg", "tiny.png", "twin.tif"}
    for name, words in {"cut": "damaged", "print": "CMYK", "tiny": "80x10", "twin": "05.png"}.items():
        assert words in next(reason for key, reason in reasons.items() if key.startswith(name))
    names = [photograph.name for photograph in found.photographs]
    assert len(set(names)) == 13 and any(name.startswith("03-") for name in names)
    first = found.photographs[0]
    assert (first.name, first.width, first.height) == ("00", 80, 70)
    assert first.bytes == (folder / "00.png").stat().st_size


def test_split_follows_content_alone(folder, tmp_path):
    found = prepare("folder", folder=str(folder))
    for photograph in found.photographs:  # other names, other order, other file format
        Image.open(photograph.path).save(picture(tmp_path / "again" / f"{photograph.sha256}.tif"))
    again = prepare("folder", folder=str(tmp_path / "again"))
    assert {p.content: p.split for p in found.photographs} == {p.content: p.split for p in again.photographs}
    assert [p.sha256 for p in found.photographs] != [p.sha256 for p in again.photographs]


@pytest.mark.parametrize(
    ("number", "fractions", "expected"),
    [
        (1, (0.8, 0.1, 0.1), (1, 0, 0)),
        (3, (0.8, 0.1, 0.1), (1, 1, 1)),
        (3, (0.0, 0.5, 0.5), (0, 2, 1)),
        (4, (0.1, 0.1, 0.8), (1, 1, 2)),
        (7, (0.8, 0.1, 0.1), (5, 1, 1)),
        (100, (0.8, 0.1, 0.1), (80, 10, 10)),
        (24, (0, 0, 1), (0, 0, 24)),
    ],
)
def test_split_sizes(number, fractions, expected):
    splits = list(split([f"{index:03}" for index in range(number)], fractions).values())
    assert tuple(splits.count(name) for name in SPLITS) == expected


def test_limit_and_minimum_side(folder):
    assert [p.name for p in prepare("folder", folder=str(folder), limit=3).photographs] == [
        "00",
        "01",
        "02",
    ]
    assert "tiny" in {p.name for p in prepare("folder", folder=str(folder), minimum_side=10).photographs}


def test_embedded_photographs_need_no_network(home):
    found = prepare("embedded")
    assert len(found.photographs) == 7 and not found.skipped
    assert {p.split for p in found.photographs} == set(SPLITS)
    assert all(p.licence for p in found.photographs)
    written = {path: path.stat().st_mtime_ns for path in (home / "data" / "embedded").iterdir()}
    assert prepare("embedded") == found
    assert {path: path.stat().st_mtime_ns for path in written} == written


@pytest.mark.parametrize(
    ("dataset", "folder", "words"),
    [
        ("imagenet", "", "embedded, kodak, flickr8k, flickr30k, folder"),
        ("folder", "", "no folder is named"),
        ("folder", "nowhere", "does not exist"),
        ("kodak", "somewhere", "set the data set to 'folder'"),
    ],
)
def test_wrong_data_set(dataset, folder, words):
    with pytest.raises(DataError, match=words):
        prepare(dataset, folder=folder)


def test_what_is_no_file_is_left_out_and_a_closed_folder_is_told(folder):
    os.mkfifo(folder / "fifo.png")  # to read it would take forever
    (folder / "album.png").mkdir()
    expected = prepare("folder", folder=str(folder))
    picture(folder / "shut" / "a.png", 300)
    with closed(folder / "shut"):
        found = prepare("folder", folder=str(folder))
    assert found.photographs == expected.photographs
    assert ("shut", "cannot be read: Permission denied; change its permissions") in found.skipped
    assert set(found.skipped) - set(expected.skipped) == {found.skipped[0]}


def test_no_usable_picture(tmp_path):
    with pytest.raises(DataError, match="no picture file"):
        prepare("folder", folder=str(tmp_path))
    (tmp_path / "x.png").write_text("nothing")
    with pytest.raises(DataError, match=r"x\.png.*not a picture"):
        prepare("folder", folder=str(tmp_path))


@pytest.mark.parametrize("wrong", [{"fractions": (0.9, 0.2, -0.1)}, {"limit": -1}, {"minimum_side": 0}])
def test_impossible_parameters(folder, wrong):
    with pytest.raises(ParameterError):
        prepare("folder", folder=str(folder), **wrong)


def test_manifest_round_trip(folder, tmp_path):
    found = prepare("folder", folder=str(folder))
    write_manifest(found, tmp_path / "run" / "manifest.csv")
    again = read_manifest(tmp_path / "run" / "manifest.csv")
    assert again == found
    verify(again)


def paths_in(manifest):
    with manifest.open(encoding="utf-8", newline="") as file:
        return [row["path"] for row in csv.DictReader(file) if row["path"]]


def test_project_can_be_moved_with_its_data(home, monkeypatch):
    here, there = home / "here", home / "there"
    picture(home / "disk" / "linked.png", 50)
    monkeypatch.setenv("VGIC_HOME", str(here))
    for index in range(3):
        picture(here / "data" / "mine" / f"{index}.png", index)
    (here / "data" / "mine" / "linked").symlink_to(home / "disk")
    picture(here / "data" / "mine" / "linked.png", 51)
    write_manifest(prepare("folder", folder=str(here / "data" / "mine")), here / "manifest.csv")
    assert all(path.startswith("data/mine/") for path in paths_in(here / "manifest.csv"))
    shutil.move(here, there)
    monkeypatch.setenv("VGIC_HOME", str(there))
    moved = read_manifest(there / "manifest.csv")
    verify(moved)
    assert {p.path for p in moved.photographs} == {
        p.path for p in prepare("folder", folder=str(there / "data" / "mine")).photographs
    }


def test_photographs_outside_the_project_keep_their_path(home, monkeypatch):
    monkeypatch.setenv("VGIC_HOME", str(home / "project"))
    path = picture(home / "elsewhere" / "a.png")
    write_manifest(prepare("folder", folder=str(path.parent)), home / "project" / "manifest.csv")
    assert paths_in(home / "project" / "manifest.csv") == [str(path)]
    monkeypatch.setenv("VGIC_HOME", str(home / "moved"))
    verify(read_manifest(home / "project" / "manifest.csv"))


def test_names_that_files_and_figures_cannot_bear(tmp_path):
    good = picture(tmp_path / "photos" / f"{'x' * 240}.png", 0)
    try:
        shutil.copy(picture(good.with_name("b.png"), 1), os.fsencode(good.parent) + b"/\xff\xfe.png")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    found = prepare("folder", folder=str(good.parent))
    assert all(len(photograph.name) <= 128 for photograph in found.photographs)
    assert [skipped.reason for skipped in found.skipped] == ["its name is not UTF-8; rename it"]
    write_manifest(found, tmp_path / "manifest.csv")
    assert read_manifest(tmp_path / "manifest.csv") == found


def test_verify_names_the_picture_that_changed(folder):
    found = prepare("folder", folder=str(folder))
    picture(folder / "04.png", 200)
    with pytest.raises(DataError, match=r"04\.png"):
        verify(found)
    (folder / "04.png").unlink()
    with pytest.raises(DataError, match=r"04\.png"):
        verify(found)


@pytest.mark.parametrize("damage", [("width", "size"), ("80,70", "80,high"), (",train,", ",practice,")])
def test_manifest_that_is_none(folder, tmp_path, damage):
    path = tmp_path / "manifest.csv"
    with pytest.raises(DataError, match="01_data_preparation first"):
        read_manifest(path)
    write_manifest(prepare("folder", folder=str(folder)), path)
    path.write_text(path.read_text().replace(*damage))
    with pytest.raises(DataError, match="not a manifest"):
        read_manifest(path)


def test_load(folder):
    photographs = prepare("folder", folder=str(folder)).photographs[:2]
    arrays = load(photographs)
    assert [x.shape for x in arrays] == [(70, 80, 3)] * 2
    assert np.array_equal(arrays[1], np.asarray(Image.open(photographs[1].path)))
    with pytest.raises(Exception, match="does not exist"):
        load([replace(photographs[0], path=str(folder / "gone.png"))])

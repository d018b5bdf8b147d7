# SPDX-License-Identifier: MIT
"""Files to files: names, what is skipped, what is replaced, and what becomes of files that fail."""

import errno
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers.fakes import FakeModel, install
from helpers.surroundings import closed, largest_file
from PIL import Image

from vgic_lib import codec
from vgic_lib.bitstream import container
from vgic_lib.codec import conversion, memory
from vgic_lib.errors import ImageError, ParameterError, StorageError


@pytest.fixture(autouse=True)
def model(monkeypatch):
    fake = FakeModel()
    install(monkeypatch, fake)
    monkeypatch.setenv("VGIC_PROGRESS", "0")
    return fake


@pytest.fixture
def compress(model):
    """Compress a file or folder; options as in `compression`."""

    def run(source, target, force=False, **options):
        return conversion.run(conversion.compression(model, **options), source, target, force)

    return run


def decompress(source, target, force=False):
    return conversion.run(conversion.decompression(), source, target, force)


@pytest.fixture
def album(tmp_path):
    return make(tmp_path / "album", "a.png", "a.bmp", "trip/a.png")


def make(folder, *names):
    """Pictures of noise, each another one."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        seed = int.from_bytes(os.fsencode(name)[-4:])
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 14, 3), np.uint8)).save(
            folder / name
        )
    return folder


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_file_into_a_folder_that_exists_or_ends_in_a_slash(album, tmp_path, compress):
    (tmp_path / "out").mkdir()
    for folder in (str(tmp_path / "out"), f"{tmp_path}/new/"):
        assert compress(album / "a.png", folder).target == os.path.join(folder, "a.png.vgic")
    assert contents(tmp_path / "new") == contents(tmp_path / "out")
    decompress(tmp_path / "new" / "a.png.vgic", f"{tmp_path}/back/")
    assert list(contents(tmp_path / "back")) == ["a.png.png"]


def test_folders_there_and_back(album, tmp_path, compress):
    make(album, ".hidden.png", ".hidden/a.png")
    (album / "notes.txt").write_text("not a picture, and not named like one", encoding="utf-8")
    (album / "folder.png").mkdir()
    os.mkfifo(album / "fifo.png")
    assert compress(album, tmp_path / "small") == (str(tmp_path / "small"), "3 of 3 files done", (), 3)
    assert set(contents(tmp_path / "small")) == {"a.png.vgic", "a.bmp.vgic", "trip/a.png.vgic"}
    assert decompress(tmp_path / "small", tmp_path / "back").text == "3 of 3 files done"
    assert set(contents(tmp_path / "back")) == {"a.png.png", "a.bmp.png", "trip/a.png.png"}


def test_a_folder_converted_into_itself_again_and_again(album, compress):
    """Each file has a name of its own, and nothing is written over."""
    count = 3
    for _ in range(2):
        assert compress(album, album).text.startswith(f"{count} of {count} files done")
        assert len(contents(album)) == 2 * count if count == 3 else 3 * count
        before = contents(album)
        decompress(album, album)
        assert before.items() <= contents(album).items()
        count = sum(1 for name in contents(album) if not name.endswith(".vgic"))


def test_a_picture_that_comes_later_changes_no_name(album, tmp_path, compress):
    compress(album, tmp_path / "small")
    before = contents(tmp_path / "small")
    make(album, "a.jpg", "A.png")
    assert "3 done before" in compress(album, tmp_path / "small").text
    after = contents(tmp_path / "small")
    assert before.items() <= after.items() and len(after) == 5
    assert len({name.casefold() for name in after}) == 5


def test_finished_files_are_skipped_and_all_others_are_kept(album, tmp_path, compress):
    small = tmp_path / "small"
    compress(album, small, quality=80)
    (small / "a.bmp.vgic").unlink()
    assert compress(album, small, quality=80).text == "3 of 3 files done, 2 done before"
    before = contents(small)
    for options in ({}, {"quality": 80, "search_steps": 1}, {"target_bytes": 10**6}, {"target_psnr": 9}):
        summary = compress(album, small, **options)
        assert summary.text == "0 of 3 files done" and all("--force" in error for error in summary.errors)
    assert contents(small) == before
    make(album, "a.jpg")
    (album / "a.png").write_bytes((album / "a.jpg").read_bytes())  # another picture under an old name
    assert [error for error in compress(album, small, quality=80).errors if "a.png" in error]
    (small / "a.bmp.vgic").write_bytes(b"mine")
    assert len(compress(album, small, quality=80).errors) == 2
    assert compress(album, small, quality=80, force=True).text == "4 of 4 files done"


def test_finished_pictures_are_skipped(album, tmp_path, compress):
    compress(album / "a.png", tmp_path / "a.vgic")
    decompress(tmp_path / "a.vgic", tmp_path / "a.png")
    assert decompress(tmp_path / "a.vgic", tmp_path / "a.png").text == "done before"
    (tmp_path / "a.png").write_bytes(b"mine")
    with pytest.raises(StorageError, match="--force"):
        decompress(tmp_path / "a.vgic", tmp_path / "a.png")


def test_a_folder_goes_on_past_bad_files_and_names_them(monkeypatch, album, tmp_path, compress):
    (album / "bad.png").write_bytes((album / "a.png").read_bytes()[:60])
    (album / "gone.png").symlink_to("nowhere")
    Image.new("RGB", (1, 65536)).save(album / "tall.png")
    monkeypatch.setattr(memory, "available_bytes", lambda: 100_000)
    Image.new("RGB", (999, 999)).save(album / "large.png")
    summary = compress(album, tmp_path / "small")
    assert summary.text == "3 of 7 files done"
    for name, error in zip(("bad", "gone", "large", "tall"), summary.errors, strict=True):
        assert str(album / f"{name}.png") in error
    assert "GB are free" in summary.errors[2]


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] CPUAllocator: can't allocate memory")]
)  # fmt: skip
def test_memory_that_runs_out_costs_one_picture(monkeypatch, album, tmp_path, compress, error):
    whole = codec.compress

    def fail(image, **options):
        if len(calls) == 1:
            calls.append(image)
            raise error
        calls.append(image)
        return whole(image, **options)

    calls = []
    monkeypatch.setattr(codec, "compress", fail)
    summary = compress(album, tmp_path / "small")
    assert summary.text == "2 of 3 files done"
    assert len(summary.errors) == 1 and f"{album / 'a.png'}: not enough memory" in summary.errors[0]


def test_a_folder_that_cannot_be_read_is_an_error_of_its_own(album, tmp_path, compress):
    with closed(album / "trip"):
        summary = compress(album, tmp_path / "small")
    assert summary.text == "2 of 2 files done"
    assert len(summary.errors) == 1 and f"{album / 'trip'} cannot be read: Permission" in summary.errors[0]


def test_sizes_out_of_reach_are_told_of_each_picture(album, tmp_path, compress):
    Image.new("RGB", (400, 300), "red").save(album / "large.png")
    size = max(
        map(len, (codec.compress(Image.open(album / name), quality=100) for name in ("a.png", "a.bmp")))
    )
    summary = compress(album, tmp_path / "small", target_bytes=size + 9)
    assert "3 at quality 100" in summary.text and summary.count == 4


@pytest.mark.parametrize(
    ("source", "target"), [("", "x.vgic"), ("x.png", ""), ("album", "-"), ("album", "file")]
)
def test_names_that_are_refused(monkeypatch, album, tmp_path, compress, source, target):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ParameterError):
        compress(source, target)


def test_links_and_devices_as_outputs(album, tmp_path, compress):
    (tmp_path / "link.vgic").symlink_to("target.vgic")
    with pytest.raises(StorageError, match="--force"):
        compress(album / "a.png", tmp_path / "link.vgic")
    compress(album / "a.png", tmp_path / "link.vgic", force=True)
    assert (tmp_path / "link.vgic").is_symlink()
    assert "done before" in compress(album / "a.png", tmp_path / "link.vgic").text
    with pytest.raises(StorageError, match="--force"):
        compress(album / "a.png", os.devnull)
    compress(album / "a.png", os.devnull, force=True)
    os.mkfifo(tmp_path / "fifo")
    with ThreadPoolExecutor() as threads:
        written = threads.submit(compress, album / "a.png", tmp_path / "fifo", force=True)
        back = threads.submit(decompress, tmp_path / "fifo", tmp_path / "back.png")
        assert written.result(timeout=60).text and back.result(timeout=60).text == "14 x 9 RGB"


@pytest.mark.parametrize("length", [248, 251, 255])
def test_the_longest_names(tmp_path, compress, length):
    stems = ["ä" * ((length - 5) // 2) + letter * (1 + (length - 5) % 2) for letter in "xy"]
    album = make(tmp_path / "album", *(f"{stem}.png" for stem in stems))
    assert compress(album, tmp_path / "small").text == "2 of 2 files done"
    assert decompress(tmp_path / "small", tmp_path / "back").text == "2 of 2 files done"
    assert "2 done before" in compress(album, tmp_path / "small").text


def test_a_disk_that_is_full_at_any_moment_leaves_nothing_half_written(
    monkeypatch, album, tmp_path, compress
):
    """Whatever step of the writing fails, the old file stays and nothing lies beside it."""
    target = make(tmp_path / "out", "a.png").joinpath("a.vgic")
    target.write_bytes(b"old")
    before = contents(target.parent)

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for owner, name in [(Path, "write_bytes"), (os, "utime"), (Path, "chmod"), (os, "replace")]:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, fail)
            with pytest.raises(StorageError, match="No space left"):
                compress(album / "a.png", target, force=True)
        assert contents(target.parent) == before
    size = len(codec.compress(Image.open(album / "a.png")))
    for limit in random.Random(0).sample(range(size), 9):  # after so many bytes
        with largest_file(limit), pytest.raises(StorageError, match="cannot write"):
            compress(album / "a.png", target, force=True)
        assert contents(target.parent) == before


def test_a_picture_too_large_for_the_memory_is_refused_before_it_is_decoded(
    monkeypatch, album, tmp_path, compress
):
    compress(album / "a.png", tmp_path / "a.vgic")
    monkeypatch.setattr(memory, "available_bytes", lambda: 10)
    monkeypatch.setattr(codec, "decompress", None)
    with pytest.raises(ImageError, match="a.vgic: 14 x 9 pixels need"):
        decompress(tmp_path / "a.vgic", tmp_path / "b.png")


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp"])
def test_metadata_are_kept_on_request_and_else_named(tmp_path, compress, ending):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera"
    exif.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    exif.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
    Image.new("RGB", (14, 9)).save(tmp_path / "a.jpg", exif=exif, xmp=b"<x:xmpmeta>mine</x:xmpmeta>")
    assert "without its date and place" in compress(tmp_path / "a.jpg", tmp_path / "plain.vgic").text
    said = compress(tmp_path / "a.jpg", tmp_path / "kept.vgic", keep_metadata=True).text
    assert "date" not in said
    decompress(tmp_path / "kept.vgic", tmp_path / f"back{ending}")
    with Image.open(tmp_path / f"back{ending}") as back:
        assert back.size == (9, 14)
        found = back.getexif()
        assert found[0x010F] == "Camera" and found.get(0x0112, 1) == 1
        assert found.get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"
        assert b"mine" in back.info["xmp"] if ending != ".png" else "mine" in str(back.info)
    decompress(tmp_path / "plain.vgic", tmp_path / f"plain{ending}")
    with Image.open(tmp_path / f"plain{ending}") as plain:
        assert 0x010F not in plain.getexif()


def test_a_file_is_taken_apart_once(album, compress, tmp_path, monkeypatch):
    packed, out = tmp_path / "a.vgic", tmp_path / "a.png"
    compress(album / "a.png", packed)
    calls, unpack = [], container.unpack
    monkeypatch.setattr(container, "unpack", lambda data: calls.append(len(data)) or unpack(data))
    for work in (lambda: decompress(packed, out), lambda: codec.decompress(packed.read_bytes())):
        calls.clear()
        work()
        assert calls == [packed.stat().st_size]

# SPDX-License-Identifier: MIT
"""Files are written whole or not at all, and every failure is one line."""

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.surroundings import closed

from vgic_lib.errors import StorageError
from vgic_lib.files import (
    atomic_path,
    discard_unfinished,
    files_below,
    is_special,
    read_bytes,
    write_bytes,
    write_text,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_bytes_and_text_come_back_and_folders_are_made(tmp_path):
    write_bytes(tmp_path / "a" / "b" / "data", b"\x00\xff")
    write_text(tmp_path / "a" / "text", "größer")
    assert read_bytes(tmp_path / "a" / "b" / "data") == b"\x00\xff"
    assert (tmp_path / "a" / "text").read_text(encoding="utf-8") == "größer"
    assert names(tmp_path / "a") == ["b", "text"]


def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path):
    target = tmp_path / "file"
    write_bytes(target, b"old")
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.parent == tmp_path  # a rename within one file system cannot fail half-way
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()], ids=repr)
def test_an_interrupted_writer_leaves_nothing_behind(tmp_path, error):
    write_bytes(tmp_path / "file", b"old")
    with pytest.raises(type(error)), atomic_path(tmp_path / "file") as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert names(tmp_path) == ["file"]
    assert read_bytes(tmp_path / "file") == b"old"


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path):
    write_bytes(tmp_path / "file", b"old")
    with pytest.raises(StorageError, match="No space left") as caught, atomic_path(tmp_path / "file") as path:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == ["file"]
    assert read_bytes(tmp_path / "file") == b"old"


def test_a_file_where_a_folder_must_be(tmp_path):
    write_bytes(tmp_path / "file", b"")
    with pytest.raises(StorageError, match="cannot write"):
        write_bytes(tmp_path / "file" / "below", b"")


def test_a_folder_where_the_file_must_be(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(StorageError, match="cannot write"):
        write_bytes(tmp_path / "taken", b"data")
    assert names(tmp_path) == ["taken"]


def test_a_killed_writer_never_leaves_half_a_file_under_the_real_name(tmp_path):
    write_bytes(tmp_path / "file", b"old")
    program = (
        "import os, signal, sys; from vgic_lib.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as path:\n"
        "    path.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "file")], check=False)
    assert read_bytes(tmp_path / "file") == b"old"
    assert [name for name in names(tmp_path) if not name.startswith(".")] == ["file"]


def test_permissions_are_kept_and_new_files_have_the_usual_ones(tmp_path):
    earlier = os.umask(0o027)
    try:
        write_bytes(tmp_path / "new", b"data")
        write_bytes(tmp_path / "kept", b"old")
        (tmp_path / "kept").chmod(0o406)
        write_bytes(tmp_path / "kept", b"new")
    finally:
        os.umask(earlier)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o406
    assert read_bytes(tmp_path / "kept") == b"new"


@pytest.mark.parametrize("target", ["file", "not-there-yet"])
def test_a_link_stays_and_its_target_gets_the_data(tmp_path, target):
    write_bytes(tmp_path / "folder" / "file", b"old")
    (tmp_path / "link").symlink_to(tmp_path / "folder" / target)
    (tmp_path / "link to it").symlink_to("link")
    write_bytes(tmp_path / "link to it", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "link to it").is_symlink()
    assert read_bytes(tmp_path / "folder" / target) == b"new"
    assert names(tmp_path / "folder") == sorted({"file", target})


def test_links_in_a_circle_are_one_line(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(StorageError, match="symbolic links"):
        write_bytes(tmp_path / "a", b"data")
    assert names(tmp_path) == ["a", "b"]


def test_a_fifo_and_a_device_are_written_into(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with ThreadPoolExecutor() as threads:
        read = threads.submit(read_bytes, tmp_path / "fifo")
        write_bytes(tmp_path / "fifo", b"data")
        assert read.result(timeout=9) == b"data"
    assert is_special(tmp_path / "fifo") and names(tmp_path) == ["fifo"]
    write_bytes(os.devnull, b"data")
    assert is_special(os.devnull)


def test_the_longest_names_and_one_name_for_many_threads(tmp_path):
    name = "ü" * 127 + "x"  # 255 bytes
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: write_bytes(tmp_path / name, bytes([number]) * 9), range(40)))
    assert names(tmp_path) == [name] and len(set(read_bytes(tmp_path / name))) == 1
    with pytest.raises(StorageError, match="too long"):
        write_bytes(tmp_path / f"{name}x", b"data")


def test_what_is_unfinished_can_be_discarded(tmp_path):
    with pytest.raises(StorageError), atomic_path(tmp_path / "file") as temporary:
        temporary.write_bytes(b"half")
        discard_unfinished()
        assert names(tmp_path) == []


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(StorageError, match="cannot read .*nothing") as caught:
        read_bytes(tmp_path / "nothing")
    assert "\n" not in str(caught.value)


def make(folder, *names):
    for name in names:
        write_bytes(folder / name, b"")


def test_files_below_a_folder(tmp_path):
    make(tmp_path, "b.png", "a.PNG", "notes.txt", ".hidden.png", ".trash/c.png", "trip/b.jpg", "x.png/d.png")
    make(tmp_path.with_name("elsewhere"), "e.png")
    (tmp_path / "linked.png").symlink_to(tmp_path / "b.png")
    (tmp_path / "far").symlink_to(tmp_path.with_name("elsewhere"))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo.png")
    expected = ["a.PNG", "b.png", "linked.png", "trip/b.jpg", "x.png/d.png"]
    assert files_below(tmp_path, {".png", ".jpg"}) == ([Path(name) for name in expected], {})


def test_a_folder_that_cannot_be_read_is_told(tmp_path):
    make(tmp_path, "a.png", "shut/b.png")
    reason = "cannot be read: Permission denied; change its permissions"
    with closed(tmp_path / "shut"):
        assert files_below(tmp_path, {".png"}) == ([Path("a.png")], {Path("shut"): reason})
    with closed(tmp_path):
        assert files_below(tmp_path, {".png"}) == ([], {Path("."): reason})

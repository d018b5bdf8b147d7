# SPDX-License-Identifier: MIT
"""Downloads from a server on loopback that cuts connections, refuses, lies and dies."""

import hashlib
import io
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from vgic_lib.datasets import downloads, sources
from vgic_lib.datasets.photographs import prepare
from vgic_lib.errors import DataError, StorageError

CONTENT = np.random.default_rng(0).bytes(2**20)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `files`; the test sets how it misbehaves."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files = {"x.bin": CONTENT}
        self.cuts = []  # bytes after which the next connections are cut
        self.stall_s = 0.0  # before a cut
        self.statuses = []  # errors that the next requests are answered with
        self.ranges = True  # whether it can continue
        self.asked = []  # Range header of each request


class Handler(BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        content = server.files.get(self.path.strip("/"))
        if server.statuses or content is None:
            return self.send_error(server.statuses.pop(0) if server.statuses else 404)
        start = int(wanted[6:-1]) if wanted and server.ranges else 0
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        length = server.cuts.pop(0) if server.cuts else len(content)
        self.wfile.write(content[start : start + length])
        if length < len(content) - start:
            time.sleep(server.stall_s)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(downloads, "WAIT_S", 0.0)
    monkeypatch.setattr(downloads, "CHUNK", 2**14)
    with Server() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def names(folder):
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_whole_file_once(server, tmp_path):
    for _ in range(2):
        path = downloads.fetch(f"{server.url}/x.bin", SHA256, tmp_path / "new" / "y.bin")
    assert path.read_bytes() == CONTENT and names(path.parent) == ["y.bin"]
    assert server.asked == [None]


def test_progress_is_shown(server, tmp_path, capsys):
    downloads.fetch(f"{server.url}/x.bin", SHA256, tmp_path / "x.bin", label="flowers")
    shown = "".join(capsys.readouterr())
    assert "flowers" in shown and "100%" in shown


def test_cut_connection_is_continued(server, tmp_path):
    server.cuts = [500_000, 300_000]
    downloads.fetch(f"{server.url}/x.bin", SHA256, tmp_path / "x.bin")
    assert (tmp_path / "x.bin").read_bytes() == CONTENT
    starts = [int(wanted[6:-1]) for wanted in server.asked[1:]]
    assert server.asked[0] is None and len(starts) == 2
    assert 400_000 < starts[0] <= 500_000 < starts[1] <= 800_000


def test_cut_connection_of_a_server_that_cannot_continue(server, tmp_path):
    server.cuts, server.ranges = [500_000], False
    downloads.fetch(f"{server.url}/x.bin", SHA256, tmp_path / "x.bin")
    assert (tmp_path / "x.bin").read_bytes() == CONTENT


def test_later_call_continues(server, tmp_path):
    (tmp_path / "x.bin.part").write_bytes(CONTENT[:1000])
    downloads.fetch(f"{server.url}/x.bin", SHA256, tmp_path / "x.bin")
    assert (tmp_path / "x.bin").read_bytes() == CONTENT and server.asked == ["bytes=1000-"]


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"more"], ids=["complete", "too long"])
def test_part_that_cannot_be_continued(server, tmp_path, part):
    (tmp_path / "x.bin.part").write_bytes(part)
    downloads.fetch(f"{server.url}/x.bin", SHA256, tmp_path / "x.bin")
    assert (tmp_path / "x.bin").read_bytes() == CONTENT and names(tmp_path) == ["x.bin"]


def test_killed_process_leaves_a_part_that_is_continued(server, tmp_path):
    server.cuts, server.stall_s = [700_000], 60.0
    code = f"""
from pathlib import Path
from vgic_lib.datasets import downloads
downloads.CHUNK = 2**14
downloads.fetch("{server.url}/x.bin", "{SHA256}", Path(r"{tmp_path / "x.bin"}"))
"""
    part = tmp_path / "x.bin.part"
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 100_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert names(tmp_path) == ["x.bin.part"]
    received = part.stat().st_size
    downloads.fetch(f"{server.url}/x.bin", SHA256, tmp_path / "x.bin")
    assert (tmp_path / "x.bin").read_bytes() == CONTENT and server.asked[1] == f"bytes={received}-"


def test_wrong_checksum_leaves_nothing(server, tmp_path):
    server.files["x.bin"] = CONTENT[:-1] + b"?"
    with pytest.raises(DataError, match="checksum"):
        downloads.fetch(f"{server.url}/x.bin", SHA256, tmp_path / "x.bin")
    assert names(tmp_path) == []
    server.files["x.bin"] = CONTENT
    assert downloads.fetch(f"{server.url}/x.bin", SHA256, tmp_path / "x.bin").exists()


def test_damaged_file_is_fetched_again(server, tmp_path):
    (tmp_path / "x.bin").write_bytes(CONTENT[:100])
    downloads.fetch(f"{server.url}/x.bin", SHA256, tmp_path / "x.bin")
    assert (tmp_path / "x.bin").read_bytes() == CONTENT


PAGE = b"<html><body>Please accept our terms.</body></html>"


def test_archive_without_published_checksum_is_pinned_once_it_tested_good(server, tmp_path):
    target, pin = tmp_path / "x.zip", tmp_path / "x.zip.sha256"
    first, second = archive({"a.png": "a"}), archive({"b.png": "b"})
    server.files["x.zip"] = first
    downloads.fetch(f"{server.url}/x.zip", None, target)
    assert pin.read_text() == hashlib.sha256(first).hexdigest() + "\n"
    target.unlink()
    server.files["x.zip"] = second
    with pytest.raises(DataError, match=r"delete .*x\.zip\.sha256 to use it all the same"):
        downloads.fetch(f"{server.url}/x.zip", None, target)
    pin.unlink()
    downloads.fetch(f"{server.url}/x.zip", None, target)
    assert target.read_bytes() == second and pin.read_text() == hashlib.sha256(second).hexdigest() + "\n"
    assert server.asked[2:] == [f"bytes={len(second)}-"]  # what was received is not fetched again


@pytest.mark.parametrize("answer", ["page", "cut", "damaged", "no picture", "outside"])
def test_wrong_answer_for_an_archive_leaves_nothing(server, tmp_path, answer):
    good = archive({"a.png": "a" * 1000})
    damaged = bytearray(good)
    damaged[500] ^= 1
    server.files["x.zip"] = {
        "page": PAGE,
        "cut": good[:-30],
        "damaged": bytes(damaged),
        "no picture": archive({"readme.txt": "moved"}),
        "outside": archive({"a.png": "a", "../b.png": "b"}),
    }[answer]
    target = tmp_path / "x.zip"
    with pytest.raises(DataError, match=r"try again later, or put the file at .*x\.zip") as caught:
        downloads.fetch(f"{server.url}/x.zip", None, target)
    assert "\n" not in str(caught.value) and names(tmp_path) == []
    server.files["x.zip"] = good
    assert downloads.fetch(f"{server.url}/x.zip", None, target).read_bytes() == good


def test_archive_that_begins_with_another_answer_is_fetched_anew(server, tmp_path):
    good = archive({"a.png": "a" * 1000})
    server.files["x.zip"] = good
    (tmp_path / "x.zip.part").write_bytes(PAGE)
    with pytest.raises(DataError, match="try again"):
        downloads.fetch(f"{server.url}/x.zip", None, tmp_path / "x.zip")
    assert downloads.fetch(f"{server.url}/x.zip", None, tmp_path / "x.zip").read_bytes() == good


def test_missing_file_is_not_tried_again(server, tmp_path):
    with pytest.raises(DataError, match=r"404.*put the file at .*none\.bin by hand") as caught:
        downloads.fetch(f"{server.url}/none.bin", SHA256, tmp_path / "none.bin")
    assert "\n" not in str(caught.value)
    assert len(server.asked) == 1 and names(tmp_path) == []


def test_busy_server_is_tried_again(server, tmp_path):
    server.statuses = [503, 500]
    assert downloads.fetch(f"{server.url}/x.bin", SHA256, tmp_path / "x.bin").exists()
    server.statuses = [503] * 10
    with pytest.raises(DataError, match="503"):
        downloads.fetch(f"{server.url}/x.bin", SHA256, tmp_path / "y.bin")


def test_no_network(server, tmp_path):
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match=r"connection failed.*x\.bin by hand"):
        downloads.fetch(f"{server.url}/x.bin", SHA256, tmp_path / "x.bin")
    assert names(tmp_path) == []


def test_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write"):
        downloads.fetch(f"{server.url}/x.bin", SHA256, tmp_path / "file" / "x.bin")


def test_full_disk_keeps_what_was_received(server, tmp_path):
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, unlimited[1]))  # as a full disk: a write fails
    try:
        with pytest.raises(StorageError, match="free some space"):
            downloads.fetch(f"{server.url}/x.bin", SHA256, tmp_path / "x.bin")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert names(tmp_path) == ["x.bin.part"]
    downloads.fetch(f"{server.url}/x.bin", SHA256, tmp_path / "x.bin")
    assert (tmp_path / "x.bin").read_bytes() == CONTENT and server.asked[1].startswith("bytes=")


def archive(members):
    """Bytes of a ZIP archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        for name, text in members.items():
            content.writestr(name, text)
    return buffer.getvalue()


def test_unpacked_once(tmp_path):
    (tmp_path / "a.zip").write_bytes(archive({"in/x.png": "x", "y.txt": "y"}))
    (tmp_path / ".photos.unpacking").mkdir()  # of a killed run
    (tmp_path / ".photos.unpacking" / "half").touch()
    folder = downloads.unpack(tmp_path / "a.zip", tmp_path / "photos")
    assert names(folder) == ["in", "y.txt"] and (folder / "in" / "x.png").read_text() == "x"
    (folder / "y.txt").write_text("mine")
    downloads.unpack(tmp_path / "a.zip", folder)
    assert (folder / "y.txt").read_text() == "mine" and names(tmp_path) == ["a.zip", "photos"]


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "in/../../out.txt", "..\\out.txt"])
def test_archive_that_points_outside(tmp_path, name):
    (tmp_path / "a.zip").write_bytes(archive({"x.png": "x", name: "y"}))
    with pytest.raises(DataError, match=r"a\.zip names a file outside .*delete it .* or replace it"):
        downloads.unpack(tmp_path / "a.zip", tmp_path / "in" / "photos")
    assert names(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("position", [0, 45, -30])
def test_damaged_archive(tmp_path, position):
    content = bytearray(archive({"x.png": "x" * 100}))
    content[position] ^= 255
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.zip is damaged.*delete it to download it again, or replace it"):
        downloads.unpack(tmp_path / "a.zip", tmp_path / "photos")
    assert names(tmp_path) == ["a.zip"]


def png(seed):
    """Bytes of a small picture."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (70, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("dataset", "url"), [("flickr8k", sources.FLICKR8K_URL), ("flickr30k", sources.FLICKR30K_URL)]
)
def test_archived_data_set(server, home, monkeypatch, dataset, url):
    monkeypatch.setenv("VGIC_DATA_URL", server.url)
    members = {f"Photos/{index}.png": png(index) for index in range(10)}
    server.files[url.rsplit("/", 1)[1]] = archive(members | {"__MACOSX/Photos/._1.png": "of a file manager"})
    server.cuts = [50_000]
    found = prepare(dataset)
    assert [p.split for p in found.photographs].count("train") == 8 and not found.skipped
    asked = len(server.asked)
    assert asked == 2 and prepare(dataset) == found and len(server.asked) == asked


def test_archive_put_there_by_hand(server, home, monkeypatch):
    monkeypatch.setenv("VGIC_DATA_URL", server.url)
    target = home / "data" / "downloads" / sources.FLICKR8K_URL.rsplit("/", 1)[1]
    target.parent.mkdir(parents=True)
    target.with_name(target.name + ".sha256").write_text("of a page that an older version took for it")
    for wrong in (PAGE, archive({"readme.txt": "moved"})):
        target.write_bytes(wrong)
        with pytest.raises(
            DataError, match=f"{re.escape(str(target))} .*; delete it to download it again, or replace it"
        ):
            prepare("flickr8k")
        assert target.read_bytes() == wrong
    target.write_bytes(archive({f"{index}.png": png(index) for index in range(3)}))
    assert len(prepare("flickr8k").photographs) == 3 and server.asked == []


def test_kodak(server, home, monkeypatch):
    monkeypatch.setenv("VGIC_DATA_URL", server.url)
    files = {name: png(index) for index, name in enumerate(sources.KODAK_SHA256)}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(sources, "KODAK_SHA256", digests)
    folder = home / "data" / "kodak"
    folder.mkdir(parents=True)
    (folder / "kodim01.png").write_bytes(files["kodim01.png"])  # put there by hand
    server.files = {name: content for name, content in files.items() if name != "kodim01.png"}
    found = prepare("kodak")
    assert [p.name for p in found.photographs] == [f"kodim{index:02}" for index in range(1, 25)]
    assert {p.split for p in found.photographs} == {"test"}

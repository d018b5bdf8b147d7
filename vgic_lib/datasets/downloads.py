# SPDX-License-Identifier: MIT
"""Downloads that can be cut off and continued: checksum, progress, unpacked once.

A file that is still on its way is called ``<name>.part``; it gets its own name only when its checksum is
right, or, where nobody published one, when it is a whole archive of pictures. The environment
variable ``VGIC_DATA_URL`` names another server (a mirror, or one on loopback in tests) that holds the same
file names in one folder.
"""

import os
import shutil
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path, PurePosixPath

import requests

from vgic_lib.errors import DataError, StorageError
from vgic_lib.files import write_text
from vgic_lib.images import endings
from vgic_lib.progress import progress

ATTEMPTS = 4  # in a row without one more byte received
WAIT_S = 1.0  # before the second attempt; doubled for each further one
CHUNK = 2**20  # bytes between two updates of the progress bar
TIMEOUT_S = (10, 60)  # to connect, between two packets


def fetch(url: str, sha256: str | None, target: Path, label: str = "") -> Path:
    """Download `url` to `target`, continuing what an earlier call received; done if it is there.

    Args:
        url: where the file is; `VGIC_DATA_URL` replaces all of it but the file name.
        sha256: its checksum, 64 hex digits. None for a ZIP archive of pictures that nobody published one
            for: it is tested whole, its digest kept in ``<target>.sha256``, and a later download must be
            the same. What lies at `target` already is taken as it is.
        target: where it goes.
        label: what the progress bar says; no bar without one.

    Raises:
        DataError: no network, no such file, or something else than expected was received.
        StorageError: the disk is full or the folder read-only.
    """
    if mirror := os.environ.get("VGIC_DATA_URL"):
        url = f"{mirror.rstrip('/')}/{url.rsplit('/', 1)[1]}"
    part = target.with_name(target.name + ".part")
    try:
        if target.exists() and sha256 in (None, _digest(target)):
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        _receive_all(url, part, target, label)
        if sha256 is None:
            _accept_archive(part, url, target)
        elif sha256 != _digest(part):
            part.unlink()
            raise DataError(
                f"{url} has another checksum than expected; try again or put the file at {target}"
            )
        os.replace(part, target)
    except OSError as error:
        raise StorageError(
            f"cannot write {target}: {error.strerror or error}; free some space or check rights"
        ) from error
    return target


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a ZIP archive into the new `folder`; done if that is there.

    Raises:
        DataError: the archive is damaged, holds no picture, or names a file outside the folder.
        StorageError: the disk is full or the folder read-only.
    """
    if folder.exists():
        return folder
    unfinished = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed
    try:
        with _archive(archive) as content:
            for member in progress(_pictures_and_others(content), f"unpack {folder.name}"):
                content.extract(member, unfinished)
        os.replace(unfinished, folder)
    except _Unusable as error:
        raise DataError(f"{archive} {error}; delete it to download it again, or replace it") from error
    except OSError as error:
        raise StorageError(
            f"cannot write {folder}: {error.strerror or error}; free some space or check rights"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


class _Unusable(Exception):
    """Says what is wrong with an archive."""


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a ZIP archive; whatever is wrong with it is raised as _Unusable."""
    try:
        with zipfile.ZipFile(path) as content:
            yield content
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise _Unusable(f"is damaged or no ZIP archive ({error})") from error


def _pictures_and_others(content: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Members of an archive of pictures, none of them outside of its folder. Raises _Unusable."""
    members, pictures = content.infolist(), endings()
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise _Unusable(f"names a file outside its folder ({path})")
    if not any(PurePosixPath(member.filename).suffix.lower() in pictures for member in members):
        raise _Unusable("holds no picture")
    return members


def _accept_archive(part: Path, url: str, target: Path) -> None:
    """Test an archive that was received and keep its digest; refuse another one than the first time."""
    try:
        with _archive(part) as content:
            for member in progress(_pictures_and_others(content), f"test {target.name}"):
                with content.open(member) as file:
                    while file.read(CHUNK):  # its checksum is compared at its end
                        pass
    except _Unusable as error:
        part.unlink()
        raise DataError(f"{url}: what came {error}; try again later, or put the file at {target}") from error
    digest, known = _digest(part), target.with_name(target.name + ".sha256")
    if known.exists() and known.read_bytes().strip() != digest.encode():
        raise DataError(
            f"{url} is another archive than the first time; delete {known} to use it all the same"
        )
    write_text(known, digest + "\n")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _receive_all(url: str, part: Path, target: Path, label: str) -> None:
    """Receive until `part` is complete; give up after ATTEMPTS that brought nothing new."""
    failures, received = 0, _size(part)
    while True:
        try:
            return _receive(url, part, label)
        except requests.RequestException as error:
            failures = failures + 1 if _size(part) <= received else 1
            received = max(received, _size(part))
            status = 0 if error.response is None else error.response.status_code
            if failures == ATTEMPTS or 400 <= status < 500:
                reason = f"the server answers {status}" if status else "the connection failed"
                raise DataError(
                    f"cannot download {url}: {reason}; check the network, or put the file at {target} by hand"
                ) from error
        time.sleep(WAIT_S * 2 ** (failures - 1))


def _receive(url: str, part: Path, label: str) -> None:
    """One request for what `part` lacks, appended to it as it comes. Raises RequestException."""
    start = _size(part)
    headers = {"Range": f"bytes={start}-"} if start else {}
    headers["Accept-Encoding"] = "identity"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        length = int(response.headers.get("Content-Length", 0))
        if response.status_code == 416:  # nothing is left, or `part` belongs to another file
            if response.headers.get("Content-Range") == f"bytes */{start}":
                return
            part.unlink()
            raise requests.ConnectionError("what was received before does not fit")
        response.raise_for_status()
        if response.status_code != 206:  # the server cannot continue
            start = 0
        chunks: Iterable[bytes] = response.iter_content(CHUNK)
        if label:
            chunks = progress(chunks, label, -(-(start + length) // CHUNK), start // CHUNK)
        with part.open("ab" if start else "wb") as file:
            for chunk in chunks:
                file.write(chunk)

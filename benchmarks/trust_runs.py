# SPDX-License-Identifier: MIT
"""Trials of trust.py with work that is killed, or that finds the disk full; each in a process of its own."""

import errno
import os
import resource
import signal
import sys
import tempfile
import threading
import time
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path

import numpy as np
from helpers.pictures import ramps
from helpers.runs import NESTED, assert_same, pictures, state_of
from helpers.workbook import execute, left_in, tiny_project
from test_downloads import SHA256, Server

from vgic_lib import codec
from vgic_lib.cli import main
from vgic_lib.datasets import downloads
from vgic_lib.training.loop import train
from vgic_lib.workbook import pipeline

LONGEST_S = 600.0  # of one run; training may take a minute where other work goes on
OLD = b"a file of before"


def killed(seed, number):
    """Kill work at a random moment; what is there then is whole, and a second run ends as one alone does."""
    name = list(WORK)[number % len(WORK)]
    work, seen = WORK[name]
    expected, lasts_s = undisturbed(name)
    moment_s = np.random.default_rng([seed, number]).uniform(0, lasts_s)
    with tempfile.TemporaryDirectory() as folder:
        status = in_child(work, Path(folder), moment_s)
        if wrong := half_written(name, Path(folder), expected):
            return name, f"fault: {wrong} after the kill"
        if (again := in_child(work, Path(folder))) != 0:
            return name, f"fault: the second run ended with {again}"
        found = seen(Path(folder))
    try:
        assert_same(found, expected)
    except AssertionError:
        return name, "fault: another result"
    return name, "killed, same result" if status == -signal.SIGKILL else "ended before the kill"


@cache
def undisturbed(name):
    """What a kind of work leaves, and how long it takes (s)."""
    work, seen = WORK[name]
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        if in_child(work, Path(folder)) != 0:
            raise RuntimeError(f"{name} fails without a kill")
        return seen(Path(folder)), time.perf_counter() - begun


def in_child(work, folder, moment_s=LONGEST_S):
    """Exit status of `work(folder)` in a process that is killed after so many seconds."""
    child = os.fork()
    if not child:
        status = 1
        try:
            with open(os.devnull, "w", encoding="utf-8") as nowhere:
                with redirect_stdout(nowhere), redirect_stderr(nowhere):
                    status = work(folder) or 0
        finally:
            os._exit(status)
    timer = threading.Timer(moment_s, os.kill, (child, signal.SIGKILL))
    timer.start()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    timer.cancel()
    return status


def half_written(name, folder, expected):
    """Name of a file that differs from the one that an undisturbed run leaves; "" if there is none."""
    if name in ("training", "workbook"):  # their files grow from step to step; the second run reads them
        return ""
    found = WORK[name][1](folder)
    return "".join(file for file, content in found.items() if content != expected.get(file))


def files_in(folder):
    """Files that a user sees, and their content."""
    names = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".part", ".tmp"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in names}


@cache
def scratch():
    """A folder that goes when this process ends."""
    return tempfile.TemporaryDirectory()


@cache
def photographs():
    """A folder with six small pictures, and one folder in it; the model that `vgic` takes is loaded."""
    folder = Path(scratch().name) / "photographs"
    folder.mkdir()
    (folder / "in").mkdir()
    for number in range(6):
        ramps((40 + number, 30)).save(folder / ("in" if number % 2 else ".") / f"{number}.png")
    codec.compress(ramps((8, 8)))
    return folder


def compress(folder):
    return main(["compress", str(photographs()), f"{folder}/"])


@cache
def server():
    """A server on loopback."""
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def download(folder):
    downloads.CHUNK = 2**12
    downloads.fetch(f"{server().url}/x.bin", SHA256, folder / "x.bin")


def workbook(folder):
    tiny_project(folder)
    os.environ["VGIC_HOME"] = str(folder)
    pipeline.execute = execute
    pipeline.run("tiny")


def left_by_workbook(folder):
    os.environ["VGIC_HOME"] = str(folder)
    return left_in(folder)


def training(folder):
    train(NESTED, folder, pictures(), pictures()[:1], device="cpu")


WORK = {  # name -> the work, and what is compared
    "compression of a folder": (compress, files_in),
    "download": (download, files_in),
    "workbook": (workbook, left_by_workbook),
    "training": (training, state_of),
}


def disk_full(seed, number):
    """Let `vgic compress --force` find the disk full: at a byte of the file, or at an operation on files."""
    content = new_content()
    case = "after so many bytes" if number < len(content) else "at an operation on files"
    with tempfile.TemporaryDirectory() as folder:
        target, told = Path(folder) / "x.vgic", photographs().with_suffix(".told")
        target.write_bytes(OLD)

        def work(_):
            with open(told, "w", encoding="utf-8") as lines, redirect_stderr(lines):
                limit(number) if number < len(content) else refuse(number - len(content), folder)
                status = main(["compress", str(source()), str(target), "--force"])
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            return status

        status = in_child(work, folder)
        left, names = target.read_bytes(), os.listdir(folder)
    text = told.read_text(encoding="utf-8")
    if names != ["x.vgic"]:
        return case, f"fault: left {names}"
    if status == 0:
        return case, "written all the same" if left == content else "fault: wrong file"
    right = status == 1 and left == OLD and text.count("\n") == 1 and "cannot write" in text
    return case, "refused in one line, old file kept" if right else f"fault: status {status}, {text!r}"


def limit(size):
    """No file grows beyond `size` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def refuse(place, folder):
    """The operation of this number on files of a folder fails; those behind the last one do not exist."""
    left = [place]

    def hook(event, arguments):
        if event not in CHANGES or not any(str(name).startswith(str(folder)) for name in arguments[:2]):
            return
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            return
        left[0] -= 1
        if left[0] == -1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sys.addaudithook(hook)


CHANGES = ("open", "os.rename", "os.mkdir", "os.chmod", "os.chown", "os.utime", "os.truncate")


@cache
def source():
    return photographs() / "0.png"


@cache
def new_content():
    """What the file holds in the end."""
    return codec.compress(ramps((40, 30)))

# SPDX-License-Identifier: MIT
"""Where a result was made (commit, package versions, device), and what its arithmetic needs."""

import ctypes
import hashlib
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from vgic_lib import paths

if TYPE_CHECKING:
    import torch

PACKAGES = (
    "vgic",
    "torch",
    "numpy",
    "pillow",
    "pillow-jxl-plugin",
    "scikit-image",
    "constriction",
    "papermill",
)

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # options of mallopt, as glibc's malloc.h numbers them
KEPT = 256 << 20  # bytes of freed memory that a process does not give back


@dataclass(frozen=True)
class Environment:
    """Commit, versions and device of a run."""

    commit: str  # of the project, with "-dirty" for uncommitted changes; empty outside a git checkout
    versions: dict[str, str]
    device: str


def describe_environment() -> Environment:
    """Commit, package versions and device of this process."""
    import torch  # takes seconds, and a run that has nothing to do needs none

    versions = {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES}
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"cpu, {os.cpu_count()} cores"
    return Environment(commit(), versions, f"{device}, {platform.system()} {platform.machine()}")


@cache
def keep_freed_memory() -> None:
    """Let glibc reuse freed memory, also of large tensors (mallopt(3)); other C libraries are left alone.

    By itself it gives blocks beyond 32 MiB back at once, so each tensor of a large picture is new memory,
    which the kernel clears page by page: a quarter of the time of 12 megapixels. Dask's workers, which start
    with MALLOC_TRIM_THRESHOLD_=65536, give back everything: a step of the latent search took twice its time.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, KEPT)


@contextmanager
def plain_arithmetic(gradients: bool) -> Iterator[None]:
    """Work in float32 on the CPU by default, with or without gradients, whatever the caller has set.

    The default type is one for all threads of a process: another thread that relies on another type should
    not run meanwhile. From the first time on, the process keeps freed memory. Everything else holds for this
    thread alone.
    """
    import numpy as np
    import torch

    keep_freed_memory()
    dtype = torch.get_default_dtype()
    with ExitStack() as stack:
        stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(gradients))
        stack.enter_context(torch.autocast("cpu", enabled=False))
        if dtype != torch.float32:
            stack.callback(torch.set_default_dtype, dtype)
            torch.set_default_dtype(torch.float32)
        yield


def has_bfloat16(device: "torch.device") -> bool:
    """Whether a device multiplies bfloat16 numbers faster than float32 ones, not merely somehow."""
    import torch

    if device.type == "cpu":
        return torch.ops.mkldnn._is_mkldnn_bf16_supported() and torch.cpu._is_avx512_bf16_supported()
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def library_digest() -> str:
    """Hash of this package: source, weights and tables, all that comes with it."""
    digest = hashlib.sha256()
    for path in sorted(path for path in paths.PACKAGE.rglob("*") if path.is_file()):
        name = path.relative_to(paths.PACKAGE)
        if not any(part.startswith((".", "__pycache__")) for part in name.parts):
            digest.update(name.as_posix().encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def commit() -> str:
    """Commit of the project's code, with "-dirty" for uncommitted changes; empty if there is none."""
    folder = paths.PROJECT
    if not (folder / ".git").exists():
        return ""
    try:
        name = _git(folder, "rev-parse", "--short=12", "HEAD")
        return name + ("-dirty" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", check=True
    ).stdout.strip()

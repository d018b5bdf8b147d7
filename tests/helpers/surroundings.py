# SPDX-License-Identifier: MIT
"""Changed for a while: torch's default type and threads, the largest file, closed folders."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import torch

T = TypeVar("T")


@contextmanager
def _changed(read: Callable[[], T], write: Callable[[T], None], value: T) -> Iterator[None]:
    before = read()
    write(value)
    try:
        yield
    finally:
        write(before)


def default_dtype(dtype: torch.dtype) -> AbstractContextManager[None]:
    """Let tensors be of another type by default."""
    return _changed(torch.get_default_dtype, torch.set_default_dtype, dtype)


def threads(count: int) -> AbstractContextManager[None]:
    """Let torch compute with so many threads."""
    return _changed(torch.get_num_threads, torch.set_num_threads, count)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let every write beyond `size` bytes of a file fail, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """Let nobody list a folder; simulated, since tests may run as root."""
    scan = os.scandir

    def scandir(path: str | Path) -> Iterator[os.DirEntry]:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        yield

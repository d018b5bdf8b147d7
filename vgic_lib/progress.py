# SPDX-License-Identifier: MIT
"""One progress bar for terminals, JupyterLab and papermill: one line, never hundreds."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm.std import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], label: str, total: int | None = None, initial: int = 0) -> Iterator[T]:
    """Iterate over `items` and show how far it got.

    A terminal gets a live bar; a notebook or a log file is told every ten seconds.

    Args:
        items: what to iterate over.
        label: what is being done, two or three words.
        total: number of items, where `items` does not know it.
        initial: items already done by an earlier, interrupted run.
    """
    yield from _bar(label, items, total, initial)


@contextmanager
def counted(label: str, total: int | None) -> Iterator[Callable[[object], None]]:
    """Yield a function that counts one of `total` steps (None: unknown) at each call."""
    with _bar(label, None, total) as bar:
        yield lambda _: bar.update()


def _bar(label: str, items: Iterable | None, total: int | None, initial: int = 0) -> tqdm:
    live = sys.stderr.isatty()
    another_shows_it = os.environ.get("RANK", "0") != "0"  # of processes that torchrun started
    quiet = os.environ.get("VGIC_PROGRESS") == "0" or another_shows_it
    interval_s = 0.2 if live else 10.0
    return tqdm(
        items, desc=label, total=total, initial=initial, file=sys.stderr if live else sys.stdout,
        mininterval=interval_s, maxinterval=interval_s, miniters=1,
        ascii=None if live else True, dynamic_ncols=live, disable=quiet, leave=items is not None,
    )  # fmt: skip

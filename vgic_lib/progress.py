# SPDX-License-Identifier: MIT
"""One progress bar for terminals, JupyterLab and papermill: one line, never hundreds."""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm.std import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], label: str, total: int | None = None, initial: int = 0) -> Iterator[T]:
    """Iterate over `items` and show how far it got.

    A terminal gets a live bar; a notebook or a log file gets a line every ten seconds.

    Args:
        items: what to iterate over.
        label: what is being done, two or three words.
        total: number of items, where `items` does not know it.
        initial: items already done by an earlier, interrupted run.
    """
    live = sys.stderr.isatty()
    quiet = os.environ.get("VGIC_PROGRESS") == "0"
    yield from tqdm(
        items, desc=label, total=total, initial=initial, file=sys.stderr if live else sys.stdout,
        mininterval=0.2 if live else 10.0, maxinterval=0.2 if live else 10.0, miniters=1,
        ascii=not live, dynamic_ncols=live, disable=quiet, leave=True,
    )  # fmt: skip

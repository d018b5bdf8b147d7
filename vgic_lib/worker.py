# SPDX-License-Identifier: MIT
"""What workers of a cluster do: jobs in batches, in the surroundings of the one who asked (see `cluster`).

A scheduler imports this module, too, so it imports little.
"""

import os
import pickle
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from vgic_lib import environment
from vgic_lib.errors import ClusterError, PictureWarning, VgicError

if TYPE_CHECKING:
    from distributed import Worker, WorkerPlugin

Job = TypeVar("Job")
Result = TypeVar("Result")


def attempt(function: Callable[[Job], Result], job: Job) -> Result | VgicError:
    """Result of a job, or the error that it raised, if that is one a user can cause."""
    try:
        return function(job)
    except VgicError as error:
        return error


class Answer(NamedTuple):
    """What became of a batch."""

    results: list[Any]
    warnings: list[tuple[str, str]]  # name and text of each PictureWarning
    time_s: float


class Task(NamedTuple):
    """What workers need beside a job."""

    function: bytes  # pickled: what to do with a job
    home: str  # project folder of the one who asked
    digest: str  # of the library
    seen: dict[str, int]  # files that all workers must see, and their lengths


@lru_cache(maxsize=1)
def _loaded(task: bytes) -> tuple[Callable, str]:
    """Function and project folder of a pickled Task. Raises ClusterError, where this worker cannot do it."""
    function, home, digest, seen = pickle.loads(task)
    if environment.library_digest() != digest:
        raise ClusterError("its VGIC has other code or weights than this one; install the same")
    for name, size in seen.items():
        if not os.path.isfile(name) or os.path.getsize(name) != size:
            folder = os.path.dirname(name)
            raise ClusterError(f"it does not see the folder {folder}; share it with all workers")
    try:
        return pickle.loads(function), home
    except Exception as error:
        raise ClusterError(" ".join(str(error).split())) from error


def work(task: bytes, batch: bytes) -> Answer:
    """Do the jobs of a batch, quietly."""
    function, home = _loaded(task)
    start = time.perf_counter()
    with _surroundings(home), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", PictureWarning)
        results = [attempt(function, job) for job in pickle.loads(batch)]
    told = [(note.message.name, note.message.text) for note in caught]
    return Answer(results, told, time.perf_counter() - start)


@contextmanager
def _surroundings(home: str) -> Iterator[None]:
    """Work for the project folder of the one who asked; nothing is printed."""
    before = os.environ.get("VGIC_HOME")
    os.environ["VGIC_HOME"] = home
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            yield
    finally:
        if before is None:
            del os.environ["VGIC_HOME"]
        else:
            os.environ["VGIC_HOME"] = before


def lacking(task: bytes) -> str:
    """What this worker lacks for a task; empty if nothing."""
    try:
        _loaded(task)
    except ClusterError as error:
        return str(error)
    return ""


def plugin(own: bool) -> "WorkerPlugin":
    """What sets up every worker, also those that come later: one thread, no bars, freed memory is used again.

    Ctrl-C leaves our `own` ones alone: the process that started them ends them.
    """
    from distributed import WorkerPlugin

    class Quiet(WorkerPlugin):
        def setup(self, worker: "Worker") -> None:
            os.environ["VGIC_PROGRESS"] = "0"
            environment.keep_freed_memory()
            if os.environ.get("OMP_NUM_THREADS") != "1":  # as a nanny sets it; torch takes seconds to import
                import torch

                torch.set_num_threads(1)
            if own:
                signal.signal(signal.SIGINT, signal.SIG_IGN)

    return Quiet()

# SPDX-License-Identifier: MIT
"""Many jobs: one after the other in this process, or side by side on the workers of a Dask scheduler.

Workers see the same files as this process and call the same functions (`worker`). What they are to do travels
as bytes that the scheduler never opens; models travel as names of their weights (`models.store`), which a
worker loads once. Jobs travel in batches of about BATCH_S of work: docs/scale.md says why.
"""

import logging
import pickle
import secrets
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from vgic_lib import environment, paths, worker
from vgic_lib.errors import ClusterError, ParameterError, PictureWarning, VgicError
from vgic_lib.progress import progress

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local"
SILENT = logging.CRITICAL + 1
CONNECT_S = 10.0  # for a scheduler to answer
ARRIVE_S = 60.0  # for workers to be there
CLOSE_S = 20.0  # for workers to end in an orderly way
BATCH_S = 1.0  # of work in a batch
LARGEST_BATCH = 1000  # jobs
AHEAD = 3  # batches that wait or run for each thread of a worker
RETRIES = 2  # of a batch that raised what no job should raise, such as a failing disk of one worker

Job = TypeVar("Job")
Result = TypeVar("Result")


class Place(NamedTuple):
    """Where jobs are done."""

    where: str  # LOCAL: processes of this machine; else the address of a Dask scheduler
    workers: int | None = None  # at least so many; None: one for each core, or all that the scheduler has


def place(where: str | None, workers: int | None = None) -> Place | None:
    """Where jobs are done; None is this process.

    Raises:
        ParameterError: an impossible number of workers, or Dask is not installed.
    """
    if workers is not None and (workers < 1 or not where):
        raise ParameterError("--workers needs --cluster, and a number from 1")
    if not where:
        return None
    if find_spec("distributed") is None:
        raise ParameterError("--cluster needs Dask; install it: pip install 'vgic[cluster]'")
    return Place(where, workers)


def each(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    label: str,
    at: Place | None = None,
    reads: Sequence[Path] = (),
    writes: Path | None = None,
) -> Iterator[tuple[int, Result | VgicError]]:
    """Do all jobs, with a progress bar; yield the number of each and its result, as they are done.

    A job that raises VgicError has this error as its result; any other error ends the work. On a cluster,
    jobs of a lost worker are done again by another one; one that takes its worker down again and again has
    a ClusterError as its result. Close the iterator to stop the work.

    Args:
        function: what to do; on a cluster it is pickled (by value, if it lies in another function).
        jobs: its arguments.
        label: what is being done, two or three words.
        at: where.
        reads: files that workers must see.
        writes: folder, perhaps not yet there, in which all workers write.

    Raises:
        ClusterError: no scheduler, too few workers, or workers that cannot do this; no job has begun then.
            Or the scheduler is lost later on.
    """
    if at is None or not jobs:
        done = ((number, worker.attempt(function, job)) for number, job in enumerate(jobs))
        yield from progress(done, label, len(jobs))
        return
    with _connected(at) as client, _checked(client, function, reads, writes) as task:
        yield from progress(_results(client, task, jobs), label, len(jobs))


@contextmanager
def _connected(at: Place) -> Iterator["Client"]:
    """Yield a client of a scheduler that has enough workers. Raises ClusterError."""
    from distributed import Client
    from distributed.comm import resolve_address

    log = logging.getLogger("distributed")  # it reports every worker that goes, with tracebacks
    with ExitStack() as stack:
        stack.callback(log.setLevel, log.level)
        log.setLevel(SILENT)
        address = stack.enter_context(_local_cluster(at.workers)) if at.where == LOCAL else at.where
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions: see `_check_versions`
            try:
                if address is at.where:
                    resolve_address(address)
                client = Client(address, timeout=CONNECT_S, set_as_default=False)
            except (OSError, RuntimeError, TypeError, ValueError) as error:
                advice = "start one with 'dask scheduler', or correct the address"
                raise ClusterError(f"no Dask scheduler answers at {at.where}; {advice}") from error
        with client:
            _await_workers(client, at)
            _check_versions(client)
            client.register_plugin(worker.plugin(at.where == LOCAL), "vgic")
            yield client


@contextmanager
def _local_cluster(workers: int | None) -> Iterator[Any]:
    """Processes with one thread each. Ctrl-C does not reach them: they are ended by this process."""
    import dask
    from distributed import LocalCluster

    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1h"}):  # a killed one may start slowly
        with _no_interrupt():
            cluster = LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0",
                silence_logs=SILENT, memory_limit=0,  # each picture asks for what is free
            )  # fmt: skip
        try:
            yield cluster
        finally:
            cluster.close(timeout=CLOSE_S)


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Ignore Ctrl-C for a while, as processes that are started meanwhile do as long as they live."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _await_workers(client: "Client", at: Place) -> None:
    wanted = at.workers or 1
    with suppress(TimeoutError):
        client.wait_for_workers(wanted, timeout=ARRIVE_S)
        return
    found, advice = len(client.nthreads()), "start more with 'dask worker', or ask for fewer with --workers"
    raise ClusterError(f"{found} of {wanted} workers have come to {at.where} within {ARRIVE_S:g} s; {advice}")


def _check_versions(client: "Client") -> None:
    """Refuse workers, or a scheduler, that have other versions. Raises ClusterError."""
    found = client.get_versions(packages=environment.PACKAGES)
    here = found["client"]["packages"]
    others = {f"worker {name}": facts["packages"] for name, facts in found["workers"].items()}
    scheduler = found["scheduler"]["packages"]  # it opens no job, so it needs less
    others["the scheduler"] = here | {name: scheduler[name] for name in ("dask", "distributed", "vgic")}
    for name, packages in others.items():
        for package, version in here.items():
            if _release(package, there := packages.get(package)) != _release(package, version):
                raise ClusterError(
                    f"{name} has {package} {there or '(none)'}, this process {version}; install the same"
                )


def _release(package: str, version: str | None) -> str | None:
    """What has to be the same: of Python, the first two numbers."""
    return ".".join(version.split(".")[:2]) if package == "python" and version else version


@contextmanager
def _checked(
    client: "Client", function: Callable, reads: Sequence[Path], writes: Path | None
) -> Iterator[bytes]:
    """Yield what workers need to call `function`. Raises ClusterError if one of them cannot."""
    import cloudpickle

    seen = {str(path.absolute()): path.stat().st_size for path in reads if path.is_file()}
    with _probe(writes) as probe:
        if probe:
            seen[str(probe)] = 0
        home, digest = str(paths.root().absolute()), environment.library_digest()
        task = pickle.dumps(worker.Task(cloudpickle.dumps(function), home, digest, seen))
        for name, lacks in client.run(worker.lacking, task, on_error="return").items():
            if lacks:
                raise ClusterError(f"worker {name}: {lacks}")
        yield task


@contextmanager
def _probe(folder: Path | None) -> Iterator[Path | None]:
    """Yield an empty file in `folder`; folders that are made for it go again if nothing else comes in."""
    if folder is None:
        yield None
        return
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    probe = folder.absolute() / f".{secrets.token_hex(8)}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        yield probe
    finally:
        probe.unlink(missing_ok=True)
        for path in made:
            with suppress(OSError):
                path.rmdir()


def _results(client: "Client", task: bytes, jobs: Sequence[Job]) -> Iterator[tuple[int, Result | VgicError]]:
    """Do all jobs in batches, a few batches ahead of the workers. Raises ClusterError."""
    import cloudpickle
    from distributed import as_completed

    threads = sum(client.nthreads().values())
    batches, futures = _Batches(len(jobs), threads), {}
    ready = as_completed(loop=client.loop, with_results=True, raise_errors=False)

    def submit(some: list[range]) -> None:
        pickled = [cloudpickle.dumps([jobs[number] for number in batch]) for batch in some]
        sent = client.map(worker.work, [task] * len(some), pickled, pure=False, retries=RETRIES)
        futures.update(zip(sent, some, strict=True))
        ready.update(sent)

    submit(list(islice(batches, AHEAD * threads)))
    suspects, alone = [], set()
    try:
        for finished in ready.batches():
            for future, answer in finished:
                batch = futures.pop(future)
                if future.status == "finished":
                    batches.took(len(batch), answer.time_s)
                    for warning in answer.warnings:
                        warnings.warn(PictureWarning(*warning), stacklevel=2)
                    yield from zip(batch, answer.results, strict=True)
                elif future.status != "error":
                    raise ClusterError("the scheduler is lost; run the same command again to go on")
                elif batch in alone:
                    yield batch[0], _blame(answer[1])
                else:
                    suspects += [range(number, number + 1) for number in batch]
            if more := list(islice(batches, AHEAD * threads - len(futures))):
                submit(more)
            elif suspects and not futures:  # one by one, for all that waits on a lost worker is suspected
                alone.add(suspects[-1])
                submit([suspects.pop()])
    finally:
        with suppress(Exception):  # a scheduler that is lost has cancelled them
            client.cancel(list(futures), force=True)
            all(ready)  # results that are on their way arrive before the client goes


class _Batches:
    """Iterator over batches of numbered jobs, as long as the time of those done so far suggests."""

    def __init__(self, jobs: int, threads: int) -> None:
        self._jobs, self._threads = jobs, threads
        self._next = self._done = 0
        self._time_s = 0.0

    def took(self, done: int, time_s: float) -> None:
        self._done += done
        self._time_s += time_s

    def __iter__(self) -> "_Batches":
        return self

    def __next__(self) -> range:
        left = self._jobs - self._next
        if not left:
            raise StopIteration
        size = int(BATCH_S * self._done / self._time_s) if self._time_s else 1
        size = max(1, min(size, LARGEST_BATCH, left // self._threads))  # at the end, all have something to do
        first, self._next = self._next, min(self._jobs, self._next + size)
        return range(first, self._next)


def _blame(error: Exception) -> ClusterError:
    """The error of a job that failed alone; raises one that no job should have."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return ClusterError("every worker that tried was killed, perhaps for lack of memory")
    if isinstance(error, ClusterError):
        return error
    raise error

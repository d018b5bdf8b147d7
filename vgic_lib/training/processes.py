# SPDX-License-Identifier: MIT
"""Several processes that train one model together, as torchrun starts them; one process without it.

Each has a copy of the networks and works on its own crops of the batch; gradients are averaged before each
update, so the copies stay equal. Gradients travel once, in one piece, when all are there: a step here is
several losses on networks that share parts, each with an update of its own, which PyTorch's
DistributedDataParallel (one forward pass of one module for one loss) does not know. What its overlap of
computing and sending could save is little for networks of some million weights (docs/scale.md).
"""

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from vgic_lib.errors import ClusterError
from vgic_lib.networks.shared_random import share

T = TypeVar("T")
TIMEOUT = timedelta(minutes=30)  # of waiting for another process, which may have a data set to download


@contextmanager
def joined() -> Iterator[None]:
    """Join the processes that torchrun started with this one, if it did.

    Raises:
        ClusterError: this machine has fewer devices than processes; not all processes came, or one ended.
    """
    if "LOCAL_WORLD_SIZE" not in os.environ or distributed.is_initialized():
        yield
        return
    here, devices = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
    if 0 < devices < here:
        raise ClusterError(f"--nproc-per-node {here}, but this machine has {devices} devices; give {devices}")
    if devices:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    with _together():
        store, index, count = next(distributed.rendezvous("env://", timeout=TIMEOUT))
        distributed.init_process_group(
            "nccl" if devices else "gloo",
            timeout=TIMEOUT,
            store=_of_this_start(store),
            rank=index,
            world_size=count,
        )
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _of_this_start(store: distributed.Store) -> distributed.Store:
    """Where processes find each other, but not those of a start before, whose addresses torchrun keeps.

    On several machines their counts of starts differ: docs/scale.md says how torchrun forgets there.
    """
    if os.environ["GROUP_WORLD_SIZE"] != "1":
        return store
    return distributed.PrefixStore(os.environ["TORCHELASTIC_RESTART_COUNT"], store)


def is_first() -> bool:
    """Whether this is the process that writes files and shows progress."""
    return share()[0] == 0


def device() -> torch.device:
    """What this process computes on: a GPU of its own, or the CPU."""
    return (
        torch.device("cuda", torch.cuda.current_device())
        if torch.cuda.is_available()
        else torch.device("cpu")
    )


@contextmanager
def first_alone() -> Iterator[None]:
    """Let the first process do something that the others then find done, such as a download."""
    if not is_first():
        _wait()
    yield
    if is_first():
        _wait()


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace the gradients of this process's crops by those of the whole batch.

    Raises:
        ClusterError: another process ended.
    """
    count = share()[1]
    if count == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    with _together():
        distributed.all_reduce(flat)
    flat /= count
    for gradient, average in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(average.view_as(gradient))


def mean(values: Mapping[str, Tensor]) -> dict[str, float]:
    """Numbers of the whole batch from those of each process's share. Raises ClusterError."""
    together = torch.stack([value.double() for value in values.values()])
    if (count := share()[1]) > 1:
        with _together():
            distributed.all_reduce(together)
        together /= count
    return dict(zip(values, together.tolist(), strict=True))


def gathered(rows: list[T]) -> list[T]:
    """Rows of all processes, those of the first one first. Raises ClusterError."""
    if (count := share()[1]) == 1:
        return rows
    found: list[list[T]] = [[] for _ in range(count)]
    with _together():
        distributed.all_gather_object(found, rows)
    return [row for share_of_rows in found for row in share_of_rows]


def from_first(state: dict[str, Any], where: torch.device) -> dict[str, Any]:
    """What the first process has, as `torch.save` keeps it, with tensors on a device. Raises ClusterError."""
    buffer = io.BytesIO()
    if is_first():
        torch.save(state, buffer)
    sent = [buffer.getvalue()]
    with _together():
        distributed.broadcast_object_list(sent)
    return torch.load(io.BytesIO(sent[0]), map_location=where, weights_only=True)


def _wait() -> None:
    if share()[1] > 1:
        with _together():
            distributed.barrier()


@contextmanager
def _together() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise ClusterError(
            "another process of this training ended or never came; start all of them again with torchrun: "
            "training goes on from its last checkpoint"
        ) from error

# SPDX-License-Identifier: MIT
"""Small runs of every kind and phase of training, here or in two processes side by side."""

import multiprocessing
import os
import socket
from contextlib import nullcontext
from dataclasses import replace
from unittest import mock

from helpers.runs import ADVERSARIAL, NESTED, TINY, SmallDiscriminator, SmallEncoder, SmallGenerator
from helpers.samples import smooth_pictures
from helpers.tiny_hyperprior import tiny_model
from vgic_lib.models.store import save_model
from vgic_lib.training import processes, vaegan
from vgic_lib.training.head_config import HeadConfig
from vgic_lib.training.loop import train
from vgic_lib.training.lossless_config import LosslessConfig

STEPS = 20
SMALL = {"Encoder": SmallEncoder, "Generator": SmallGenerator, "Discriminator": SmallDiscriminator}
COMMON = {
    "bf16": "off",
    "validation_pictures": 2,
    "steps": STEPS,
    "log_every": 1,
    "validate_every": STEPS,
    "ema_decay": 0.9,
    "seed": 3,
}


def configs(codec):
    """A run of each kind by name; `codec` is the path of weights of a tiny codec."""
    return {
        "nested": replace(NESTED, batch=4, learning_rate=1e-4, **COMMON),
        "adversarial": replace(ADVERSARIAL, batch=2, head_start=4, adversarial_from=0.3, **COMMON),
        "hyperprior": replace(TINY, late_crop_side=32, batch=8, **COMMON),
        "head": HeadConfig(
            start_from=str(codec), batch=2, crop_side=64, learning_rate=4e-5, adversarial_from=0.5, **COMMON
        ),
        "lossless": LosslessConfig(width=8, head=6, batch=2, crop_side=32, **COMMON),
    }


def train_all(folder):
    """All runs, each in a folder of its name below `folder`."""
    codec = folder / "tiny.safetensors"
    with processes.first_alone():
        if processes.is_first():
            save_model(tiny_model(), codec, "tiny")
    for name, config in configs(codec).items():
        size = {"nested": (24, 30), "adversarial": (220, 180)}.get(name, (70, 80))
        pictures = smooth_pictures(3, *size)
        with mock.patch.multiple(vaegan, **SMALL) if name == "adversarial" else nullcontext():
            train(config, folder / name, pictures, pictures, device="cpu")


def train_all_on_two(folder):
    """The same in two processes, forked: they have imported everything. Returns their exit statuses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("fork")
    started = [context.Process(target=_train_as, args=(rank, port, folder)) for rank in range(2)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    return [process.exitcode for process in started]


def _train_as(rank, port, folder):
    """One of two processes, told by what torchrun sets in the environment."""
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "GROUP_WORLD_SIZE": 1}
    told |= {"TORCHELASTIC_RESTART_COUNT": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in told.items()})
    with processes.joined():
        train_all(folder)

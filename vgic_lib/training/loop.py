# SPDX-License-Identifier: MIT
"""The training loop: resumable, deterministic on one CPU, the same for every model and schedule.

What differs between models is a `Task`. Everything random in a step (crops, channel counts, qualities,
labels, dropout) is seeded by (seed, step), so a run that was killed and resumed does exactly what an
uninterrupted one does. Several processes (`training.processes`) do the same steps, each its share of the
crops; the first one writes all files.
"""

import csv
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vgic_lib.errors import ModelError, ParameterError
from vgic_lib.files import atomic_path
from vgic_lib.models.complexity import flops
from vgic_lib.networks.shared_random import share
from vgic_lib.progress import progress
from vgic_lib.training import processes
from vgic_lib.training.config import TrainingConfig
from vgic_lib.training.crops import CropSampler
from vgic_lib.training.head import HeadTask
from vgic_lib.training.hyperprior import HyperpriorTask
from vgic_lib.training.lossless import LosslessTask
from vgic_lib.training.task import Task, mean_columns
from vgic_lib.training.throughput import matmul_rate
from vgic_lib.training.vaegan import VaeGanTask

CHECKPOINT = "checkpoint.pt"
METRICS_FILE = "metrics.csv"
DIVERGED = 1e6  # no sound loss is as large
BACKWARD = 3  # operations of a training step for one of its forward pass


TASKS: dict[str, type[Task]] = {
    "vaegan": VaeGanTask, "hyperprior": HyperpriorTask, "head": HeadTask,
    "lossless": LosslessTask,
}  # fmt: skip


class Trained(NamedTuple):
    """What a run leaves: the networks with their (averaged) weights, and rows of metrics."""

    networks: tuple[nn.Module, ...]  # as the task's `averaged` orders them
    metrics: list[dict[str, float]]


class Trainer:
    """State of a run: task, averaged weights, step and metrics."""

    def __init__(
        self, config: TrainingConfig, images: Sequence[np.ndarray], device: str | torch.device = "cpu"
    ) -> None:
        """Set up a fresh run on `images`, (H, W, 3) uint8.

        Raises:
            ParameterError: all are too small, or processes cannot share the crops of a step evenly.
        """
        self.config, self.device = config, torch.device(device)
        self.share = share()
        _check_share(config, self.share[1])
        self.images, self.step, self.elapsed_s, self.metrics = images, 0, 0.0, []
        self.sampler = self._sampler()
        torch.manual_seed(config.seed)
        self.task = TASKS[config.model](config, self.sampler, self.device)
        self.average = [p.detach().clone() for p in self.task.weights()] if config.ema_decay else None

    def _sampler(self) -> CropSampler:
        """Sampler of the crops of the current step."""
        size, batch = self.config.sampling(self.step)
        resident = self.device if self.device.type != "cpu" else None
        return CropSampler(self.images, size, batch, self.config.seed, device=resident)

    def learning_rate(self) -> float:
        """Learning rate of the current step: linear warm-up, then constant or half a cosine."""
        config = self.config
        rate = config.learning_rate * min(1.0, (self.step + 1) / max(1, config.warmup_steps))
        if config.schedule == "cosine":
            cosine = 0.5 * (1 + math.cos(math.pi * self.step / max(1, config.steps)))
            rate *= config.final_rate + (1 - config.final_rate) * cosine
        return rate

    def train_step(self) -> dict[str, Tensor]:
        """One update on the batch of the current step."""
        torch.manual_seed(self.config.seed * 1_000_003 + self.step)
        for optimizer in filter(None, self.task.optimizers):
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate() * group.get("rate", 1.0)
        if (self.sampler.size, self.sampler.batch_size) != self.config.sampling(self.step):
            self.sampler = self._sampler()
        crops = self.sampler.batch(self.step, self.share).to(self.device, non_blocking=True)
        losses = self.task.step(crops, self.step)
        if self.average is not None:
            decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(self.average, [p.detach() for p in self.task.weights()], 1 - decay)
        self.step += 1
        return losses

    def averaged(self) -> tuple[nn.Module, ...]:
        """The networks to save, on the CPU, with averaged weights (the last ones without averaging)."""
        return self.task.averaged(self.average if self.average is not None else self.task.weights())

    def utilisation(self) -> float:
        """Fraction of the device's matrix-product rate that one pixel per second needs."""
        crop = self.sampler.batch(0)[:1].to(self.device)
        pixels = crop.shape[2] * crop.shape[3]
        count = BACKWARD * flops(lambda: self.task.forward(crop)) / pixels
        return count / matmul_rate(self.device, self.task.dtype)

    def state(self) -> dict[str, Any]:
        """All that a run needs to go on."""
        return {
            "config": asdict(self.config),
            "networks": [n.state_dict() if n else None for n in self.task.networks],
            "optimizers": [o.state_dict() if o else None for o in self.task.optimizers],
            "average": self.average,
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "metrics": self.metrics,
        }

    def save(self, path: Path) -> None:
        """Write a checkpoint at once, or not at all. Raises StorageError."""
        with atomic_path(path) as temporary:
            torch.save(self.state(), temporary)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint. Raises ModelError if it is unreadable or of another configuration."""
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            ours, theirs = asdict(self.config), asdict(type(self.config)()) | state["config"]
        except Exception as error:
            raise ModelError(f"checkpoint {path} is unreadable; delete it to start again") from error
        if ours != theirs:
            changed = ", ".join(k for k in theirs if ours.get(k) != theirs[k])
            raise ModelError(
                f"checkpoint {path} was made with other settings ({changed}); choose another run name"
            )
        self.restore(state)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from the state of a run of this configuration."""
        for ours, saved in zip(
            [*self.task.networks, *self.task.optimizers],
            state["networks"] + state["optimizers"],
            strict=True,
        ):
            if ours is not None:
                ours.load_state_dict(saved)
        self.average, self.step = state["average"], state["step"]
        self.elapsed_s, self.metrics = state["elapsed_s"], state["metrics"]


def train(
    config: TrainingConfig,
    folder: Path,
    images: Sequence[np.ndarray],
    validation: Sequence[np.ndarray] = (),
    device: str | None = None,
    report: Callable[["Trainer"], None] | None = None,
) -> Trained:
    """Train, or continue the run in `folder`, and leave checkpoint and metrics.csv there.

    However it is interrupted, the next call does what is missing since the last checkpoint again; what was
    half-way through a step is never saved.

    Args:
        config: of the run; a checkpoint of another configuration is refused.
        folder: of the run.
        images: training photographs, each (H, W, 3) uint8.
        validation: photographs whose centre crops are reconstructed every `validate_every` steps.
        device: "cpu", "cuda" or None: what is there, for each process its own.
        report: called after each validation.

    Raises:
        ClusterError: another of several processes ended.
        ModelError, ParameterError, StorageError: see Trainer; ModelError also if the loss runs away.
    """
    trainer = Trainer(config, images, device or processes.device())
    checkpoint = folder / CHECKPOINT
    if processes.is_first() and checkpoint.exists():
        trainer.load(checkpoint)
    if trainer.share[1] > 1:  # others may be on machines that do not see its files, or compute otherwise
        trainer.restore(processes.from_first(trainer.state(), trainer.device))
    if trainer.step < config.steps:
        _loop(trainer, folder, validation, report or (lambda _: None))
    return Trained(trainer.averaged(), trainer.metrics)


def _check_share(config: TrainingConfig, count: int) -> None:
    for step in (0, max(0, config.steps - 1)):
        if (crops := config.sampling(step)[1]) % count:
            raise ParameterError(
                f"{count} processes cannot share {crops} crops of a step evenly; set batch so that they can"
            )


def _loop(
    trainer: Trainer, folder: Path, validation: Sequence[np.ndarray], report: Callable[[Trainer], None]
) -> None:
    config, utilisation, first = trainer.config, trainer.utilisation(), processes.is_first()
    validation = validation[: config.validation_pictures or None]
    started, saved = time.monotonic() - trainer.elapsed_s, time.monotonic()
    logged_step, logged_s = trainer.step, trainer.elapsed_s
    for _ in progress(range(trainer.step, config.steps), "training", config.steps, trainer.step):
        losses = trainer.train_step()
        last = trainer.step == config.steps
        saving = first and (last or time.monotonic() - saved > config.checkpoint_every_s)
        validating = bool(validation) and (trainer.step % config.validate_every == 0 or last)
        if validating or last or trainer.step % config.log_every == 0:
            means = _checked(trainer, processes.mean(losses))  # waits for devices and processes
            trainer.elapsed_s = time.monotonic() - started
            steps_per_s = (trainer.step - logged_step) / max(1e-9, trainer.elapsed_s - logged_s)
            row = _row(trainer, means, steps_per_s, utilisation)
            if validating:
                row |= _validate(trainer, validation)
            trainer.metrics.append(row)
            trainer.elapsed_s = logged_s = time.monotonic() - started
            logged_step = trainer.step
            if first:
                write_metrics(trainer.metrics, folder / METRICS_FILE)
                if validating:
                    report(trainer)
        if saving:
            _checked(trainer, {"loss": losses["loss"].item()})
            trainer.save(folder / CHECKPOINT)
            saved = time.monotonic()


def _validate(trainer: Trainer, pictures: Sequence[np.ndarray]) -> dict[str, float]:
    """Means over validation pictures, of which each process looks at some."""
    index, count = trainer.share
    mine = pictures[index::count]
    rows = trainer.task.validate(trainer.averaged(), mine) if len(mine) else []
    return mean_columns(processes.gathered(rows))


def _checked(trainer: Trainer, losses: dict[str, float]) -> dict[str, float]:
    """Rounded losses. Raises ModelError, before anything is saved, if they have run away."""
    if not abs(losses["loss"]) < DIVERGED:  # not a number included
        raise ModelError(
            f"training diverged before step {trainer.step}; start another run with a lower learning_rate"
        )
    return {name: round(value, 5) for name, value in losses.items()}


def _row(
    trainer: Trainer, numbers: dict[str, float], steps_per_s: float, utilisation: float
) -> dict[str, float]:
    (height, width), batch = trainer.config.sampling(trainer.step - 1)
    count = trainer.share[1]
    speed = {"images_per_s": round(steps_per_s * batch, 2)}
    if count > 1:
        speed |= {"processes": count, "images_per_s_each": round(steps_per_s * batch / count, 2)}
    return {
        "step": trainer.step,
        "time_s": round(trainer.elapsed_s, 1),
        **speed,
        "matmul_fraction": round(steps_per_s * batch * height * width * utilisation / count, 4),
    } | numbers


def write_metrics(rows: list[dict[str, float]], path: Path) -> None:
    """Write metrics as CSV with one column for each name that occurs. Raises StorageError."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)

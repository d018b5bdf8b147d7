# SPDX-License-Identifier: MIT
"""The training loop: resumable, deterministic on one CPU, the same for every model and schedule.

Everything random in a step (crops, channel counts, labels, dropout) is seeded by (seed, step), so a
run that was killed and resumed does exactly what an uninterrupted one does.
"""

import csv
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vgic_lib.config import TrainingConfig
from vgic_lib.data import CropSampler
from vgic_lib.errors import ModelError
from vgic_lib.files import atomic_path
from vgic_lib.losses import (
    Networks,
    Optimizers,
    StepLosses,
    adversarial_step,
    channel_mask,
    quantise_straight_through,
    reconstruction_step,
)
from vgic_lib.networks.discriminator import Discriminator
from vgic_lib.networks.klt import fit_klt, initialise_klt
from vgic_lib.networks.vaegan import STRIDE, Encoder, Generator, initialise_as_published
from vgic_lib.progress import progress

CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.csv"
VALIDATION_BITS = 8


class Trained(NamedTuple):
    """What a run leaves: the networks with their (averaged) weights, and rows of metrics."""

    encoder: Encoder
    generator: Generator
    metrics: list[dict[str, float]]


class Trainer:
    """State of a run: networks, optimizers, averaged weights, step and metrics."""

    def __init__(self, config: TrainingConfig, images: Sequence[np.ndarray], device: str = "cpu") -> None:
        """Set up a fresh run on `images`, (H, W, 3) uint8. Raises ParameterError if all are too small."""
        self.config, self.device = config, torch.device(device)
        self.sampler = CropSampler(images, (config.crop_height, config.crop_width), config.batch, config.seed)
        torch.manual_seed(config.seed)
        encoder, generator = Encoder(max(config.num_channels)), Generator(max(config.num_channels))
        self._initialise(encoder, generator)
        adversarial = config.adversarial_step < config.steps
        discriminator = Discriminator(max(config.num_channels)) if adversarial else None
        if discriminator is not None:
            initialise_as_published(discriminator)
        layout = torch.channels_last
        self.networks = Networks(
            *(
                n.to(self.device, memory_format=layout) if n else None
                for n in (encoder, generator, discriminator)
            )
        )
        codec = [*self.networks.encoder.parameters(), *self.networks.generator.parameters()]
        self.optimizers = Optimizers(
            self._adam(codec), self._adam(self.networks.discriminator.parameters()) if adversarial else None
        )
        self.average = [p.detach().clone() for p in codec] if config.ema_decay else None
        self.step, self.elapsed_s, self.metrics = 0, 0.0, []
        self.run_step = {False: reconstruction_step, True: adversarial_step}
        if config.compile:
            for network in (self.networks.encoder, self.networks.generator):
                network.compile()

    def _adam(self, parameters: Iterable[Tensor]) -> torch.optim.Adam:
        config = self.config
        return torch.optim.Adam(parameters, config.learning_rate, (config.beta1, config.beta2), fused=True)

    def _initialise(self, encoder: Encoder, generator: Generator) -> None:
        if self.config.initialisation == "klt":
            crops = torch.cat([self.sampler.batch(self.config.steps + i) for i in range(32)])
            initialise_klt(encoder, generator, fit_klt(crops / 127.5 - 1))
        else:
            initialise_as_published(encoder)
            initialise_as_published(generator)

    def learning_rate(self) -> float:
        """Of the current step: linear warm-up, then constant or half a cosine down to zero."""
        config = self.config
        rate = config.learning_rate * min(1.0, (self.step + 1) / max(1, config.warmup_steps))
        if config.schedule == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * self.step / max(1, config.steps)))
        return rate

    def train_step(self) -> StepLosses:
        """One update on the batch of the current step."""
        torch.manual_seed(self.config.seed * 1_000_003 + self.step)
        for optimizer in filter(None, self.optimizers):
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate()
        x = self.sampler.batch(self.step).to(self.device, non_blocking=True)
        x = (x.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            adversarial = self.step >= self.config.adversarial_step
            losses = self.run_step[adversarial](self.networks, self.optimizers, x, self.config)
        if self.average is not None:
            decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(self.average, self._codec_parameters(), 1 - decay)
        self.step += 1
        return losses

    def _codec_parameters(self) -> list[Tensor]:
        return [p.detach() for n in (self.networks.encoder, self.networks.generator) for p in n.parameters()]

    def averaged(self) -> tuple[Encoder, Generator]:
        """Encoder and generator on the CPU with the averaged weights (the last ones without averaging)."""
        count = max(self.config.num_channels)
        copies = Encoder(count), Generator(count)
        values = self.average if self.average is not None else self._codec_parameters()
        with torch.no_grad():
            for parameter, value in zip([p for n in copies for p in n.parameters()], values, strict=True):
                parameter.copy_(value)
        return copies

    def save(self, path: Path) -> None:
        """Write a checkpoint at once, or not at all. Raises StorageError."""
        state = {
            "config": asdict(self.config),
            "networks": [n.state_dict() if n else None for n in self.networks],
            "optimizers": [o.state_dict() if o else None for o in self.optimizers],
            "average": self.average,
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "metrics": self.metrics,
        }
        with atomic_path(path) as temporary:
            torch.save(state, temporary)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint. Raises ModelError if it is unreadable or of another configuration."""
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            ours, theirs = asdict(self.config), state["config"]
        except Exception as error:
            raise ModelError(f"checkpoint {path} is unreadable; delete it to start again") from error
        if ours != theirs:
            changed = ", ".join(k for k in ours if ours[k] != theirs.get(k))
            raise ModelError(
                f"checkpoint {path} was made with other settings ({changed}); choose another run name"
            )
        for ours, saved in zip(
            [*self.networks, *self.optimizers], state["networks"] + state["optimizers"], strict=True
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
        device: "cpu", "cuda" or None: what is there.
        report: called after each validation.

    Raises:
        ModelError, ParameterError, StorageError: see Trainer.
    """
    trainer = Trainer(config, images, device or ("cuda" if torch.cuda.is_available() else "cpu"))
    checkpoint = folder / CHECKPOINT
    if checkpoint.exists():
        trainer.load(checkpoint)
    started, saved = time.monotonic() - trainer.elapsed_s, time.monotonic()
    logged_step, logged_s = trainer.step, trainer.elapsed_s
    for _ in progress(range(trainer.step, config.steps), "training", config.steps, trainer.step):
        losses = trainer.train_step()
        last = trainer.step == config.steps
        validating = trainer.step % config.validate_every == 0 or last
        if validating or trainer.step % config.log_every == 0:
            trainer.elapsed_s = time.monotonic() - started
            pace = (trainer.step - logged_step) * config.batch / max(1e-9, trainer.elapsed_s - logged_s)
            row = _row(trainer, losses, pace)
            if validating and validation:
                row |= validate(*trainer.averaged(), config.num_channels, validation)
            trainer.metrics.append(row)
            trainer.elapsed_s = logged_s = time.monotonic() - started
            logged_step = trainer.step
            write_metrics(trainer.metrics, folder / METRICS)
            if validating and validation and report is not None:
                report(trainer)
        if time.monotonic() - saved > config.checkpoint_every_s or last:
            trainer.save(checkpoint)
            saved = time.monotonic()
    return Trained(*trainer.averaged(), trainer.metrics)


def _row(trainer: Trainer, losses: StepLosses, images_per_s: float) -> dict[str, float]:
    loss = losses.distortion if losses.generator.isnan() else losses.generator
    values = {"loss": loss, "distortion": losses.distortion, "generator_loss": losses.generator,
              "discriminator_loss": losses.discriminator}  # fmt: skip
    numbers = {k: round(float(v), 5) for k, v in values.items() if not v.isnan()}
    return {
        "step": trainer.step,
        "time_s": round(trainer.elapsed_s, 1),
        "images_per_s": round(images_per_s, 2),
    } | numbers


def write_metrics(rows: list[dict[str, float]], path: Path) -> None:
    """Write metrics as CSV with one column for each name that occurs. Raises StorageError."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


@torch.no_grad()
def validate(
    encoder: nn.Module, generator: nn.Module, counts: Sequence[int], images: Sequence[np.ndarray]
) -> dict[str, float]:
    """Mean PSNR in dB of 8-bit latents on centre crops of at most 218 x 178, for each channel count.

    Columns are named validation_psnr_db_<n>. Latents are rounded, pixels are not.
    """
    totals = dict.fromkeys(counts, 0.0)
    for image in images:
        height, width = min(218, image.shape[0]), min(178, image.shape[1])
        height, width = height - (height - 2) % STRIDE, width - (width - 2) % STRIDE
        top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        crop = torch.from_numpy(image[top : top + height, left : left + width].copy())
        x = crop.permute(2, 0, 1)[None].float() / 127.5 - 1
        y = quantise_straight_through(encoder(x), torch.full((1, 1, 1, 1), VALIDATION_BITS))
        for count in counts:
            x_hat = generator(y * channel_mask(torch.tensor([count]), y.shape[1]))
            totals[count] -= 10 * math.log10((x_hat - x).square().mean().item() / 4 + 1e-10)
    return {f"validation_psnr_db_{count}": round(total / len(images), 3) for count, total in totals.items()}

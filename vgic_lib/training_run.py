# SPDX-License-Identifier: MIT
"""A training run from photographs to weights that codec and search can load."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from vgic_lib import figures, paths
from vgic_lib.config import TrainingConfig
from vgic_lib.data import Photograph, load
from vgic_lib.errors import DataError
from vgic_lib.files import atomic_path, write_text
from vgic_lib.images import centre_crop, to_image, to_tensor
from vgic_lib.latent_model import Setting, VaeGan
from vgic_lib.model_store import save_model
from vgic_lib.progress import progress
from vgic_lib.training import Trained, Trainer, train

SAMPLES = 3  # validation photographs shown in samples.png
FIT_PHOTOGRAPHS = 160  # training photographs that the prior is fitted to
FIT_SIDE = 258  # pixels: their centres only


def run_name(config: TrainingConfig) -> str:
    """Name of the network of a run: "vaegan-8" for one channel count, "vaegan" for a nested one."""
    return config.model if config.nested else f"{config.model}-{config.num_channels[0]}"


def train_model(
    config: TrainingConfig,
    run: str,
    photographs: Sequence[Photograph],
    name: str = "",
    overwrite: bool = False,
) -> Path:
    """Train, or continue, and write <name>.safetensors; a finished run is not repeated.

    In outputs/runs/<run>/training/<name>/ there are, as training goes on, checkpoint.pt, metrics.csv,
    curves.png (.pdf, .csv) and samples.png (originals, then reconstructions for each channel count), and
    in the end config.json.

    Args:
        config: of the run.
        run: name of the run.
        photographs: those of the splits "train" and "validation" are used.
        name: of the network; `run_name(config)` if empty.
        overwrite: start again even if there is a checkpoint.

    Returns:
        Path of the weights.

    Raises:
        DataError, ModelError, ParameterError, StorageError: see `vgic_lib.training.Trainer`.
    """
    name = name or run_name(config)
    folder = paths.training_dir(run) / name
    if overwrite:
        (folder / "checkpoint.pt").unlink(missing_ok=True)
    images, validation = (
        load([p for p in photographs if p.split == split]) for split in ("train", "validation")
    )
    if not images:
        raise DataError("no training photographs: choose a data set whose split has some")
    trained = train(config, folder, images, validation, report=lambda t: write_report(t, folder, validation))
    write_text(folder / "config.json", json.dumps(asdict(config), indent=2))
    weights = folder / f"{name}.safetensors"
    export(trained, config, images, weights)
    return weights


def write_report(trainer: Trainer, folder: Path, validation: Sequence[np.ndarray]) -> None:
    """Write curves and sample reconstructions of a run so far."""
    metrics = pd.DataFrame(trainer.metrics)
    figures.save_figure(figures.training_curves(metrics), folder / "curves", metrics)
    model = _model(*trainer.averaged(), trainer.config)
    lines = []
    for pixels in validation[:SAMPLES]:
        x = to_tensor(Image.fromarray(pixels[:218, :178]))
        shown = [x] + [_reconstruct(model, x, count) for count in trainer.config.num_channels]
        height, width = x.shape[2:]
        lines.append(
            torch.nn.functional.pad(torch.cat(shown, 3), (0, (178 - width) * len(shown), 0, 218 - height))
        )
    with atomic_path(folder / "samples.png") as temporary:
        to_image(torch.cat(lines, 2)).save(temporary, format="PNG")


def export(trained: Trained, config: TrainingConfig, images: Sequence[np.ndarray], path: Path) -> bytes:
    """Fit the priors to training photographs and write the weights; return the model id."""
    model = _model(
        trained.encoder.half().float(), trained.generator.half().float(), config
    )  # as they will be read
    finest = Setting(model.channels, max(model.bit_depths))
    latents = []
    with torch.no_grad():
        for pixels in progress(images[:FIT_PHOTOGRAPHS], "fit priors"):
            image = centre_crop(Image.fromarray(pixels), FIT_SIDE, FIT_SIDE)
            latents += model.analysis(to_tensor(image), finest)
    for bits in model.bit_depths:
        scale = Setting(model.channels, bits).largest / finest.largest
        model.priors[str(bits)].fit([(k * scale).round() for k in latents])
    score = {k: v for row in trained.metrics for k, v in row.items() if k.startswith("validation")}
    description = f"2020 VAE-GAN, n = {', '.join(map(str, config.num_channels))}; {config.steps} steps"
    if score:
        description += f"; validation PSNR {', '.join(f'{v:.2f}' for v in score.values())} dB"
    return save_model(model, path, description)


def _model(encoder: torch.nn.Module, generator: torch.nn.Module, config: TrainingConfig) -> VaeGan:
    model = VaeGan(config.num_channels)
    model.encoder, model.generator = encoder, generator
    return model.eval().requires_grad_(False)


@torch.no_grad()
def _reconstruct(model: VaeGan, x: torch.Tensor, count: int) -> torch.Tensor:
    setting = Setting(count, max(model.bit_depths))
    latents = tuple(k.round() for k in model.analysis(x, setting))
    return model.synthesis(latents, setting, tuple(x.shape[2:]))

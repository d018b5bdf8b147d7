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
from vgic_lib.datasets.photographs import Photograph, load
from vgic_lib.errors import DataError
from vgic_lib.files import atomic_path, write_text
from vgic_lib.images import to_image, to_tensor
from vgic_lib.models.store import as_stored, save_model
from vgic_lib.training import curves, processes
from vgic_lib.training.config import TrainingConfig
from vgic_lib.training.export import describe, fit_pictures, make_model
from vgic_lib.training.loop import Trained, Trainer, train

SAMPLES = 3  # validation photographs shown in samples.png
SAMPLE_SIZE = 218, 178  # pixels, height and width


def train_model(
    config: TrainingConfig,
    run: str,
    photographs: Sequence[Photograph],
    name: str = "",
    overwrite: bool = False,
) -> Path:
    """Train, or continue, and write <name>.safetensors; a finished run is not repeated.

    In outputs/runs/<run>/training/<name>/ there are, as training goes on, checkpoint.pt, metrics.csv,
    curves.png (.pdf, .csv) and samples.png (originals, then reconstructions for each channel count or for
    some qualities), and in the end config.json. Of several processes the first one writes them.

    Args:
        config: of the run.
        run: name of the run.
        photographs: those of the splits "train" and "validation" are used.
        name: of the network; that of the configuration if empty.
        overwrite: start again even if there is a checkpoint.

    Returns:
        Path of the weights.

    Raises:
        ClusterError, DataError, ModelError, ParameterError, StorageError: see `vgic_lib.training.loop.train`.
    """
    name = name or config.name
    folder = paths.training_dir(run) / name
    if overwrite and processes.is_first():
        (folder / "checkpoint.pt").unlink(missing_ok=True)
    images, validation = (
        load([p for p in photographs if p.split == split]) for split in ("train", "validation")
    )
    if not images:
        raise DataError("no training photographs: choose a data set whose split has some")
    trained = train(config, folder, images, validation, report=lambda t: write_report(t, folder, validation))
    weights = folder / f"{name}.safetensors"
    if processes.is_first():
        write_text(folder / "config.json", json.dumps(asdict(config), indent=2))
        export(trained, config, images, weights)
    return weights


def write_report(trainer: Trainer, folder: Path, validation: Sequence[np.ndarray]) -> None:
    """Write curves and sample reconstructions of a run so far."""
    metrics = pd.DataFrame(trainer.metrics)
    figures.save_figure(curves.training_curves(metrics), folder / "curves", metrics)
    networks = trainer.averaged()
    height, width = SAMPLE_SIZE
    lines = []
    for pixels in validation[:SAMPLES]:
        x = to_tensor(Image.fromarray(pixels[:height, :width]))
        shown = [x, *trainer.task.samples(networks, x)]
        missing = (0, (width - x.shape[3]) * len(shown), 0, height - x.shape[2])
        lines.append(torch.nn.functional.pad(torch.cat(shown, 3), missing))
    with atomic_path(folder / "samples.png") as temporary:
        to_image(torch.cat(lines, 2)).save(temporary, format="PNG")


def export(trained: Trained, config: TrainingConfig, images: Sequence[np.ndarray], path: Path) -> bytes:
    """Fit what is left to fit to training photographs and write the weights; return the model id."""
    model = make_model([as_stored(network) for network in trained.networks], config)  # as it will be read
    model.fit(fit_pictures(images))
    return save_model(model, path, describe(config, trained.metrics))

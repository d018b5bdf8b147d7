# SPDX-License-Identifier: MIT
"""Where things live: the only module that knows folder names.

The project folder is the one that holds this package; the environment variable ``VGIC_HOME``
names another one (tests use it).
"""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent  # this library
PROJECT = PACKAGE.parent  # its checkout
WEIGHTS = PACKAGE / "weights"
PUBLISHED = PACKAGE / "published"


def root() -> Path:
    """Project folder."""
    return Path(os.environ.get("VGIC_HOME") or PROJECT)


def notebooks() -> Path:
    """Numbered notebooks, stripped."""
    return root() / "notebooks"


def profiles() -> Path:
    """One YAML file per profile of notebook parameters."""
    return notebooks() / "profiles"


def data() -> Path:
    """Downloaded and unpacked data sets (never tracked)."""
    return root() / "data"


def outputs() -> Path:
    """Everything that a run writes."""
    return root() / "outputs"


def run_dir(run: str) -> Path:
    """Folder of one run: executed notebooks, rows, checkpoints, manifest, report (never tracked)."""
    return outputs() / "runs" / run


def data_dir(run: str) -> Path:
    """Manifest and preview of the photographs of a run (notebook 01)."""
    return run_dir(run) / "data"


def training_dir(run: str) -> Path:
    """Checkpoints, curves and weights of a training run (notebook 02)."""
    return run_dir(run) / "training"


def search_dir(run: str) -> Path:
    """Traces of latent searches (notebook 03)."""
    return run_dir(run) / "search"


def compression_dir(run: str) -> Path:
    """Compressed files and measured rows (notebook 04)."""
    return run_dir(run) / "compression"


def results_dir(run: str) -> Path:
    """Tables and figures for a report (notebook 05); those of ``kodak`` and ``kodak-2020`` are tracked."""
    return outputs() / "results" / run

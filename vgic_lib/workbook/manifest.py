# SPDX-License-Identifier: MIT
"""What a run of the workbook did: its manifest, rewritten after every step."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vgic_lib import files, paths
from vgic_lib.environment import Environment


@dataclass(frozen=True)
class StepRecord:
    """One notebook of a run."""

    name: str
    key: str  # hash of everything that the result depends on
    parameters: dict[str, Any]
    status: str = "pending"  # pending, running, done, failed or interrupted
    started: str = ""  # UTC, ISO 8601; the first attempt, where an interrupted one was resumed
    ended: str = ""
    time_s: float = 0.0  # of the last attempt
    files: tuple[str, ...] = ()  # written by the step, relative to the project folder
    error: str = ""


@dataclass(frozen=True)
class Manifest:
    """A run and its steps."""

    run: str
    profile: str
    description: str
    overrides: dict[str, Any]  # parameters given on the command line
    environment: Environment
    seeds: dict[str, int]  # by notebook
    steps: tuple[StepRecord, ...]

    def step(self, name: str) -> StepRecord:
        """Record of the notebook `name`. Raises KeyError."""
        return {step.name: step for step in self.steps}[name]

    def with_step(self, record: StepRecord) -> "Manifest":
        """Copy of the manifest with one record replaced."""
        steps = tuple(record if step.name == record.name else step for step in self.steps)
        return dataclasses.replace(self, steps=steps)


def manifest_path(run: str) -> Path:
    """File of a run's manifest."""
    return paths.run_dir(run) / "manifest.json"


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write a manifest as JSON. Raises StorageError."""
    files.write_text(path, json.dumps(dataclasses.asdict(manifest), indent=1) + "\n")


def read_manifest(run: str) -> Manifest | None:
    """Manifest of a run; None if it has none, or one that an older version wrote."""
    try:
        values = json.loads(manifest_path(run).read_text(encoding="utf-8"))
        steps = tuple(StepRecord(**{**step, "files": tuple(step["files"])}) for step in values.pop("steps"))
        return Manifest(**{**values, "environment": Environment(**values["environment"]), "steps": steps})
    except (OSError, ValueError, TypeError, KeyError):
        return None

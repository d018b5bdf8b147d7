# SPDX-License-Identifier: MIT
"""Where a result was made: commit, package versions, device."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from vgic_lib import paths

PACKAGES = (
    "vgic",
    "torch",
    "numpy",
    "pillow",
    "pillow-jxl-plugin",
    "scikit-image",
    "constriction",
    "papermill",
)


@dataclass(frozen=True)
class Environment:
    """Commit, versions and device of a run."""

    commit: str  # of the project, with "-dirty" for uncommitted changes; empty outside a git checkout
    versions: dict[str, str]
    device: str


def describe_environment() -> Environment:
    """Commit, package versions and device of this process."""
    import torch  # takes seconds, and a run that has nothing to do needs none

    versions = {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES}
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"cpu, {os.cpu_count()} cores"
    return Environment(commit(), versions, f"{device}, {platform.system()} {platform.machine()}")


def commit() -> str:
    """Commit of the project's code, with "-dirty" for uncommitted changes; empty if there is none."""
    folder = paths.PROJECT
    if not (folder / ".git").exists():
        return ""
    try:
        name = _git(folder, "rev-parse", "--short=12", "HEAD")
        return name + ("-dirty" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.strip()

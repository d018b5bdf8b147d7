# SPDX-License-Identifier: MIT
"""Creates or updates the environment in .venv; does nothing when it is up to date.

Needs Python 3.11, 3.12 or 3.13 and its standard library only. Dependencies are those of
pyproject.toml, at the versions of constraints.txt; uv installs them, or pip where uv is not to be had.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
OLDEST, NEWEST = (3, 11), (3, 13)
EXTRAS = "dev,perceptual,cluster"
NEED_GB = 7.0  # PyTorch with its GPU libraries fills most of it


class SetupError(Exception):
    """One line: what is wrong and what to do."""


def environment_key(project: Path) -> str:
    """Hash of all that the environment depends on."""
    parts = [platform.python_version(), sysconfig.get_platform(), EXTRAS, str(project)]
    contents = [project / "pyproject.toml", project / "constraints.txt", Path(__file__)]
    digest = hashlib.sha256("\n".join(parts).encode())
    for path in contents:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def check_python(version: tuple[int, int]) -> None:
    """Raises SetupError for a Python that the dependencies do not support."""
    if not OLDEST <= version <= NEWEST:
        found = ".".join(map(str, version))
        raise SetupError(f"Python {found} is not supported; install 3.12 and run: make PYTHON=python3.12 env")


def check_disk(project: Path, need_gb: float) -> None:
    """Raises SetupError if the installation cannot fit."""
    free_gb = shutil.disk_usage(project).free / 1e9
    if free_gb < need_gb:
        raise SetupError(
            f"{free_gb:.1f} GB free in {project}, the environment needs {need_gb:g}; free some space "
            "(or set VGIC_NEED_GB if the packages are cached on the same disk)"
        )


def run(command: list[str | Path]) -> bool:
    """Run a command with its output on the screen; whether it succeeded."""
    return subprocess.run(list(map(str, command)), cwd=PROJECT, check=False).returncode == 0


def has_same_python(python: Path) -> bool:
    """Whether an environment exists, works and has the Python that runs this script."""
    try:
        command = [str(python), "-c", "import platform, pip; print(platform.python_version())"]
        answer = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    except OSError:
        return False
    return answer.stdout.strip() == platform.python_version()


def create(venv: Path) -> None:
    """Create an empty environment. Raises SetupError."""
    say(f"creating {venv.name} with Python {platform.python_version()}")
    if not run([sys.executable, "-m", "venv", "--clear", venv]):
        package = f"python3.{sys.version_info.minor}-venv"
        raise SetupError(
            f"cannot create {venv}; on Debian or Ubuntu run: sudo apt install {package}; "
            "elsewhere see the message above"
        )


def install(python: Path) -> None:
    """Install the project and its dependencies into the environment of `python`. Raises SetupError."""
    what = ["-c", "constraints.txt", "-e", f".[{EXTRAS}]"]
    say("installing packages: a minute with uv, some with pip, 7 GB on disk")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if run([*pip, "uv>=0.8"]) and run([python.parent / "uv", "pip", "install", "--python", python, *what]):
        return
    say("uv did not succeed; trying pip")
    if not run([*pip[:4], *pip[5:], *what]):
        raise SetupError(
            "the packages could not be installed; check the network and the messages above, run again"
        )


def main() -> None:
    """Bring the environment up to date. Raises SetupError."""
    check_python(sys.version_info[:2])
    venv = PROJECT / ".venv"
    stamp, python, key = venv / ".stamp", venv / "bin" / "python", environment_key(PROJECT)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == key and python.exists():
        return
    start = time.monotonic()
    stamp.unlink(missing_ok=True)
    fresh = not has_same_python(python)
    if fresh:
        check_disk(PROJECT, float(os.environ.get("VGIC_NEED_GB", NEED_GB)))
        create(venv)
    install(python)
    stamp.write_text(key, encoding="utf-8")
    say(f"ready after {time.monotonic() - start:.0f} s")


def say(text: str) -> None:
    """Show a line at once."""
    print(f"environment: {text}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit(f"environment: error: {error}")
    except OSError as error:
        sys.exit(f"environment: error: {error.strerror} ({error.filename}); check permissions and free space")
    except KeyboardInterrupt:
        sys.exit("environment: interrupted; run again to go on")

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Brings weights that were shipped once back from the history of this repository, for files made with them.

    python tools/earlier_weights.py bb0934c8      the id that the error message names

They, and their generative head if they had one, are put below outputs/runs/earlier, where files find them.
Exit status: 0 found, 1 not in the history that is here (a shallow clone has none: git fetch --unshallow).
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from vgic_lib import paths  # noqa: E402
from vgic_lib.files import write_bytes  # noqa: E402
from vgic_lib.models.store import model_id_of  # noqa: E402


def shipped(repository: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every weights file that was ever committed, each version once."""
    listed = _git(repository, "rev-list", "--all", "--objects", "--", "vgic_lib/weights").decode()
    for blob, _, path in (line.partition(" ") for line in listed.splitlines()):
        if path.endswith(".safetensors"):
            yield Path(path).stem, _git(repository, "cat-file", "blob", blob)


def body(data: bytes) -> str:
    """Id of the weights that a generative head is for; empty for anything else."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return header.get("__metadata__", {}).get("body", "")


def restore(model_id: str, repository: Path = PROJECT) -> list[Path]:
    """Write the weights of an id, and heads for them, below outputs/runs/earlier; where they are now."""
    written = []
    for name, data in shipped(repository):
        own = model_id_of(data).hex()
        if model_id in (own, body(data)):
            written.append(paths.outputs() / "runs/earlier/training" / name / f"{own}.safetensors")
            write_bytes(written[-1], data)
    return written


def _git(repository: Path, *words: str) -> bytes:
    return subprocess.run(["git", "-C", str(repository), *words], check=True, capture_output=True).stdout


def main() -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model_id", help="8 hexadecimal digits, as the error message has them")
    model_id = parser.parse_args().model_id
    if not re.fullmatch("[0-9a-f]{8}", model_id):
        parser.error(f"{model_id!r} is no id; give the 8 hexadecimal digits that the error message has")
    try:
        written = restore(model_id)
    except (OSError, subprocess.CalledProcessError):
        parser.error("this needs git and a clone of the repository; run it there")
    print("\n".join(map(str, written)) or f"no weights {model_id} in the history that is here")
    return 0 if written else 1


if __name__ == "__main__":
    sys.exit(main())

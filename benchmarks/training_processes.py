# SPDX-License-Identifier: MIT
"""Training on two processes of one thread each against one process of two threads, on a CPU.

Both train the codec on the embedded photographs with the same crops a step, in turns; printed are images per
second of the steps after the first ones, and the ratio of their medians.

    python benchmarks/training_processes.py [--model hyperprior] [--steps 16] [--rounds 2]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

FIRST = 4  # steps that load libraries, and are not counted
WAYS = {
    "one process, two threads": (2, ["-m", "vgic_lib"]),
    "two processes, a thread each": (
        1, ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "vgic_lib"]
    ),
}  # fmt: skip


def images_per_s(model, threads, start, steps):
    """Median over steps of a fresh run in a folder of its own."""
    settings = [f"steps={steps}", "log_every=1", f"validate_every={steps}", "validation_pictures=1"]
    with tempfile.TemporaryDirectory() as home:
        subprocess.run(
            [sys.executable, *start, "train", "--model", model, "--run-name", "timed"]
            + [word for setting in settings for word in ("--set", setting)],
            env=os.environ | {"VGIC_HOME": home, "OMP_NUM_THREADS": str(threads), "VGIC_PROGRESS": "0"},
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        (table,) = Path(home).rglob("metrics.csv")
        return statistics.median(pd.read_csv(table)["images_per_s"][FIRST:-1])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="hyperprior")
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    found = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way, (threads, start) in WAYS.items():
            found[way].append(images_per_s(options.model, threads, start, options.steps))
    medians = {way: statistics.median(values) for way, values in found.items()}
    for way, speed in medians.items():
        print(f"{way:<30} {speed:.2f} images per second")
    one, two = medians.values()
    print(f"ratio {two / one:.2f}")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""What bulk work on a cluster costs beside the work itself: docs/scale.md is made of what this prints.

A scheduler in this process and two workers on loopback; all times are CPU time, so other work on the machine
does not count. First jobs that do nothing, in batches of several sizes: what a task costs. Then a run of many
tiny files through `cluster.each` as it is, real pictures through the codec, and searches here and there.

    python benchmarks/scale.py [--jobs 100000] [--pictures 200]
"""

import argparse
import logging
import os
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import skimage
from distributed import LocalCluster
from peak import MIB, peak_bytes
from PIL import Image

from vgic_lib import cluster, codec, files
from vgic_lib.codec import conversion
from vgic_lib.models import store
from vgic_lib.models.tunes import DEFAULT_MODEL

SIDE = 16  # pixels of a tiny picture
SEARCH_STEPS = 20


def nothing(number):
    return ""


def copy(source, target, number):
    """What a conversion does to the disk: one small file read, another one written."""
    files.write_bytes(target / f"{number % 1000}" / f"{number}", files.read_bytes(source))
    return ""


def cpu_s(process):
    times = process.cpu_times()
    return times.user + times.system


class Timed:
    """Does jobs and prints the CPU time of each: of this process (client, scheduler), and of the workers."""

    def __init__(self, at, workers):
        self.at, self.workers, self.start_s = at, workers, (0.0, 0.0)

    def __call__(self, title, function, jobs, **folders):
        begun, before = time.perf_counter(), self.cpu_s()
        for _, result in cluster.each(function, jobs, title, self.at, **folders):
            assert result == "", result
        wall_s, count = time.perf_counter() - begun, len(jobs)
        spent = [
            after - s - start for after, s, start in zip(self.cpu_s(), before, self.start_s, strict=True)
        ]
        here, there = (1e3 * seconds / count for seconds in spent)
        rate = f"{count / wall_s:8.0f} jobs/s"
        print(
            f"{title:<24} {count:>7} jobs {here:9.3f} ms here {there:9.3f} ms on workers {rate}", flush=True
        )
        return spent

    def cpu_s(self):
        return cpu_s(psutil.Process()), sum(map(cpu_s, self.workers))


def overheads(timed):
    """Cost of a task, and of a job in it, in CPU time of client and scheduler."""
    found = {}
    for batch, jobs in ((1, 1000), (100, 50_000), (1000, 100_000)):
        cluster.LARGEST_BATCH = batch
        found[batch] = timed(f"nothing, {batch} a task", nothing, range(jobs))[0] / jobs
    job_s = (1000 * found[1000] - 100 * found[100]) / 900
    task_s = found[1] - job_s
    print(f"a task costs {1e3 * task_s:.2f} ms, a job in it {1e6 * job_s:.0f} us; so one scheduler feeds")
    for batch_s in (0.1, cluster.BATCH_S, 10):
        print(f"  {batch_s / task_s:8.0f} workers with batches of {batch_s:g} s")


def photograph():
    """A picture of 768 x 512 pixels."""
    return Image.fromarray(np.tile(skimage.data.astronaut(), (1, 2, 1))[:, :768])


def search(image, number):
    codec.compress(image, search_steps=SEARCH_STEPS)
    return ""


def searches(timed):
    """CPU time of a latent search on a worker over that of one here."""
    jobs, work = range(2), partial(search, photograph())
    here = []
    for _ in jobs:
        begun = time.process_time()
        work(0)
        here.append(time.process_time() - begun)
    there = timed(f"search of {SEARCH_STEPS} steps", work, jobs)[1] / len(jobs)
    print(f"a search on a worker takes {there / min(here):.2f} times the CPU time of one here")


def one_picture():
    """CPU seconds of a picture of 768 x 512 pixels, and peak memory of this process."""
    image = photograph()
    model = store.load_model(DEFAULT_MODEL)
    data = codec.compress(image, model=model)
    for name, work in (
        ("compress", lambda: codec.compress(image, model=model)),
        ("decompress", decoding(data)),
    ):
        work()
        begun = time.process_time()
        for _ in range(3):
            work()
        print(
            f"{name:<12} {(time.process_time() - begun) / 3:.3f} core-seconds a picture of 768 x 512 pixels"
        )
    peak = peak_bytes() / MIB
    weights = (Path(store.__file__).parents[1] / "weights" / f"{model.name}.safetensors").stat().st_size / MIB
    print(f"peak memory {peak:.0f} MiB, weights on disk {weights:.1f} MiB, file {len(data) / 1024:.1f} KiB\n")


def decoding(data):
    return lambda: codec.decompress(data)


def tiny_pictures(folder, count):
    random = np.random.default_rng(0)
    for number in range(count):
        pixels = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--pictures", type=int, default=200)
    options = parser.parse_args()
    os.environ["VGIC_PROGRESS"] = "0"
    one_picture()
    quiet = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL + 1, "memory_limit": 0}
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, **quiet) as local,
        tempfile.TemporaryDirectory() as name,
    ):
        at = cluster.Place(local.scheduler_address, 2)
        list(cluster.each(nothing, range(2), "warm up", at))
        workers = [
            process for process in psutil.Process().children(True) if "spawn_main" in str(process.cmdline())
        ]
        timed = Timed(at, workers)
        timed.start_s = timed("start", nothing, range(2))
        overheads(timed)
        folder = Path(name)
        tiny_pictures(folder, max(1, options.pictures))
        target = folder / "out"
        work = partial(copy, folder / "0.png", target)
        timed("tiny files", work, range(options.jobs), writes=target)
        compression = conversion.compression(store.load_model(DEFAULT_MODEL))
        work = partial(conversion._note, compression, folder, folder, False)
        names = [(Path(f"{number}.png"), Path(f"{number}.vgic")) for number in range(options.pictures)]
        timed(f"pictures of {SIDE} x {SIDE}", work, names, writes=folder)
        searches(timed)
    peak = peak_bytes() / MIB
    print(f"client and scheduler: at most {peak:.0f} MiB")


if __name__ == "__main__":
    main()

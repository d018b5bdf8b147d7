# SPDX-License-Identifier: MIT
"""Speed of VGIC's codec beside two learned codecs of CompressAI, on one picture, in one run.

Each codec works in a process of its own, and all take turns: what slows the machine slows them all. The
medians count. VGIC is timed from picture to file bytes and back, its peers from tensor to strings and back:
as they come, and once more with glibc told to keep freed memory, which VGIC tells it by itself.
Their random weights do for timing. CompressAI is not one of VGIC's dependencies; without it there is no
comparison:

    python -m venv peers && peers/bin/pip install compressai
    python benchmarks/codec_speed.py --peer-python peers/bin/python

It may also be installed beside VGIC; then --peer-python is not needed. The autoregressive peer takes about a
minute a picture: a call of more than 10 seconds is made once.

Lossless files of VGIC and of other formats take turns in one more process.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

SIZE = 768, 512  # pixels
SLOW_S = 10.0  # a call that takes longer is neither warmed up nor repeated
PEERS = ("mbt2018_mean", "cheng2020_anchor")
PEER_QUALITY = 4  # 1 to 8
TARGETS = (  # peer, what is done, how many times as fast VGIC has to be
    ("mbt2018_mean", "decompress", 5),
    ("cheng2020_anchor", "decompress", 30),
    ("mbt2018_mean", "compress", 4),
)
SEARCH_STEPS, SEARCH_TARGET_S = 100, 60
PHOTOGRAPH = 12.0  # megapixels, of VGIC alone
PHOTOGRAPH_TARGETS = {"compress": 4.0, "decompress": 3.0}  # seconds
PHOTOGRAPH_GIB = 2.0  # peak of a process
EXACT = "exact"  # the process that makes lossless files
EXACT_TARGETS = {"compress": 2.0, "decompress": 1.0 * SIZE[0] * SIZE[1] / 1e6}  # seconds


def vgic_calls(pixels, model):
    """What VGIC does, by name."""
    from PIL import Image

    from vgic_lib import codec

    image = Image.fromarray(pixels)
    data = codec.compress(image, model=model)
    print(json.dumps(f"{len(data)} bytes"), flush=True)
    return {
        "compress": lambda: codec.compress(image, model=model),
        "decompress": lambda: codec.decompress(data),
        "search": lambda: codec.compress(image, model=model, search_steps=SEARCH_STEPS),
    }


def peer_calls(pixels, name):
    """What a codec of CompressAI does, by name."""
    import torch
    from compressai import zoo

    torch.manual_seed(0)
    codec = getattr(zoo, name)(PEER_QUALITY, pretrained=False).eval()
    codec.update()
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        coded = codec.compress(x)
    print(json.dumps(f"quality {PEER_QUALITY}, random weights"), flush=True)
    return {
        "compress": torch.no_grad()(lambda: codec.compress(x)),
        "decompress": torch.no_grad()(lambda: codec.decompress(coded["strings"], coded["shape"])),
    }


def exact_calls(pixels):
    """Lossless files made and read, by what is done and the format."""
    from PIL import Image

    from vgic_lib import codec
    from vgic_lib.evaluation.exact_files import FORMATS, OURS, opened, saved

    image, calls = Image.fromarray(pixels), {}
    ways = {OURS: (partial(codec.compress, image, lossless=True), codec.decompress)}
    ways |= {title: (partial(saved, image, *how), opened) for title, how in FORMATS.items()}
    for title, (encode, decode) in ways.items():
        calls[f"compress {title}"], calls[f"decompress {title}"] = encode, partial(decode, encode())
    print(json.dumps(list(ways)), flush=True)
    return calls


def work(name, threads, picture, model):
    """A worker: reads what to do, line by line, and writes the seconds that it took."""
    import torch

    torch.set_num_threads(threads)
    pixels = np.load(picture)
    if name in PEERS:
        calls = peer_calls(pixels, name)
    elif name == EXACT:
        calls = exact_calls(pixels)
    else:
        calls = vgic_calls(pixels, model)
    for line in sys.stdin:
        begun = time.perf_counter()
        calls[line.strip()]()
        print(json.dumps(time.perf_counter() - begun), flush=True)


class Worker:
    """A process with one codec in it."""

    def __init__(self, python, name, threads, picture, model, title="", settings=None):
        command = [python, __file__, "--work", name, "--threads", str(threads), "--picture", str(picture)]
        command += ["--model", model] if model else []
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            env=os.environ | (settings or {}),
        )
        self.name, self.seconds = title or name, {}
        self.note = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} failed; to see why: {' '.join(self.process.args)}")
        return json.loads(line)

    def time(self, call):
        """Time `call` once more, unless it is slow; the first time warms up."""
        times = self.seconds.setdefault(call, [])
        if times and times[0] > SLOW_S:
            return
        self.process.stdin.write(f"{call}\n")
        self.process.stdin.flush()
        times.append(self.answer())

    def median(self, call):
        times = self.seconds[call]
        return statistics.median(times[1:] or times)


def seconds_of(worker, title=""):
    """Medians of compressing and of decompressing."""
    return [worker.median(f"{call} {title}".strip()) for call in ("compress", "decompress")]


def show(title, seconds, ours, note=""):
    """A line of a table: seconds, and how many times ours they are."""
    shown = " ".join(f"{value:8.3f} s" for value in seconds)
    ratios = " ".join(f"{value / own:5.2f}" for value, own in zip(seconds, ours, strict=True))
    print(f"{title:<30} {shown}  times VGIC: {ratios}   {note}")


def compare(threads, options, picture):
    """Print times and ratios with `threads` threads."""
    workers = [Worker(sys.executable, "vgic", threads, picture, options.model)]
    if options.peer_python:
        from vgic_lib.environment import KEPT

        kept = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(KEPT)}  # as `keep_freed_memory` does
        for peer in options.peers:
            common = options.peer_python, peer, threads, picture, ""
            workers += [Worker(*common), Worker(*common, f"{peer}, keeps memory", kept)]
    try:
        for _ in range(options.rounds + 1):
            for call in ("compress", "decompress"):
                for worker in workers:
                    worker.time(call)
        if options.search:
            workers[0].time("search")
    finally:
        for worker in workers:
            worker.process.kill()
    print(f"\n{threads} thread{'s' * (threads > 1)}                      compress  decompress")
    ours = seconds_of(workers[0])
    for worker in workers:
        show(worker.name, seconds_of(worker), ours, worker.note)
    report_targets({worker.name: worker for worker in workers})


def compare_exact(threads, options, picture):
    """Print times and ratios of lossless files with `threads` threads."""
    worker = Worker(sys.executable, EXACT, threads, picture, None)
    try:
        for _ in range(options.rounds + 1):
            for title in worker.note:
                worker.time(f"compress {title}")
                worker.time(f"decompress {title}")
    finally:
        worker.process.kill()
    print(f"\n{threads} thread{'s' * (threads > 1)}, lossless               compress  decompress")
    ours = seconds_of(worker, worker.note[0])
    for title in worker.note:
        show(title, seconds_of(worker, title), ours)
    for seconds, (call, target) in zip(ours, EXACT_TARGETS.items(), strict=True):
        verdict = "reached" if seconds <= target else "missed"
        print(f"{call} within {target:.2f} s: {verdict}", flush=True)


def report_targets(workers):
    for peer, call, target in TARGETS:
        if peer in workers:
            ratio = workers[peer].median(call) / workers["vgic"].median(call)
            verdict = "reached" if ratio >= target else "missed"
            print(f"{call:<10} {ratio:7.1f} times as fast as {peer:<16} (target {target}: {verdict})")
    if "search" in workers["vgic"].seconds:
        seconds = workers["vgic"].median("search")
        verdict = "reached" if seconds <= SEARCH_TARGET_S else "missed"
        print(
            f"{SEARCH_STEPS} search steps: {seconds:.1f} s (target {SEARCH_TARGET_S} s: {verdict})",
            flush=True,
        )


def photograph_row(threads, options):
    """Print seconds and peak memory of one photograph of PHOTOGRAPH megapixels, in fresh processes."""
    import memory

    os.environ["OMP_NUM_THREADS"] = str(threads)
    options = memory.parse(["--model", options.model] if options.model else [])
    print(f"\n{threads} thread{'s' * (threads > 1)}, {PHOTOGRAPH:g} megapixels, first call, without imports")
    data = None
    for call, work in (("compress", memory.vgic_compress), ("decompress", memory.vgic_decompress)):
        seconds, gib, data = memory.run(f"vgic {call}", work, PHOTOGRAPH, options, data)
        reached = seconds <= PHOTOGRAPH_TARGETS[call] and gib < PHOTOGRAPH_GIB
        verdict = "reached" if reached else "missed"
        print(f"target {PHOTOGRAPH_TARGETS[call]:g} s, {PHOTOGRAPH_GIB:g} GiB: {verdict}", flush=True)


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer-python", help="Python of an environment with compressai")
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 1])
    parser.add_argument("--rounds", type=int, default=5, help="after one that warms up")
    parser.add_argument("--no-search", dest="search", action="store_false")
    parser.add_argument("--no-photograph", dest="photograph", action="store_false")
    parser.add_argument("--model", help="of VGIC (default: the codec's)")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--picture", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = parse()
    if options.work:
        return work(options.work, options.threads[0], options.picture, options.model)
    if not options.peer_python and importlib.util.find_spec("compressai"):
        options.peer_python = sys.executable
    if not options.peer_python:
        print("CompressAI is not here, so VGIC is timed alone; see --help on how to compare")
    from memory import photograph

    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.npy"
        np.save(picture, photograph(*SIZE))
        print(f"{SIZE[0]}x{SIZE[1]}, median of {options.rounds}")
        for threads in options.threads:
            compare(threads, options, picture)
            compare_exact(threads, options, picture)
            if options.photograph:
                photograph_row(threads, options)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""Counts what becomes of damaged files, odd metadata, killed runs and full disks, for docs/trust.md.

    python benchmarks/trust.py [--part NAME ...] [--count N] [--seconds S]

Every trial follows from its part, the seed and its number. A part goes on where it stopped, in files below
outputs/trust/; the table in outputs/results/trust/ is written from these after each part, and keeps its rows
of parts that were not tried here. To begin anew, delete those files. Exit status: 0 without a fault, 1 with
one. Needs Linux or macOS; takes about an hour.
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PROJECT), *(str(PROJECT / "tests" / name) for name in ("", "datasets", "training"))]

from peak import MIB, peak_bytes  # noqa: E402
from trust_files import damaged_exif, decoded, decoded_exact, opened_by_pillow  # noqa: E402
from trust_pixels import kept as pixels_kept  # noqa: E402
from trust_runs import disk_full, killed  # noqa: E402

STATE, TABLES = PROJECT / "outputs" / "trust", PROJECT / "outputs" / "results" / "trust" / "tables"
SEED = 13
REPORT_S = 10.0  # between two lines
FAULT = "fault"


class Part(NamedTuple):
    """A kind of trial."""

    count: int  # trials of the full proof
    trial: Callable[[int, int], tuple[str, str]]  # seed and number -> case, what became of it
    title: str


PARTS = {
    "files": Part(100_000, decoded, "altered .vgic file, decoded"),
    "exact": Part(5_000, decoded_exact, "altered .vgic file of exact pixels, decoded"),
    "pixels": Part(5_000, pixels_kept, "generated picture in an exact or bounded file, there and back"),
    "pillow": Part(10_000, opened_by_pillow, "altered .vgic file, opened by Pillow"),
    "exif": Part(3_000, damaged_exif, "picture with damaged EXIF, read"),
    "disk": Part(163, disk_full, "disk full while a file is replaced"),  # bytes of that file + operations
    "kills": Part(50, killed, "kill -9 at a random moment, run again"),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--count", type=int, help="trials of each part, with those before (default: all)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="longest time of each part")
    parser.add_argument("--state", type=Path, default=STATE, help="folder of what was counted")
    parser.add_argument("--tables", type=Path, default=TABLES, help="folder of the table")
    options = parser.parse_args()
    for name in options.part:
        run(name, options.count or PARTS[name].count, options.seconds, options.state)
        rows = summary(options.state)
        write_tables(kept(rows, options.tables) + rows, options.tables)
    sys.exit(any(row["faults"] for row in rows))


def run(name, count, seconds, folder):
    """Do what is left of `count` trials of a part, and note every few seconds what came out."""
    folder.mkdir(parents=True, exist_ok=True)
    records = read_records(folder / f"{name}.jsonl")
    number, end = sum(record["trials"] for record in records), time.monotonic() + seconds
    while number < count and time.monotonic() < end:
        record = tried(name, number, count, min(end, time.monotonic() + REPORT_S))
        with open(folder / f"{name}.jsonl", "a", encoding="utf-8") as lines:
            lines.write(json.dumps(record) + "\n")
        number += record["trials"]
        faults = record["faults"] or ""
        print(f"{name}: {number} of {count}, slowest {record['slowest_s']} s {faults}", flush=True)


def tried(name, number, count, end):
    """Record of the trials from `number` on, until `end`."""
    outcomes, faults, slowest_s, first = Counter(), [], 0.0, number
    while number < count and (number == first or time.monotonic() < end):
        begun = time.perf_counter()
        case, outcome = PARTS[name].trial(SEED, number)
        slowest_s = max(slowest_s, time.perf_counter() - begun)
        if outcome.startswith(FAULT):
            faults.append(f"{number}: {case}: {outcome}")
            outcome = FAULT
        outcomes[f"{case}|{outcome}"] += 1
        number += 1
    peak = peak_bytes() // MIB
    facts = {"seed": SEED, "first": first, "commit": commit(), "date": f"{datetime.now(UTC):%Y-%m-%d}"}
    results = {"trials": number - first, "outcomes": outcomes, "faults": faults}
    return facts | results | {"slowest_s": round(slowest_s, 2), "peak_mib": peak}


def commit():
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(
        command, cwd=PROJECT, capture_output=True, encoding="utf-8", check=False
    ).stdout.strip()


def read_records(path):
    """Records of a part; a line that a kill cut off is left out, and its trials are done again."""
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    if lines and lines[-1]:
        path.write_text("".join(f"{line}\n" for line in lines[:-1]), encoding="utf-8")
    return [json.loads(line) for line in lines[:-1]]


def summary(folder):
    """One row for each part and case that has trials."""
    rows = []
    for name, part in PARTS.items():
        records = read_records(folder / f"{name}.jsonl")
        counts = sum((Counter(record["outcomes"]) for record in records), Counter())
        for case in dict.fromkeys(key.split("|")[0] for key in sorted(counts)):
            found = {key.split("|")[1]: count for key, count in counts.items() if key.startswith(f"{case}|")}
            faults = found.pop(FAULT, 0)
            rows.append({
                "part": name, "case": case, "trials": sum(found.values()) + faults, "faults": faults,
                "outcomes": "; ".join(f"{count} {outcome}" for outcome, count in sorted(found.items())),
                "slowest_s": max(record["slowest_s"] for record in records),
                "peak_mib": max(record["peak_mib"] for record in records), "title": part.title,
                "seed": SEED, "commit": records[-1]["commit"], "date": records[-1]["date"],
            })  # fmt: skip
    return rows


def kept(rows, folder):
    """Rows of the table there is whose parts were not tried here."""
    path, tried_here = folder / "trust.csv", {row["part"] for row in rows}
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as lines:
        return [row for row in csv.DictReader(lines) if row["part"] not in tried_here]


def write_tables(rows, folder):
    """All rows as CSV; for people, a row for each part and case with what came out."""
    rows = sorted(rows, key=lambda row: list(PARTS).index(row["part"]))
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "trust.csv", "w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (folder / "trust.md").write_text(markdown(rows), encoding="utf-8")


def markdown(rows):
    lines = ["| what was done | | trials | faults | came out |", "|---|---|---:|---:|---|"]
    for name, part in PARTS.items():
        own = [row for row in rows if row["part"] == name]
        if own:
            trials, faults = (sum(int(row[column]) for row in own) for column in ("trials", "faults"))
            limits = f"slowest {own[0]['slowest_s']} s"
            lines.append(f"| **{part.title}** | all | **{trials}** | **{faults}** | {limits} |")
        for row in own:
            lines.append(f"| | {row['case']} | {row['trials']} | {row['faults']} | {row['outcomes']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""The proof of trust: a few trials of each part, going on after a stop, and its table."""

import csv
import json
import runpy
import subprocess
import sys

import pytest
from helpers import PROJECT

TABLES = PROJECT / "outputs" / "results" / "trust" / "tables"
PROGRAM = PROJECT / "benchmarks" / "trust.py"


def line(tmp_path, *options):
    return [str(PROGRAM), "--state", str(tmp_path), "--tables", str(tmp_path), *options]


@pytest.fixture
def proof_here(tmp_path, monkeypatch):
    """The program in this process, for parts that leave no trace in it; returns its exit status."""

    def run(*options):
        monkeypatch.setattr(sys, "argv", line(tmp_path, *options))
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(PROGRAM), run_name="__main__")
        return ended.value.code

    monkeypatch.setattr(sys, "path", [str(PROGRAM.parent), *sys.path])
    return run


def rows(folder):
    with open(folder / "trust.csv", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.slow
def test_a_few_trials_of_each_part_and_some_more(tmp_path, proof_here, capsys):
    command = [sys.executable, *line(tmp_path, "--count", "2")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "kills: 2 of 2" in done.stdout, done.stdout + done.stderr
    found = rows(tmp_path)
    assert {row["part"]: row["seed"] for row in found} == dict.fromkeys(
        ("files", "exact", "pixels", "pillow", "exif", "disk", "kills"), "13"
    )
    with open(tmp_path / "exif.jsonl", "a", encoding="utf-8") as lines:
        lines.write('{"trials": 7, "outc')  # killed while it wrote
    assert proof_here("--part", "exif", "--count", "6") == 0
    assert "exif: 6 of 6" in capsys.readouterr().out
    records = [json.loads(line) for line in (tmp_path / "exif.jsonl").read_text().splitlines()]
    assert [(record["first"], record["trials"]) for record in records] == [(0, 2), (2, 4)]
    assert sum(int(row["trials"]) for row in rows(tmp_path) if row["part"] == "exif") == 6


def test_rows_of_other_parts_stay(tmp_path, proof_here):
    kept = "part,case,trials,faults,outcomes,slowest_s,peak_mib,title,seed,commit,date"
    (tmp_path / "trust.csv").write_text(f"{kept}\nkills,x,3,0,3 killed,1.5,9,some title,13,abc,2026-01-01\n")
    assert proof_here("--part", "exif", "--count", "2") == 0
    assert {(row["part"], row["trials"]) for row in rows(tmp_path)} >= {("kills", "3")}
    assert (
        "| **kill -9 at a random moment, run again** | all | **3** | **0** |"
        in (tmp_path / "trust.md").read_text()
    )


def test_a_fault_is_counted(tmp_path, proof_here):
    record = {"trials": 2, "outcomes": {"PNG|fault": 1, "PNG|as it lies": 1}, "faults": ["0: PNG: fault: no"]}
    record |= {"slowest_s": 0.1, "peak_mib": 9, "commit": "x", "date": "2026-01-01"}
    (tmp_path / "exif.jsonl").write_text(json.dumps(record) + "\n")
    assert proof_here("--part", "exif", "--count", "2") == 1
    (row,) = rows(tmp_path)
    assert (row["trials"], row["faults"], row["outcomes"]) == ("2", "1", "1 as it lies")


@pytest.mark.skipif(not (TABLES / "trust.csv").exists(), reason="no proof is tracked")
def test_the_tracked_table_has_no_fault():
    found = rows(TABLES)
    assert {row["part"] for row in found} == {"files", "exact", "pixels", "pillow", "exif", "disk", "kills"}
    assert [row for row in found if row["faults"] != "0"] == []

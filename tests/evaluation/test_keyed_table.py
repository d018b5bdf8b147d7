# SPDX-License-Identifier: MIT
"""The table that survives: lines under keys, whatever is killed, cut off or written at the same time."""

import os
import signal
import subprocess
import sys

import pytest

from vgic_lib.errors import DataError, StorageError
from vgic_lib.evaluation.keyed_table import KeyedTable

COLUMNS = ("name", "part", "step", "value")


def table(path):
    return KeyedTable(path, COLUMNS, ("name", "part"), "notebook 04")


def lines(name, part=0, steps=3, value="v"):
    return [{"name": name, "part": part, "step": step, "value": value} for step in range(steps)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "table.csv"


def test_what_is_added_is_there_at_once_and_again(path):
    first = table(path)
    assert list(first) == [] and not path.exists()
    first.add(lines("a", value='text, "quoted"\nin two lines'))
    first.add(lines("b", part=7, steps=1))
    for found in (first, table(path)):
        assert ("a", "0") in found and ("b", "7") in found and ("a", "7") not in found
        assert [line["step"] for line in found["a", "0"]] == ["0", "1", "2"]
        assert found["a", "0"][0]["value"] == 'text, "quoted"\nin two lines'
        assert len(list(found)) == 4


def test_a_key_that_is_added_again_takes_the_place_of_the_earlier_lines(path):
    found = table(path)
    for value in ("old", "older", "new"):
        found.add(lines("a", value=value))  # one right after the other
    found.add(lines("b"))
    assert {line["value"] for line in table(path)["a", "0"]} == {"new"}
    assert len(table(path)["a", "0"]) == 3
    before = path.stat().st_size
    found.rewrite()
    assert path.stat().st_size < before
    assert list(table(path)) == list(found) and len(list(found)) == 6


def test_rewriting_keeps_what_others_have_added(path):
    one, other = table(path), table(path)
    one.add(lines("a"))
    other.add(lines("b"))
    assert ("b", "0") not in one
    one.rewrite()
    assert ("b", "0") in one and ("a", "0") in table(path)


def test_nothing_is_written_for_nothing(path):
    table(path).rewrite()
    assert not path.exists()


@pytest.mark.parametrize("cut", range(1, 26))
def test_what_was_cut_off_is_left_out_and_written_over(path, cut):
    found = table(path)
    found.add(lines("a"))
    found.add(lines("b"))
    os.truncate(path, path.stat().st_size - cut)
    again = table(path)
    assert len(again["a", "0"]) == 3 and ("b", "0") not in again
    again.add(lines("c"))
    assert [line["name"] for line in table(path)] == ["a"] * 3 + ["c"] * 3


def test_a_table_of_an_earlier_version_is_read(path):
    path.parent.mkdir()
    path.write_text("name,part,step,value\na,0,0,v\na,0,1,v\n")
    found = table(path)
    assert len(found["a", "0"]) == 2
    found.add(lines("b"))
    assert len(list(table(path))) == 5


@pytest.mark.parametrize("old", ["name,part,value\na,0,v\n\n", "name,part,value\n\n"], ids=["a line", "none"])
def test_columns_that_came_later_read_as_empty_until_they_are_filled(path, old):
    path.parent.mkdir()
    path.write_text(old)
    with pytest.raises(DataError, match="another version"):
        table(path)
    found = KeyedTable(path, COLUMNS, ("name", "part"), "notebook 04", later=("step",))
    assert [line["step"] for line in found] == [""] * old.count("a,0") and path.read_text() == old
    found.add([{"name": "b", "part": 0, "step": 7, "value": "w"}])
    read = table(path)  # the file has all columns now
    assert [line["step"] for line in read] == [""] * old.count("a,0") + ["7"]


@pytest.mark.parametrize(
    "content", ["name,part,step\na,0,1\n", "name,part,step,value\na,0\nb,0,1,v\n"], ids=["columns", "cells"]
)
def test_other_files_are_refused_in_one_line(path, content):
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(DataError, match="delete it and run notebook 04 again"):
        table(path)


def test_a_full_disk_loses_nothing(path, monkeypatch):
    import resource

    found = table(path)
    found.add(lines("a"))
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limits[1]))
        with pytest.raises(StorageError, match="free some space"):
            found.add(lines("b"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before and ("b", "0") not in found


WRITER = """
import sys
from vgic_lib.evaluation.keyed_table import KeyedTable
found = KeyedTable(sys.argv[1], ("name", "part", "step", "value"), ("name", "part"), "notebook 04")
for part in range(int(sys.argv[3])):
    found.add({"name": sys.argv[2], "part": part, "step": step, "value": "x" * 50} for step in range(3))
    print(part, flush=True)
    if part % 7 == 6:
        found.rewrite()
"""


def start(path, name, parts):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, path, name, str(parts)], stdout=subprocess.PIPE, text=True
    )


def test_two_writers_and_a_kill_lose_nothing_that_was_added(path):
    writers = {"one": start(path, "one", 40), "other": start(path, "other", 40)}
    killed = start(path, "killed", 10_000)
    said = [int(killed.stdout.readline()) for _ in range(20)][-1]
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert [writer.wait() for writer in writers.values()] == [0, 0]
    found = table(path)
    for name, parts in (("one", 40), ("other", 40), ("killed", said + 1)):
        assert all(len(found[name, str(part)]) == 3 for part in range(parts))

# SPDX-License-Identifier: MIT
"""Profiles and plans: what is refused before anything runs."""

import shutil

import pytest
from helpers.workbook import TABLE, write_notebook, write_profile

from vgic_lib import paths
from vgic_lib.errors import ParameterError
from vgic_lib.workbook import pipeline, profiles


def test_keys_follow_parameters_notebooks_and_library(home, counting, monkeypatch):
    write_notebook(home, "02_table", TABLE, 'run: str = ""  # name\noverwrite: bool = False  # again\n')
    write_profile(home, "01_count", "02_table")
    profile = profiles.load_profile("tiny")

    def keys(overrides):
        return [step.key for step in profiles.make_plan(profile, overrides, "tiny")]

    first = keys({})
    assert keys({"overwrite": True}) == first
    upstream = keys({"steps": 9})
    assert upstream[0] != first[0] and upstream[1] != first[1]
    monkeypatch.setattr(profiles, "library_digest", lambda: "another version")
    assert keys({})[0] != first[0]


def test_library_digest_follows_every_file_of_the_package(tmp_path, monkeypatch):
    package = tmp_path / "vgic_lib"
    shutil.copytree(paths.PACKAGE, package, ignore=shutil.ignore_patterns("*.safetensors", "__pycache__"))
    (package / "weights" / "some.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(paths, "PACKAGE", package)
    digests = [profiles.library_digest()]
    changed = [path for path in package.rglob("*") if path.is_file()]
    for path in changed:
        data = bytearray(path.read_bytes() or b" ")
        data[-1] ^= 1
        path.write_bytes(data)
        digests.append(profiles.library_digest())
    assert len(changed) > 50 and len(set(digests)) == len(changed) + 1
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "cli.pyc").write_bytes(b"compiled")
    assert profiles.library_digest() == digests[-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "badly written"),
        ("description: x\nnotebooks: [", "badly written"),
        ("description: x\nnotebooks:\n- name: 01_count\n  parameter: {}", "badly written"),
        ("description: x\nnotebooks:\n- name: 01_count\n  parameters: 5", "badly written"),
        ("description: x\nnotebooks:\n- name: 09_nothing", "there is no notebook 09_nothing.ipynb"),
        (
            "description: x\nnotebooks:\n- name: 01_count\n  parameters: {step: 1}",
            "01_count has no parameter 'step'",
        ),
    ],
)
def test_bad_profiles_are_refused(home, counting, text, message):
    write_profile(home, text=text)
    with pytest.raises(ParameterError, match=message) as caught:
        pipeline.run("tiny")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "default", "expected"),
    [
        ("true", False, True), (False, True, False), ("7", 1, 7), ("1e-3", 0.5, 0.001), (2, 0.5, 2.0),
        (6, "4,6,8", "6"), ("a", "b", "a"), ("[1, 2]", [], [1, 2]), ((3,), [], [3]), (5, None, 5),
    ],
)  # fmt: skip
def test_values_take_the_type_of_the_default(home, value, default, expected):
    write_notebook(home, "01_one", "", f"one: object = {default!r}  # any, for example one = 2")
    write_profile(home, "01_one")
    (step,) = profiles.make_plan(profiles.load_profile("tiny"), {"one": value}, "tiny")
    assert step.parameters["one"] == expected and type(step.parameters["one"]) is type(expected)


@pytest.mark.parametrize(
    ("value", "default"), [("yes please", True), (1, True), (True, 1), (True, "x"), ("x", [])]
)
def test_values_of_another_type_are_refused(home, value, default):
    write_notebook(home, "01_one", "", f"one: object = {default!r}  # any, for example one = 2")
    write_profile(home, "01_one")
    with pytest.raises(ParameterError, match="'one' of 01_one must be of type"):
        profiles.make_plan(profiles.load_profile("tiny"), {"one": value}, "tiny")


@pytest.mark.parametrize("cell", ["one = 2", "import os", "one: int = two", "one: int", "one: int ="])
def test_parameters_that_are_not_plain_are_refused(home, cell):
    write_notebook(home, "01_one", "", cell)
    write_profile(home, "01_one")
    with pytest.raises(ParameterError, match="01_one.ipynb or its parameters cell cannot be read"):
        profiles.make_plan(profiles.load_profile("tiny"), {}, "tiny")

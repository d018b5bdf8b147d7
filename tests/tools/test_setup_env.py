# SPDX-License-Identifier: MIT
"""One dependency list; the set-up script, the Makefile and conda's file agree with it."""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import yaml
from helpers import PROJECT
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

SCRIPT = PROJECT / "tools" / "setup_env.py"
METADATA = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
EXTRAS = METADATA["optional-dependencies"]
REQUIREMENTS = [*METADATA["dependencies"], *(line for lines in EXTRAS.values() for line in lines)]
PYTHONS = ("3.11", "3.12", "3.13")


def normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture
def setup_env(tmp_path, monkeypatch):
    """The set-up script as a module, with a project folder of its own."""
    spec = importlib.util.spec_from_file_location("setup_env", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(PROJECT / name, tmp_path)
    monkeypatch.setattr(module, "PROJECT", tmp_path)
    monkeypatch.setenv("VGIC_NEED_GB", "0")
    return module


def test_conda_environment_is_in_step_with_pyproject():
    environment = yaml.safe_load((PROJECT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert [re.match(r"[a-z]+", line)[0] for line in conda] == ["python", "pip"]
    from_conda, required = (
        SpecifierSet(text) for text in (conda[0].removeprefix("python"), METADATA["requires-python"])
    )
    assert [f"3.{minor}" for minor in range(8, 20) if f"3.{minor}" in from_conda] == list(PYTHONS)
    assert [f"3.{minor}" for minor in range(8, 20) if f"3.{minor}" in required] == list(PYTHONS)
    constraints, editable = pip["pip"]
    assert (PROJECT / constraints.removeprefix("-c ")).exists()
    assert set(re.fullmatch(r"-e \.\[([a-z,]+)\]", editable)[1].split(",")) <= set(EXTRAS)


@pytest.mark.parametrize("line", REQUIREMENTS)
def test_every_dependency_has_a_floor_and_a_pinned_version(line):
    requirement = Requirement(line)
    assert any(specifier.operator == ">=" for specifier in requirement.specifier)
    pins = [Requirement(pin) for pin in (PROJECT / "constraints.txt").read_text().splitlines() if pin.strip()]
    pins = [pin for pin in pins if normalised(pin.name) == normalised(requirement.name)]
    for python in PYTHONS:
        here = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux"}
        (pin,) = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(here)]
        (version,) = pin.specifier
        assert version.operator == "==" and version.version in requirement.specifier


def test_constraints_name_no_address():
    assert not re.search(r"://|@|--", (PROJECT / "constraints.txt").read_text())


def test_citation_and_licence_agree_with_pyproject():
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (METADATA["version"], METADATA["license"])
    assert (PROJECT / "LICENSE").read_text().startswith("MIT License")
    assert importlib.import_module("vgic_lib").__version__ == METADATA["version"]


def test_setup_script_needs_the_standard_library_only():
    tree = ast.parse(SCRIPT.read_text(), feature_version=(3, 11))
    modules = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {module.split(".")[0] for module in modules} <= set(sys.stdlib_module_names)


def test_up_to_date_environment_is_left_alone_quickly(setup_env, tmp_path):
    (tmp_path / "tools").mkdir()
    copy = Path(shutil.copy(SCRIPT, tmp_path / "tools"))
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("not to be run")
    (tmp_path / ".venv" / ".stamp").write_text(setup_env.environment_key(tmp_path))
    start = time.monotonic()
    answer = subprocess.run([sys.executable, copy], capture_output=True, text=True)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    assert time.monotonic() - start < 1.5
    assert python.read_text() == "not to be run"


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_environment_follows_the_dependency_list(setup_env, tmp_path, changed):
    key = setup_env.environment_key(tmp_path)
    (tmp_path / changed).write_text((tmp_path / changed).read_text() + "\n")
    assert setup_env.environment_key(tmp_path) != key


@pytest.mark.parametrize("version", [(3, 10), (3, 14)])
def test_unsupported_python_is_refused(setup_env, version):
    with pytest.raises(setup_env.SetupError, match=f"Python 3.{version[1]} is not supported; install 3.12"):
        setup_env.check_python(version)


def test_full_disk_is_refused_before_anything_is_made(setup_env, tmp_path, monkeypatch):
    monkeypatch.setenv("VGIC_NEED_GB", "1e9")
    with pytest.raises(setup_env.SetupError, match="GB free in .*free some space"):
        setup_env.main()
    assert not (tmp_path / ".venv").exists()


def answering(module, monkeypatch, fails):
    """Let the script's commands fail by what they hold; returns the list of those it ran."""
    commands = []

    def run(command):
        line = " ".join(map(str, command))
        commands.append(line)
        if "-m venv" in line and not fails(line):
            (module.PROJECT / ".venv" / "bin").mkdir(parents=True)
        return not fails(line)

    monkeypatch.setattr(module, "run", run)
    return commands


def test_installation_with_uv_then_nothing_to_do(setup_env, tmp_path, monkeypatch):
    commands = answering(setup_env, monkeypatch, lambda line: False)
    setup_env.main()
    assert len(commands) == 3 and "uv pip install" in commands[2]
    (tmp_path / ".venv" / "bin" / "python").touch()
    setup_env.main()
    assert len(commands) == 3


def test_pip_installs_where_uv_cannot(setup_env, tmp_path, monkeypatch):
    commands = answering(setup_env, monkeypatch, lambda line: "uv>=" in line)
    setup_env.main()
    assert "-m pip install" in commands[-1] and commands[-1].endswith(
        "-c constraints.txt -e .[dev,perceptual,cluster]"
    )
    assert (tmp_path / ".venv" / ".stamp").exists()


@pytest.mark.parametrize(
    ("failing", "message"),
    [("install", "could not be installed; check the network"), ("-m venv", "sudo apt install")],
)
def test_failed_setup_is_one_line_and_leaves_no_stamp(setup_env, tmp_path, monkeypatch, failing, message):
    answering(setup_env, monkeypatch, lambda line: failing in line)
    with pytest.raises(setup_env.SetupError, match=message) as caught:
        setup_env.main()
    assert "\n" not in str(caught.value)
    assert not (tmp_path / ".venv" / ".stamp").exists()


def make(*words):
    return subprocess.run(["make", *words], cwd=PROJECT, capture_output=True, text=True)


def test_make_alone_lists_every_target():
    listed = re.findall(r"^  make (\w+) +\S", make().stdout, re.MULTILINE)
    declared = re.search(r"^\.PHONY: (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)[1].split()
    assert listed == declared


@pytest.mark.parametrize(
    ("target", "command"),
    [("results", "vgic run --profile default"), ("test", "-m pytest"), ("lab", "jupyter lab")],
)
def test_targets_bring_the_environment_up_to_date_first(target, command):
    lines = make("--dry-run", target).stdout
    assert -1 < lines.find("tools/setup_env.py") < lines.find(command)


def test_make_without_a_python_is_one_line():
    answer = make("env", "PYTHONS=no-such-python")
    assert answer.returncode != 0
    assert answer.stderr.splitlines()[0].startswith(
        "environment: error: no Python 3.11, 3.12 or 3.13 found; install"
    )


def test_continuous_integration_runs_make_test():
    script = PROJECT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-1] == "make test"

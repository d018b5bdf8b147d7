# SPDX-License-Identifier: MIT
"""The rooms of the library: what may import what, and where each module is tested."""

import ast

import pytest
from helpers import PROJECT

GROUND = (
    "errors", "paths", "files", "progress", "environment", "images", "figures", "terminal", "cluster",
    "worker",
)  # fmt: skip
ORDER = (  # from the roof to the floor: a package imports itself, the ground and what stands below it
    "desk", "workbook", "reporting", "evaluation", "training", "codec", "datasets", "search", "models",
    "bitstream", "metrics", "networks", "formats",
)  # fmt: skip
ONLY_GROUND = ("workbook", "formats")  # it runs notebooks, and these import the library
DOORS = ("__init__", "__main__", "cli", "pillow_plugin")  # of the library: they may import all of it
HAND_ON = {"codec": ("image", "reading"), "desk": ("desk",)}  # packages that hand names on, and of what
LIBRARY = PROJECT / "vgic_lib"
MODULES = sorted(LIBRARY.rglob("*.py"))
TESTED_ELSEWHERE = {  # modules without a test module of their name, and why
    "__init__": "the version alone, compared with pyproject in tools/test_setup_env.py",
    "__main__": "one call of cli.main",
    "environment": "tested with what records it: workbook/test_pipeline.py, evaluation/test_bench.py",
    "errors": "classes without behaviour",
    "paths": "names of folders, used by all tests through the fixture `home`",
    "progress": "tested as it is seen, in test_cli.py and workbook/test_pipeline.py",
    "codec/saving": "tested with what calls it, in codec/test_conversion.py",
    "datasets/sources": "addresses and checksums, used in datasets/test_downloads.py and test_photographs.py",
    "desk/view": "tested with the desk, in desk/test_desk.py",
    "desk/widgets": "tested with the desk, in desk/test_desk.py and test_browser.py",
    "desk/work": "tested with the desk, in desk/test_desk.py",
    "formats/limits": "one number, used in test_images.py and bitstream/test_container.py",
    "metrics/tensors": "colour and checks, tested with the metrics that use them",
    "metrics/windows": "Gaussian windows, tested with the metrics that use them",
    "models/base": "types, shared by the models' tests",
    "models/complexity": "tested as it is used, by `vgic info --model`, in test_cli.py",
    "networks/head": "tested with what is made of it, in models/test_head.py and training/test_head.py",
    "networks/hyperprior": "tested through its model, in models/test_hyperprior.py",
    "networks/quality": "an interpolation that every test of the hyperprior uses",
    "reporting/bd_tables": "captions and columns, tested in evaluation/test_rate_distortion.py",
    "training/export": "tested at the end of runs, in training/test_run.py",
    "training/head_config": "tested with its training, in training/test_head.py",
    "training/presets": "tested with the settings they fill, in training/test_config.py",
    "training/lossless_config": "tested with what it configures, in training/test_lossless.py",
    "training/settings": "tested with what it loads, in training/test_config.py",
    "training/start": "tested with what starts from weights, in training/test_hyperprior.py, test_vaegan.py",
    "training/task": "tested with the tasks, in training/test_hyperprior.py and its neighbours",
    "training/throughput": "tested with the run that reports it, in training/test_hyperprior.py",
    "worker": "the far side of what test_cluster.py tests",
    "workbook/manifest": "tested with the runs that write it, in workbook/test_pipeline.py",
}


def name(path):
    return path.relative_to(LIBRARY).with_suffix("").as_posix()


def room(path):
    """Package of a module; "" at the root."""
    return path.relative_to(LIBRARY).parts[0] if path.parent != LIBRARY else ""


def imported_rooms(path):
    """Packages, and modules at the root, that a module imports anywhere, functions included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (
                alias.name.split(".")[1] for alias in node.names if alias.name.startswith("vgic_lib.")
            )
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)} imports relative to itself"
            words = node.module.split(".")
            if words == ["vgic_lib"]:
                yield from (alias.name for alias in node.names if not alias.name.startswith("__"))
            elif words[0] == "vgic_lib":
                yield words[1]


def allowed(path):
    own = room(path)
    if not own:
        return {*ORDER, *GROUND, *DOORS} if path.stem in DOORS else {*GROUND, "formats"}
    if own in ONLY_GROUND:
        return {own, *GROUND}
    return {own, *GROUND, *ORDER[ORDER.index(own) :]}


def test_every_folder_is_a_room():
    packages = {path.parent.name for path in LIBRARY.glob("*/__init__.py")}
    assert packages == set(ORDER)
    assert {path.stem for path in LIBRARY.glob("*.py")} == {*GROUND, *DOORS}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_run_down_only(path):
    assert set(imported_rooms(path)) - allowed(path) == set()


@pytest.mark.parametrize("package", ORDER)
def test_a_package_says_what_belongs_into_it_and_no_more(package):
    body = ast.parse((LIBRARY / package / "__init__.py").read_text()).body
    handed_on = [node.module for node in body if isinstance(node, ast.ImportFrom)]
    assert ast.get_docstring(ast.Module(body, []))
    expected = [f"vgic_lib.{package}.{module}" for module in HAND_ON.get(package, ())]
    assert handed_on == expected
    assert len(body) == 1 + len(expected) + bool(expected)  # the sentence, names and __all__


def test_every_module_is_tested_under_its_name_or_says_where():
    tested = {
        path.parent / path.name.removeprefix("test_") for path in (PROJECT / "tests").rglob("test_*.py")
    }
    without = [
        path
        for path in MODULES
        if PROJECT / "tests" / path.relative_to(LIBRARY) not in tested
        and (path.name != "__init__.py" or path.parent == LIBRARY)
    ]
    assert {name(path) for path in without} == set(TESTED_ELSEWHERE)

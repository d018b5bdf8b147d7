# SPDX-License-Identifier: MIT
"""README and the pages of docs/ are true: numbers, links, commands, examples."""

import re
import runpy
import shlex

import pytest
import yaml
from helpers import PROJECT
from helpers.pages import PAGES, anchors, blocks, prose
from PIL import Image
from skimage import data
from test_rooms import ORDER
from torch.distributed import run as torchrun

from vgic_lib.bitstream import container
from vgic_lib.cli import build_parser
from vgic_lib.training.presets import PRESETS

README = PROJECT / "README.md"
TOOL = runpy.run_path(str(PROJECT / "tools" / "readme_tables.py"))
REPORTS = [README, *(PROJECT / "docs" / f"{stem}.md" for stem in ("results", "table2020", "limits"))]
COMMANDS = [(page, line) for page in PAGES for text in blocks(page, "sh") for line in text.splitlines()]
EXAMPLES = [(page, text) for page in PAGES if page.stem != "develop" for text in blocks(page, "python")]


def name(value):
    return value.relative_to(PROJECT).as_posix() if hasattr(value, "relative_to") else "block"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_numbers_are_those_that_are_tracked(page):
    """If not, run: make readme."""
    text = page.read_text(encoding="utf-8")
    assert TOOL["filled"](text) == text


def test_every_tracked_table_of_a_report_is_shown():
    shown = {mark["table"] for page in PAGES for mark in TOOL["MARKED"].finditer(page.read_text())}
    tables = {f"kodak/tables/{table}" for table in ("results", "bd_rate")}
    others = {"summary", "packages", "kodak-2020/tables/results", "kodak-eye/tables/arms_low"}
    others |= {
        "trust/tables/trust",
        "kodak-eye/tables/perceptual",
        *(f"lossless/tables/{table}" for table in ("lossless", "bounded", "lossless_centres")),
    }
    assert {*others, *tables} == shown


@pytest.mark.parametrize("page", REPORTS, ids=name)
def test_no_result_in_a_sentence_is_typed_by_hand(page):
    """Every percentage and every decibel stands between marks, which `make readme` fills."""
    text = TOOL["NUMBER"].sub("marked", TOOL["MARKED"].sub("", prose(page)))
    assert re.findall(r"[−+\d.]*\d ?(?:%|dB)", text) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_reached_from_readme():
    linked = {(PROJECT / link).resolve() for link in re.findall(r"\]\(([^)#\s]+)", README.read_text())}
    assert [name(page) for page in PAGES if page not in {*linked, README}] == []


def test_readme_is_short_and_its_first_screen_shows_the_product():
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    assert "```python" in lines[:20] and any(line.startswith("![") for line in lines[:25])
    assert "<!-- summary -->" in lines[:30]


def test_the_map_lists_the_packages_in_their_order():
    assert TOOL["PACKAGES"] == ORDER


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=name)
def test_commands_parse(page, line):
    words = [word for word in shlex.split(line, comments=True) if not re.match(r"[A-Z_]+=", word)]
    if not words:
        return
    program = words[0].removeprefix(".venv/bin/")
    if program == "vgic":
        _check_vgic(words[1:])
    elif program == "torchrun":
        options = torchrun.parse_args(words[1:])
        assert (options.module, options.training_script) == (True, "vgic_lib")
        _check_vgic(options.training_script_args)
    elif program == "make":
        makefile = (PROJECT / "Makefile").read_text()
        assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in words[1:])
    elif program == "dask":
        command = pytest.importorskip(f"distributed.cli.dask_{words[1]}").main
        command.make_context(program, words[2:])
    else:
        assert program == "python" and (PROJECT / words[1]).exists(), line


def _check_vgic(words):
    options = vars(build_parser().parse_args(words))
    profile, preset = options.get("profile"), options.get("preset")
    assert not profile or (PROJECT / "notebooks" / "profiles" / f"{profile}.yaml").exists()
    assert not preset or preset in PRESETS
    _check_parameters(profile, options.get("parameter") or [])


def _check_parameters(profile, parameters):
    """A parameter on a command line is one of some notebook of the profile."""
    for parameter, _ in parameters:
        plan = yaml.safe_load((PROJECT / "notebooks" / "profiles" / f"{profile}.yaml").read_text())
        notebooks = [PROJECT / "notebooks" / f"{step['name']}.ipynb" for step in plan["notebooks"]]
        assert any(f'"{parameter}: ' in notebook.read_text() for notebook in notebooks), parameter


@pytest.mark.parametrize(
    "command",
    ["vgic compress a b --quality 5 --target-bytes 9", "vgic show a", "make nothing", "python no.py"],
)
def test_a_wrong_command_is_found(command):
    with pytest.raises((SystemExit, AssertionError)):
        test_commands_parse(README, command)


@pytest.mark.parametrize(("page", "source"), EXAMPLES, ids=name)
def test_examples_run(page, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(data.astronaut()[:64, 180:276]).save("photo.jpg")
    session = {}
    exec(compile(source, page.name, "exec"), session)
    assert session["picture"].size == (96, 64)


def test_the_format_page_lists_the_fields_of_the_header():
    page = (PROJECT / "docs" / "format.md").read_text()
    listed = re.findall(r"^\| (\w+) \| (\w*) \|", page, re.MULTILINE)
    fields = [(field.name, str(field.width) if field.width else "varint") for field in container._FIELDS]
    assert listed[: 1 + len(fields) + 1] == [("field", "bytes"), ("magic", "4"), *fields]


def test_the_format_page_knows_what_a_file_has_beside_its_latents():
    page = (PROJECT / "docs" / "format.md").read_text()
    smallest, largest = map(int, re.search(r"has (\d+) to (\d+) bytes beside", page).groups())
    sizes = ((1, 1), (65535, 1024), (16383, 4096))
    overheads = [len(container.pack(container.Header(0, 0, *size), [b""])) for size in sizes]
    assert (min(overheads), max(overheads)) == (smallest, largest)

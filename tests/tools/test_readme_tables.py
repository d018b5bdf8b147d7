# SPDX-License-Identifier: MIT
"""Marks in README and docs/: what they are filled with, and that a wrong one is found."""

import importlib.util

import pytest
from helpers import PROJECT


@pytest.fixture
def tool(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("readme_tables", PROJECT / "tools" / "readme_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tables = tmp_path / "run" / "tables"
    tables.mkdir(parents=True)
    (tables / "short.md").write_text("| a |\n")
    (tables / "short.csv").write_text(
        "method,channels,psnr_db,bytes,PSNR (dB)\n"
        '"VGIC, quality 1",,30.25,100,\nold,2,20.04,,20.04\nold,8,24.1,50,\n'
    )
    curves = "curve,bpp,psnr_db\n" + "".join(
        f"{name},{bpp * factor},{30.5 + bpp}\n"
        for name, factor in {"A": 1, "B": 0.8}.items()
        for bpp in (1, 2)
    )
    (tables / "curves.csv").write_text(curves)
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    return module


def number(tool, inside, source="run/tables/short"):
    text = f"so <!-- ={source} {inside} -->old<!-- = -->."
    filled = tool.filled(text)
    assert tool.filled(filled) == filled
    return filled.removeprefix(f"so <!-- ={source} {inside} -->").removesuffix("<!-- = -->.")


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("[VGIC, quality 1] psnr_db .1f", "30.2"),
        ("[VGIC, quality 1; channels=] psnr_db .2f", "30.25"),
        ("[old; channels=8] psnr_db .0f", "24"),
        ("[mean of old] psnr_db .2f", "22.07"),
        ("[old; channels=2] [PSNR (dB)] .1f", "20.0"),
        ("[old; channels=2 against old; channels=8] psnr_db .1f", "−4.1"),
        ("[old; channels=2 against old; channels=8] psnr_db u.1f", "4.1"),
        ("[old; channels=8 against VGIC, quality 1] bytes .0%", "−50%"),
    ],
)
def test_a_mark_is_filled_with_its_cell(tool, inside, expected):
    assert number(tool, inside) == expected


def test_a_mark_of_two_curves_is_their_bjontegaard_delta(tool):
    assert number(tool, "[B against A] bd_rate .1f", "run/tables/curves") == "−20.0"


@pytest.mark.parametrize(
    "inside",
    [
        "[VGIC, quality 2] psnr_db .1f",  # no such row
        "[old] psnr_db .1f",  # two of them
        "[VGIC, quality 1] ssim .1f",  # no such column
        "[old; channels=2] bytes .1f",  # empty
        "[VGIC, quality 1] psnr_db",  # no format
        "VGIC psnr_db .1f",  # no row
    ],
)
def test_a_wrong_mark_is_an_error(tool, inside):
    with pytest.raises(ValueError, match=r"names|ROW"):
        number(tool, inside)


def test_a_mark_without_an_end_is_an_error(tool):
    with pytest.raises(ValueError, match="no end"):
        tool.filled("<!-- =run/tables/short [VGIC, quality 1] psnr_db .1f -->30.2\n\n<!-- = -->")


def test_tables_and_the_summary_stand_between_their_marks(tool, monkeypatch):
    text = "<!-- run/tables/short -->\nold\n<!-- end -->\n"
    assert tool.filled(text) == "<!-- run/tables/short -->\n| a |\n<!-- end -->\n"
    monkeypatch.setattr(tool, "RESULTS", PROJECT / "outputs" / "results")
    lines = tool.filled("<!-- summary -->\n<!-- end -->").splitlines()
    assert len(lines) == 2 + 2 + 6
    assert lines[-2].endswith("|  |  |") and lines[3].startswith("| JPEG | 0 |")


def test_a_page_with_a_wrong_mark_is_named_and_kept(tool, tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text("<!-- =run/tables/short [nobody] psnr_db .1f -->1<!-- = -->")
    monkeypatch.setattr(tool, "PAGES", (page,))
    monkeypatch.setattr(tool, "PROJECT", tmp_path)
    assert tool.main() == 1
    assert capsys.readouterr().err.startswith("page.md: [nobody]") and ">1<" in page.read_text()

# SPDX-License-Identifier: MIT
"""Tables on disk in three formats."""

from pathlib import Path

import pandas as pd
import pytest

from vgic_lib.reporting import results_table, typeset


def test_table_files(rows: pd.DataFrame, tmp_path: Path) -> None:
    table = results_table.results_table(rows)
    written = typeset.write_table(
        table,
        tmp_path / "t",
        results_table.results_columns(table),
        "50% & more",
        "Notes_1.",
        group="channels",
    )
    lines = (tmp_path / "t.md").read_text().splitlines()
    assert written._repr_markdown_() == (tmp_path / "t.md").read_text()
    assert lines[0] == "50% & more"
    assert lines[2].startswith("| Channels | Method | Nominal CR |") and lines[2].endswith("| JPEG (dB) |")
    assert lines[4] == "| 8 | 2020, as published | 6.12 |  |  | 24.06 | 0.810 |  |"
    assert lines[6].startswith("|  | VAE-GAN, 6 bits |") and lines[6].endswith("| 22.50* |")
    assert lines[7].endswith("| 22.50 |") and lines[11].endswith("| 22.50† |")
    latex = (tmp_path / "t.tex").read_text()
    assert (
        r"\caption{50\% \& more}" in latex
        and r"Notes\_1." in latex
        and r"$\pm$" in latex
        and r"$\dagger$" in latex
    )
    columns = latex.split(r"\begin{tabular}{")[1].split("}")[0]
    body = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in body} == {len(columns) - 1} and latex.count(r"\addlinespace") == 1
    assert pd.read_csv(tmp_path / "t.csv")["psnr_db"].tolist() == pytest.approx(
        table["psnr_db"].tolist(), rel=1e-5
    )

# SPDX-License-Identifier: MIT
"""The report of a run."""

import re

from helpers.workbook import TABLE, write_notebook, write_profile

from vgic_lib.workbook import pipeline


def test_report_holds_every_notebook_and_fetches_nothing(home, counting):
    write_notebook(home, "02_table", TABLE)
    write_profile(home, "01_count", "02_table")
    pipeline.run("tiny", only=["01"])
    page = (home / "outputs/runs/tiny/report.html").read_text()
    assert "Notebook 01_count" in page and "counting 3" in page
    assert "it has not run under these parameters" in page
    assert re.findall(r"""(?:src|href|import|url)\s*[=(]?\s*["']?https?://[^"' )]*""", page) == []

# SPDX-License-Identifier: MIT
"""A workbook of one notebook that counts."""

import pytest
from helpers.workbook import COUNT, execute_here, write_notebook, write_profile

from vgic_lib.workbook import pipeline


@pytest.fixture
def counting(home):
    """A profile of one notebook that appends a line to a file whenever it really runs."""
    write_notebook(home, "01_count", COUNT.format(name="count"))
    write_profile(home, "01_count")
    return home / "outputs/runs/tiny/data/count.txt"


@pytest.fixture
def without_kernels(monkeypatch):
    """Notebooks run in this process: for tests of which ones run, not of how."""
    monkeypatch.setattr(pipeline, "execute", execute_here)

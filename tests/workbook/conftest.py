# SPDX-License-Identifier: MIT
"""A workbook of one notebook that counts."""

import pytest
from helpers.workbook import COUNT, write_notebook, write_profile


@pytest.fixture
def counting(home):
    """A profile of one notebook that appends a line to a file whenever it really runs."""
    write_notebook(home, "01_count", COUNT.format(name="count"))
    write_profile(home, "01_count")
    return home / "outputs/runs/tiny/data/count.txt"

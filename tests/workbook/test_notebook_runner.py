# SPDX-License-Identifier: MIT
"""Notebooks that end badly."""

import pytest
from helpers.workbook import write_notebook, write_profile

from vgic_lib.errors import VgicError
from vgic_lib.workbook import pipeline


def test_dead_kernel_is_one_line(home):
    write_notebook(home, "01_dies", "import os\nos.kill(os.getpid(), 9)")
    write_profile(home, "01_dies")
    with pytest.raises(VgicError, match="01_dies: its process was killed, perhaps for lack of memory"):
        pipeline.run("tiny")

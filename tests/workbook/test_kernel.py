# SPDX-License-Identifier: MIT
"""No kernel that is installed elsewhere runs a notebook."""

import json
import sys

import pytest
from helpers.workbook import HEAD, write_notebook, write_profile

from vgic_lib.workbook import pipeline
from vgic_lib.workbook.kernel import OwnKernelSpecs

WHO = HEAD + 'import sys\nfiles.write_text(paths.data_dir(run) / "who.txt", sys.executable)'


@pytest.fixture
def decoy(tmp_path, monkeypatch):
    """A kernel called python3 where Jupyter looks first: another interpreter, which fails."""
    for variable in ("JUPYTER_PATH", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        folder = tmp_path / variable
        kernel = folder / "kernels" / "python3"
        kernel.mkdir(parents=True)
        spec = {"argv": ["false", "{connection_file}"], "display_name": "decoy", "language": "python"}
        (kernel / "kernel.json").write_text(json.dumps(spec))
        monkeypatch.setenv(variable, str(folder))


def test_decoy_is_not_started(home, decoy):
    write_notebook(home, "01_who", WHO)
    write_profile(home, "01_who")
    pipeline.run("tiny")
    assert (home / "outputs/runs/tiny/data/who.txt").read_text() == sys.executable


def test_only_this_interpreter_is_offered(decoy):
    specs = OwnKernelSpecs().get_all_specs()
    assert list(specs) == ["python3"]
    assert specs["python3"]["spec"]["argv"][0] == sys.executable

# SPDX-License-Identifier: MIT
"""Sweeps: a run for each combination, one table, and what is refused before anything runs."""

import pytest
from helpers.workbook import write_notebook, write_profile

from vgic_lib import files, paths
from vgic_lib.environment import Environment
from vgic_lib.errors import ParameterError, VgicError
from vgic_lib.workbook import pipeline
from vgic_lib.workbook.sweep import sweep

PARAMETERS = 'run: str = "default"\nqualities: str = "1,2"  # list\nmodel: str = "a"\nsteps: int = 3\n'


@pytest.fixture
def runs(home, monkeypatch):
    """A workbook of one notebook, which `execute` stands for; returns parameters of all that ran."""
    write_notebook(home, "01_measure", "", PARAMETERS, "assert qualities != '99', 'no such quality'")
    write_profile(home, "01_measure")
    calls = []

    def execute(notebook, copy, parameters):
        calls.append(parameters)
        if parameters["model"] == "bad":
            raise VgicError("01_measure: cell 1 failed")
        tables = paths.results_dir(parameters["run"]) / "tables"
        quality = parameters["qualities"]
        files.write_text(tables / "results.csv", f'method,psnr_db\n"VGIC, quality {quality}",3{quality}.5\n')
        heading = "Caption\n\n| n | Method | PSNR | SSIM |\n| --- | --- | ---: | ---: |\n"
        line = f"|  | VGIC, quality {quality} | 3{quality} |  |\n"
        files.write_text(tables / "results.md", f"{heading}{line}\nNote.\n")

    monkeypatch.setattr(pipeline, "execute", execute)
    monkeypatch.setattr(pipeline.environment, "describe_environment", lambda: Environment("", {}, ""))
    return calls


def test_a_run_for_each_combination_and_one_table(home, runs, capsys):
    axes = [("quality", ["1", "2"]), ("model", ["a", "my/b"])]
    swept = sweep("tiny", axes, {"steps": "7"})
    assert swept == ((), 4) and [call["steps"] for call in runs] == [7] * 4
    assert [(call["qualities"], call["model"]) for call in runs] == [
        ("1", "a"), ("1", "my/b"), ("2", "a"), ("2", "my/b")
    ]  # fmt: skip
    assert runs[0]["run"] == "tiny-sweep-qualities-1-model-a"
    assert len({call["run"] for call in runs}) == 4
    tables = paths.results_dir("tiny-sweep") / "tables"
    assert (tables / "sweep.csv").read_text().splitlines() == [
        "qualities,model,method,psnr_db",
        '1,a,"VGIC, quality 1",31.5',
        '1,my/b,"VGIC, quality 1",31.5',
        '2,a,"VGIC, quality 2",32.5',
        '2,my/b,"VGIC, quality 2",32.5',
    ]
    table = (tables / "sweep.md").read_text()
    assert "| qualities | model | n | Method | PSNR | SSIM |\n" in table
    assert "| 2 | my/b |  | VGIC, quality 2 | 32 |  |\n" in table
    assert table in capsys.readouterr().out
    sweep("tiny", axes, {"steps": "7"})
    assert len(runs) == 4  # all is done


def test_a_run_that_fails_is_reported_and_the_rest_goes_on(home, runs):
    swept = sweep("tiny", [("model", ["bad", "a"])], run="mine")
    assert swept == (("mine-model-bad: 01_measure: cell 1 failed",), 2)
    assert (paths.results_dir("mine") / "tables" / "sweep.csv").read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("axes", "given", "text"),
    [
        ([("no-such", ["1"])], {}, "no notebook has a parameter 'no-such'; choose from model, qualities"),
        ([("steps", ["1", "many"])], {}, "'steps' of 01_measure must be of type int"),
        ([("steps", [""])], {}, "--sweep steps has a value missing; write it like steps=10,30"),
        ([("steps", ["1", "2"]), ("steps", ["3"])], {}, "'steps' is given twice"),
        ([("quality", ["1"])], {"qualities": "3"}, "'qualities' is given twice"),
        ([("quality", ["1", "99"])], {}, "no such quality"),
        ([("run", ["a", "b"])], {}, "set by the runner"),
    ],
)
def test_what_is_refused_before_anything_runs(home, runs, axes, given, text):
    with pytest.raises(ParameterError, match=text):
        sweep("tiny", axes, given)
    assert runs == [] and not paths.outputs().exists()

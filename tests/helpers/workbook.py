# SPDX-License-Identifier: MIT
"""Tiny notebooks and profiles; with `checks`, a cell that looks at the parameters first."""

import nbformat

from vgic_lib import files, paths
from vgic_lib.workbook.manifest import read_manifest

WORKBOOK = ["01_data_preparation", "02_training", "03_latent_search", "04_compression", "05_analysis"]
STEPS = ("01_first", "02_second")  # of `tiny_project`
PARAMETERS = 'run: str = "default"  # name of the run\nsteps: int = 3  # how often\n'
HEAD = "from vgic_lib import files, paths\n"
COUNT = (
    HEAD
    + """
print("counting", steps)
log = paths.data_dir(run) / "{name}.txt"
files.write_text(log, (log.read_text() if log.exists() else "") + f"{{steps}}\\n")
"""
)
TABLE = HEAD + 'files.write_text(paths.results_dir(run) / "tables" / "results.md", "| n | psnr_db |")'


def write_notebook(home, name, source, parameters=PARAMETERS, checks=""):
    cells = [nbformat.v4.new_markdown_cell(f"# Notebook {name}"), nbformat.v4.new_code_cell(parameters)]
    cells[1].metadata["tags"] = ["parameters"]
    if checks:
        cells.append(nbformat.v4.new_code_cell(checks, metadata={"tags": ["checks"]}))
    book = nbformat.v4.new_notebook(cells=[*cells, nbformat.v4.new_code_cell(source)])
    book.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    path = home / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    nbformat.write(book, path)


def write_profile(home, *names, text=None):
    lines = ["description: for a test", "notebooks:", *(f"- name: {name}" for name in names)]
    folder = home / "notebooks" / "profiles"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiny.yaml").write_text("\n".join(lines) if text is None else text)


def tiny_project(home):
    """A project folder with two notebooks, which `execute` stands for, and a profile `tiny`."""
    for step in STEPS:
        write_notebook(home, step, "")
    write_profile(home, *STEPS)


def execute(notebook, copy, parameters):
    """Stands for a notebook: writes rows step by step, goes on with those that are there, then a table."""
    rows = paths.data_dir(parameters["run"]) / f"{notebook.stem}.csv"
    for number in range(3):
        known = rows.read_text().splitlines() if rows.exists() else []
        if len(known) <= number:
            files.write_text(rows, "\n".join([*known, f"{notebook.stem} {number}"]) + "\n")
    files.write_text(
        paths.results_dir(parameters["run"]) / "tables" / f"{notebook.stem}.md", rows.read_text()
    )


def execute_here(notebook, copy, parameters):
    """Stands for the runner of notebooks where a kernel does not matter: the cells run in this process."""
    names = {}
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
            names |= parameters if "parameters" in cell.metadata.get("tags", []) else {}


def left_in(home):
    """Content of all files but for times, process ids and half-written ones."""
    found = [path for path in (home / "outputs").rglob("*") if path.is_file() and path.name[0] != "."]
    content = {path.relative_to(home).as_posix(): path.read_text(encoding="utf-8") for path in found}
    content.pop("outputs/results/tiny/manifest.json"), content.pop("outputs/runs/tiny/manifest.json")
    content["outputs/runs/tiny/report.html"] = "written" if content["outputs/runs/tiny/report.html"] else ""
    records = read_manifest("tiny").steps
    return content, [(record.name, record.status) for record in records]

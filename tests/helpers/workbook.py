# SPDX-License-Identifier: MIT
"""Tiny notebooks and profiles; with `checks`, a cell that looks at the parameters first."""

import nbformat

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

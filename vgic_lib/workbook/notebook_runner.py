# SPDX-License-Identifier: MIT
"""Executes one notebook with papermill, with its progress on the screen."""

import time
from pathlib import Path
from typing import Any

from vgic_lib import paths
from vgic_lib.errors import StorageError, VgicError


def execute(notebook: Path, copy: Path, parameters: dict[str, Any]) -> None:
    """Run `notebook` in a fresh process of this interpreter; the executed notebook is saved as `copy`.

    Args:
        notebook: any.
        copy: its folder is made.
        parameters: replace the defaults of the notebook.

    Raises:
        VgicError: a cell failed or the kernel died; the copy shows where.
        StorageError: the copy cannot be written.
    """
    import papermill

    from vgic_lib.workbook.kernel import OwnKernelManager

    echo = Echo()
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        papermill.execute_notebook(
            notebook, copy, parameters, kernel_name="python3", kernel_manager_class=OwnKernelManager,
            cwd=paths.notebooks(), progress_bar=False, stdout_file=echo, stderr_file=echo,
            on_cell_start=echo.cell_start, start_timeout=300,
            extra_arguments=["--IPKernelApp.log_level=50"],  # else it complains of its loopback and its end
        )  # fmt: skip
    except papermill.PapermillExecutionError as error:
        reason = " ".join(f"{error.ename}: {error.evalue}".split())
        raise VgicError(
            f"{notebook.stem}: cell {error.exec_count} failed: {reason} (see {_shown(copy)})"
        ) from error
    except RuntimeError as error:  # of a kernel that died, or did not start
        reason = " ".join(str(error).split())
        raise VgicError(
            f"{notebook.stem}: its process was killed, perhaps for lack of memory ({reason}); free some and "
            f"run again (see {_shown(copy)})"
        ) from error
    except OSError as error:
        raise StorageError(
            f"cannot write {_shown(copy)}: {error.strerror}; free some space or check permissions"
        ) from error


class Echo:
    """Shows where a running notebook is: a line per cell, and what the cells print, indented."""

    def __init__(self) -> None:
        """Start the clock."""
        self._start = time.monotonic()
        self._heading = ""
        self._count = 0
        self._line_open = False

    def cell_start(self, cell: dict[str, Any], cell_index: int) -> None:
        """Papermill's hook: note a heading, announce a code cell under it."""
        first = cell["source"].strip().split("\n")[0]
        if cell["cell_type"] == "markdown" and first.startswith("#"):
            self._heading = first.lstrip("# ")
        elif cell["cell_type"] == "code":
            minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
            self._count += 1
            self.write(f"{minutes}:{seconds:02d}  cell {self._count}  {self._heading}\n")

    def write(self, text: str) -> None:
        """Print `text`, indented; a progress bar's carriage returns become lines."""
        for line in text.replace("\r", "\n").splitlines(keepends=True):
            if line.strip() or self._line_open:
                print(line if self._line_open else f"    {line}", end="")
                self._line_open = not line.endswith("\n")

    def flush(self) -> None:
        """Make what was printed visible at once."""
        print(end="", flush=True)


def _shown(path: Path) -> str:
    return path.relative_to(paths.root()).as_posix()

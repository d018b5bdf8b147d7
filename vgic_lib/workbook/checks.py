# SPDX-License-Identifier: MIT
"""Values of parameters, looked at before the first notebook starts.

A notebook may have a cell tagged ``checks`` behind its parameters. It hands them to functions of the library
that refuse what cannot work, reads no results of other notebooks and takes seconds. It runs here for every
notebook of a run, and once more in its notebook.
"""

from collections.abc import Iterable
from contextlib import chdir

from vgic_lib import paths
from vgic_lib.errors import ParameterError, VgicError
from vgic_lib.workbook.profiles import Step, tagged_source


def check(steps: Iterable[Step]) -> None:
    """Run the checks of notebooks with their parameters, in the folder where notebooks run.

    Raises:
        ParameterError: one of them refuses a value; it is named.
    """
    for step in steps:
        source = tagged_source(step.notebook, "checks")
        try:
            with chdir(paths.notebooks()):
                exec(compile(source, step.notebook.name, "exec"), dict(step.parameters))
        except VgicError as error:
            raise ParameterError(f"{step.name}: {error}") from error
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ParameterError(f"{step.name}: its cell of checks failed: {reason}; correct it") from error

# SPDX-License-Identifier: MIT
"""The one kernel of the workbook: the interpreter that runs this library, whatever else is installed."""

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import default


class OwnKernelSpecs(KernelSpecManager):
    """Knows one kernel, `python3`, which is this interpreter: no folder of kernels is searched.

    A kernel of that name in a user's folder, or in one that JUPYTER_PATH names, would come first otherwise.
    """

    @default("kernel_dirs")
    def _no_folders(self) -> list[str]:
        return []


class OwnKernelManager(AsyncKernelManager):
    """Starts that kernel."""

    @default("kernel_spec_manager")
    def _own_specs(self) -> OwnKernelSpecs:
        return OwnKernelSpecs(parent=self)

# SPDX-License-Identifier: MIT
"""JupyterLab as `make lab` starts it: it asks nothing, requests nothing, and takes large photographs.

Notebooks run with the project's own interpreter, whatever kernels are installed elsewhere.
"""

from pathlib import Path

c = get_config()  # noqa: F821
c.LabApp.app_settings_dir = str(Path(__file__).parent / "lab_settings")
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
c.ServerApp.tornado_settings = {"websocket_max_message_size": 2**28}
c.ServerApp.kernel_spec_manager_class = "vgic_lib.workbook.kernel.OwnKernelSpecs"

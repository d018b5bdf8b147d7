# SPDX-License-Identifier: MIT
"""JupyterLab on a loopback port, and a notebook in it as a person at Chromium uses it; a fixture for all."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.error import URLError
from urllib.request import Request, urlopen

import nbformat
import pytest

from helpers import PROJECT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
THEME = "@jupyterlab/apputils-extension:themes"
PATIENCE_S = 120


class Lab:
    """A running JupyterLab."""

    def __init__(self, folder, port, token):
        self.folder, self.port, self.token = folder, port, token
        self.address = f"http://127.0.0.1:{port}"

    def call(self, path, method="GET", body=None):
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body else None
        with urlopen(Request(f"{self.address}/{path}", data, headers, method=method), timeout=30) as answer:
            return json.loads(answer.read() or "null")

    def start_kernel(self, notebook):
        """Before the page opens, which would ask for a kernel otherwise; returns its id."""
        session = {"path": notebook, "name": notebook, "type": "notebook", "kernel": {"name": "python3"}}
        return self.call("api/sessions", "POST", session)["id"]


@contextmanager
def running_lab(home):
    """JupyterLab as `make lab` starts it, on the notebooks of a project folder, with settings of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        lab = Lab(home / "notebooks", probe.getsockname()[1], secrets.token_hex(16))
    places = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    environment = os.environ | {f"JUPYTER_{name}": str(home / "jupyter" / name) for name in places}
    environment |= {f"JUPYTERLAB_{k}_DIR": str(home / "jupyter" / k) for k in ("SETTINGS", "WORKSPACES")}
    environment |= {"IPYTHONDIR": str(home / "ipython"), "VGIC_HOME": str(home)}
    command = [
        sys.executable, "-m", "jupyterlab", f"--config={PROJECT / 'tools' / 'lab_config.py'}",
        "--no-browser", "--allow-root", f"--ServerApp.root_dir={lab.folder}", "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={lab.port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={lab.token}",
    ]  # fmt: skip
    with (home / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait_for(lambda: answers(lab), "JupyterLab")
            yield lab
        finally:
            server.terminate()
            server.wait(60)


def answers(lab):
    try:
        return lab.call("api/status")
    except (URLError, OSError):
        return None


def wait_for(condition, what, patience_s=PATIENCE_S):
    end = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {patience_s} s for {what}"
        time.sleep(0.3)
    return found


@pytest.fixture(scope="module")
def chromium():
    if not CHROMIUM:
        assert not os.environ.get("CI"), "continuous integration must have chromium; .ci/run installs it"
        pytest.skip("no chromium here; on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS + ["--no-sandbox"] * root)
        yield browser
        browser.close()


class Notebook:
    """One notebook in a browser window of its own; remembers requests and errors of the page."""

    def __init__(self, lab, browser, name, viewport=(1300, 1000), theme="JupyterLab Light"):
        self.lab, self.name, self.requests, self.errors = lab, name, [], []
        lab.call(f"lab/api/settings/{THEME}", "PUT", {"raw": json.dumps({"theme": theme})})
        self.session = lab.start_kernel(name)
        self.page = browser.new_page(viewport=dict(zip(("width", "height"), viewport, strict=True)))
        self.page.set_default_timeout(1000 * PATIENCE_S)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("websocket", lambda websocket: self.requests.append(websocket.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(f"{lab.address}/lab/tree/{name}?reset&token={lab.token}")
        self.page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        self.page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()

    def run_all(self):
        """Run all cells and save; returns the notebook as saved, when every cell has ended."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_text("Run All Cells", exact=True).click()
        return wait_for(self.finished, f"the cells of {self.name}")

    def finished(self):
        if self.page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").count():
            self.page.keyboard.press("Control+s")
            time.sleep(0.3)
            book = nbformat.read(self.lab.folder / self.name, as_version=4)
            code = [cell for cell in book.cells if cell.cell_type == "code"]
            failed = [out for cell in code for out in cell.outputs if out.output_type == "error"]
            return book if failed or all(cell.execution_count for cell in code) else None
        return None

    def outside(self):
        """Addresses beyond this machine that the page asked for."""
        here = (self.lab.address, self.lab.address.replace("http", "ws"), "data:", "blob:")
        return [address for address in self.requests if not address.startswith(here)]

    def check(self):
        """No trouble on the page, no missing widget, and nothing asked of the world."""
        text = self.page.locator(".jp-Notebook").inner_text()
        for trouble in ("Error displaying widget", "Loading widget", "Traceback", "Warning:"):
            assert trouble not in text
        assert (self.outside(), self.errors) == ([], [])

    def close(self):
        self.page.close()
        self.lab.call(f"api/sessions/{self.session}", "DELETE")

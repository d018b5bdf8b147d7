# SPDX-License-Identifier: MIT
"""Shared by all tests: one thread per process, no network, and a project folder that is thrown away."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: tests run side by side
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # those of two threads would wait for each other busily

import signal  # noqa: E402
import socket  # noqa: E402

import pytest  # noqa: E402

pytest_plugins = ["helpers.measured", "helpers.browser"]
# A shell starts what it puts into the background with interrupts ignored, and children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@pytest.fixture(scope="session", autouse=True)
def no_network():
    """Tests pass without a network, so none may use one; servers on loopback are allowed."""
    connect = socket.socket.connect

    def guarded(self, address):
        if isinstance(address, tuple) and address[0] not in LOOPBACK:
            raise OSError(f"network use in a test: {address[0]}")
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty project folder: what a test writes through vgic_lib.paths lands there."""
    monkeypatch.setenv("VGIC_HOME", str(tmp_path))
    return tmp_path


def pytest_collection_modifyitems(items):
    """Start the slow files first, so that two workers end at about the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_addoption(parser):
    parser.addoption("--regen-golden", action="store_true", help="write tests/golden anew")
    parser.addoption("--screenshot", help="PNG file that test_browser.py writes: the desk, for README")

"""What every test shares: no network, no window, no deadline that a busy machine could miss."""

import os
import socket
import sys

import pytest
from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

# On a change's own run the same inputs are tried each time; a developer's runs look for new ones.
settings.register_profile("course", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("course")

LOCAL = ("127.", "::1", "localhost")


class FiguresClosed:
    """Closes what a test or a docstring's example has drawn; pyplot would keep every figure until the end."""

    @staticmethod
    def pytest_runtest_teardown():
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is not None:
            pyplot.close("all")


def pytest_configure(config):
    # As a plugin it also serves the examples in asrlib/, which a fixture of this folder does not reach.
    config.pluginmanager.register(FiguresClosed())


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Let tests talk to servers of their own only: the course must work, and be tested, offline."""
    connect = socket.socket.connect

    def connect_locally(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(LOCAL):
            raise OSError(f"tests must not use the network, but one connects to {address[0]}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_locally)

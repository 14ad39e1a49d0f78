"""A pytest plugin for the run inside of a kernel: it tells of every test, as it ends, on standard output.

Lines that begin with `MARK` are JSON; what else is there is pytest's own.
"""

from __future__ import annotations

import json
import os

import pytest

MARK = "\x1e"
_real_stdout = os.dup(1)  # taken before pytest captures it, since plugins named by -p are imported first


class Teller:
    """Tells what pytest reports."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell of a phase of a test."""
        _tell(self._config.hook.pytest_report_to_serializable(config=self._config, report=report))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Tell that a test is over."""
        _tell({"over": nodeid})


def pytest_configure(config: pytest.Config) -> None:
    """Take part."""
    config.pluginmanager.register(Teller(config))


def _tell(data: object) -> None:
    line = f"\n{MARK}{json.dumps(data)}\n".encode()
    while line:
        line = line[os.write(_real_stdout, line) :]

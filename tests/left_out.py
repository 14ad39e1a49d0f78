"""Where VMSVC_LAB=require, as in CI, nothing may be left out: a test that skips itself has failed, and so has a file.

A run that silently left out a backend, a shell or a plugin would prove nothing of it. Elsewhere, tests skip what is not
there, with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

R = TypeVar("R", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Called for each phase of each test."""
    return _whole((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Called for each file."""
    return _whole((yield))


def _whole(report: R) -> R:
    is_expected = hasattr(report, "wasxfail")  # a clause that a driver's kit waives, with its reason, is not left out
    if os.environ.get("VMSVC_LAB") == "require" and report.outcome == "skipped" and not is_expected:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"VMSVC_LAB=require lets nothing be left out: {reason}"
    return report

"""Runs tests inside of a kernel with real disks, while pytest outside collects, selects and reports them as its own.

A test whose module lies in a mirrored directory is collected outside like any other. When its turn comes, a kernel is
booted, one pytest in it runs all the selected tests of that layout, in order, and each report is passed on as it comes:
what fails inside is seen to fail, by its name and with its traceback. A test that is not reported has failed. Where the
lab cannot run, they are skipped, or fail if it is required.

The layout of the disks is `LAYOUT`, unless a test is marked otherwise: ``@pytest.mark.layout(disks=64)``.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab import LabError
from lab.fixtures import required
from lab.scsi import reporting
from lab.scsi.disks import Layout
from lab.scsi.kernel import PATH, TREE, Kernel
from lab.scsi.single import kernel_with_disks
from lab.scsi.wire import Job

LAYOUT = Layout(hosts=3, paths=2, disks=8, plain=True, debug=True)
INSIDE = "VMSVC_SCSI_LAB"
GRACE_S, GENEROUS_S = 60, 300
LAST_WORDS = 4000


def is_inside() -> bool:
    """Whether this very process runs in a kernel, for a mirror."""
    return INSIDE in os.environ


def layout_of(item: pytest.Item) -> Layout:
    """The disks that a test wants."""
    changes: dict[str, Any] = {}
    for marker in item.iter_markers("layout"):
        changes = {**marker.kwargs, **changes}  # the nearest comes first, and counts
    return replace(LAYOUT, **changes)


class Run:
    """One pytest in a kernel, for the tests of one layout."""

    def __init__(self, layout: Layout, items: list[pytest.Item]) -> None:
        self._config = items[0].config
        self._heard: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._rest = ""
        self._log = ""
        self._trouble: LabError | None = None
        self._resources = contextlib.ExitStack()
        self._left = len(items)
        try:
            kernel = self._resources.enter_context(kernel_with_disks(layout, budget_s=3600))
            self._job = self._start(kernel, items)
        except LabError as error:
            self._trouble = error

    def _start(self, kernel: Kernel, items: list[pytest.Item]) -> Job:
        directory = self._resources.enter_context(tempfile.TemporaryDirectory(prefix="vmsvc-scsi-"))
        names = Path(directory, "tests")
        names.write_text("".join(f"{item.nodeid}\n" for item in items))
        command = [sys.executable, "-m", "pytest", "-q", "-m", "", "-p", reporting.__name__, "-p", "no:cacheprovider"]
        root = self._config.rootpath
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{PATH}",
            "VMSVC_LAB": "require",
            INSIDE: "1",
            "PYTHONPATH": str(TREE),  # pytest imports the plugin before it has read its `pythonpath`
        }
        return kernel.start([*command, f"@{names}"], env=environment, cwd=root, output=self._hear)

    def reports(self, item: pytest.Item) -> Iterator[pytest.TestReport]:
        """What the run tells of its next test, as it comes; a failure when it tells nothing."""
        try:
            yield from self._told(item)
        except LabError as error:
            yield _trouble(item, error)
        finally:
            self._left -= 1
            if not self._left:
                self.close()

    def close(self) -> None:
        """End the kernel."""
        self._resources.close()

    def _told(self, item: pytest.Item) -> Iterator[pytest.TestReport]:
        if self._trouble is not None:
            raise self._trouble
        patience_s = _timeout_s(item) + GRACE_S
        while "over" not in (data := self._next(patience_s)):
            if isinstance(data.get("longrepr"), list):  # a skip; JSON knows no tuples, and pytest insists
                data["longrepr"] = tuple(data["longrepr"])
            yield self._config.hook.pytest_report_from_serializable(config=self._config, data=data)
        if data["over"] != item.nodeid:
            raise LabError(f"pytest inside of the kernel ran {data['over']} where this was due")

    def _next(self, patience_s: float) -> dict[str, Any]:
        """What is told next, within so many seconds."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            ended = self._job.is_over  # asked first, so that nothing is told after it
            with contextlib.suppress(queue.Empty):
                told: dict[str, Any] = json.loads(self._heard.get(timeout=0.1))
                return told
            if ended:
                break
        how = "has ended" if self._job.is_over else f"has told nothing for {patience_s:g} s"
        self._trouble = LabError(f"pytest inside of the kernel {how}; it said last:\n{self._log[-LAST_WORDS:]}")
        raise self._trouble

    def _hear(self, _stream: str, text: str) -> None:
        """Take in what pytest prints; called by the thread that listens to the kernel."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.startswith(reporting.MARK):
                self._heard.put(line[len(reporting.MARK) :])
            elif line:
                self._log += line + "\n"


def _timeout_s(item: pytest.Item) -> float:
    """The time limit of a test, by its mark or by the configuration (pytest-timeout's; without one it is generous)."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0] if marker is not None and marker.args else item.config.getini("timeout") or GENEROUS_S)


def _trouble(item: pytest.Item, error: LabError) -> pytest.TestReport:
    """The report of a test that could not be run: a skip, or a failure where the lab is required."""

    def fail() -> None:
        with required():
            raise error

    call = pytest.CallInfo.from_call(fail, when="setup")
    return pytest.TestReport.from_item_and_call(item, call)


class Mirror:
    """The plugin for outside: takes over the tests of one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._runs: dict[Layout, Run] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Run a test of ours in a kernel, instead of here."""
        if not self._is_ours(item):
            return None
        layout = layout_of(item)
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        if layout not in self._runs:
            mine = [each for each in item.session.items if self._is_ours(each) and layout_of(each) == layout]
            self._runs[layout] = Run(layout, mine)
        for report in self._runs[layout].reports(item):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def pytest_sessionfinish(self) -> None:
        """End what a run that was cut short has left."""
        for run in self._runs.values():
            run.close()

    def _is_ours(self, item: pytest.Item) -> bool:
        return item.path.is_relative_to(self._directory)

"""A plugin of pytest's: it marks the tests of the conformance kit, picks clauses, and reports what came of them.

pytest imports this file in every run wherever vmsvc is installed, for projects that have nothing to do with it, too. So
it imports nothing of vmsvc, and does nothing until a kit has been collected. A kit needs no plugin: with
``-p no:vmsvc`` its clauses are tests as any other.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from vmsvc.testing.kit import Clause, DriverKit

_MARKER = "vmsvc_kit"
#: The attribute of pytest's reports that carries what came of a clause, as plain data: pytest-xdist sends reports from
#: the process that runs a test to the one that tells of it.
_CARRIED = "vmsvc_kit"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; they do what those of ``vmsvc sdk test`` do."""
    group = parser.getgroup("vmsvc", "conformance kit of vmsvc's drivers")
    group.addoption(
        "--vmsvc-clause",
        dest="vmsvc_clauses",
        action="append",
        default=[],
        metavar="CLAUSE",
        help="of kits, run one clause instead of all (repeatable)",
    )
    group.addoption(
        "--vmsvc-kit-report",
        dest="vmsvc_kit_report",
        type=Path,
        metavar="FILE",
        help="write what came of each clause as JSON, as `vmsvc sdk test --format json` does",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and tell at once what is wrong with the options."""
    config.addinivalue_line("markers", f"{_MARKER}: a clause of the conformance kit; set by vmsvc itself")
    if config.option.vmsvc_clauses:
        _must_be_clauses(config.option.vmsvc_clauses)
    if not hasattr(config, "workerinput"):  # the one process that tells, with pytest-xdist
        config.pluginmanager.register(
            _Teller(config.option.vmsvc_kit_report, config.option.vmsvc_clauses), "vmsvc-kit-teller"
        )


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests of kits."""
    if _held(item):
        item.add_marker(_MARKER)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the clauses that nobody asked for."""
    wanted = config.option.vmsvc_clauses
    left_out = [item for item in items if wanted and (held := _held(item)) and held[1].name not in wanted]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the report of a clause carry what came of it."""
    report = yield
    if held := _held(item):
        from vmsvc.testing.carrying import packed  # noqa: PLC0415 - what a run without a kit must not pay for

        if report.when == "call" or not report.passed:
            setattr(report, _CARRIED, packed(*held, report, call.excinfo.value if call.excinfo else None))
    return report


class _Teller:
    """Tells what came of the clauses, when the run ends.

    Args:
        file: Where the report is written; nowhere when not given.
        wanted: The names of the clauses that were asked for; all where there are none.
    """

    def __init__(self, file: Path | None, wanted: list[str]) -> None:
        self._file = file
        self._wanted = wanted
        self._carried: list[dict[str, Any]] = []
        if file is not None:
            self._write("")  # a run that is broken off leaves no report of an earlier one, and this one may be long

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what reports carry."""
        if carried := getattr(report, _CARRIED, None):
            self._carried.append(carried)

    def pytest_sessionfinish(self) -> None:
        """Write the report."""
        if self._file is not None:
            import json  # noqa: PLC0415 - see above

            from vmsvc.testing.carrying import unpacked  # noqa: PLC0415 - see above
            from vmsvc.testing.reporting import document  # noqa: PLC0415 - see above

            self._write(json.dumps(document(unpacked(self._carried, self._wanted)), indent=2) + "\n")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell of each kit how many clauses came to what, and of those that were not kept, why."""
        if not self._carried:
            return
        from vmsvc.testing.carrying import unpacked  # noqa: PLC0415 - see above
        from vmsvc.testing.reporting import lines  # noqa: PLC0415 - see above

        terminalreporter.section("conformance kit of vmsvc's drivers")
        for line in (line for report in unpacked(self._carried, self._wanted) for line in lines(report)):
            for text, style in line:
                terminalreporter.write(text, **dict.fromkeys(style.split(), True))
            terminalreporter.line("")

    def _write(self, text: str) -> None:
        assert self._file is not None
        try:
            self._file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise pytest.UsageError(f"--vmsvc-kit-report: {self._file} cannot be written: {error.strerror}") from error


def _must_be_clauses(names: Iterable[str]) -> None:
    from vmsvc.core.errors import UsageError  # noqa: PLC0415 - see above
    from vmsvc.testing.kit import clauses_named  # noqa: PLC0415 - see above

    try:
        clauses_named(names)
    except UsageError as error:
        raise pytest.UsageError(f"--vmsvc-clause: {error.message}; {error.hint}") from error


def _held(item: pytest.Item) -> tuple[type[DriverKit], Clause] | None:
    """The kit and the clause of a test; ``None`` if it is of no kit."""
    if "vmsvc.testing.kit" not in sys.modules or not isinstance(item, pytest.Function):
        return None  # who has not imported the kit has no tests of one
    from vmsvc.testing.kit import Clause, DriverKit  # noqa: PLC0415 - see above

    cases, clause = item.cls, item.callspec.params.get("clause") if hasattr(item, "callspec") else None
    if cases is None or not issubclass(cases, DriverKit) or not isinstance(clause, Clause):
        return None
    return cases, clause

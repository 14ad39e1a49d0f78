"""What pytest finds out of a clause: packed into its report where the test runs, and unpacked where the run is told of.

With pytest-xdist these are two processes, and only plain data goes from one to the other.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from vmsvc.core.errors import told
from vmsvc.testing.kit import CLAUSES, Clause, DriverKit, Result, State, clauses_named
from vmsvc.testing.kit.judging import SEEN, concerned, not_concerned
from vmsvc.testing.reporting import Report

if TYPE_CHECKING:
    import pytest

#: What is told of a clause, of what its test has come to in several phases: the last of these.
_WORSE = (State.KEPT, State.WAIVED, State.NOT_TRIED, State.BROKEN)


def packed(
    kit: type[DriverKit], clause: Clause, report: pytest.TestReport, error: BaseException | None
) -> dict[str, Any]:
    """What came of a clause in one phase of its test.

    Args:
        kit: The driver's kit.
        clause: The clause.
        report: pytest's report of the phase.
        error: What the phase has raised.

    Returns:
        Plain data, for :func:`unpacked`.
    """
    state, reason = _judged(kit, clause, report, error)
    distribution, version = _bringing(kit.driver.__module__.partition(".")[0])
    return {
        "test": report.nodeid.rpartition("::")[0],
        "type": str(getattr(kit.driver, "type", "")),
        "distribution": distribution,
        "version": version,
        "concerned": [each.name for each in concerned(kit)],
        "clause": clause.name,
        "state": state.value,
        "reason": reason,
        "duration_s": report.duration,
    }


def unpacked(phases: Iterable[Mapping[str, Any]], wanted: Iterable[str] = ()) -> list[Report]:
    """What came of the kits of a run.

    Args:
        phases: What :func:`packed` has made, in the order of the run.
        wanted: The names of the clauses that were asked for; all where there are none.

    Returns:
        A report for each test class.
    """
    asked = clauses_named(wanted)
    by_test: dict[str, list[Mapping[str, Any]]] = {}
    for phase in phases:
        by_test.setdefault(phase["test"], []).append(phase)
    return [_report(test, found, asked) for test, found in by_test.items()]


def _report(test: str, phases: list[Mapping[str, Any]], asked: list[Clause]) -> Report:
    results: dict[str, Result] = {}
    for phase in phases:
        name, state = phase["clause"], State(phase["state"])
        before = results.get(name)
        if before is None or _WORSE.index(state) > _WORSE.index(before.state):
            results[name] = Result(
                clause=CLAUSES[name], state=state, reason=phase["reason"], duration_s=phase["duration_s"]
            )
    first = phases[0]
    results |= {clause.name: not_concerned(clause) for clause in asked if clause.name not in first["concerned"]}
    return Report(
        serves=first["type"],
        distribution=first["distribution"],
        version=first["version"],
        test=test,
        results=tuple(results[name] for name in CLAUSES if name in results),
    )


def _judged(
    kit: type[DriverKit], clause: Clause, report: pytest.TestReport, error: BaseException | None
) -> tuple[State, str]:
    if report.passed:
        return State.KEPT, ""
    if report.failed:
        seen = dict(report.user_properties).get(SEEN)
        return State.BROKEN, str(seen) if seen else told(error) if error else "pytest does not say why"
    if not hasattr(report, "wasxfail"):
        return State.NOT_TRIED, report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    waived = kit.waivers.get(clause.name, "")
    # An author's own mark of an expected failure waives nothing.
    return (State.WAIVED, waived) if waived else (State.BROKEN, told(error) if error else report.wasxfail)


@functools.cache
def _bringing(package: str) -> tuple[str, str]:
    """The distribution whose plugin is in a package, and its version; nothing where there is none."""
    for point in importlib.metadata.entry_points(group="vmsvc"):
        if point.dist and point.module.partition(".")[0] == package:
            return point.dist.name, point.dist.version
    return "", ""

"""What came of kits, as a document and as lines: for ``vmsvc sdk test``, and for pytest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from attrs import frozen

from vmsvc.core.documents import envelope
from vmsvc.core.errors import Problem
from vmsvc.testing.kit import Result, State

#: A piece of text with its style, in words that rich and pytest have in common.
Span = tuple[str, str]

_STYLES = {
    State.KEPT: "green",
    State.BROKEN: "bold red",
    State.WAIVED: "yellow",
    State.NOT_TRIED: "yellow",
    State.NOT_CONCERNED: "",
}


@frozen(kw_only=True)
class Report:
    """What came of a kit.

    Attributes:
        serves: The type of its driver.
        distribution: The package that brings the driver; empty for a driver that no package brings.
        version: That package's version.
        test: The test class, as pytest names it; empty where pytest has not run it.
        results: What came of each clause.
    """

    serves: str
    distribution: str
    version: str
    test: str = ""
    results: tuple[Result, ...]


def document(reports: Iterable[Report], problems: Iterable[Problem] = ()) -> dict[str, Any]:
    """``vmsvc.kit/1``: what came of kits.

    Args:
        reports: One for each kit.
        problems: What kept others from being run.
    """
    kits, errors = [_kit(report) for report in reports], [envelope.problem(item) for item in problems]
    return envelope.document("vmsvc.kit/1", {"kits": kits, "errors": errors})


def lines(report: Report) -> Iterator[tuple[Span, ...]]:
    """What came of a kit: how many clauses came to what, and of those that were not kept, why.

    Args:
        report: The report.
    """
    counts = Counter(result.state for result in report.results)
    told = ", ".join(f"{counts[state]} {state}" for state in _STYLES if counts[state])
    brought = f"{report.distribution} {report.version}" if report.distribution else ""
    yield ((report.serves, "bold"), ("".join(f"  {word}" for word in (brought, report.test, told) if word), ""))
    for result in report.results:
        if result.reason and result.state is not State.NOT_CONCERNED:
            yield (
                (f"  {result.clause.name}  ", ""),
                (str(result.state), _STYLES[result.state]),
                (f"  {result.reason}", ""),
            )


def _kit(report: Report) -> dict[str, Any]:
    return {
        "type": report.serves,
        "distribution": report.distribution,
        "version": report.version,
        "test": report.test,
        "clauses": [
            {
                "name": result.clause.name,
                "why": result.clause.why,
                "state": str(result.state),
                "reason": result.reason,
                "duration_s": round(result.duration_s, 3),
            }
            for result in report.results
        ],
    }

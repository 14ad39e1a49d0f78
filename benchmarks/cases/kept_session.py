"""A kept session in one process: what vmsvc adds to the bare calls, on libvirt's test driver."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from benchmarks.estate import Estate
from benchmarks.measure import Comparison, side_by_side, timed
from benchmarks.run import Run
from benchmarks.table import Figure, Row
from vmsvc import Session

_URI = "test:///default"


def measure(run: Run) -> Iterator[Row]:
    """Compare looking at all services with the calls of the binding that it comes down to.

    Args:
        run: The run.
    """
    root = run.directory / "kept"
    kept_open = import_module("libvirt").open(_URI)  # the guests of this driver live as long as anybody is connected
    estate = Estate(kept_open, _URI, root, type="test")
    with Session({"VMSVC_ROOT": str(root), "VMSVC_NODENAME": "n1"}) as session:
        for size in run.sizes:
            estate.grow(size)
            yield from _rows(run, session, kept_open, size)
    kept_open.close()


def _rows(run: Run, session: Session, connection: Any, size: int) -> Iterator[Row]:
    services = [session.load(name) for name in session.services()]

    def bare() -> None:
        for domain in connection.listAllDomains():
            domain.name(), domain.state()

    def look() -> None:
        session.statuses(services)

    def read_and_look() -> None:
        session.statuses(session.load(name) for name in session.services())

    for what, ours, at_most in (
        ("statuses()", look, None),
        ("load() and statuses()", read_and_look, 1.0),
    ):
        found = side_by_side(timed(ours), timed(bare), rounds=run.rounds)
        yield Row(what=what, against="bare binding calls", size=size, value=found.ratio, told=found.told)
        yield Row(
            what=f"{what}, added for each service",
            size=size,
            value=_added_ms(found, size),
            unit="ms",
            # What a session costs once, threads and lanes among it, is no cost of a service.
            at_most=at_most if size > 1 else None,
        )


def _added_ms(found: Comparison, size: int) -> Figure:
    pairs = zip(found.ours, found.theirs, strict=True)
    return Figure.of([1000 * (mine.wall_s - other.wall_s) / size for mine, other in pairs])

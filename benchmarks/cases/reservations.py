"""Reservations: calls of sg_persist against the least that the protocol needs, and a takeover against one by one.

``docs/explanation/exclusive-disks.md`` derives the least; disks have two paths each, as most have. For the time, a
stand-in of 50 ms a call takes the tool's place: a busy array is no faster.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from benchmarks.measure import timed
from benchmarks.run import Run
from benchmarks.stand_in import StandIn
from benchmarks.table import Figure, Row
from vmsvc.core.transport import Host
from vmsvc.core.transport.local import LocalHost
from vmsvc.core.vmdg.attempt import Outcome, acquire, release
from vmsvc.core.vmdg.sequences import PARALLEL, Machine, carry_out
from vmsvc.core.vmdg.survey import survey
from vmsvc.core.vmdg.tools.sg_persist import SgPersist
from vmsvc.testing import San

_SIZES = (1, 8, 64)
_PATHS = 2
_CALL_S = 0.05
_OURS, _THEIRS = 0xA1A1_0000_0000_0001, 0xB2B2_0000_0000_0002
_LONG_S = 600.0


def measure(run: Run) -> Iterator[Row]:
    """Count what acquiring, verifying, releasing and taking over cost; and time a takeover.

    Args:
        run: The run.
    """
    for disks in _SIZES:
        yield from _counted(disks)
    directory = run.directory / "stand-in"
    directory.mkdir()
    stand_in = StandIn(San(disks=0))
    with stand_in.as_command(directory), contextlib.closing(LocalHost()) as host:

        def take(parallel: int) -> Callable[[], object]:
            return lambda: _take_over(stand_in, host, _SIZES[-1], parallel)

        yield run.compare(
            "take over, in time",
            timed(take(PARALLEL)),
            "the same calls one after the other",
            timed(take(1)),
            size=_SIZES[-1],
            at_most=0.25,
            rounds=1,  # one after the other, they take long
        )


def _counted(disks: int) -> Iterator[Row]:
    """What attempts at so many disks cost, in calls."""
    stand_in = StandIn(San(disks=disks, paths=_PATHS))
    ours, theirs = (stand_in.san.disks(node) for node in "ab")
    attempts: tuple[tuple[str, int, Machine[object]], ...] = (
        ("acquire", _PATHS + 3, acquire(ours, _OURS)),
        ("verify", _PATHS, survey(ours)),
        ("be refused", 1, acquire(theirs, _THEIRS)),
        ("take over", _PATHS + 2 + 1, acquire(theirs, _THEIRS, authority=frozenset({_OURS}))),
        ("release", _PATHS + 2, release(theirs, _THEIRS)),
    )
    for what, least, attempt in attempts:
        before = stand_in.calls
        _carried_out(attempt, stand_in)
        calls = stand_in.calls - before
        yield Row(
            what=f"{what}, in calls",
            against="the least of the protocol",
            size=disks,
            value=Figure.of([calls / (least * disks)]),
            at_most=1.2 if what == "verify" else 1.25,
            told=f"{calls} : {least * disks}",
        )


def _take_over(stand_in: StandIn, host: Host, disks: int, parallel: int) -> None:
    """Take disks that another node holds; that it got them costs nothing, since its calls are no processes."""
    san = stand_in.san = San(disks=disks, paths=_PATHS)
    _carried_out(acquire(san.disks("b"), _THEIRS), StandIn(san))
    san.delay_s = _CALL_S
    attempt = acquire(san.disks("a"), _OURS, authority=frozenset({_THEIRS}))
    result = carry_out(attempt, SgPersist(host, budget_s=_LONG_S), budget_s=_LONG_S, parallel=parallel)
    assert result.outcome is Outcome.HELD, result.reasons


def _carried_out(machine: Machine[object], host: Host) -> object:
    return carry_out(machine, SgPersist(host), budget_s=_LONG_S)

"""Drivers on stand-ins for their tools: the status of all services, with that many guests, none of which runs.

Every installed driver whose conformance kit has a stand-in is measured, beside the very commands that it runs: those of
its tools, and ``find``, ``grep`` and the like, which are real. A stand-in is a Python script that starts in some 20 ms
and then lists fifty guests in one: no real tool is as fast as that. So a ratio here is higher than any that a real node
shows, and tells what vmsvc adds to the commands; how it compares with real tools is told by the benchmarks that have
some. The number of commands is the same on both.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measure import Command, Unavailable, side_by_side, timed
from benchmarks.run import Run
from benchmarks.table import Figure, Row
from vmsvc import Session, Status
from vmsvc.core.transport import Outcome
from vmsvc.core.transport.local import LocalHost
from vmsvc.testing.kit import service_file
from vmsvc.testing.sdk import Kit, kits
from vmsvc.testing.standin import StandInBackend

#: The ratio is promised for so many guests: with fewer, it is what it costs to run a command within a deadline, some
#: 10 ms; with more, a stand-in costs next to nothing for each, and what is promised is the most that vmsvc adds.
_MANY = 100
_ADDED_MS = 0.2


def measure(run: Run) -> Iterator[Row]:
    """Compare looks at all guests with the commands that they run, and count those.

    Args:
        run: The run.

    Raises:
        Unavailable: No driver with a stand-in is installed.
    """
    found = [kit for kit in kits() if kit.has_backend and issubclass(kit.cases.backend, StandInBackend)]
    if not found:
        raise Unavailable("no driver is installed whose conformance kit has a stand-in")
    for kit in found:
        yield from _measured(run, kit)


def _measured(run: Run, kit: Kit) -> Iterator[Row]:
    """The rows of one driver."""
    directory = run.directory / kit.serves
    services = directory / "root/etc/vmsvc/services"
    services.mkdir(parents=True)
    with ExitStack() as ending:
        backend = kit.cases.backend(directory)
        assert isinstance(backend, StandInBackend)
        ending.enter_context(closing(backend))
        ending.enter_context(_found_first(backend))
        environment = {"VMSVC_ROOT": str(directory / "root"), "VMSVC_NODENAME": "n1"}
        session = ending.enter_context(Session(environment))
        there, fewest = 0, None
        for size in run.sizes:
            for number in range(there, size):
                _add(backend, services, f"web{number:04}")
            there = max(there, size)
            commands = _commands(session)
            if why := _unknown(session):
                nothing = Figure.of([0])
                yield Row(what=f"{kit.serves}: statuses()", size=size, value=nothing, unit="guests known", told=why)
                return
            yield from _looks(run, kit, session, commands, size)
            asked = sum(each.argv[0] in backend.standin.table.commands for each in commands)
            count, fewest = Figure.of([asked]), fewest or asked
            yield Row(what=f"{kit.serves}: statuses()", size=size, value=count, unit="commands", at_most=fewest)


@contextmanager
def _found_first(backend: StandInBackend) -> Iterator[None]:
    """Let every command of this process find the stand-ins."""
    before = os.environ["PATH"]
    os.environ["PATH"] = backend.standin.path
    try:
        yield
    finally:
        os.environ["PATH"] = before


def _add(backend: StandInBackend, services: Path, name: str) -> None:
    guest = backend.guest(name)
    (services / f"{name}.toml").write_text(service_file(guest, nodes=["n1", "n2"]), encoding="utf-8")


def _commands(session: Session) -> list[Outcome]:
    """The commands that one look at all services runs: all of them go through one method."""
    made: list[Outcome] = []
    run = LocalHost.run

    def noted(host: LocalHost, argv: Sequence[str], **options: Any) -> Outcome:
        made.append(run(host, argv, **options))
        return made[-1]

    LocalHost.run = noted  # type: ignore[assignment, method-assign]
    try:
        session.statuses(session.load(name) for name in session.services())
    finally:
        LocalHost.run = run  # type: ignore[method-assign]
    return made


def _unknown(session: Session) -> str:
    """Why a status is unknown, as where a list is longer than what is kept of one; empty where all are known."""
    for service in session.statuses(session.load(name) for name in session.services()):
        (found,) = service.instances[0].resources
        if found.status is Status.UNKNOWN:
            return found.observation.evidence.detail
    return ""


def _looks(run: Run, kit: Kit, session: Session, commands: Sequence[Outcome], size: int) -> Iterator[Row]:
    services = [session.load(name) for name in session.services()]

    def look() -> None:
        session.statuses(services)

    environment = {**run.environment, "PATH": os.environ["PATH"]}
    # By their exit codes, find, grep and pgrep tell of what they did not find.
    bare = [Command(each.argv, environment, exit_codes=(0, 1, each.code)) for each in commands]
    found = side_by_side(timed(look), bare, rounds=run.rounds)
    what, against = f"{kit.serves}: statuses()", " + ".join(each.argv[0] for each in commands)
    limit = 2.0 if size == _MANY else None
    yield Row(what=what, against=against, size=size, value=found.ratio, at_most=limit, told=found.told)
    added = [1000 * (mine.wall_s - other.wall_s) / size for mine, other in zip(found.ours, found.theirs, strict=True)]
    most = _ADDED_MS if size > _MANY else None
    yield Row(what=f"{what}, added for each guest", size=size, value=Figure.of(added), unit="ms", at_most=most)

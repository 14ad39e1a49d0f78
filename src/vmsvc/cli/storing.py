"""Commands that fill the node's own store and show what it has: push, diskupdate, show --disks, show --history."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial

from vmsvc.cli import render, selection
from vmsvc.cli.call import Call
from vmsvc.cli.failures import Failure, problems_of, tell
from vmsvc.cli.parallel import each
from vmsvc.cli.screen import Line
from vmsvc.core.config import service_file
from vmsvc.core.documents import envelope, inventories
from vmsvc.core.errors import ExitCode, UsageError, VmsvcError
from vmsvc.core.options import seconds
from vmsvc.core.records.record import Record
from vmsvc.core.service import Service
from vmsvc.core.status import Status
from vmsvc.session import Session

_TOPICS = {"push": "push", "disks": "diskupdate"}


def store(call: Call) -> int:
    """Collect facts about services, store them, and tell what was stored and what has changed.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    session, topic = call.session, call.arguments.topic
    services = selection.all_of(session, call.arguments.names)
    how = _pushing if topic == "push" else _updating
    collect = how(session, services, dry_run=call.arguments.dry_run)
    failures: list[Failure] = []
    records: list[Record] = []
    for service, result in zip(services, each(collect, services), strict=True):
        if isinstance(result, VmsvcError):
            failures.append(Failure(service.name, result))
        else:
            records.append(result)
    tell(call, failures)
    for record in records:
        for loss in record.losses:
            call.screen.tell(loss, of=record.snapshot.service)
    call.screen.answer(inventories.stored(records, problems_of(failures)), _lines(records))
    codes = [*map(_exit_code, records), *(failure.error.exit_code for failure in failures)]
    return selection.worst(codes)


def _pushing(session: Session, services: Sequence[Service], *, dry_run: bool) -> Callable[[Service], Record]:
    """How each service is pushed, once all of them have been looked at with one query for each technology."""
    statuses = {status.name: status for status in session.statuses(services)}
    return lambda service: session.push(service, statuses[service.name], dry_run=dry_run)


def _updating(session: Session, _: Sequence[Service], *, dry_run: bool) -> Callable[[Service], Record]:
    """How the disks of each service are stored, once it is known who uses which disk of the node."""
    return partial(session.diskupdate, usage=session.disk_usage(), dry_run=dry_run)


def show_disks(call: Call) -> int:
    """Show a service's disks as `diskupdate` last found them.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    records = call.session.history(call.arguments.name, "disks")[:1]
    if not records:
        _say_nothing_stored(call, "diskupdate")
    call.screen.answer(inventories.stored(records), _disks(records))
    return ExitCode.DONE


def show_history(call: Call) -> int:
    """Show what the store has of a service: the newest first, and what changed each time.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    since = _moment(call.arguments.since) if call.arguments.since else 0.0
    found = [record for topic in _TOPICS for record in call.session.history(call.arguments.name, topic)]
    found.sort(key=lambda record: record.snapshot.at, reverse=True)
    records = [record for record in found if record.snapshot.confirmed >= since][: call.arguments.limit]
    if not found:
        _say_nothing_stored(call, "push")
    call.screen.answer(inventories.history(call.arguments.name, records), _history_lines(records))
    return ExitCode.DONE


def _say_nothing_stored(call: Call, command: str) -> None:
    """Say how to fill the store; a name that means no service, and never did, is a mistake."""
    name = call.arguments.name
    service_file(call.session.node, name)
    call.screen.say(f"nothing is stored of {name} yet: `vmsvc {command} {name}` collects it")


def _moment(written: str) -> float:
    """When something was: a date, a date with a time, or so long ago."""
    try:
        return datetime.fromisoformat(written).timestamp()
    except ValueError:
        pass
    try:
        return time.time() - seconds.parse(written)
    except ValueError:
        hint = "write 2026-01-31, '2026-01-31 18:00', or 12h for the last twelve hours"
        raise UsageError(f"{written!r} is no time", hint=hint) from None


def _exit_code(record: Record) -> int:
    learned = ExitCode.DONE if _is_answered(record) else ExitCode.UNDETERMINED
    return max(learned, ExitCode.FAILED if record.has_failed else ExitCode.DONE)


def _is_answered(record: Record) -> bool:
    """Whether something could be learned of every guest, be it that there is none such."""
    if record.snapshot.topic != "push":
        return True
    (instance,) = record.snapshot.content["status"]["instances"]
    down = {resource["rid"] for resource in instance["resources"] if resource["status"] == Status.DOWN}
    return all(_is_known(guest) or guest["rid"] in down for guest in record.snapshot.content["guests"])


def _is_known(guest: envelope.Data) -> bool:
    """Whether any fact of a guest is known, or none is missing."""
    facts = (guest["sizes"], guest["disks"], guest["config_files"] or None)
    return not guest["gaps"] or any(fact is not None for fact in facts)


# --- as text ----------------------------------------------------------------------------------------------------------


def _lines(records: Sequence[Record]) -> Iterator[Line]:
    for record in records:
        snapshot = record.snapshot
        verb = "stored" if record.is_stored else "dry run: collected" if record.is_dry else "collected"
        yield (
            (f"{snapshot.service}: ", "bold"),
            (f"{verb} {_summary(record)} at {_clock(snapshot.confirmed)}", ""),
            (_verdict(record), "green" if record.since and not record.changes else ""),
        )
        yield from render.changes(record.changes)
        if snapshot.topic == "disks":
            for line in render.disks(snapshot.content):
                yield (("  ", ""), *line)
        for guest in snapshot.content["guests"] if snapshot.topic == "push" else ():
            for gap in guest["gaps"]:
                yield (("  not known: ", "yellow"), (f"{guest['rid']}: {gap}", ""))


def _verdict(record: Record) -> str:
    if record.since is None:
        return "; nothing was stored before" if not record.has_failed else ""
    return f"; {'changed' if record.changes else 'nothing has changed'} since {_clock(record.since)}"


def _summary(record: Record) -> str:
    content = record.snapshot.content
    if record.snapshot.topic == "disks":
        return f"{len(content)} disk{'' if len(content) == 1 else 's'}"
    guests = content["guests"]
    known = sum(map(_is_known, guests))
    of_all = f"{known} of " if known < len(guests) else ""
    return f"configuration, status, and facts of {of_all}{len(guests)} guest{'' if len(guests) == 1 else 's'}"


def _disks(records: Sequence[Record]) -> Iterator[Line]:
    for record in records:
        snapshot = record.snapshot
        yield (
            (snapshot.service, "bold"),
            (f"  {_summary(record)}, as {snapshot.node} found them at {_clock(snapshot.confirmed)}", ""),
        )
        for line in render.disks(snapshot.content):
            yield (("  ", ""), *line)


def _history_lines(records: Sequence[Record]) -> Iterator[Line]:
    for record in records:
        snapshot = record.snapshot
        again = f", and so until {_clock(snapshot.confirmed)}" if snapshot.confirmed > snapshot.at else ""
        first = "" if record.since is not None else ": the first that is known"
        yield (
            (_clock(snapshot.at), "bold"),
            (f"  {_TOPICS[snapshot.topic]} on {snapshot.node}{again}{first}", ""),
        )
        yield from render.changes(record.changes)


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))

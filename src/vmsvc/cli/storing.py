"""Commands that put facts into the node's own store: push, diskupdate."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from vmsvc.cli import render, selection
from vmsvc.cli.call import Call
from vmsvc.cli.looking import problems_of, tell
from vmsvc.cli.parallel import each
from vmsvc.cli.screen import Line
from vmsvc.cli.selection import Failure
from vmsvc.core import schema
from vmsvc.core.errors import ExitCode, VmsvcError
from vmsvc.core.status import Status
from vmsvc.core.store import Snapshot


def store(call: Call) -> int:
    """Collect facts about services, store them, and tell what was stored.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    session, topic = call.session, call.arguments.topic
    collect = session.push if topic == "push" else session.diskupdate
    services = selection.all_of(session, call.arguments.names)
    failures: list[Failure] = []
    snapshots: list[Snapshot] = []
    for service, result in zip(services, each(collect, services), strict=True):
        if isinstance(result, VmsvcError):
            failures.append(Failure(service.name, result))
        else:
            snapshots.append(result)
    tell(call, failures)
    call.screen.answer(schema.snapshots(snapshots, problems_of(failures)), _lines(snapshots))
    codes = [ExitCode.DONE if _is_answered(snapshot) else ExitCode.UNDETERMINED for snapshot in snapshots]
    return selection.worst([*codes, *(failure.error.exit_code for failure in failures)])


def _is_answered(snapshot: Snapshot) -> bool:
    """Whether something could be learned of every guest, be it that there is none such."""
    if snapshot.topic != "push":
        return True
    (instance,) = snapshot.content["status"]["instances"]
    down = {resource["rid"] for resource in instance["resources"] if resource["status"] == Status.DOWN}
    return all(_is_known(guest) or guest["rid"] in down for guest in snapshot.content["guests"])


def _is_known(guest: schema.Data) -> bool:
    """Whether any fact of a guest is known, or none is missing."""
    facts = (guest["sizes"], guest["disks"], guest["config_files"] or None)
    return not guest["gaps"] or any(fact is not None for fact in facts)


def _lines(snapshots: Sequence[Snapshot]) -> Iterator[Line]:
    for snapshot in snapshots:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(snapshot.at))
        yield ((f"{snapshot.service}: ", "bold"), (f"stored {_summary(snapshot)} at {at}", ""))
        if snapshot.topic == "disks":
            for line in render.disks(snapshot.content):
                yield (("  ", ""), *line)
        for guest in snapshot.content["guests"] if snapshot.topic == "push" else ():
            for gap in guest["gaps"]:
                yield (("  not known: ", "yellow"), (f"{guest['rid']}: {gap}", ""))


def _summary(snapshot: Snapshot) -> str:
    if snapshot.topic == "disks":
        count = len(snapshot.content)
        return f"{count} disk{'' if count == 1 else 's'}"
    guests = snapshot.content["guests"]
    known = sum(map(_is_known, guests))
    of_all = f"{known} of " if known < len(guests) else ""
    return f"configuration, status, and facts of {of_all}{len(guests)} guest{'' if len(guests) == 1 else 's'}"

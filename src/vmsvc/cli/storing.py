"""Commands that put facts into the node's own store: push, diskupdate."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from vmsvc.cli import render, selection
from vmsvc.cli.call import Call
from vmsvc.cli.looking import problems_of, tell
from vmsvc.cli.parallel import each
from vmsvc.cli.screen import Line
from vmsvc.core import schema
from vmsvc.core.errors import VmsvcError
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
    services, failures = selection.chosen(session, call.arguments.names)
    snapshots: list[Snapshot] = []
    for service, result in zip(services, each(collect, services), strict=True):
        if isinstance(result, VmsvcError):
            failures.append(selection.Failure(service.name, result))
        else:
            snapshots.append(result)
    tell(call, failures)
    call.screen.answer(schema.snapshots(snapshots, problems_of(failures)), _lines(snapshots))
    return selection.worst(failure.error.exit_code for failure in failures)


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
    count = len(snapshot.content["guests"])
    return f"configuration, status, and facts of {count} guest{'' if count == 1 else 's'}"

"""Statuses as text: an overview, and the tree of each service. Pure: it prints nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from vmsvc.cli.columns import GAP, columns, word
from vmsvc.cli.screen import Line, Span
from vmsvc.core.instance import Instance, ResourceStatus, ServiceStatus
from vmsvc.core.node import Node
from vmsvc.core.status import Phase, Status

T = TypeVar("T")

#: What needs no words beside the status: `absent` and `saved` do, though they are down.
_PLAIN = frozenset({Phase.RUNNING, Phase.STOPPED, Phase.INAPPLICABLE})
#: An observation older than this is told with its age, in seconds.
_STALE_S = 3.0


def overview(statuses: Sequence[ServiceStatus]) -> Iterator[Line]:
    """A line for each service, and beneath it whatever is not plainly up or down.

    Args:
        statuses: The services' statuses.

    Yields:
        The lines.
    """
    rows = [((item.name, "bold"), word(item.avail), word(item.overall)) for item in statuses]
    lines = list(columns(rows, heads=("service", "avail", "overall")))
    yield from lines[:1]
    for item, line in zip(statuses, lines[1:], strict=True):
        yield line
        yield from _notes(item.notes, GAP)
        is_of_many = len(item.instances) > 1
        for instance in item.instances:
            node: Line = ((instance.node, "dim"), GAP) if is_of_many else ()
            yield from ((GAP, *node, *line) for line in _oddities(instance))


def _oddities(instance: Instance) -> Iterator[Line]:
    mixed = instance.overall in (Status.WARN, Status.UNKNOWN)
    odd = [
        item
        for item in instance.resources
        if item.status in (Status.WARN, Status.UNKNOWN)
        or item.observation.phase not in _PLAIN
        or item.observation.warnings
        or (mixed and item.status is Status.DOWN)
    ]
    for item in odd:
        yield ((item.resource.rid, ""), GAP, word(item.status), GAP, (_told(item), ""))
        for warning in item.observation.warnings:
            yield ((item.resource.rid, ""), GAP, ("warning: ", "yellow"), (warning, ""))
    yield from _notes(instance.told)


def _told(item: ResourceStatus) -> str:
    """The state of a resource with what was said about it; once, where both are the same."""
    seen = item.observation
    state = seen.state if seen.state != str(item.status) else ""
    detail = f"{seen.evidence.probe}: {seen.evidence.detail}" if seen.evidence.detail not in ("", state) else ""
    return ": ".join(part for part in (state, detail) if part)


def trees(statuses: Iterable[ServiceStatus], node: Node) -> Iterator[Line]:
    """The tree of each service: its instances, their resources, and log lines under them.

    Args:
        statuses: The services' statuses.
        node: This node.

    Yields:
        The lines.
    """
    for item in statuses:
        yield ((item.name, "bold"), GAP, word(item.overall), ("  (avail ", ""), word(item.avail), (")", ""))
        yield from _notes(item.notes, ("│  ", "dim"))
        for last, instance in _marked(item.instances):
            here = " (this node)" if node.is_called(instance.node) else ""
            yield ((_branch(last=last), "dim"), (f"{instance.node}{here}", ""), GAP, word(instance.overall))
            yield from _resources(instance, "   " if last else "│  ")


def _resources(instance: Instance, margin: str) -> Iterator[Line]:
    rows = columns(_row(item) for item in instance.resources)
    for (last, item), cells in zip(_marked(instance.resources), rows, strict=True):
        yield ((margin + _branch(last=last), "dim"), *cells)
        below = margin + ("   " if last else "│  ")
        for severity, text in _log(item):
            yield ((below, "dim"), (f"{severity}: ", "yellow"), (text, ""))
    yield from _notes(instance.told, (margin, "dim"))


def _notes(notes: Iterable[str], *margin: Span) -> Iterator[Line]:
    for note in notes:
        yield (*margin, ("note: ", "cyan"), (note, ""))


def _row(item: ResourceStatus) -> Sequence[Span]:
    resource = item.resource
    flags = ("D" if resource.disable else ".") + ("O" if resource.optional else ".")
    state = item.observation.state
    return (
        (resource.rid, ""),
        (flags, "dim"),
        word(item.status),
        (" ".join(part for part in (resource.type, resource.label) if part), ""),
        (state if state != str(item.status) else "", ""),
    )


def _log(item: ResourceStatus) -> Iterator[tuple[str, str]]:
    """What there is to tell of a resource beyond its state."""
    seen, evidence = item.observation, item.observation.evidence
    if item.status in (Status.UNKNOWN, Status.WARN):
        yield "warn" if item.status is Status.WARN else "unknown", f"{evidence.probe}: {evidence.detail}{_timing(item)}"
    elif item.status is Status.NA and not item.resource.disable:
        yield "note", evidence.detail
    elif _age_s(item) > _STALE_S:
        yield "note", f"seen {_age_s(item):.0f} s ago"
    for warning in seen.warnings:
        yield "warning", warning


def _timing(item: ResourceStatus) -> str:
    parts = [f"took {item.observation.evidence.duration_s:.1f} s"] if item.observation.evidence.duration_s >= 1 else []
    parts += [f"{_age_s(item):.0f} s ago"] if _age_s(item) > _STALE_S else []
    return f" ({', '.join(parts)})" if parts else ""


def _age_s(item: ResourceStatus) -> float:
    return time.time() - item.observation.evidence.at


def _marked(items: Sequence[T]) -> Iterator[tuple[bool, T]]:
    """Each item with whether it is the last one."""
    return ((number == len(items), item) for number, item in enumerate(items, 1))


def _branch(*, last: bool) -> str:
    return "└─ " if last else "├─ "

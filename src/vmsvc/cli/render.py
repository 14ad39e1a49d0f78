"""What commands have found out, as lines of text. Pure: it prints nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from vmsvc.cli.screen import Line, Span, plain
from vmsvc.core.errors import ExitCode
from vmsvc.core.instance import Instance, ResourceStatus, ServiceStatus
from vmsvc.core.inventory import GuestFacts
from vmsvc.core.node import Node
from vmsvc.core.options import Option, options_of
from vmsvc.core.plan import Plan
from vmsvc.core.plugins import PluginReport, PluginState
from vmsvc.core.resource import Resource
from vmsvc.core.service import Service
from vmsvc.core.status import Status

T = TypeVar("T")

_STYLES = {
    Status.UP: "green",
    Status.DOWN: "red",
    Status.WARN: "yellow",
    Status.UNKNOWN: "bold magenta",
    Status.NA: "dim",
}
_PLUGIN_STYLES = {PluginState.OK: "green", PluginState.REFUSED: "bold red", PluginState.CLASH: "bold red"}
#: An observation older than this is told with its age, in seconds.
_STALE_S = 3.0
_GAP = ("  ", "")


def word(status: Status) -> Span:
    """A status in its colour.

    Args:
        status: The status.
    """
    return str(status), _STYLES[status]


def value(content: object) -> str:
    """A setting's value as it would stand in an INI file.

    Args:
        content: The value.

    >>> value(240.0), value(True), value(("n1", "n2"))
    ('240', 'true', 'n1 n2')
    """
    if isinstance(content, bool):
        return str(content).lower()
    if isinstance(content, float):
        return f"{content:g}"
    if isinstance(content, (tuple, list)):
        return " ".join(map(value, content))
    return str(content)


def columns(rows: Iterable[Sequence[Span]], *, heads: Sequence[str] = ()) -> Iterator[Line]:
    """Align rows.

    Args:
        rows: Cells, row by row.
        heads: The columns' names.

    Yields:
        A line for each row.
    """
    table = [list(row) for row in rows]
    if heads and table:
        table.insert(0, [(head.upper(), "bold") for head in heads])
    widths = [max(len(text) for text, _ in cells) for cells in zip(*table, strict=True)]
    for row in table:
        while row and not row[-1][0]:
            row.pop()
        line: list[Span] = []
        for (text, style), width in zip(row, widths, strict=False):
            line += [(text, style), (" " * (width - len(text)), ""), _GAP]
        yield line[:-2]


# --- status ---------------------------------------------------------------------------------------------------------


def overview(statuses: Sequence[ServiceStatus]) -> Iterator[Line]:
    """A line for each service, and beneath it what keeps it from being plainly up or down.

    Args:
        statuses: The services' statuses.

    Yields:
        The lines.
    """
    rows = [((item.name, "bold"), word(item.avail), word(item.overall)) for item in statuses]
    head, *lines = [*columns(rows, heads=("service", "avail", "overall")), ()]
    if rows:
        yield head
    for item, line in zip(statuses, lines, strict=False):
        yield line
        for instance in item.instances:
            yield from _oddities(instance)


def _oddities(instance: Instance) -> Iterator[Line]:
    mixed = instance.overall in (Status.WARN, Status.UNKNOWN)
    odd = [
        item
        for item in instance.resources
        if item.status in (Status.WARN, Status.UNKNOWN) or (mixed and item.status is Status.DOWN)
    ]
    for item in odd:
        yield (_GAP, (item.resource.rid, ""), _GAP, word(item.status), _GAP, (_told(item), ""))
    for note in instance.notes:
        yield (_GAP, ("note: ", "cyan"), (note, ""))


def _told(item: ResourceStatus) -> str:
    """The state of a resource with what was said about it."""
    seen = item.observation
    detail = f"{seen.evidence.probe}: {seen.evidence.detail}" if seen.evidence.detail else ""
    return ": ".join(part for part in (seen.state if seen.state != str(item.status) else "", detail) if part)


def trees(statuses: Iterable[ServiceStatus], node: Node) -> Iterator[Line]:
    """The tree of each service: its instances, their resources, and log lines under them.

    Args:
        statuses: The services' statuses.
        node: This node.

    Yields:
        The lines.
    """
    for item in statuses:
        yield ((item.name, "bold"), _GAP, word(item.overall), ("  (avail ", ""), word(item.avail), (")", ""))
        for last, instance in _marked(item.instances):
            here = " (this node)" if node.is_called(instance.node) else ""
            yield ((_branch(last=last), "dim"), (f"{instance.node}{here}", ""), _GAP, word(instance.overall))
            yield from _resources(instance, "   " if last else "│  ")


def _resources(instance: Instance, margin: str) -> Iterator[Line]:
    rows = list(columns(_row(item) for item in instance.resources))
    notes = [((margin, "dim"), ("note: ", "cyan"), (note, "")) for note in instance.notes]
    for (last, item), cells in zip(_marked(instance.resources), rows, strict=True):
        yield ((margin + _branch(last=last), "dim"), *cells)
        below = margin + ("   " if last else "│  ")
        for severity, text in _log(item):
            yield ((below, "dim"), (f"{severity}: ", "yellow"), (text, ""))
    yield from notes


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


# --- plans ----------------------------------------------------------------------------------------------------------


def plans(items: Iterable[Plan]) -> Iterator[Line]:
    """What actions would do.

    Args:
        items: The plans.

    Yields:
        The lines.
    """
    for item in items:
        verdict: Span = ("", "")
        if item.refusals:
            verdict = (
                (": refused", "bold red")
                if item.exit_code is ExitCode.REFUSED
                else (": cannot be decided", "bold magenta")
            )
        elif not item.steps:
            verdict = (": nothing to do", "green")
        yield ((f"{item.action} {item.service.name}", "bold"), (f" on {item.node}", ""), verdict)
        for number, step in enumerate(item.steps, 1):
            needed = ", if still needed" if step.only_if_needed else ""
            because = f"  ({step.why})" if step.why else ""
            yield ((f"  {number}. ", "dim"), (str(step), ""), (f"  within {step.budget_s:g} s{needed}{because}", "dim"))
        for kept in item.kept:
            yield (("  -  ", "dim"), (f"{kept.rid} is left as it is: {kept.why}", ""))


# --- services -------------------------------------------------------------------------------------------------------


def listing(services: Iterable[Service]) -> Iterator[Line]:
    """A line for each service with its types, nodes and file.

    Args:
        services: The services.
    """
    rows = [
        (
            (item.name, "bold"),
            (" ".join(dict.fromkeys(guest.type for guest in item.guests)) or "-", ""),
            (item.env or "-", ""),
            (" ".join(item.nodes) or "-", ""),
            (" ".join(item.drpnodes) or "-", ""),
            (str(item.file), "dim"),
        )
        for item in services
    ]
    return columns(rows, heads=("service", "type", "env", "nodes", "drpnodes", "file"))


def service(item: Service, facts: Iterable[GuestFacts]) -> Iterator[Line]:
    """A service's settings and what is known of its guests.

    Args:
        item: The service.
        facts: The facts of its guests.

    Yields:
        The lines.
    """
    yield ((item.name, "bold"), (f"  {item.file}", "dim"))
    yield from _settings("DEFAULT", item)
    known = {fact.guest.rid: fact for fact in facts}
    for resource in item.resources:
        yield plain("")
        yield from _settings(resource.rid, resource)
        if resource.rid in known:
            yield from _facts(known[resource.rid])


def _settings(section: str, owner: Service | Resource) -> Iterator[Line]:
    yield ((f"[{section}]", "bold"),)
    if isinstance(owner, Resource) and owner.type:
        yield plain(f"type = {owner.type}")
    for option in options_of(type(owner)):
        content = getattr(owner, option.key)
        style = "dim" if not option.required and content == option.default else ""
        yield ((f"{option.key} = {value(content)}", style),)


def _facts(fact: GuestFacts) -> Iterator[Line]:
    if fact.sizes is not None:
        yield plain(f"; {fact.sizes.vcpus} vCPU, {fact.sizes.memory_mib} MiB")
    for disk in fact.disks or ():
        size = "" if disk.size_bytes is None else f", {disk.size_bytes} bytes"
        yield plain(f"; disk {disk.target}: {disk.kind} {disk.source}{size}")
    for path in fact.config_files:
        yield plain(f"; config file {path}")
    for gap in fact.gaps:
        yield ((f"; not known: {gap}", "yellow"),)


# --- drivers --------------------------------------------------------------------------------------------------------


def drivers(reports: Iterable[PluginReport]) -> Iterator[Line]:
    """A line for each driver, and for each plugin that has none.

    Args:
        reports: The plugins' reports.

    Yields:
        The lines.
    """
    for report in reports:
        yield (
            (report.name, "bold"),
            (f"  {report.distribution} {report.version}  ", ""),
            (str(report.state), _PLUGIN_STYLES[report.state]),
            (f"  {report.origin}", "dim"),
        )
        if report.reason:
            yield plain(f"  {report.reason}")
        for driver in report.drivers:
            offers = ", ".join(driver.capabilities) or "nothing beyond the required part"
            yield plain(f"  {driver.kind} {driver.type}  API {driver.api}  {offers}")


def keywords(sections: Mapping[str, Mapping[str, Option]]) -> Iterator[Line]:
    """The keys of sections, with type, default and help.

    Args:
        sections: The options of each.

    Yields:
        The lines.
    """
    for section, options in sections.items():
        yield ((f"[{section}]", "bold"),)
        for option in options.values():
            default = "required" if option.required else f"default {value(option.default)!r}"
            yield ((f"  {option.key}", ""), (f"  {option.value.label}; {default}", "dim"))
            yield plain(f"      {option.help}")


def disks(rows: Iterable[Mapping[str, Any]]) -> Iterator[Line]:
    """A line for each disk.

    Args:
        rows: Disks as the store has them.
    """
    cells = [
        (
            (row["rid"], ""),
            (row["target"], ""),
            (row["kind"], ""),
            (row["bus"] or "-", ""),
            ("-" if row["size_bytes"] is None else str(row["size_bytes"]), ""),
            (row["serial"] or row["wwn"] or "-", ""),
            ("live" if row["live"] else "", ""),
            (row["source"] or "(no medium)", ""),
        )
        for row in rows
    ]
    return columns(cells, heads=("rid", "target", "kind", "bus", "bytes", "serial", "", "source"))

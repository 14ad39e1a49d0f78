"""What commands have found out, as lines of text. Pure: it prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from typing import Any

from vmsvc.cli.columns import columns
from vmsvc.cli.screen import Line, Span, plain
from vmsvc.core.errors import ExitCode
from vmsvc.core.guests.inventory import GuestFacts
from vmsvc.core.kinds import Vmdg
from vmsvc.core.options import Option, options_of
from vmsvc.core.planning.plan import Plan
from vmsvc.core.plugins import PluginReport, PluginState
from vmsvc.core.records.changes import Change, Kind
from vmsvc.core.resource import Resource
from vmsvc.core.service import Service

_PLUGIN_STYLES = {PluginState.OK: "green", PluginState.REFUSED: "bold red", PluginState.CLASH: "bold red"}


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
                (": cannot be decided", "bold magenta")
                if item.exit_code is ExitCode.UNDETERMINED
                else (": refused", "bold red")
            )
        elif not item.steps:
            verdict = (": nothing to do", "green")
        limits = f", only {', '.join(sorted(item.only))}" if item.only else ""
        yield ((f"{item.action} {item.service.name}", "bold"), (f" on {item.node}{limits}", ""), verdict)
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
        for group in item.resources:
            if isinstance(group, Vmdg) and group.container_id == resource.rid and group.scsireserv:
                yield plain(f"; its disks are reserved by [{group.rid}]")
        if resource.rid in known:
            yield from _facts(known[resource.rid])


def _settings(section: str, owner: Service | Resource) -> Iterator[Line]:
    yield ((f"[{section}]", "bold"),)
    if isinstance(owner, Resource) and owner.type:
        yield plain(f"type = {owner.type}")
    for option in options_of(type(owner)):
        content = getattr(owner, option.key)
        if content == option.default and content in ("", ()):
            continue  # an empty default says nothing
        style = "dim" if not option.required and content == option.default else ""
        yield ((f"{option.key} = {value(content)}", style),)


def _facts(fact: GuestFacts) -> Iterator[Line]:
    if fact.sizes is not None:
        yield plain(f"; {fact.sizes.vcpus} vCPU, {fact.sizes.memory_mib} MiB")
    for disk in fact.disks or ():
        size = "" if disk.size_bytes is None else f", {disk.size_bytes} bytes"
        yield plain(f"; disk {disk.target}: {disk.kind} {disk.source}{size}")
    for path in fact.config_files or ():
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
    """A line for each disk, and beneath it who else uses it.

    Args:
        rows: Disks as the store has them.

    Yields:
        The lines.
    """
    found = list(rows)
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
        for row in found
    ]
    lines = columns(cells, heads=("rid", "target", "kind", "bus", "bytes", "serial", "", "source"))
    for row, line in zip([None, *found], lines, strict=False):
        yield line
        for user in (row or {}).get("users") or ():
            yield (("  also used by ", "yellow"), (user["user"], ""))


# --- what has changed -----------------------------------------------------------------------------------------------

#: Keys that lead to something, and mean nothing to who reads a change.
_CONNECTING = frozenset({"settings", "resources", "instances", "guests"})
_CHANGE_STYLES = {Kind.ADDED: "green", Kind.REMOVED: "red", Kind.CHANGED: "yellow"}


def changes(items: Iterable[Change]) -> Iterator[Line]:
    """A line for each field that is not what it was.

    Args:
        items: The changes.

    Yields:
        The lines.
    """
    for item in items:
        place = _place(item.path)
        if item.kind is Kind.CHANGED:
            what = f"{_fact(item.before)} → {_fact(item.after)}"
        else:
            what = f"{item.kind.value} ({_fact(item.after if item.kind is Kind.ADDED else item.before)})"
        yield (("  ", ""), (f"{place}: ", _CHANGE_STYLES[item.kind]), (what, ""))


def _place(path: Iterable[str]) -> str:
    """Where a change is, in words: a disk of a guest does not say again which guest it is a disk of."""
    words: list[str] = []
    for part in path:
        if part not in _CONNECTING:
            words.append(reduce(lambda rest, word: rest.removeprefix(f"{word} "), words, part))
    return " ".join(words)


def _fact(content: Any) -> str:
    """A value of a snapshot in a few words; of a row, what it says and not what it leaves open."""
    if content is None:
        return "not known"
    if isinstance(content, dict):
        return ", ".join(
            f"{key} {_fact(part)}" for key, part in content.items() if part not in (None, "", False, [], {})
        )
    if isinstance(content, list):
        return " ".join(map(_fact, content)) or "none"
    return value(content) if content != "" else "none"

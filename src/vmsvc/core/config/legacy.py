"""Names of older service files: accepted, translated, and reported as warnings.

Only what maps without loss is here. A key that would have no effect is an unknown key, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, evolve

from vmsvc.core.config.model import DEFAULT, Entry, Findings, Section, shortened
from vmsvc.core.errors import Severity
from vmsvc.core.options import Raw
from vmsvc.core.resource import kind_of

_AUTOSTART = ("autostart_node", "autostart_nodes")
# Before containers were resources of their own, [DEFAULT] described the only one.
_CONTAINER_KEYS = {"mode": "type", "vm_name": "name", "guest_os": "guestos"}
_DEFAULT_KEYS = {"service_type": "env", **dict.fromkeys(_AUTOSTART, "orchestrate"), "drpnode": "drpnodes"}
#: The old names of ``[DEFAULT]``, and what they are now, for hints.
OLD_NAMES = {
    **{old: f"`{new}`" for old, new in _DEFAULT_KEYS.items()},
    **{old: f"`{new}` in [container#1]" for old, new in _CONTAINER_KEYS.items()},
}
_UNIX = frozenset({"linux", "sunos", "solaris", "hp-ux", "hpux", "aix", "freebsd", "openbsd", "darwin"})
_HOSTED = "hosted"


@define(eq=False, repr=False)
class _Table:
    """A section while old names are being replaced in it."""

    section: Section
    entries: dict[tuple[str, str], Entry]

    @classmethod
    def of(cls, section: Section) -> _Table:
        return cls(section, {entry.identity: entry for entry in section.entries})

    @property
    def name(self) -> str:
        return self.section.name

    def closed(self) -> Section:
        return evolve(self.section, entries=tuple(self.entries.values()))


def translate(sections: tuple[Section, ...], findings: Findings) -> tuple[Section, ...]:
    """Rewrite old names into today's.

    Args:
        sections: What a file holds.
        findings: Where the warnings go, and conflicts between an old name and the new one.

    Returns:
        The sections in today's words.
    """
    if all(OLD_NAMES.keys().isdisjoint(section.by_key) for section in sections):
        return sections
    tables = [_Table.of(section) for section in sections]
    default = next((table for table in tables if table.name == DEFAULT), None)
    if default is not None:
        _translate_default(default, findings)
        _move_to_container(default, tables, findings)
    for table in tables:
        if kind_of(table.name) == "container":
            for old in _named(table, *_CONTAINER_KEYS):
                _move(old, _container_entry(old), table, table, findings)
    return tuple(table.closed() for table in tables)


def today(section: str, key: str, containers: Sequence[str]) -> tuple[str, str] | None:
    """What an old name is now.

    Args:
        section: The section that the old name stands in.
        key: The key.
        containers: The file's container sections.

    Returns:
        The section and the key of today; ``None`` for a key that is no old name, or one that nobody can tell.
    """
    if section == DEFAULT and key in _DEFAULT_KEYS:
        return DEFAULT, _DEFAULT_KEYS[key]
    if key in _CONTAINER_KEYS:
        if kind_of(section) == "container":
            return section, _CONTAINER_KEYS[key]
        if section == DEFAULT and len(containers) < 2:  # noqa: PLR2004 - which one is meant must be clear
            return next(iter(containers), "container#1"), _CONTAINER_KEYS[key]
    return None


def old_entries(sections: Sequence[Section], section: str, label: str) -> list[tuple[str, Entry]]:
    """What a file says about a key under its old names.

    Args:
        sections: What the file holds, untranslated.
        section: The section of today.
        label: The key of today, with its scope if it has one.

    Returns:
        The entries, each with its section's name.
    """
    containers = [each.name for each in sections if kind_of(each.name) == "container"]
    return [
        (each.name, entry)
        for each in sections
        for entry in each.entries
        if (now := today(each.name, entry.key, containers)) and now[0] == section
        if evolve(entry, key=now[1]).label.casefold() == label.casefold()
    ]


def _translate_default(default: _Table, findings: Findings) -> None:
    for old in _named(default, "service_type"):
        _move(old, evolve(old, key="env"), default, default, findings)
    for old in _named(default, *_AUTOSTART):
        # The listed nodes are dropped: since `orchestrate`, the placement leader is the one that starts.
        raw = "start" if _plain(old.raw) else "no"
        _move(old, evolve(old, key="orchestrate", raw=raw, continued=()), default, default, findings)
    for old in _named(default, "drpnode"):
        listed = default.entries.pop(("drpnodes", old.scope.casefold()), None)
        raw = f"{_plain(old.raw)} {_plain(listed.raw) if listed else ''}".strip()
        _move(old, evolve(old, key="drpnodes", raw=raw), default, default, findings)


def _move_to_container(default: _Table, tables: list[_Table], findings: Findings) -> None:
    old_entries = _named(default, *_CONTAINER_KEYS)
    containers = [table for table in tables if kind_of(table.name) == "container"]
    modes = [_plain(old.raw).lower() for old in old_entries if old.key == "mode"]
    if not containers and _HOSTED in modes:
        for old in old_entries:
            del default.entries[old.identity]
            _warn(findings, default.name, old, f"`{old.key}` is an old name; a service without a container needs none")
        return
    if not containers and modes:
        containers = [_Table.of(Section(name="container#1", position=default.section.position))]
        tables.insert(tables.index(default) + 1, containers[0])
    for old in old_entries:
        if len(containers) == 1:
            _move(old, _container_entry(old), default, containers[0], findings)
            continue
        del default.entries[old.identity]
        findings.add(
            old.position,
            f"`{old.key}` does not say which container it means"
            if containers
            else f"`{old.key}` describes a container, and the file has none",
            code="legacy-ambiguous",
            section=default.name,
            key=old.label,
            hint=f"write `{_CONTAINER_KEYS[old.key]}` in a `[container#1]` section instead",
        )


def _container_entry(old: Entry) -> Entry:
    raw: Raw = old.raw
    if old.key == "guest_os" and _plain(raw).lower() in _UNIX:
        raw = "unix"
    return evolve(old, key=_CONTAINER_KEYS[old.key], raw=raw)


def _move(old: Entry, new: Entry, source: _Table, target: _Table, findings: Findings) -> None:
    """Put the new entry in the target, unless the file says something else there already."""
    del source.entries[old.identity]
    where = "" if source is target else f" in [{target.name}]"
    there = target.entries.get(new.identity)
    if there is not None and _plain(there.raw) != _plain(new.raw):
        findings.add(
            old.position,
            f"`{old.key}` is the old name of `{new.key}`{where}, and the two differ",
            code="legacy-conflict",
            section=source.name,
            key=old.label,
            hint=f"remove `{old.label}`",
        )
        return
    target.entries[new.identity] = new
    value = shortened(_plain(new.raw), 60)
    _warn(findings, source.name, old, f"`{old.key}` is an old name", f"write `{new.label} = {value}`{where}")


def _warn(findings: Findings, section: str, old: Entry, message: str, hint: str = "") -> None:
    findings.add(
        old.position,
        message,
        code="legacy",
        section=section,
        key=old.label,
        hint=hint or f"remove `{old.label}`",
        severity=Severity.WARNING,
    )


def _named(table: _Table, *keys: str) -> list[Entry]:
    return [entry for entry in table.entries.values() if entry.key in keys]


def _plain(raw: Raw) -> str:
    return " ".join(str(part) for part in raw) if isinstance(raw, list) else str(raw).strip()

"""The TOML form of a service file: a section is a table of the same name."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import tomli

from vmsvc.core.config.model import Entry, Findings, Section, section_name, split_key

_INT64 = 2**63
_BARE_HASH = re.compile(r"^[ \t]*\[[^\]\"'\n]*#", re.MULTILINE)
_BARE_AT = re.compile(r"^[ \t]*[\w.-]+@[^\"'=\n]*=", re.MULTILINE)


def read(text: str, findings: Findings) -> tuple[Section, ...]:
    """Read the TOML form.

    Args:
        text: The file's text.
        findings: Where what is wrong goes; broken TOML syntax is one problem, since its parser stops there.

    Returns:
        The sections in the order of the file.
    """
    try:
        tables = tomli.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "brackets are nested too deeply" if isinstance(error, RecursionError) else str(error)
        findings.add(0, f"this is not TOML: {reason}", code="syntax", hint=_syntax_hint(text))
        return ()
    rank = itertools.count(1)
    sections: dict[str, Section] = {}
    for written, table in tables.items():
        name = section_name(written)
        if not isinstance(table, dict):
            findings.add(
                next(rank),
                "the key stands outside of a section",
                code="syntax",
                key=written,
                hint="a section is one table: `[NAME]`" if isinstance(table, list) else "put `[DEFAULT]` above it",
            )
            continue
        section = _section(name, table, rank, findings)
        if sections.setdefault(name, section) is not section:
            findings.add(
                section.position,
                "the section stands twice, in different spellings",
                code="duplicate-section",
                section=name,
                hint="make one section of the two",
            )
    return tuple(sections.values())


def _section(name: str, table: dict[str, Any], rank: Iterator[int], findings: Findings) -> Section:
    position = next(rank)
    entries: dict[tuple[str, str], Entry] = {}
    for written, value in table.items():
        entry = _entry(name, written, value, next(rank), findings)
        if entry is None:
            continue
        if entries.setdefault(entry.identity, entry) is not entry:
            findings.add(
                entry.position,
                "the key stands twice, in different spellings",
                code="duplicate-key",
                section=name,
                key=entry.label,
                hint="remove one of them",
            )
    return Section(name=name, entries=tuple(entries.values()), position=position)


def _entry(section: str, written: str, value: Any, position: int, findings: Findings) -> Entry | None:
    key, scope = split_key(written)
    if fault := _fault(value):
        hint = f'a section is written `["{section}"]`, a key below it `key = value`' if isinstance(value, dict) else ""
        findings.add(position, fault, code="type", section=section, key=written, hint=hint)
        return None
    if not key:
        findings.add(position, "a value has no key", code="syntax", section=section, hint="write `key = value`")
        return None
    return Entry(key=key, scope=scope, raw=value, position=position)


def _fault(value: Any) -> str:
    """Why a TOML value can be no option's value; empty when it can."""
    if isinstance(value, dict):
        return "a table cannot stand inside a section"
    for part in value if isinstance(value, list) else [value]:
        if not isinstance(part, (str, bool, int, float)):
            kind = "table" if isinstance(part, dict) else "list" if isinstance(part, list) else "date"
            return f"a {kind} cannot be a value here: write it as text, in quotes"
        if isinstance(part, str) and "\0" in part:
            return "the value has a NUL character in it"
        if isinstance(part, int) and not -_INT64 <= part < _INT64:
            return "the number does not fit in 64 bits"
    return ""


def _syntax_hint(text: str) -> str:
    """Two mistakes are made by everybody who comes from INI."""
    if _BARE_HASH.search(text):
        return 'quote a section\'s name that has a `#` in it: `["container#1"]`'
    if _BARE_AT.search(text):
        return 'quote a key that has an `@` in it: `"key@node" = …`'
    return 'text needs quotes: `app = "ERP"`'

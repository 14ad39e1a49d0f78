"""The TOML form of a service file, where a section is a table of its name: read, and changed key by key."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import tomli

from vmsvc.core.config.model import DEFAULT, Entry, Findings, Section, section_name, split_key
from vmsvc.core.errors import VmsvcError
from vmsvc.core.kinds import KINDS
from vmsvc.core.options import Raw
from vmsvc.core.resource import kind_of

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

_INT64 = 2**63
_LINE_OF = re.compile(r"at line (\d+)")
_HEADER = re.compile(r"""\s*\[\s*["']?([^"'\]]*)["']?\s*\]""")
_KEY = re.compile(r"""\s*["']?([\w.@-]+)["']?\s*=""")
# The parser's words, and what to do about them.
_HINTS = {
    "Cannot overwrite": "the key stands twice: remove one of them",
    "Cannot declare": "the section stands twice: make one of the two, or give one another number",
    "Cannot mutate": "the section stands twice: make one of the two, or give one another number",
    "Unclosed array": "close the list with `]`, and put commas between its elements",
    "Unterminated": "close the text with the quote that it began with",
    "Illegal character": "close the text with the quote that it began with",
    "Expected '=' after a key": "write `key = value`",
    "Expected ']'": "close the section's name with `]`",
    "Invalid value": 'text needs quotes: `app = "ERP"`',
    'Expected "\'"': "close the text with the quote that it began with",
    "Unescaped": "write text that has backslashes in single quotes",
    "Invalid statement": "write `key = value`; a comment begins with `#`",
    "Expected newline": "text needs quotes; what follows a value is on a line of its own",
}
_BARE_HASH = re.compile(r"\s*\[[^\]\"']*#")
_BARE_AT = re.compile(r"\s*[\w.-]+@[^\"'=]*=")
_NOTHING = re.compile(r"[^=]*=\s*(#.*)?")


def read(text: str, findings: Findings, *, home: str = DEFAULT) -> tuple[Section, ...]:
    """Read the TOML form.

    Args:
        text: The file's text.
        findings: Where what is wrong goes; broken TOML syntax is one problem, since its parser stops there.
        home: The section where a key without one belongs, for hints.

    Returns:
        The sections in the order of the file.
    """
    try:
        tables = tomli.loads(text)
    except (ValueError, RecursionError) as error:
        _add_syntax_error(text, error, findings)
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
                hint=_outside_hint(name, table, home),
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


def _outside_hint(name: str, value: Any, home: str) -> str:
    is_tables = isinstance(value, list) and any(isinstance(part, dict) for part in value)
    if is_tables or name == home or kind_of(name) in KINDS:
        return f"a section is one table: `[{name}]`, and its keys below" if "#" not in name else f'write `["{name}"]`'
    return f"put `[{home}]` above it"


def _add_syntax_error(text: str, error: Exception, findings: Findings) -> None:
    """Tell where the parser has stopped, in our words, and what is most likely meant."""
    if isinstance(error, RecursionError):
        hint = "the elements of a list are words, not lists"
        findings.add(0, "this is not TOML: brackets are nested too deeply", code="syntax", hint=hint)
        return
    lines = text.split("\n")
    found = _LINE_OF.search(str(error))
    number = int(found[1]) if found else len(lines)
    line = lines[number - 1] if number <= len(lines) else ""
    before = next((one for one in reversed(lines[:number]) if _HEADER.match(one) or _KEY.match(one)), "")
    key = _KEY.match(before)  # an earlier line's, where a value of several lines has no end
    header = next((found for one in reversed(lines[:number]) if (found := _HEADER.match(one))), None)
    if _BARE_HASH.match(line):
        hint = 'quote a section\'s name that has a `#` in it: `["container#1"]`'
    elif _BARE_AT.match(line):
        hint = 'quote a key that has an `@` in it: `"key@node" = …`'
    elif key and _NOTHING.fullmatch(line):
        hint = f'the key has no value; an empty one is written `{key[1]} = ""`'
    else:
        hint = next((hint for words, hint in _HINTS.items() if words in str(error)), "")
    findings.add(
        0,
        f"this is not TOML: {error}",
        code="syntax",
        section=section_name(header[1]) if header else "",
        key=key[1] if key else "",
        hint=hint,
    )


# --- changing: with tomlkit, which keeps comments, order and style ---------------------------------------------------


def set_key(text: str, section: str, label: str, value: str) -> str:
    """Give a key a value, of the type that it has now if the new text allows it.

    Args:
        text: The file's text.
        section: The section's name; made if there is none.
        label: The key, with its scope if it has one.
        value: The value.

    Returns:
        The new text.
    """
    document = _parsed(text)
    name = _spelling(document, section, section_name)
    if name not in document:
        import tomlkit  # noqa: PLC0415 - only editing needs it

        document.add(name, tomlkit.table())
    table = document[name]
    key = _spelling(table, label, _identity)
    table[key] = _like(table.get(key), value)
    return document.as_string()


def unset_key(text: str, section: str, label: str) -> str:
    """Remove a key.

    Args:
        text: The file's text.
        section: The section's name.
        label: The key, with its scope if it has one.

    Returns:
        The new text; the same where there is no such key.
    """
    document = _parsed(text)
    name = _spelling(document, section, section_name)
    if name in document and (key := _spelling(document[name], label, _identity)) in document[name]:
        del document[name][key]
    return document.as_string()


def unset_section(text: str, section: str) -> str:
    """Remove a section with its keys.

    Args:
        text: The file's text.
        section: The section's name.

    Returns:
        The new text; the same where there is no such section.
    """
    document = _parsed(text)
    name = _spelling(document, section, section_name)
    if name in document:
        del document[name]
    return document.as_string()


def _parsed(text: str) -> TOMLDocument:
    import tomlkit  # noqa: PLC0415 - only editing needs it
    from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415

    try:
        return tomlkit.parse(text)
    except (TOMLKitError, ValueError, RecursionError) as error:
        reason = f"the file cannot be changed key by key: {error}"
        raise VmsvcError(reason, code="failed.edit", hint="use `vmsvc edit`") from None


def _identity(label: str) -> str:
    key, scope = split_key(label)
    return f"{key}@{scope.casefold()}" if scope else key


def _spelling(names: Iterable[str], wanted: str, identity: Callable[[str], str]) -> str:
    """How the file spells a name; as wanted, when the file has it not."""
    return next((name for name in names if identity(name) == identity(wanted)), wanted)


def _like(old: Raw | None, value: str) -> Raw:
    if isinstance(old, list):
        return value.split()
    if isinstance(old, bool) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(old, int) and not isinstance(old, bool) and value.isascii() and value.isdecimal():
        return int(value)
    return value

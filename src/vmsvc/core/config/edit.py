"""Reading, setting and removing single keys of a service file, and making new ones.

A file is replaced only by one that has been validated, and in one step.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType

from attrs import frozen

from vmsvc.core.config import ini, toml
from vmsvc.core.config.atomic import write_atomically
from vmsvc.core.config.files import SUFFIXES, check_service_name, files_of, is_toml, read_text
from vmsvc.core.config.legacy import old_entries
from vmsvc.core.config.load import parse_service, read_sections
from vmsvc.core.config.model import DEFAULT, Findings, section_name, shortened, split_key
from vmsvc.core.config.schema import SERVICE_OPTIONS, Catalog
from vmsvc.core.errors import ConfigError, Problem, Severity, UsageError, VmsvcError
from vmsvc.core.nearest import did_you_mean
from vmsvc.core.node import Node
from vmsvc.core.options import Raw
from vmsvc.core.service import Service

__all__ = ["Draft", "Writer", "check_free", "draft", "get_key", "set_keys", "unset_keys", "write_atomically"]

_Contents = dict[tuple[str, str, str], Raw]

#: What is done with a new text of a file, once it is valid; raises where it cannot be.
Writer = Callable[[Path, str], None]


@frozen
class Address:
    """One key of one section.

    Attributes:
        section: The section's name.
        key: The key.
        scope: Its scope; empty for the plain key.
    """

    section: str
    key: str
    scope: str

    @classmethod
    def parse(cls, written: str) -> Address:
        """Read ``section.key``, ``section.key@scope`` or, for ``[DEFAULT]``, ``key`` alone.

        Args:
            written: The address.

        Raises:
            UsageError: It has no key, or characters that no key has.
        """
        left, mark, scope = written.partition("@")
        section, _, key = left.rpartition(".")
        key, scope = split_key(f"{key}{mark}{scope}")
        if not key or (mark and not scope) or any(character in written for character in "\r\n\0=:[]"):
            hint = "write `SECTION.KEY`, `SECTION.KEY@NODE`, or `KEY` for [DEFAULT]"
            raise UsageError(f"{written!r} names no key", code="usage.address", hint=hint)
        return cls(section_name(section.strip()) or DEFAULT, key, scope)

    @property
    def label(self) -> str:
        """The key as it is written in a file."""
        return f"{self.key}@{self.scope}" if self.scope else self.key

    @property
    def identity(self) -> tuple[str, str, str]:
        """What tells it from other keys of the file."""
        return (self.section, self.key, self.scope.casefold())

    def __str__(self) -> str:
        return f"{self.section}.{self.label}"


def get_key(path: Path, address: str) -> str:
    """What a file says about one key, before references and defaults.

    Args:
        path: The service file.
        address: ``section.key``, with ``@scope`` for a scoped one; ``key`` alone means ``[DEFAULT]``.

    Returns:
        The value as text; a list's elements are joined by blanks.

    Raises:
        UsageError: The file does not give the key.
        ConfigError: The file cannot be read.
    """
    wanted = Address.parse(address)
    text = read_text(path)
    contents = _contents(path, text)
    if wanted.identity not in contents:
        raise _no_such_key(path, text, wanted, contents)
    return _text(contents[wanted.identity])


def set_keys(
    path: Path, settings: Mapping[str, str], node: Node, catalog: Catalog, *, write: Writer = write_atomically
) -> tuple[Problem, ...]:
    """Give keys of a service file new values; comments and order stay.

    Args:
        path: The service file.
        settings: Values by address.
        node: The node to validate the result for.
        catalog: What the drivers declare.
        write: What is done with the result, once it is valid.

    Returns:
        Warnings and notes about the new file.

    Raises:
        ConfigError: The result would be wrong; the file is unchanged.
        UsageError: An address or a value cannot stand in the file.
        VmsvcError: The file could not be written.
    """
    text = read_text(path)
    # What an old name means is told by the file as it was: a container that is being added must not take it over.
    before = read_sections(path, text, Findings(str(path)))
    notes: list[Problem] = []
    for written, value in settings.items():
        address = Address.parse(written)
        text = _set(path, text, address, value)
        for section, old in old_entries(before, address.section, address.label):
            if (section, *old.identity) not in _contents(path, text):
                continue
            text = _unset(path, text, Address(section, old.key, old.scope))
            message = f"`{old.label}` is an old name: it was replaced by {address}"
            notes.append(
                Problem(message=message, code="config.legacy-replaced", file=str(path), severity=Severity.NOTE)
            )
    return (*notes, *_install(path, text, node, catalog, write))


def unset_keys(
    path: Path, addresses: Iterable[str], node: Node, catalog: Catalog, *, write: Writer = write_atomically
) -> tuple[Problem, ...]:
    """Remove keys, or whole sections, from a service file; comments and order stay.

    Args:
        path: The service file.
        addresses: The keys' addresses; a resource's section is removed by its name alone, such as ``container#2``.
        node: The node to validate the result for.
        catalog: What the drivers declare.
        write: What is done with the result, once it is valid.

    Returns:
        Warnings and notes about the new file.

    Raises:
        ConfigError: The result would be wrong; the file is unchanged.
        UsageError: The file has not one of the keys or sections.
        VmsvcError: The file could not be written.
    """
    text = read_text(path)
    for written in addresses:
        section = written.strip()
        sections = {one.name for one in read_sections(path, text, Findings(str(path)))} - {DEFAULT}
        # `app` is a key of the service: its section is removed by `edit`, so that nobody removes it by mistake.
        if section in sections and section not in SERVICE_OPTIONS:
            rest = {place: raw for place, raw in _contents(path, text).items() if place[0] != section}
            text = _editor(path).unset_section(text, section)
            _check_rest(path, rest, _contents(path, text), f"[{section}]")
        else:
            text = _unset(path, text, Address.parse(written))
    return _install(path, text, node, catalog, write)


def _unset(path: Path, text: str, address: Address) -> str:
    before = _contents(path, text)
    if address.identity not in before:
        raise _no_such_key(path, text, address, before)
    text = _editor(path).unset_key(text, address.section, address.label)
    del before[address.identity]
    _check_rest(path, before, _contents(path, text), address)
    return text


@frozen(kw_only=True)
class Draft:
    """A service file that is right, and not written yet.

    Attributes:
        path: Where it is to be.
        text: Its text.
        service: The service that it describes, warnings and notes included.
    """

    path: Path
    text: str
    service: Service

    def write(self) -> None:
        """Write the file, which must not be there.

        Raises:
            UsageError: It is there.
            VmsvcError: It could not be written.
        """
        # As files are that were made by hand: they hold no secrets, and whoever may look should see the services.
        write_atomically(self.path, self.text, replace=False, mode=0o644)


def draft(
    node: Node,
    name: str,
    catalog: Catalog,
    *,
    settings: Mapping[str, str] | None = None,
    template: str = "",
    suffix: str = SUFFIXES[0],
) -> Draft:
    """Make up a service file, and write nothing.

    Args:
        node: The node that it is for.
        name: The service's name.
        catalog: What the drivers declare.
        settings: Values by address, set on top of the template.
        template: The text to begin with; an empty ``[DEFAULT]`` section when not given.
        suffix: The file's ending: ``.conf`` or ``.env`` for INI, ``.toml`` for TOML.

    Returns:
        The file to be.

    Raises:
        UsageError: The service cannot have its name, or its file one of the values.
        ConfigError: The file would be wrong.
    """
    if fault := check_service_name(name):
        raise UsageError(f"the service cannot have its name: {fault}", code="usage.name", hint="choose another name")
    if suffix not in SUFFIXES:
        hint = f"use one of {', '.join(SUFFIXES)}"
        raise UsageError(f"a service file cannot end in {suffix!r}", code="usage.suffix", hint=hint)
    path = node.services_dir / f"{name}{suffix}"
    text = template or f"[{DEFAULT}]\n"
    for written, value in (settings or {}).items():
        text = _set(path, text, Address.parse(written), value)
    return Draft(path=path, text=text, service=_validate(path, text, node, catalog))


def check_free(node: Node, name: str) -> None:
    """Refuse the name of a service that is there already, whatever its file ends in.

    Args:
        node: The node.
        name: The service's name.

    Raises:
        UsageError: The service is there.
    """
    if there := files_of(node, name):
        hint = f"`vmsvc edit {shlex.quote(name)}` changes it"
        raise UsageError(f"the service {name} is there already, in {there[0]}", code="usage.exists", hint=hint)


def _set(path: Path, text: str, address: Address, value: str) -> str:
    before = _contents(path, text)
    text = _editor(path).set_key(text, address.section, address.label, value)
    after = _contents(path, text)
    if address.identity not in after or _text(after[address.identity]) not in (value, value.strip()):
        if is_toml(path):
            why, hint = "the words of a list have single blanks between them", "leave the others out"
        else:
            why, hint = ini.trouble(value), "a TOML file can hold any text"
        reason = f"{path.name} cannot hold {shortened(value, 60)!r} for {address}: {why}"
        raise UsageError(reason, code="usage.value", hint=hint)
    before[address.identity] = after[address.identity]
    _check_rest(path, before, after, address)
    return text


def _check_rest(path: Path, expected: _Contents, found: _Contents, address: Address | str) -> None:
    """A last line of defence: an edit changes the key that it was asked to change, and no other."""
    if expected != found:
        reason = f"changing {address} would change other keys of {path}, too"
        raise VmsvcError(reason, code="failed.edit", hint=f"use `vmsvc edit {shlex.quote(path.stem)}`")


def _install(path: Path, text: str, node: Node, catalog: Catalog, write: Writer) -> tuple[Problem, ...]:
    service = _validate(path, text, node, catalog)
    write(path, text)
    return service.problems


def _validate(path: Path, text: str, node: Node, catalog: Catalog) -> Service:
    service, problems = parse_service(path, node, catalog, text=text)
    if service is None:
        raise ConfigError(problems=[problem for problem in problems if problem.severity is Severity.ERROR])
    return service


def _contents(path: Path, text: str) -> _Contents:
    """Every key of a text with its value; a file too broken to be read has none."""
    return {
        (section.name, *entry.identity): entry.raw
        for section in reversed(read_sections(path, text, Findings(str(path))))
        for entry in section.entries
    }


def _no_such_key(path: Path, text: str, address: Address, contents: _Contents) -> UsageError:
    sections = read_sections(path, text, Findings(str(path)))
    for section, old in old_entries(sections, address.section, address.label):
        hint = f"it is there under its old name, {Address(section, old.key, old.scope)}"
        return UsageError(f"{path} does not give {address}", code="usage.no-such-key", hint=hint)
    # `container#7` alone means a section: no key has a #.
    named = address.key if "#" in address.key else address.section
    there = list(dict.fromkeys(section.name for section in sections))
    if named not in (*there, DEFAULT):
        hint = did_you_mean(named, there, otherwise=f"its sections: {', '.join(there)}")
        return UsageError(f"{path} has no section [{named}]", code="usage.no-such-section", hint=hint)
    keys = [Address(*identity) for identity in contents if identity[0] == address.section]
    near = did_you_mean(address.label, [key.label for key in keys])
    otherwise = f"`vmsvc show {shlex.quote(path.stem)}` lists what there is"
    return UsageError(f"{path} does not give {address}", code="usage.no-such-key", hint=near or otherwise)


def _editor(path: Path) -> ModuleType:
    return toml if is_toml(path) else ini


def _text(raw: Raw) -> str:
    if isinstance(raw, list):
        return " ".join(map(_text, raw))
    return str(raw).lower() if isinstance(raw, bool) else str(raw)

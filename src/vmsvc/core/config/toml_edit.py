"""Changing single keys of a TOML text with tomlkit, which keeps comments, order and style."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmsvc.core.config.model import section_name, split_key
from vmsvc.core.errors import VmsvcError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tomlkit import TOMLDocument

    from vmsvc.core.options import Raw


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

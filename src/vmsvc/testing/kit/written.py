"""A guest as a service file has it, for whoever wants vmsvc itself to have the guests of a backend."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tomlkit import dumps

from vmsvc.core.options import options_of
from vmsvc.core.resource import Guest


def service_file(guest: Guest, *, nodes: Iterable[str], **more: Any) -> str:
    """The text of a service file in TOML whose guest is this one.

    Args:
        guest: The guest; what is as it is by default is not written.
        nodes: The service's nodes.
        more: Other keys of the guest's section, such as ``start_timeout="30s"``.
    """
    options = options_of(type(guest))
    given = {each.key: getattr(guest, each.key) for each in options if getattr(guest, each.key) != each.default}
    section = {"type": guest.type, **{key: _plain(value) for key, value in given.items()}, **more}
    return dumps({"DEFAULT": {"nodes": list(nodes)}, guest.rid: section})


def _plain(value: Any) -> Any:
    """A value as TOML has it."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value if isinstance(value, (bool, int, float, str)) else str(value)

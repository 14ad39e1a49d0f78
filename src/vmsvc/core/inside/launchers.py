"""Launchers: scripts in a directory of a guest, which start, stop and check what runs there. Pure.

Their names say what they are for: ``S10db`` is called with ``start``, ``K90db`` with ``stop``, and ``C10db`` with
``status``; those that start also know ``info``. Each sort is taken in the order of its names.
"""

from __future__ import annotations

import enum
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping

from attrs import frozen

from vmsvc.core.errors import Undetermined
from vmsvc.core.kinds import App, Ip
from vmsvc.core.service import Service
from vmsvc.core.transport.command import printable

#: What editors and packages leave beside a file that they change; somebody who renames a launcher to such a name has
#: put it aside. The verb ``launch`` refuses the same.
_BACKUP = re.compile(
    r".*(~|\.(bak|backup|orig|old|save|swp|rej|rpm(save|new|orig)|(dpkg|ucf)-.*))",
    re.DOTALL | re.IGNORECASE | re.ASCII,
)
_BEGIN, _ABSENT, _END = b"vmsvc-guest launchers/", [b"absent", b"."], b"end\n"


class Action(enum.Enum):
    """What launchers are called with, by the letter that their names begin with."""

    START = "S"
    STOP = "K"
    STATUS = "C"

    @property
    def word(self) -> str:
        """The argument that they get."""
        return self.name.lower()


class EntryKind(enum.Enum):
    """What lies in a directory: a file, executable or not; something else; a link to nothing."""

    EXECUTABLE = "executable"
    READABLE = "readable"
    OTHER = "other"
    DANGLING = "dangling"


@frozen
class Entry:
    """One thing in a directory.

    Attributes:
        name: Its name; bytes that are no UTF-8 are as :func:`os.fsdecode` has them.
        kind: What it is.
    """

    name: str
    kind: EntryKind

    @property
    def fault(self) -> str:
        """Why it is no launcher, though its name may begin like one; empty where it is one."""
        if self.kind is EntryKind.DANGLING:
            return "is a link to nothing"
        if self.kind is EntryKind.OTHER:
            return "is no file"
        return "looks like a backup" if _BACKUP.fullmatch(self.name) else ""


@frozen
class Launchers:
    """What lies in a directory of launchers.

    Attributes:
        entries: All of it, in the order of the names' bytes.
        has_directory: Whether there is a directory at all. One that is not there may be yet to come, as with a file
            system that is mounted late: that is not the same as one in which nothing lies.
    """

    entries: tuple[Entry, ...]
    has_directory: bool = True

    @classmethod
    def of(cls, entries: Iterable[Entry], *, has_directory: bool = True) -> Launchers:
        """Bring entries into their order.

        Args:
            entries: What lies there.
            has_directory: Whether there is a directory.
        """
        return cls(tuple(sorted(entries, key=lambda entry: os.fsencode(entry.name))), has_directory)

    def of_action(self, action: Action) -> tuple[str, ...]:
        """The names of the launchers for an action, in their order.

        Args:
            action: The action.
        """
        return tuple(entry.name for entry in self.entries if entry.name[0] == action.value and not entry.fault)

    @property
    def odd(self) -> tuple[str, ...]:
        """What has a launcher's name and is none, with the reason."""
        letters = {action.value for action in Action}
        return tuple(
            f"{printable(entry.name)} {entry.fault}"
            for entry in self.entries
            if entry.name[0] in letters and entry.fault
        )

    def __bool__(self) -> bool:
        """Whether there is any launcher."""
        return any(self.of_action(action) for action in Action)


def parsed(output: bytes) -> Launchers:
    r"""Read what a guest answers to ``launchers``.

    Args:
        output: What it printed; a greeting of its shell may stand before the answer.

    Returns:
        What lies in the directory.

    Raises:
        Undetermined: It is no whole answer.

    >>> parsed(b"vmsvc-guest launchers/absent/./end\n").has_directory
    False
    >>> parsed(b"Welcome!\nvmsvc-guest launchers/executable/S1/other/conf.d/end\n").of_action(Action.START)
    ('S1',)
    """
    *words, end = output.partition(_BEGIN)[2].split(b"/")
    if _BEGIN not in output or end != _END or len(words) % 2:
        raise Undetermined("what it says of its launchers cannot be read: it is incomplete, or something else")
    if words == _ABSENT:
        return Launchers.of((), has_directory=False)
    try:
        return Launchers.of(
            Entry(os.fsdecode(name), EntryKind(kind.decode(errors="replace")))
            for kind, name in zip(words[::2], words[1::2], strict=True)
            if name
        )
    except ValueError as error:
        raise Undetermined(f"what it says of its launchers cannot be read: {error}") from None


def environment_of(app: App, service: Service, node: str, addresses: Mapping[str, str]) -> dict[str, str]:
    """What launchers are told of their service.

    Args:
        app: The application.
        service: Its service.
        node: The node that acts.
        addresses: The address of each name that has one.

    Returns:
        Variables; those named ``OPENSVC_…`` are what launchers that were written for it know.
    """
    told = {"VMSVC_SERVICE": service.name, "VMSVC_RID": app.rid, "VMSVC_NODE": node, "OPENSVC_SVCNAME": service.name}
    for each in service.resources:
        if isinstance(each, Ip) and each.container_id == app.container_id:
            number = each.rid.partition("#")[2]
            address = addresses.get(each.ipname, "")
            # The words are told by their places: without an address, the mask would be taken for it.
            words = [each.ipname, each.ipdev, address, _mask(each.netmask, address) if address else ""]
            told |= dict(zip(_VARIABLES, words, strict=True))
            if re.fullmatch("[0-9]+", number):
                told[f"OPENSVC_IP{number}"] = " ".join(filter(None, words))
    return {name: value for name, value in told.items() if value and "\0" not in value}


_VARIABLES = ("OPENSVC_IPNAME", "OPENSVC_IPDEV", "OPENSVC_IPADDR", "OPENSVC_MASK")


def _mask(length: int, address: str) -> str:
    """A netmask as launchers expect it: four numbers, but of an IPv6 address the length of its prefix."""
    if not length:
        return ""
    return str(length) if ":" in address else str(ipaddress.IPv4Network(f"0.0.0.0/{min(length, 32)}").netmask)

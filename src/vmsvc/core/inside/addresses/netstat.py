"""What HP-UX tells, whose ifconfig wants an adapter's name: ``netstat -in``, then ``ifconfig`` for each name. Pure.

netstat has a table for IPv4 and one for IPv6, and marks the name of an adapter that is down with an asterisk; ifconfig
adds netmasks and flags.
"""

from __future__ import annotations

from vmsvc.core.answers import GuestAddress
from vmsvc.core.inside.addresses.build import address_of, lines_of, unreadable, unusable
from vmsvc.core.inside.addresses.ifconfig import begins_adapter, read_ifconfig

_NONE = "none"
#: How other systems begin the network of a line that tells an adapter's own address.
_LINK = ("link#", "<link")


def read_netstat(text: str) -> list[GuestAddress]:
    """Read what ``netstat -in`` prints, and ``ifconfig`` for one adapter after the other.

    Args:
        text: Their outputs.

    Raises:
        Undetermined: They cannot be read.
    """
    lines = lines_of(text)
    end = next((number for number, line in enumerate(lines) if begins_adapter(line)), len(lines))
    found = {(each.device, each.address): each for each in _tables(lines[:end])}
    if end < len(lines):
        told = read_ifconfig("".join(f"{line}\n" for line in lines[end:]))
        found |= {(each.device, each.address): each for each in told}
    return list(found.values())


def _tables(lines: list[str]) -> list[GuestAddress]:
    found: list[GuestAddress] = []
    column = 0
    for line in lines:
        words = line.split()
        if words[0] == "Name":
            column = next((number for number, word in enumerate(words) if word.startswith("Address")), 0)
        elif not column or len(words) <= column:
            raise unreadable("no line of `netstat -in`", line)
        elif words[column] != _NONE and not words[column - 1].lower().startswith(_LINK):
            name, is_down = words[0].rstrip("*"), words[0].endswith("*")
            found.append(address_of(name, words[column], unusable=unusable(() if is_down else ("UP",))))
    if not column:
        raise unreadable("no table of `netstat -in`")
    return found

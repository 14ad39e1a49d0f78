"""The outputs of ``ifconfig -a``: of Linux (net-tools, busybox), the BSDs, macOS, AIX, Solaris and HP-UX. Pure.

All begin an adapter, or an alias of one, at the start of a line, and tell its addresses in lines that are indented.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen

from vmsvc.core.answers import GuestAddress
from vmsvc.core.inside.addresses.build import address_of, lines_of, prefix_of, unreadable, unusable

#: `eth0: flags=4163<UP,BROADCAST>  mtu 1500`, in AIX with two numbers, in old BSDs with blanks.
_BEGINS = re.compile(r"(?P<name>[^\s:]+(?::[^\s:]+)?): flags=[0-9a-fA-Fx,]+\s?<(?P<flags>[^>]*)>")
#: `eth0      Link encap:Ethernet  HWaddr 52:54:00:12:34:56`: net-tools until 1.60, and busybox.
_BEGINS_OLD = re.compile(r"(?P<name>\S+)\s+Link encap:(?:.*HWaddr (?P<hardware>\S+))?")
#: Net-tools 1.60 prints names as `%-9.9s`, and busybox, which cuts none, cannot be told from it.
_CUT_AT = 9
_FLAGS_OLD = re.compile(r"\s+(?:\[NO FLAGS\] )?(?P<flags>(?:[A-Z]+ )*) ?MTU:\d+")
_ADDRESS = re.compile(
    r"\s+inet6? (?:addr: ?|alias )?(?P<address>[0-9a-fA-F.:]+)(?:%[^\s/]+)?(?:/(?P<prefix>\d+))?(?P<rest>\s.*)?"
)
_PREFIX = re.compile(r"\bprefix(?:len)? (\d+)")
_NETMASK = re.compile(r"\bnetmask (\S+)|\bMask:(\S+)")
_HARDWARE = re.compile(r"\s+(?:ether|lladdr|address:) (?P<hardware>[0-9a-fA-F]{1,2}(?::[0-9a-fA-F]{1,2}){5,})\b")
_ZONE = re.compile(r"\s+zone (?P<zone>\S+)")
#: How the BSDs tell that an adapter has no link; ifconfig(8) of FreeBSD.
_NO_LINK = re.compile(r"\s+status: (?:no carrier|inactive|no network)")
#: How they tell that another machine stands in for an address, or nobody does: carp(4). OpenBSD has an adapter for it,
#: FreeBSD a number beside the address.
_STANDS_BY = re.compile(r"\s+carp: (?P<state>BACKUP|INIT)\b(?P<adapter>.* carpdev )?.*?\bvhid (?P<group>\d+)")
_GROUP = re.compile(r"\bvhid (\d+)")
#: NetBSD tells what is true of an address as ``flags 0x2<TENTATIVE>``.
_WORD = re.compile(r"[A-Za-z]+")


@frozen
class _Adapter:
    """The lines of one adapter or alias.

    Attributes:
        name: Its name.
        flags: Its flags.
        lines: What is told of it.
        hardware: Its own address.
        is_cut: Whether its name may be the beginning of one.
    """

    name: str
    flags: tuple[str, ...]
    lines: tuple[str, ...]
    hardware: str
    is_cut: bool = False

    @property
    def zone(self) -> str:
        """The zone of Solaris that has it; empty for the one that tells it, and everywhere else."""
        return next((found["zone"] for found in map(_ZONE.fullmatch, self.lines) if found), "")


def read_ifconfig(text: str) -> list[GuestAddress]:
    """Read what ``ifconfig -a`` prints, or ``ifconfig`` for one adapter after the other.

    Args:
        text: Its output.

    Raises:
        Undetermined: It cannot be read.
    """
    return [address for _, address in read_zones(text)]


def read_zones(text: str) -> list[tuple[str, GuestAddress]]:
    """Read the same, with the zone of Solaris that has each address; empty for the one that tells it.

    Args:
        text: Its output.

    Raises:
        Undetermined: It cannot be read.
    """
    return [
        (adapter.zone, _read(line, adapter))
        for adapter in _adapters(lines_of(text))
        for line in adapter.lines
        if _is_address(line)
    ]


def begins_adapter(line: str) -> bool:
    """Whether a line is the first one of an adapter, in what today's systems print.

    Args:
        line: A line.
    """
    return bool(_BEGINS.match(line))


def _is_address(line: str) -> bool:
    """Whether a line tells an address; Solaris tells the ends of a tunnel in a line that begins alike."""
    words = line.split(maxsplit=2)
    return words[0].startswith("inet") and words[1:2] != ["tunnel"]


def _adapters(lines: list[str]) -> Iterator[_Adapter]:
    starts = [number for number, line in enumerate(lines) if not line[0].isspace()]
    if not starts or starts[0] != 0:
        raise unreadable("it begins in the middle", lines[0])
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield _adapter(lines[start], tuple(lines[start + 1 : end]))


def _adapter(first: str, rest: tuple[str, ...]) -> _Adapter:
    is_cut = False
    if begins := _BEGINS.match(first):
        flags = begins["flags"].split(",")
        hardware = next((found["hardware"] for found in map(_HARDWARE.match, rest) if found), "")
    elif begins := _BEGINS_OLD.match(first):
        told = [found["flags"].split() for found in map(_FLAGS_OLD.match, rest) if found]
        if len(told) != 1:
            raise unreadable("an adapter without its flags", first)
        (flags,), hardware = told, begins["hardware"] or ""
        is_cut = len(begins["name"]) == _CUT_AT
    else:
        raise unreadable("no adapter of `ifconfig -a`", first)
    if any(_NO_LINK.match(line) for line in rest):
        flags = [*flags, "NO-CARRIER"]
    return _Adapter(begins["name"], tuple(flags), rest, hardware, is_cut)


def _read(line: str, adapter: _Adapter) -> GuestAddress:
    inet = _ADDRESS.fullmatch(line)
    if inet is None:
        raise unreadable("no address of `ifconfig -a`", line)
    rest = inet["rest"] or ""
    prefix: int | None = None
    if told := inet["prefix"] or next(iter(_PREFIX.findall(rest)), ""):
        prefix = int(told)
    elif netmask := _NETMASK.search(rest):
        prefix = prefix_of(netmask[1] or netmask[2])
    why = unusable(adapter.flags, words=_WORD.findall(rest), running="RUNNING")
    return address_of(
        adapter.name,
        inet["address"],
        prefix=prefix,
        hardware=adapter.hardware,
        unusable=why or _stands_by(rest, adapter),
        is_cut=adapter.is_cut,
    )


def _stands_by(rest: str, adapter: _Adapter) -> str:
    """Why an address that several machines share is of no use on this one; empty where it is in use, or not shared."""
    group = _GROUP.search(rest)
    for found in filter(None, map(_STANDS_BY.match, adapter.lines)):
        if found["adapter"] or (group and group[1] == found["group"]):
            return f"it is shared, and not this machine's now (carp: {found['state']})"
    return ""

"""What hpvmstatus prints, as records. Pure.

Its table for people is what recorded sessions show whole; of its output for programs (``-M``) no line is public, only
which field means what: that is read for one field alone, and never for where a guest stands.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from attrs import frozen

from vmsvc.driver import GuestDisk, Phase, Undetermined

#: Where the column of names ends; whether a longer name is cut there is not the same in all versions.
NAME_WIDTH = 20
# Later versions have a column "Type" before "OS Type", for guests that share their processors and for partitions.
_BEGINNING = r"Virtual Machine Name +VM # +(?:Type +)?OS Type +State"
_HEADER = re.compile(rf"{_BEGINNING} +#VCPUs +#Devs +#Nets +Memory(?P<more>(?: +\S+)*) *")
_DETAILS = re.compile(rf"{_BEGINNING} *")
_GUEST = r"(?P<name>\S+) +(?P<number>\d+) +(?:[A-Z]{2} +)?(?P<system>\S+) +(?P<state>\S+(?: \(\S+\))?)"
_ROW = re.compile(rf"{_GUEST} +(?P<vcpus>\d+) +\d+ +\d+ +(?P<memory>\d+) (?P<unit>[MG]B)(?P<more>(?: +\S+)*) *")
_DETAIL = re.compile(rf"{_GUEST} *")
_MIB = {"MB": 1, "GB": 1024}
#: Words of the column "State"; those that are not here are not understood: unknown, never down.
PHASES = {
    "On (OS)": Phase.RUNNING,
    "On (EFI)": Phase.STARTING,  # at its firmware: its system has not begun, or has ended
    "On (ATTN!)": Phase.STUCK,  # it answers no interrupts: hpvmstatus(1M)
    "Off": Phase.STOPPED,
    # Not runnable: it has been migrated to another node, or somebody has said that it must not run here (HP Integrity
    # Virtual Machines 4.2, Release Notes, 9.2.3, "NR Guest State").
    "Off (NR)": Phase.MOVED,
}
# In a line of ``hpvmstatus -M``, counted from 0: how the guest is started when the node boots.
_BOOT = 11
_KINDS = {"disk": "block", "lv": "block", "file": "file"}
# What hpvmstatus -d tells of: hpvmresources(5). Of these, the node's disks are behind the first three.
_DISKS = {"disk": "disk", "dvd": "cdrom", "burner": "cdrom"}
_OTHERS = frozenset({"tape", "changer", "hba", "network", "serial"})
_STORAGE = "[Storage Interface Details]"
_HEADING = re.compile(r"\[[\w ]+\]")
_DEVICE = re.compile(r"([a-z]+):(\w+):([^:\s]*):(\w*):(\S*)")


@frozen(kw_only=True)
class Listed:
    """A guest, as the table has it.

    Attributes:
        name: Its name; in the table, perhaps cut.
        number: Its number, which no other guest of the node has.
        state: The table's word.
        vcpus: Virtual processors, as a count.
        memory_mib: Memory in MiB.
    """

    name: str
    number: int
    state: str
    vcpus: int
    memory_mib: int

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        return PHASES.get(self.state, Phase.UNKNOWN)


def table(lines: Sequence[str]) -> list[Listed]:
    """Every guest. The table has no mark of its end: one that is cut between two lines looks like a whole one.

    Args:
        lines: What ``hpvmstatus`` has printed.

    Raises:
        Undetermined: It is not that table.
    """
    header, rows = _below(_HEADER, lines, "its table of guests")
    found = [_listed(line, len(header["more"].split())) for line in rows]
    names = Counter(row.name for row in found if len(row.name) != NAME_WIDTH)
    for told in (names, Counter(row.number for row in found)):
        if twice := [key for key, count in told.items() if count > 1]:
            raise Undetermined(f"hpvmstatus: its table has two guests {twice[0]!r}")
    return found


def details(lines: Sequence[str], name: str) -> tuple[int, str]:
    """A guest's number and its state.

    Args:
        lines: What ``hpvmstatus -P NAME`` has printed.
        name: The guest's name.

    Raises:
        Undetermined: It does not tell of that guest.
    """
    _, rest = _below(_DETAILS, lines, "what it tells of one guest")
    told = _DETAIL.fullmatch(rest[0]) if rest else None
    if told is None or told["name"] not in (name, name[:NAME_WIDTH]):
        raise Undetermined(f"hpvmstatus: it does not tell of the guest {name!r}: {rest[:1]}")
    return int(told["number"]), told["state"]


def _below(header: re.Pattern[str], lines: Sequence[str], what: str) -> tuple[re.Match[str], list[str]]:
    told = [line for line in lines if line.strip()]
    for number, line in enumerate(told, 1):
        if (found := header.fullmatch(line)) and "".join(told[number : number + 1]).startswith("===="):
            return found, told[number + 1 :]
    raise Undetermined(f"hpvmstatus: this is not {what}: {' '.join(told)[:80]!r}")


def _listed(line: str, more: int) -> Listed:
    """Read a row, behind whose memory there may be as many words as the header has more columns."""
    row = _ROW.fullmatch(line)
    if row is None or len(row["more"].split()) > more:
        raise Undetermined(f"hpvmstatus: this is no line of its table of guests: {line[:80]!r}")
    return Listed(
        name=row["name"],
        number=int(row["number"]),
        state=row["state"],
        vcpus=int(row["vcpus"]),
        memory_mib=int(row["memory"]) * _MIB[row["unit"]],
    )


def started_with_the_node(lines: Sequence[str]) -> set[str]:
    """The guests that the node starts when it boots, as far as it can be read.

    Args:
        lines: What ``hpvmstatus -M`` has printed, of all guests or of one.
    """
    told = [line.split(":") for line in lines]
    return {fields[0] for fields in told if len(fields) > _BOOT and fields[_BOOT] == "Auto"}


def disks(lines: Sequence[str]) -> list[GuestDisk]:
    """The disks of a guest: lines ``type:adapter:bus,device,target:storage:device``.

    Args:
        lines: What ``hpvmstatus -d -P NAME`` has printed.

    Raises:
        Undetermined: It does not tell of its devices, or of one that cannot be read.
    """
    told = [line.strip() for line in lines if line.strip()]
    if _STORAGE not in told:
        raise Undetermined(f"hpvmstatus: this is not what a guest has: {' '.join(told)[:80]!r}")
    devices = (_device(line) for line in told if not _HEADING.fullmatch(line))
    return [device for device in devices if device is not None]


def _device(line: str) -> GuestDisk | None:
    """One device; ``None`` where it is no disk."""
    fields = _DEVICE.fullmatch(line)
    if fields is None or fields[1] not in {*_DISKS, *_OTHERS}:
        raise Undetermined(f"hpvmstatus: this is no device of a guest: {line[:80]!r}")
    word, adapter, place, storage, source = fields.groups()
    if word in _OTHERS:
        return None
    if storage in _KINDS and not source.startswith("/"):
        raise Undetermined(f"hpvmstatus: what is behind this disk is no path: {line[:80]!r}")
    return GuestDisk(
        target=f"{word}:{adapter}:{place}",
        kind=_KINDS.get(storage, storage),
        source=source,
        bus=adapter,
        device=_DISKS[word],
        readonly=word == "dvd",
        persistent=True,
    )

"""What hpvmstatus prints, as records. Pure.

Its table for people is what recorded sessions show whole; of its output for programs (``-M``) no line is public, only
which field means what: that is read for one field alone, and never for where a guest stands.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from attrs import frozen

from vmsvc.driver import GuestDisk, Phase, Undetermined

# Later versions have a column "Type" before "OS Type", for guests that share their processors and for partitions.
_HEADER = re.compile(r"Virtual Machine Name +VM # +(?:Type +)?OS Type +State +#VCPUs +#Devs +#Nets +Memory\b")
_ROW = re.compile(
    r"(?P<name>\S+) +(?P<number>\d+) +(?:[A-Z]{2} +)?(?P<system>\S+) +(?P<state>\S+(?: \(\S+\))?) +(?P<vcpus>\d+)"
    r" +\d+ +\d+ +(?P<memory>\d+) (?P<unit>[MG]B)\b"
)
_NAME_WIDTH = 20
_MIB = {"MB": 1, "GB": 1024}
#: Words of the column "State"; those that are not here are not understood: unknown, never down.
PHASES = {
    "On (OS)": Phase.RUNNING,
    "On (EFI)": Phase.STARTING,  # at its firmware: its system has not begun, or has ended
    "Off": Phase.STOPPED,
    "Hung": Phase.STUCK,
    "Off (NR)": Phase.MOVED,  # not runnable: it is the source of a migration (release notes of 4.2, "NR Guest State")
}
# In a line of ``hpvmstatus -M``, counted from 0: how the guest is started when the node boots.
_BOOT = 11
_KINDS = {"disk": "block", "lv": "block", "file": "file"}
_DEVICE_FIELDS = 5


@frozen(kw_only=True)
class Listed:
    """A guest, as the table has it.

    Attributes:
        name: Its name.
        state: The table's word.
        vcpus: Virtual processors, as a count.
        memory_mib: Memory in MiB.
    """

    name: str
    state: str
    vcpus: int
    memory_mib: int

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        return PHASES.get(self.state, Phase.UNKNOWN)


def guests(text: str) -> dict[str, Listed]:
    """Every guest by its name.

    Args:
        text: What ``hpvmstatus`` has printed.

    Raises:
        Undetermined: It is not that table.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    start = next((number for number, line in enumerate(lines) if _HEADER.match(line)), None)
    if start is None or not lines[start + 1 :] or not lines[start + 1].startswith("===="):
        raise Undetermined(f"hpvmstatus: this is not its table of guests: {text.strip()[:80]!r}")
    found: dict[str, Listed] = {}
    for line in lines[start + 2 :]:
        row = _ROW.match(line)
        if row is None:
            raise Undetermined(f"hpvmstatus: this is no line of its table of guests: {line[:80]!r}")
        memory_mib = int(row["memory"]) * _MIB[row["unit"]]
        found[row["name"]] = Listed(
            name=row["name"], state=row["state"], vcpus=int(row["vcpus"]), memory_mib=memory_mib
        )
    return found


def may_be_cut(names: Collection[str], name: str) -> bool:
    """Whether a name may be in the table after all, cut where its column ends.

    Args:
        names: Those that the table has.
        name: One that it has not.
    """
    return len(name) > _NAME_WIDTH and name[:_NAME_WIDTH] in names


def starts_by_itself(text: str) -> bool:
    """Whether the node starts the guest when it boots, as far as it can be read.

    Args:
        text: What ``hpvmstatus -M -P NAME`` has printed.
    """
    fields = text.strip().split(":")
    return len(fields) > _BOOT and fields[_BOOT] == "Auto"


def disks(text: str) -> list[GuestDisk]:
    """The disks of a guest: lines ``type:adapter:bus,device,target:storage:device``.

    Args:
        text: What ``hpvmstatus -d -P NAME`` has printed.
    """
    found = []
    for line in text.splitlines():
        fields = line.strip().split(":", _DEVICE_FIELDS - 1)
        if len(fields) < _DEVICE_FIELDS or fields[0] not in ("disk", "dvd"):
            continue
        device, adapter, place, storage, source = fields
        found.append(
            GuestDisk(
                target=f"{device}:{adapter}:{place}",
                kind=_KINDS.get(storage, storage),
                source=source,
                bus=adapter,
                device="cdrom" if device == "dvd" else "disk",
                readonly=device == "dvd",
                persistent=True,
            )
        )
    return found

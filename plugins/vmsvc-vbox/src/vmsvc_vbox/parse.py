"""What VBoxManage prints, as records. Pure; checked against recorded output of VirtualBox 7.2.

Nothing is believed of an answer that is not whole: what does not look as expected is :class:`Undetermined`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import dropwhile

from attrs import frozen

from vmsvc.driver import Undetermined

#: How ``list vms`` calls a guest whose settings file cannot be read: its name is not known.
INACCESSIBLE = "<inaccessible>"

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LISTED = re.compile(rf'"(.*)" \{{({_UUID})\}}')
# Columns are separated by more than one blank; text of an administrator, as that of a shared folder, by one.
# One label was as long as its column before VirtualBox 7.
_LONG = re.compile(r"([A-Z][^:]*(?=:  )|Autostart Enabled): +(.*)")
_SINCE = re.compile(r" \(since .*\)$")
_INFO = re.compile(r'(?:"([^"]+)"|([\w-]+))=(?:"(.*)"|(-?\d+))')
_ESCAPED = re.compile(r'\\(["\\])')
# The description is followed by what the guest's memory balloon is set to, in every version since 3.2.
_INFO_ENDS = ("description=", "GuestMemoryBalloon=")
_MACHINE = re.compile(
    r"\s*(?P<user>\S+)\s+(?:\S*/)?(?:VBoxHeadless|VirtualBoxVM|VirtualBox|VBoxSDL)"
    r"(?: --comment (?P<comment>.+?)(?= --?s))?(?: .*?)? --?s(?:tartvm)?[ =]\{?(?P<guest>.+?)\}?(?: -.*)?"
)
_CONTROLLER = re.compile(r"storagecontrollername(\d+)")
_RAW_EXTENT = re.compile(r'^\s*(?:RW|RDONLY)\s+\d+\s+\w+\s+"(/dev/[^"]+)"', re.MULTILINE)
_TYPE = re.compile(r'^\s*createType\s*=\s*"(\w+)"\s*$', re.MULTILINE)
_RAW_TYPES = ("fullDevice", "partitionedDevice")
_MBYTES = re.compile(r"(\d+) MBytes")


@frozen(kw_only=True)
class Listed:
    """A guest as the list has it.

    Attributes:
        name: Its name.
        uuid: Its UUID.
        state: The word for its state; empty where the list does not tell.
        contradiction: The words, where the list tells of more than one.
        autostart: Whether VirtualBox starts it when the node boots.
    """

    name: str
    uuid: str
    state: str = ""
    contradiction: str = ""
    autostart: bool = False


def listed(lines: Sequence[str]) -> dict[str, str]:
    """The guests of ``list vms``: names by UUID.

    Args:
        lines: What it printed.

    Raises:
        Undetermined: It is no such list.
    """
    names: dict[str, str] = {}
    for line in _without_warning(lines):
        found = _LISTED.fullmatch(line)
        if found is None:
            raise Undetermined(f"VBoxManage list vms: this is no list of guests: {line[:80]!r}")
        names[found[2]] = found[1]
    return names


def surveyed(short: Sequence[str], long: Sequence[str]) -> list[Listed]:
    """The guests of ``list vms`` with what ``list --long vms`` tells of them.

    A description of a guest may be any text, lines that look like another guest among them. The short list, which has
    no such text, says which guests there are; a guest of which the long one tells two states has none.

    Args:
        short: What the one printed.
        long: What the other printed.

    Raises:
        Undetermined: The short list is none, or the long one is, although the other has guests.
    """
    names = listed(short)
    records: dict[str, list[dict[str, str]]] = {}
    for record in _records(long):
        records.setdefault(record.get("UUID", ""), []).append(record)
    if names and not names.keys() & records.keys():
        raise Undetermined(f"VBoxManage list --long vms: this is no list of guests: {' '.join(long)[:80]!r}")
    if not names and records:
        raise Undetermined(f"VBoxManage list vms: nothing, and its long list has guests: {', '.join(records)[:80]}")
    return [_guest(uuid, name, records.get(uuid, [])) for uuid, name in names.items()]


def _guest(uuid: str, name: str, records: list[dict[str, str]]) -> Listed:
    states = dict.fromkeys(_SINCE.sub("", record.get("State", "")) for record in records)
    return Listed(
        uuid=uuid,
        name=name,
        state=next(iter(states)) if len(states) == 1 else "",
        contradiction=" and ".join(map(repr, states)) if len(states) > 1 else "",
        autostart=any(record.get("Autostart Enabled") == "enabled" for record in records),
    )


def _records(lines: Sequence[str]) -> Iterator[dict[str, str]]:
    record: dict[str, str] = {}
    for line in lines:
        found = _LONG.fullmatch(line)
        if found is None:
            continue
        if found[1] == "Name" and record:
            yield record
            record = {}
        record.setdefault(found[1], found[2].strip())
    if record:
        yield record


def _without_warning(lines: Sequence[str]) -> list[str]:
    """Lines, without the paragraph that begins them where VirtualBox's kernel module is missing."""
    if lines and lines[0].startswith("WARNING:"):
        lines = [line for line in lines if line.startswith('"')]
    return [line for line in lines if line]


@frozen(kw_only=True)
class Machine:
    """A process in which a guest runs, whoever has started it.

    Attributes:
        user: Whose process it is.
        guest: The guest's name or UUID, as its arguments have it.
        comment: The guest's name, where VirtualBox itself has started the process.
    """

    user: str
    guest: str
    comment: str = ""

    def may_run(self, name: str) -> bool:
        """Whether the guest may be one of this name: one that is told by its UUID alone may have any.

        Args:
            name: The name.
        """
        return name in (self.guest, self.comment) or (not self.comment and bool(re.fullmatch(_UUID, self.guest)))


def machines(lines: Sequence[str]) -> list[Machine]:
    """The processes in which guests run, of ``ps -eo user=,args=``.

    VirtualBox starts ``VBoxHeadless --comment NAME --startvm UUID`` and, for a window, ``VirtualBoxVM`` likewise
    (MachineLaunchVMCommonWorker.cpp); by hand, ``VBoxHeadless -s NAME`` is enough.

    Args:
        lines: What it printed.
    """
    found = filter(None, map(_MACHINE.fullmatch, lines))
    return [Machine(user=each["user"], guest=each["guest"], comment=each["comment"] or "") for each in found]


def info(lines: Sequence[str]) -> dict[str, str]:
    """What ``showvminfo --machinereadable`` tells of a guest, up to its description, which may be any text.

    Args:
        lines: What it printed.

    Raises:
        Undetermined: It does not tell what it must, or ends before all that was to be told.
    """
    values: dict[str, str] = {}
    for line in lines:
        if line.startswith(_INFO_ENDS):
            break
        if found := _INFO.fullmatch(line):
            quoted, plain, value, number = found.groups()
            values.setdefault(quoted or plain, _ESCAPED.sub(r"\1", value) if number is None else number)
    else:
        raise Undetermined("VBoxManage showvminfo: the answer is not whole")
    if missing := sorted({"name", "UUID", "VMState", "CfgFile"} - set(values)):
        raise Undetermined(f"VBoxManage showvminfo: the answer lacks {', '.join(missing)}")
    return values


@frozen(kw_only=True)
class Attached:
    """A medium, or an empty drive, at a place of a controller.

    Attributes:
        target: The place, such as ``SATA-0-0``.
        bus: The controller's kind, such as ``IntelAhci``.
        location: The medium's file or URL; empty for an empty drive.
        uuid: The medium's UUID; empty for an empty drive.
    """

    target: str
    bus: str
    location: str
    uuid: str


def attached(values: Mapping[str, str]) -> list[Attached]:
    """What is attached to the controllers of a guest, controller by controller.

    Args:
        values: What :func:`info` told.
    """
    found = []
    for key, controller in values.items():
        number = _CONTROLLER.fullmatch(key)
        if number is None:
            continue
        place = re.compile(rf"{re.escape(controller)}-(\d+-\d+)")
        for target, location in values.items():
            at = place.fullmatch(target)
            if at is None or location == "none":
                continue
            is_empty = location == "emptydrive"
            found.append(
                Attached(
                    target=target,
                    bus=values.get(f"storagecontrollertype{number[1]}", ""),
                    location="" if is_empty else location,
                    uuid="" if is_empty else values.get(f"{controller}-ImageUUID-{at[1]}", ""),
                )
            )
    return found


@frozen(kw_only=True)
class Medium:
    """A hard disk that VirtualBox knows.

    Attributes:
        uuid: Its UUID.
        parent: The UUID of the one that it differs from; empty for one that stands alone.
        location: Its file or URL.
        format: VDI, VMDK, iSCSI …
        type: normal, immutable, writethrough, shareable, readonly, multiattach.
        size_bytes: Its capacity; ``None`` where that is not told.
    """

    uuid: str
    parent: str
    location: str
    format: str
    type: str
    size_bytes: int | None


def media(lines: Sequence[str]) -> dict[str, Medium]:
    """The hard disks of ``list hdds``, by UUID.

    Args:
        lines: What it printed.

    Raises:
        Undetermined: It is no such list, or does not tell all of a disk that must be known.
    """
    return {each["UUID"]: _medium(each) for each in _paragraphs(lines, "list hdds")}


def _medium(values: Mapping[str, str]) -> Medium:
    if missing := sorted({"Parent UUID", "Type", "Location", "Storage format"} - values.keys()):
        raise Undetermined(f"VBoxManage list hdds: of {values['UUID']} it lacks {', '.join(missing)}")
    size = _MBYTES.fullmatch(values.get("Capacity", ""))
    return Medium(
        uuid=values["UUID"],
        parent="" if values["Parent UUID"] == "base" else values["Parent UUID"],
        location=values["Location"],
        format=values["Storage format"],
        type=values["Type"].partition(" ")[0],
        size_bytes=int(size[1]) << 20 if size else None,
    )


def uuids(lines: Sequence[str]) -> list[str]:
    """The UUIDs of ``list dvds``, and of the other lists of media and of the node's drives.

    Args:
        lines: What it printed.

    Raises:
        Undetermined: It is no such list.
    """
    return [each["UUID"] for each in _paragraphs(lines, "list of media")]


def _paragraphs(lines: Sequence[str], what: str) -> Iterator[dict[str, str]]:
    """What a list of media tells of each: lines ``KEY: VALUE``, of which UUID is the first, and an empty one."""
    if lines and lines[0].startswith("WARNING:"):  # of a missing kernel module; it has empty lines in it
        lines = list(dropwhile(lambda line: not line.startswith("UUID:"), lines))
    values: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        if not values and (key != "UUID" or not re.fullmatch(_UUID, value.strip())):
            raise Undetermined(f"VBoxManage {what}: this is no medium: {line[:80]!r}")
        if line:
            values.setdefault(key, value.strip())
        else:
            yield values
            values = {}
    if values:
        raise Undetermined(f"VBoxManage {what}: the answer ends within what it tells of {values['UUID']}")


def raw_device(descriptor: str) -> str | None:
    r"""The device that a VMDK file stands for; empty where its data are in files, ``None`` where it does not tell.

    Args:
        descriptor: The beginning of the file. The format is VMware's, "Virtual Disk Format 1.1", with the type
            ``fullDevice`` that ``VBoxManage createmedium --variant RawDisk`` writes.

    >>> raw_device('createType="fullDevice"\\nRW 2048 FLAT "/dev/sdb" 0\\n')
    '/dev/sdb'
    """
    kind = _TYPE.search(descriptor)
    if kind is None:
        return None
    if kind[1] not in _RAW_TYPES:
        return ""
    extent = _RAW_EXTENT.search(descriptor)
    return extent[1] if extent else None

"""The disks of one resource: those that can be reserved, those that cannot, and those it names no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import field, frozen

from vmsvc.core.answers import GuestDisk
from vmsvc.core.disks.ledger import Entry, Record
from vmsvc.core.disks.surroundings import ABSENT, Surroundings
from vmsvc.core.errors import VmsvcError
from vmsvc.core.kinds import Disk, Reserved, Vmdg
from vmsvc.core.vmdg import words
from vmsvc.core.vmdg.judge import Judged
from vmsvc.core.vmdg.keys import parse_key
from vmsvc.core.vmdg.seen import OtherDisk, Reading, ScsiDisk


@frozen(kw_only=True)
class LeftOver:
    """A disk that this node has reserved for a resource which does not name it any more, or not with that key.

    Attributes:
        entry: What was written down of it.
        disk: The disk, as it is found now.
    """

    entry: Entry
    disk: ScsiDisk | OtherDisk


@frozen(kw_only=True)
class DiskSet:
    """The disks of one resource.

    Attributes:
        resource: The resource.
        disks: Those that can be reserved.
        others: Those that cannot, and why; and what stands for disks that nobody knows, such as a record that cannot be
            read.
        targets: The devices in the guest, by the name of the disk.
        key: The key by which this node registers on them; ``None`` where it has none yet.
        record: What this node has written down as reserved; without disks where that cannot be read.
        left_over: The disks of the record that the resource does not name.
        is_certain: Whether it is known which disks those have now for whom this node has reserved any. If not, they may
            have what is left over, too.
        beside: The World Wide IDs of the disks that its service reserves as such: what is made of them is protected.
        detached: The names of those that the running guest does not have, though its definition names them. Empty where
            its driver does not tell what a guest runs with.
    """

    resource: Reserved
    disks: tuple[ScsiDisk, ...] = ()
    others: tuple[OtherDisk, ...] = ()
    targets: Mapping[str, str] = field(factory=dict)
    key: int | None = None
    record: Record
    left_over: tuple[LeftOver, ...] = ()
    is_certain: bool = True
    beside: frozenset[str] = frozenset()
    detached: frozenset[str] = frozenset()

    @property
    def unprotected(self) -> tuple[OtherDisk, ...]:
        """Disks that other nodes may reach, and from which nothing keeps them, beside others that are reserved."""
        if not self.disks:
            return ()
        held = self.beside | {disk.wwid for disk in self.disks}
        return tuple(disk for disk in self.others if disk.is_shared and not (disk.below and disk.below <= held))

    @property
    def every(self) -> tuple[ScsiDisk, ...]:
        """All disks that can be read, named or not."""
        return (*self.disks, *(each.disk for each in self.left_over if isinstance(each.disk, ScsiDisk)))

    @property
    def doubtful(self) -> tuple[OtherDisk, ...]:
        """Disks that may be some that ought to be reserved: they are gone, or cannot be read."""
        return tuple(disk for disk in self.others if not disk.is_known)


@frozen(kw_only=True)
class DiskReport:
    """The disks of one resource, and what they show.

    Attributes:
        found: The disks.
        names: The nodes by their keys, as far as they are known.
        readings: What each path of each disk showed, in the order of ``found.disks``.
        judged: How each disk stands, alike.
        others: How each of ``found.others`` stands.
        whole: How the set stands.
        duration_s: How long it took to name and read them, in seconds.
        left_over: How each of ``found.left_over`` stands.
    """

    found: DiskSet
    names: Mapping[int, str]
    readings: tuple[tuple[Reading, ...], ...]
    judged: tuple[Judged, ...]
    others: tuple[Judged, ...]
    whole: Judged
    duration_s: float
    left_over: tuple[Judged, ...] = ()

    @property
    def key(self) -> int | None:
        """The key by which this node registers on them; ``None`` where it has none yet."""
        return self.found.key

    @property
    def every(self) -> tuple[Judged, ...]:
        """How each disk stands: those that can be reserved, those that cannot, and those that are named no more."""
        return (*self.judged, *self.others, *self.left_over)

    @property
    def recorded(self) -> frozenset[str]:
        """The names of the disks that this node has written down as reserved."""
        wwids = self.found.record.wwids
        named = [disk.name for disk in self.found.disks if disk.wwid in wwids]
        return frozenset([*named, *(each.name for each in self.left_over)])

    def named(self, key: int) -> str:
        """A key, with the name of the node that it belongs to, where that is known.

        Args:
            key: The key.
        """
        return words.named(key, {**self.names, **({self.key: "this node"} if self.key else {})})


def disk_set(resource: Reserved, around: Surroundings) -> DiskSet:
    """Name the disks of a resource: those that can be reserved, the others, and those that it has reserved earlier.

    Args:
        resource: The resource.
        around: Its surroundings: guests, devices, and what this node has written down.

    Raises:
        VmsvcError: The driver of the guest cannot name them now, and there are no others.
    """
    key = parse_key(resource.prkey) if resource.prkey else around.keyring.own()
    record = around.ledger.read(resource)
    others = [OtherDisk(name=str(record.file), why=record.fault, is_known=False)] if record.fault else []
    named: list[_Named] = []
    is_certain = not resource.is_left_over and not resource.former_users
    try:
        named = [] if resource.is_left_over else _named(resource, around)
    except VmsvcError as error:
        if not record.entries:
            raise
        if error.code not in ABSENT:  # a guest that is not known here has no disks here but those that are written down
            others.append(OtherDisk(name=f"disks of {resource.rid}", why=error.message, is_known=False))
            is_certain = False
    others += [each.other for each in named if each.other]
    found = around.devices([each.name for each in named if not each.other])
    disks = [each for each in found if isinstance(each, ScsiDisk)]
    others += [each for each in found if isinstance(each, OtherDisk)]
    current = {(disk.wwid, key) for disk in disks}
    former = [entry for entry in record.entries if (entry.wwid, entry.key) not in current]
    units = around.units([(each.wwid, each.name) for each in former])
    return DiskSet(
        resource=resource,
        disks=tuple(disks),
        others=tuple(others),
        targets={each.name: each.target for each in named},
        key=key,
        record=record,
        left_over=tuple(LeftOver(entry=entry, disk=disk) for entry, disk in zip(former, units, strict=True)),
        is_certain=is_certain,
        beside=around.listed_beside(resource) if any(each.below for each in others) else frozenset(),
        detached=_detached(named, disks, around),
    )


@frozen(kw_only=True)
class _Named:
    """A disk as a resource names it; ``other`` where it cannot be a device that is reserved."""

    name: str
    target: str = ""
    other: OtherDisk | None = None
    is_live: bool = False


def _named(resource: Reserved, around: Surroundings) -> list[_Named]:
    if isinstance(resource, Disk):
        return [_Named(name=device) for device in resource.devices]
    assert isinstance(resource, Vmdg)
    return [
        _Named(name=disk.source or disk.target, target=disk.target, other=_no_device(disk), is_live=disk.live)
        for disk in around.guest_disks(resource)
    ]


def _detached(named: Sequence[_Named], disks: Iterable[ScsiDisk], around: Surroundings) -> frozenset[str]:
    """Disks that a guest has by its definition alone, while it runs with others; by whatever name it has those."""
    live = [each for each in named if each.is_live]
    if not live or len(live) == len(named):
        return frozenset()
    found = around.devices([each.name for each in live if not each.other])
    had = {each.wwid for each in found if isinstance(each, ScsiDisk)}
    return frozenset(disk.name for disk in disks if disk.wwid not in had)


def _no_device(disk: GuestDisk) -> OtherDisk | None:
    """Why a guest's disk is no device that could be reserved; ``None`` where it may be one."""
    name = disk.source or disk.target
    if not disk.source:
        return OtherDisk(name=name, why=f"a {disk.device} without a medium")
    if disk.readonly:
        return OtherDisk(name=name, why="read-only for the guest")
    if disk.kind == "block":
        return None
    if disk.kind == "volume":
        why = "a volume of a storage pool, and what is behind it is not known here"
        return OtherDisk(name=name, why=why, is_known=False)
    return OtherDisk(
        name=name,
        why=_KINDS.get(disk.kind, f"of a kind that vmsvc does not know ({disk.kind})"),
        is_known=disk.kind in _KINDS,
        is_shared=disk.kind == "network",
    )


#: What backs a disk that no reservation of this node could protect; formatdomain.html of libvirt knows these.
_KINDS = {
    "file": "a file",
    "network": "a network disk",
    "dir": "a directory",
    "nvme": "an NVMe namespace, which the guest drives itself",
    "vhostuser": "served by a program, through a socket",
    "vhostvdpa": "a vDPA device, which passes no reservations on",
}

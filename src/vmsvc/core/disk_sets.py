"""The disks of one resource: which can be reserved and which cannot, and what they showed when they were read."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from vmsvc.core.answers import GuestDisk
from vmsvc.core.resource import Disk, Reserved, Vmdg
from vmsvc.core.surroundings import Surroundings
from vmsvc.core.vmdg import words
from vmsvc.core.vmdg.judge import Judged
from vmsvc.core.vmdg.seen import OtherDisk, Reading, ScsiDisk


@frozen(kw_only=True)
class DiskSet:
    """The disks of one resource.

    Attributes:
        resource: The resource.
        disks: Those that can be reserved.
        others: Those that cannot, and why.
        targets: The devices in the guest, by the name of the disk.
    """

    resource: Reserved
    disks: tuple[ScsiDisk, ...] = ()
    others: tuple[OtherDisk, ...] = ()
    targets: Mapping[str, str] = field(factory=dict)

    @property
    def doubtful(self) -> tuple[OtherDisk, ...]:
        """Disks that may be some that ought to be reserved: they are gone, or cannot be read."""
        return tuple(disk for disk in self.others if not disk.is_known)


@frozen(kw_only=True)
class DiskReport:
    """The disks of one resource, and what they show.

    Attributes:
        found: The disks.
        key: The key by which this node registers on them; ``None`` where it has none yet.
        names: The nodes by their keys, as far as they are known.
        readings: What each path of each disk showed, in the order of ``found.disks``.
        judged: How each disk stands, alike.
        others: How each of ``found.others`` stands.
        whole: How the set stands.
        duration_s: How long it took to name and read them, in seconds.
    """

    found: DiskSet
    key: int | None
    names: Mapping[int, str]
    readings: tuple[tuple[Reading, ...], ...]
    judged: tuple[Judged, ...]
    others: tuple[Judged, ...]
    whole: Judged
    duration_s: float

    @property
    def every(self) -> tuple[Judged, ...]:
        """How each disk stands, those that cannot be reserved at the end."""
        return (*self.judged, *self.others)

    def named(self, key: int) -> str:
        """A key, with the name of the node that it belongs to, where that is known.

        Args:
            key: The key.
        """
        return words.named(key, {**self.names, **({self.key: "this node"} if self.key else {})})


def disk_set(resource: Reserved, around: Surroundings) -> DiskSet:
    """Name the disks of a resource: those that can be reserved, and the others.

    Args:
        resource: The resource.
        around: Its surroundings: guests and devices.

    Raises:
        VmsvcError: The driver of the guest cannot name them now.
    """
    others: list[OtherDisk] = []
    targets: dict[str, str] = {}
    names: list[str] = []
    if isinstance(resource, Disk):
        names += resource.devices
    else:
        assert isinstance(resource, Vmdg)
        for disk in around.guest_disks(resource):
            name = disk.source or disk.target
            targets[name] = disk.target
            if why := _not_a_device(disk):
                others.append(OtherDisk(name=name, why=why))
            else:
                names.append(name)
    found = around.devices(names)
    disks = [each for each in found if isinstance(each, ScsiDisk)]
    others += [each for each in found if isinstance(each, OtherDisk)]
    return DiskSet(resource=resource, disks=tuple(disks), others=tuple(others), targets=targets)


def _not_a_device(disk: GuestDisk) -> str:
    """Why a guest's disk is no device that could be reserved; empty where it may be one."""
    if not disk.source:
        return f"a {disk.device} without a medium"
    if disk.readonly:
        return "read-only for the guest"
    if disk.kind == "block":
        return ""
    return _KINDS.get(disk.kind, f"a disk of kind {disk.kind}")


_KINDS = {"file": "a file", "network": "a network disk", "dir": "a directory", "volume": "a volume of a storage pool"}

"""What the names of disks stand for: disks with paths, or something that cannot be reserved, and why. Pure.

A reservation is for a whole logical unit. So a partition, a logical volume or an encrypted device is not taken for the
disk below it: reserving that would lock out whoever uses the rest of it, on this node or on another. Who wants it
reserved names the whole disk.

All SCSI devices of this node that tell the same World Wide ID are paths to one disk, whether a multipath map joins them
or not. Two of them at one target, with different logical unit numbers, are two logical units with the same ID: nobody
can tell then which is meant.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from attrs import field, frozen

from vmsvc.core.vmdg.quirks import KNOWN, Quirks, quirks_of
from vmsvc.core.vmdg.seen import OtherDisk, ScsiDisk

Disk = ScsiDisk | OtherDisk


@frozen(kw_only=True)
class Node:
    """What is found under a name.

    Attributes:
        device: The kernel's name of the block device, such as ``sda``; empty where it is none.
        why: What it is otherwise.
        is_known: Whether that is certain.
        is_shared: Whether other nodes may reach it.
    """

    device: str = ""
    why: str = ""
    is_known: bool = True
    is_shared: bool = False


@frozen(kw_only=True)
class BlockDevice:
    """What the kernel tells of a block device, in ``/sys/class/block``.

    Attributes:
        name: Its name: ``sda``, ``dm-0``.
        wwid: Its World Wide ID, from the device identification page (SPC-4, 7.8.6), such as ``naa.6001405…``; empty
            where it tells none.
        address: Host, channel, target and logical unit number of a SCSI device; empty where it is none.
        vendor: The vendor, without the blanks at its end.
        product: The product, alike.
        size_bytes: Its capacity in bytes; ``None`` where it could not be read.
        is_readonly: Whether it is write-protected.
        partition: The number of a partition; empty where it is none.
        whole: Of a partition, the device that it is a part of.
        dm_name: Of a device-mapper device, its name.
        dm_uuid: Of a device-mapper device, its UUID, which begins with the kind of its maker.
        slaves: The devices that it is made of.
        holders: The devices that are made of it.
    """

    name: str
    wwid: str = ""
    address: tuple[str, ...] = ()
    vendor: str = ""
    product: str = ""
    size_bytes: int | None = None
    is_readonly: bool = False
    partition: str = ""
    whole: str = ""
    dm_name: str = ""
    dm_uuid: str = ""
    slaves: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()

    @property
    def is_scsi(self) -> bool:
        """Whether it is a whole SCSI disk."""
        return self.name.startswith("sd") and not self.partition and bool(self.address)

    @property
    def is_map(self) -> bool:
        """Whether it is a multipath map."""
        return self.dm_uuid.startswith(_MULTIPATH)


@frozen(kw_only=True)
class Circumstances:
    """What else matters for what a name stands for.

    Attributes:
        scsi_hosts: The numbers of the SCSI hosts that belong to this node, or patterns of them; empty for all.
        is_managed: Whether multipathd keeps the registrations of a map, by its name and its WWID in multipathd's words.
        quirks: What arrays do differently.
    """

    scsi_hosts: tuple[str, ...] = ()
    is_managed: Callable[[str, str], bool] = field(default=lambda _name, _wwid: False)
    quirks: tuple[Quirks, ...] = KNOWN

    def is_ours(self, device: BlockDevice) -> bool:
        """Whether a SCSI device is reached through this node's hosts."""
        return self.is_our_host(device.address[0])

    def is_our_host(self, number: str) -> bool:
        """Whether a SCSI host is this node's."""
        patterns = [pattern.removeprefix("host") for pattern in self.scsi_hosts]
        return not patterns or any(fnmatchcase(number, pattern) for pattern in patterns)


_MULTIPATH = "mpath-"

_WHOLE = "a reservation is for a whole disk, whoever uses the rest of it: to have it reserved, name the whole disk"

# By the beginning of the UUID that its maker gives a device-mapper device (dmsetup(8), "DM_UUID").
_MAPPED = (
    ("LVM-", "a logical volume"),
    ("CRYPT-", "an encrypted device"),
    ("part", "a partition of a multipath map"),
)

# By the kernel's name; Documentation/admin-guide/devices.txt of Linux.
_KINDS = (
    ("vd", "a virtio-blk device, which passes no reservations on"),
    ("xvd", "a virtual disk of Xen, which passes no reservations on"),
    ("nvme", "an NVMe namespace, and vmsvc reserves SCSI disks only"),
    ("loop", "a loop device, which is a file"),
    ("sr", "a CD or DVD drive"),
    ("fd", "a floppy drive"),
    ("md", f"a software RAID; {_WHOLE}"),
    ("bcache", f"a cached device; {_WHOLE}"),
    ("drbd", "a DRBD device, which has a primary node of its own"),
    ("nbd", "a network block device (NBD)"),
    ("rbd", "a network block device (Ceph RBD)"),
    ("zd", "a ZFS volume"),
    ("ram", "a RAM disk"),
    ("zram", "a RAM disk"),
    ("pmem", "persistent memory"),
    ("mmcblk", "a memory card"),
    ("dasd", "a DASD, and vmsvc reserves SCSI disks only"),
)

#: What INQUIRY gives for the vendor of an ATA disk (SAT-4, "INQUIRY emulation"): those are in this node.
_ATA = "ATA"
#: Kernel names of devices that lead over a network to what others may reach, too.
_NETWORK = ("nbd", "rbd")

_URL = re.compile(r"([a-z][a-z0-9+.-]*):")
_PCI = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7](/.*)?")


def without_looking(name: str) -> Node | None:
    """What a name stands for that is no path of this node; ``None`` for a path.

    Args:
        name: The disk, as a guest's definition or a service's file names it.
    """
    if not name:
        return Node(why="a drive without a medium")
    if name.startswith("/"):
        return None
    if url := _URL.match(name):
        return Node(why=f"a network disk ({url[1]})", is_shared=True)
    if _PCI.fullmatch(name):
        return Node(why="a PCI device, which the guest drives itself")
    return Node(why="not named by a path, so that it cannot be told what it is", is_known=False)


def classify(
    named: Iterable[tuple[str, Node]], devices: Mapping[str, BlockDevice], circumstances: Circumstances
) -> tuple[Disk, ...]:
    """What names stand for.

    Args:
        named: Each name, and what is found under it.
        devices: The block devices of this node: all SCSI disks, and those that are named, with what they are made of.
        circumstances: What else matters.

    Returns:
        Disks in the order of their names; one that has several names comes once, under the first.
    """
    found: dict[str, Disk] = {}
    for name, node in named:
        disk = _disk(name, node, devices, circumstances)
        found.setdefault(disk.wwid if isinstance(disk, ScsiDisk) else f"name {name}", disk)
    return tuple(found.values())


def _disk(name: str, node: Node, devices: Mapping[str, BlockDevice], circumstances: Circumstances) -> Disk:
    if not node.device:
        return OtherDisk(name=name, why=node.why, is_known=node.is_known, is_shared=node.is_shared)
    device = devices.get(node.device)
    if device is None:
        return _unknown(name, f"gone: the kernel has no device {node.device} any more")
    if device.is_map:
        slaves = [devices[slave] for slave in device.slaves if slave in devices]
        return _scsi_disk(name, device, slaves, devices, circumstances)
    if device.is_scsi:
        return _scsi_disk(name, device, [device], devices, circumstances)
    why = _why_not(device)
    if not why:
        return _unknown(name, f"of a kind that vmsvc does not know ({device.name})")
    below = frozenset(each.wwid for each in _whole_disks(device, devices) if each.vendor != _ATA)
    is_shared = bool(below) or device.name.startswith(_NETWORK)
    return OtherDisk(name=name, why=why, is_shared=is_shared, below=below)


def _whole_disks(device: BlockDevice, devices: Mapping[str, BlockDevice]) -> Iterator[BlockDevice]:
    """The SCSI disks that a device is made of, or is a part of; each maybe several times."""
    if device.is_scsi:
        yield device
    for name in (*device.slaves, device.whole):
        if name in devices and name != device.name:
            yield from _whole_disks(devices[name], devices)


def _why_not(device: BlockDevice) -> str:
    """What a block device is that is no SCSI disk; empty where that is not known."""
    if device.name.startswith("dm-"):
        kind = next((words for start, words in _MAPPED if device.dm_uuid.startswith(start)), "a device-mapper device")
        return f"{kind}; {_WHOLE}"
    if device.whole.startswith("sd"):
        return f"partition {device.partition} of /dev/{device.whole}; {_WHOLE}"
    return next((words for start, words in _KINDS if (device.whole or device.name).startswith(start)), "")


def _scsi_disk(
    name: str,
    device: BlockDevice,
    seeds: list[BlockDevice],
    devices: Mapping[str, BlockDevice],
    circumstances: Circumstances,
) -> Disk:
    """The logical unit behind a path or a map, with all of its paths."""
    wwids = {seed.wwid for seed in seeds}
    if not wwids:
        return _unknown(name, "a multipath map without any path left")
    if len(wwids) > 1:
        told = ", ".join(f"{seed.name}: {seed.wwid or 'none'}" for seed in seeds)
        return _unknown(name, f"a multipath map whose paths tell different World Wide IDs ({told})")
    wwid = wwids.pop()
    if not wwid:
        return _unknown(
            name,
            f"a SCSI disk that tells no World Wide ID, so that its other paths cannot be found; try "
            f"`echo 1 > /sys/block/{seeds[0].name}/device/rescan`, or give it an ID on its array",
        )
    paths = sorted(
        (each for each in devices.values() if each.is_scsi and each.wwid == wwid and circumstances.is_ours(each)),
        key=lambda each: (len(each.name), each.name),
    )
    if not paths:
        return _unknown(
            name, f"not reached through the SCSI hosts of this node ({', '.join(circumstances.scsi_hosts)})"
        )
    target, times = Counter(each.address[:3] for each in paths).most_common(1)[0]
    if times > 1:
        twins = ", ".join(f"{each.name} is {':'.join(each.address)}" for each in paths if each.address[:3] == target)
        return _unknown(name, f"one of several logical units with the same World Wide ID {wwid} ({twins})")
    shown = device if device.is_map or device in paths else paths[0]  # the path that is named may be another node's
    map_ = _map_of(device, paths, devices)
    return ScsiDisk(
        name=name,
        wwid=wwid,
        paths=tuple(f"/dev/{each.name}" for each in paths),
        hosts=tuple(each.address[0] for each in paths),
        map=f"/dev/mapper/{map_.dm_name}" if map_ else "",
        is_managed=map_ is not None and circumstances.is_managed(map_.dm_name, map_.dm_uuid.removeprefix(_MULTIPATH)),
        vendor=paths[0].vendor,
        product=paths[0].product,
        size_bytes=shown.size_bytes,
        readonly=shown.is_readonly,
        quirks=quirks_of(paths[0].vendor, paths[0].product, circumstances.quirks),
    )


def _map_of(
    device: BlockDevice, paths: Iterable[BlockDevice], devices: Mapping[str, BlockDevice]
) -> BlockDevice | None:
    """The multipath map that is named, or that a path is part of."""
    if device.is_map:
        return device
    above = [devices[holder] for path in paths for holder in path.holders if holder in devices]
    return next((each for each in above if each.is_map), None)


def _unknown(name: str, why: str) -> OtherDisk:
    return OtherDisk(name=name, why=why, is_known=False)

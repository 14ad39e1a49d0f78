"""Finds the disks that names stand for, and this node's paths to them: from ``/sys``, without a command for a disk.

What the kernel tells in ``/sys`` it has in memory: reading it sends nothing to the disk, and waits for none. A name
may lead to a file system that does not answer; looking it up is given up then.

Source: Documentation/ABI/testing/sysfs-block, sysfs-block-dm and sysfs-bus-scsi of Linux.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from attrs import evolve, frozen

from vmsvc.core.errors import Undetermined
from vmsvc.core.lane import call_each, call_within
from vmsvc.core.transport import Host
from vmsvc.core.vmdg.quirks import KNOWN, Quirks
from vmsvc.core.vmdg.seen import ScsiDisk
from vmsvc.core.vmdg.tools.classify import BlockDevice, Circumstances, Disk, Node, classify, without_looking
from vmsvc.core.vmdg.tools.initiators import initiators_of
from vmsvc.core.vmdg.tools.mpathpersist import managed_maps

_PARALLEL = 32
_SECTOR_BYTES = 512  # the unit of `size`, whatever the disk's own blocks are
_KINDS: tuple[tuple[Callable[[int], bool], Node], ...] = (
    (stat.S_ISREG, Node(why="a file")),
    (stat.S_ISDIR, Node(why="a directory")),
    (stat.S_ISSOCK, Node(why="a socket, behind which a program serves the disk")),
    (stat.S_ISCHR, Node(why="a character device: name the disk by its block device, as /dev/sda", is_known=False)),
)


_LATE = Node(why="not known: looking up names took too long", is_known=False)


def _number_of(path: str) -> str | None:
    found = Path(path).stat()
    return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}" if stat.S_ISBLK(found.st_mode) else None


@frozen(kw_only=True)
class System:
    """Where the kernel tells of its devices.

    Attributes:
        sys: Where sysfs is mounted.
        iscsi_name: Where open-iscsi keeps the node's iSCSI name.
        number_of: The ``MAJOR:MINOR`` of the block device that a path leads to; ``None`` where it leads to none.
    """

    sys: Path = Path("/sys")
    iscsi_name: Path = Path("/etc/iscsi/initiatorname.iscsi")
    number_of: Callable[[str], str | None] = _number_of


class DiskFinder:
    """Finds the disks that names stand for; multipathd is asked once, when the first disk with a multipath map comes.

    Args:
        host: Where multipathd is asked.
        scsi_hosts: The numbers of the SCSI hosts that belong to this node, or patterns of them, such as ``2`` or
            ``1?``; all where none is given.
        quirks: What arrays do differently.
        system: Where the kernel tells of its devices.
        budget_s: How long looking up a name, or asking multipathd, may take, in seconds.
    """

    def __init__(
        self,
        host: Host,
        *,
        scsi_hosts: Sequence[str] = (),
        quirks: Iterable[Quirks] = KNOWN,
        system: System | None = None,
        budget_s: float = 10.0,
    ) -> None:
        self._host = host
        self._circumstances = Circumstances(scsi_hosts=tuple(scsi_hosts), quirks=tuple(quirks))
        self._system = system or System()
        self._budget_s = budget_s
        self._guard = threading.Lock()
        self._is_managed: Callable[[str, str], bool] | None = None

    def find(self, names: Iterable[str]) -> tuple[Disk, ...]:
        """The disks that names stand for. Threads may share it.

        Args:
            names: Disks as a guest's definition or a service's file names them: paths, links, URLs.

        Returns:
            The disks in the order of their names; one that has several names comes once, under the first.
        """
        return self._classified(self._look_up([*names]))

    def find_units(self, units: Iterable[tuple[str, str]]) -> tuple[Disk, ...]:
        """The disks that have World Wide IDs, whatever they are called now.

        Args:
            units: The World Wide ID of each, and what it was called once.

        Returns:
            The disks, in the order of their World Wide IDs as given; one without a path left is not known.
        """
        units = [*units]
        blocks = self._system.sys / "class/block"
        sought = {wwid for wwid, _ in units}
        paths: dict[str, str] = {}
        for name in _entries(blocks) if sought else ():
            if name.startswith("sd") and (wwid := _text(blocks / name / "device/wwid")) in sought:
                paths.setdefault(wwid, name)
        absent = Node(why="reserved earlier, and not to be found here now", is_known=False)
        named = {wwid: Node(device=paths[wwid]) if wwid in paths else absent for wwid, _ in units}
        found = dict(zip(named, self._classified(named), strict=True))
        return tuple(evolve(found[wwid], name=f"{name} ({wwid})") for wwid, name in units)

    def _classified(self, named: Mapping[str, Node]) -> tuple[Disk, ...]:
        wanted = {node.device for node in named.values() if node.device}
        devices = _block_devices(wanted, self._system.sys) if wanted else {}
        circumstances = self._circumstances
        if any(device.is_map for device in devices.values()):
            circumstances = evolve(circumstances, is_managed=self._managed())
        return tuple(map(self._with_initiators, classify(named.items(), devices, circumstances)))

    def _with_initiators(self, disk: Disk) -> Disk:
        """A disk with the names by which it may know this node."""
        if not isinstance(disk, ScsiDisk) or not disk.quirks.initiators:
            return disk
        system, is_ours = self._system, self._circumstances.is_our_host
        found = initiators_of(disk.hosts, sys=system.sys, file=system.iscsi_name, is_ours=is_ours)
        return evolve(disk, initiators=found) if found else disk

    def _look_up(self, names: Sequence[str]) -> Mapping[str, Node]:
        """What is found under names; only below /dev it is certain that looking does not wait for a dead server."""
        found = {name: without_looking(name) for name in names}
        found |= {name: node_at(name, self._system) for name in names if not found[name] and name.startswith("/dev/")}
        others = [name for name, node in found.items() if not node]
        # One that hangs costs the others no time.
        deadline = time.monotonic() + 2 * self._budget_s
        found |= zip(others, call_each(self._look_up_in_time, others, deadline=deadline, width=_PARALLEL), strict=True)
        return {name: node or _LATE for name, node in found.items()}

    def _look_up_in_time(self, name: str) -> Node:
        what = f"the file system of {name}"
        try:
            return call_within(what, lambda: node_at(name, self._system), budget_s=self._budget_s)
        except Undetermined as error:
            return Node(why=f"not known: {error.message}", is_known=False)

    def _managed(self) -> Callable[[str, str], bool]:
        with self._guard:
            if self._is_managed is None:
                self._is_managed = managed_maps(self._host, budget_s=self._budget_s)
            return self._is_managed


def node_at(path: str, system: System) -> Node:
    """What is found under a path.

    Args:
        path: An absolute path.
        system: Where the kernel tells of its devices.
    """
    try:
        if number := system.number_of(path):
            link = system.sys / "dev/block" / number
            return Node(device=link.resolve().name if link.exists() else f"with the number {number}")
        mode = Path(path).stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return Node(why=f"not to be found here ({reason})", is_known=False)
    return next((node for is_kind, node in _KINDS if is_kind(mode)), Node(why="of an unknown kind", is_known=False))


def device_at(path: str, system: System | None = None) -> BlockDevice | None:
    """What the kernel tells of the block device that a path leads to.

    Args:
        path: An absolute path.
        system: Where the kernel tells of its devices.

    Returns:
        The device; a multipath map with the World Wide ID of the disk that its paths lead to. ``None`` where the path
        leads to none.
    """
    system = system or System()
    blocks = system.sys / "class/block"
    name = node_at(path, system).device
    if not name or not (blocks / name).exists():
        return None
    device = _block_device(blocks / name)
    if device.is_map and device.slaves:
        return evolve(device, wwid=_text(blocks / device.slaves[0] / "device/wwid"))
    return device


def _block_devices(named: Iterable[str], sys: Path) -> dict[str, BlockDevice]:
    """The devices that are named, other paths to the same disks, and what all of them are made of and part of."""
    blocks = sys / "class/block"
    devices = _with_relatives(named, blocks, {})
    wwids = {device.wwid for device in devices.values() if device.is_scsi} - {""}
    others = [name for name in _entries(blocks) if name.startswith("sd") and name not in devices] if wwids else []
    same = [name for name in others if _text(blocks / name / "device/wwid") in wwids]
    return _with_relatives(same, blocks, devices)


def _with_relatives(names: Iterable[str], blocks: Path, known: dict[str, BlockDevice]) -> dict[str, BlockDevice]:
    devices, todo = dict(known), [*names]
    while todo:
        name = todo.pop()
        if name not in devices and (blocks / name).exists():
            devices[name] = device = _block_device(blocks / name)
            todo += [*device.slaves, *device.holders, *filter(None, [device.whole])]
    return devices


def _block_device(directory: Path) -> BlockDevice:
    device = directory / "device"
    size, partition = _text(directory / "size"), _text(directory / "partition")
    address = device.readlink().name.split(":") if device.is_symlink() else []
    return BlockDevice(
        name=directory.name,
        wwid=_text(device / "wwid"),
        address=tuple(address) if len(address) == len("HCTL") else (),
        vendor=_text(device / "vendor"),
        product=_text(device / "model"),
        size_bytes=int(size) * _SECTOR_BYTES if size.isdecimal() else None,
        is_readonly=_text(directory / "ro") == "1",
        partition=partition,
        whole=directory.resolve().parent.name if partition else "",
        dm_name=_text(directory / "dm/name"),
        dm_uuid=_text(directory / "dm/uuid"),
        slaves=_entries(directory / "slaves"),
        holders=_entries(directory / "holders"),
    )


def _text(file: Path) -> str:
    """What an attribute holds; empty where there is none, or where the device answers it with an error."""
    try:
        return file.read_bytes().decode("utf-8", "replace").strip("\0 \n")
    except OSError:
        return ""


def _entries(directory: Path) -> tuple[str, ...]:
    try:
        return tuple(sorted(entry.name for entry in directory.iterdir()))
    except OSError:
        return ()

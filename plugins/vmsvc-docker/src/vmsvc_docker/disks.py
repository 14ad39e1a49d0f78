"""The disks that a container is handed: devices, directories and volumes of its node."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve

from vmsvc.driver import GuestDisk
from vmsvc_docker.containers import Inspected, mapping, mappings

#: What a volume's driver is told, by the volume's name; empty where that is not the driver ``local``.
VolumeOptions = Callable[[str], Mapping[str, Any]]

# A disk in the container, what backs it, and whether it is read-only.
_Handed = tuple[str, str, str, bool]


def of_container(container: Inspected, volume_options: VolumeOptions, *, is_local: bool) -> tuple[GuestDisk, ...]:
    """Name the disks of a container: its devices in their order, then its mounts.

    Devices that are no disks, such as ``/dev/fuse``, are left out.

    Args:
        container: The container.
        volume_options: Tells the options of a volume, one of which may be a block device that is mounted.
        is_local: Whether the container's devices are those of this node, so that they can be looked at.
    """
    handed = [*_devices(container.host_config, is_local=is_local)]
    for mount in mappings(container.facts, "Mounts"):
        inside, source = str(mount.get("Destination", "")), str(mount.get("Source", ""))
        if mount.get("Type") == "volume":
            source = str(mount.get("Name", ""))
        if mount.get("Type") in ("bind", "volume"):
            readonly = mount.get("RW") is False
            handed.append(_mount(inside, source, volume_options, readonly=readonly, is_local=is_local))
    return _disks(handed, is_running=container.seen.state in ("running", "paused", "restarting"))


def of_definition(
    made_of: Mapping[str, Any], volume_options: VolumeOptions, *, is_local: bool
) -> tuple[GuestDisk, ...]:
    """Name the disks that a container will have once it is made.

    Args:
        made_of: What it is to be made of, as the API takes it.
        volume_options: As above.
        is_local: As above.
    """
    given = mapping(made_of, "HostConfig")
    handed = [*_devices(given, is_local=is_local)]
    for bind in map(str, given.get("Binds") or ()):
        source, _, rest = bind.partition(":")
        inside, _, access = rest.partition(":")
        readonly = "ro" in access.split(",")
        handed.append(_mount(inside, source, volume_options, readonly=readonly, is_local=is_local))
    return _disks(handed, is_running=False)


def with_block_devices(container: Inspected) -> Inspected:
    """Correct what podman tells of a container's devices, which are this node's.

    podman knows them by their numbers, looks up their names, and does not tell block devices from others when it does
    that: it says ``/dev/vcs`` of ``/dev/loop0``. Where there is a block device of such numbers, that is what is meant,
    as far as anybody can tell.

    Args:
        container: The container.
    """
    told = mappings(container.host_config, "Devices")
    devices = [{**each, "PathOnHost": _block_device(str(each.get("PathOnHost", "")))} for each in told]
    if devices == told:
        return container
    return evolve(container, facts={**container.facts, "HostConfig": {**container.host_config, "Devices": devices}})


def _devices(given: Mapping[str, Any], *, is_local: bool) -> Iterator[_Handed]:
    for device in mappings(given, "Devices"):
        outside = str(device.get("PathOnHost", ""))
        inside = str(device.get("PathInContainer") or outside)
        # One that is not there may have been a disk.
        if not is_local or _kind_of(outside) in ("block", ""):
            yield inside, "block", outside, "w" not in str(device.get("CgroupPermissions") or "rwm")


def _mount(inside: str, source: str, options: VolumeOptions, *, readonly: bool, is_local: bool) -> _Handed:
    """A directory, file or device of the node, or a volume: those have names, and no paths."""
    if source.startswith("/"):
        return inside, (is_local and _kind_of(source)) or "dir", source, readonly
    behind = str(options(source).get("device", ""))
    if behind.startswith("/dev/"):
        return inside, "block", behind, readonly
    return inside, "volume", source, readonly


def _disks(handed: list[_Handed], *, is_running: bool) -> tuple[GuestDisk, ...]:
    return tuple(
        GuestDisk(target=inside, kind=kind, source=source, readonly=readonly, live=is_running, persistent=True)
        for inside, kind, source, readonly in handed
    )


def _block_device(path: str, sys: Path = Path("/sys")) -> str:
    """The block device that has the numbers of a character device; the same path where there is none."""
    try:
        found = Path(path).stat()
        if not stat.S_ISCHR(found.st_mode):
            return path
        numbers = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
        return f"/dev/{(sys / 'dev/block' / numbers).resolve(strict=True).name}"
    except (OSError, ValueError):
        return path


def _kind_of(path: str) -> str:
    """What a path of this node leads to: ``block``, ``file``, ``dir`` or ``other``; empty where nothing is there."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return ""
    return next((kind for kind, holds in _KINDS.items() if holds(mode)), "other")


_KINDS = {"block": stat.S_ISBLK, "file": stat.S_ISREG, "dir": stat.S_ISDIR}

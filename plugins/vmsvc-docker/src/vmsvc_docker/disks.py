"""The disks that a container is handed: devices, directories and volumes of its node."""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vmsvc.driver import GuestDisk
from vmsvc_docker.containers import Inspected, mappings

#: What a volume's driver is told, by the volume's name.
VolumeOptions = Callable[[str], Mapping[str, Any]]


def of_container(container: Inspected, volume_options: VolumeOptions, *, is_local: bool) -> tuple[GuestDisk, ...]:
    """Name the disks of a container: its devices in their order, then its mounts.

    Devices that are no disks, such as ``/dev/fuse``, are left out.

    Args:
        container: The container.
        volume_options: Tells the options of a volume, one of which may be a block device that is mounted.
        is_local: Whether the container's devices are those of this node, so that they can be looked at.
    """
    is_running = container.seen.state in ("running", "paused", "restarting")
    disks = []
    for device in mappings(container.host_config, "Devices"):
        outside = str(device.get("PathOnHost", ""))
        inside = str(device.get("PathInContainer") or outside)
        if not is_local or _is_block(outside):
            access = str(device.get("CgroupPermissions") or "rwm")
            disks.append((inside, "block", outside, "w" not in access))
    for mount in mappings(container.facts, "Mounts"):
        inside, source = str(mount.get("Destination", "")), str(mount.get("Source", ""))
        readonly = mount.get("RW") is False
        if mount.get("Type") == "bind":
            disks.append((inside, _kind_of(source) if is_local else "dir", source, readonly))
        elif mount.get("Type") == "volume":
            name = str(mount.get("Name", ""))
            behind = str(volume_options(name).get("device", "")) if mount.get("Driver") == "local" else ""
            is_disk = behind.startswith("/dev/")
            disks.append((inside, "block" if is_disk else "volume", behind if is_disk else name, readonly))
    return tuple(
        GuestDisk(target=inside, kind=kind, source=source, readonly=readonly, live=is_running, persistent=True)
        for inside, kind, source, readonly in disks
    )


def _kind_of(source: str) -> str:
    if _is_block(source):
        return "block"
    return "file" if Path(source).is_file() else "dir"


def _is_block(path: str) -> bool:
    try:
        return stat.S_ISBLK(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False

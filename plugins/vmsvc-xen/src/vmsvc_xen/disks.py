"""The disks of a guest: what it has while it runs, and what its config file gives it at its next start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vmsvc.driver import Commands, GuestDisk
from vmsvc_xen.device import Device


def disks(commands: Commands, live: Sequence[Device], persistent: Sequence[Device]) -> list[GuestDisk]:
    """The disks of a guest, each once: those of its config file in their order, then what it has beyond them.

    Args:
        commands: Where it is looked what their paths lead to.
        live: What Xen has given it.
        persistent: What its config file says.

    Raises:
        Undetermined: What a path leads to cannot be told.
    """
    kinds = commands.kinds(*(each.path for each in (*persistent, *live) if each.path))
    return [
        GuestDisk(
            target=each.vdev,
            kind=_kind(each, kinds),
            source=each.path or each.target,
            device="cdrom" if each.cdrom else "disk",
            readonly=each.readonly,
            live=each in live,
            persistent=each in persistent,
        )
        for each in dict.fromkeys([*persistent, *live])
    ]


def _kind(device: Device, kinds: Mapping[str, str]) -> str:
    """What backs a disk; what a script makes of it, or another domain has, keeps Xen's word."""
    if device.script or device.backend:
        return device.script or "backend"
    missing = "block" if device.path.startswith("/dev/") else "file"  # it may have been a disk
    return kinds.get(device.path, missing)

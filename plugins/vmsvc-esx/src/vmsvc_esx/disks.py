"""The disks of a guest, as its hardware lists them. Pure.

Sources: the vSphere Web Services API reference, ``VirtualDisk``, ``VirtualController`` and
``VirtualDiskRawDiskMappingVer1BackingInfo``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vmsvc.driver import GuestDisk
from vmsvc_esx.faults import classes

# The base classes of drives, and what a guest calls them.
_DRIVES = {"VirtualDisk": "disk", "VirtualCdrom": "cdrom", "VirtualFloppy": "floppy"}
_BUSES = {
    "VirtualSCSIController": "scsi",
    "VirtualIDEController": "ide",
    "VirtualAHCIController": "sata",
    "VirtualSATAController": "sata",
    "VirtualNVMEController": "nvme",
    "VirtualSIOController": "fdc",
    "VirtualUSBController": "usb",
    "VirtualUSBXHCIController": "usb",
}
# What pyvmomi calls the backing of a disk that is a LUN: VirtualDiskRawDiskMappingVer1BackingInfo.
_RAW = "RawDiskMappingVer1BackingInfo"
# Modes in which what is written is gone when the guest is powered off, or is not written at all.
_NOT_WRITTEN = frozenset({"nonpersistent", "independent_nonpersistent"})
_SHARED_BUSES = frozenset({"virtualSharing", "physicalSharing"})
# A LUN by its own identifier (NAA) within what vmkernel calls it: a type, the LUN's number, and its model behind it.
_LUN = re.compile(r"(?:vml\.)?02[0-9a-f]{8}([0-9a-f]{32})[0-9a-f]{12}", re.ASCII)
_KIB = 1024


def of_hardware(devices: Iterable[Any], *, is_running: bool) -> tuple[GuestDisk, ...]:
    """Name the drives among a guest's devices: by bus and unit, so that they keep their order.

    A disk in a file of a datastore is of the kind ``vmdk``; one that is a LUN of the host's, ``rdm``, and its source is
    the host's name for that. Neither is a device of this node.

    Args:
        devices: The guest's devices.
        is_running: Whether the guest has them now.
    """
    every = list(devices)
    controllers = {device.key: device for device in every if "VirtualController" in classes(device)}
    found = sorted(_drives(every, controllers), key=lambda drive: drive[0])
    return tuple(_disk(*drive, is_running=is_running) for drive in found)


_Place = tuple[str, int, int]


def _drives(devices: Iterable[Any], controllers: Mapping[int, Any]) -> Iterator[tuple[_Place, str, Any, Any]]:
    """Each drive with its place, its kind, and its controller."""
    for device in devices:
        kind = next((word for base, word in _DRIVES.items() if base in classes(device)), "")
        if kind:
            controller = controllers.get(device.controllerKey)
            bus = next((word for base, word in _BUSES.items() if controller and base in classes(controller)), "")
            place = (bus, int(getattr(controller, "busNumber", 0) or 0), int(device.unitNumber or 0))
            yield place, kind, device, controller


def _disk(place: _Place, kind: str, device: Any, controller: Any, *, is_running: bool) -> GuestDisk:
    bus, number, unit = place
    backing = device.backing
    lun = getattr(backing, "lunUuid", None) or getattr(backing, "deviceName", None) or ""
    is_raw = _RAW in classes(backing)
    naa = _LUN.search(str(lun).lower()) if is_raw else None
    file = str(getattr(backing, "fileName", None) or "")
    return GuestDisk(
        target=f"{bus}{number}:{unit}",
        kind="rdm" if is_raw else "vmdk" if kind == "disk" else "media",
        source=str(getattr(backing, "deviceName", "")) if is_raw else file,
        bus=bus,
        device="lun" if is_raw and getattr(backing, "compatibilityMode", "") == "physicalMode" else kind,
        serial=str(getattr(backing, "uuid", None) or ""),
        wwn=f"naa.{naa[1]}" if naa else "",
        size_bytes=_size(device),
        readonly=kind == "cdrom" or getattr(backing, "diskMode", "") in _NOT_WRITTEN,
        shareable=_is_shared(backing, controller),
        live=is_running,
        persistent=True,
    )


def _size(device: Any) -> int | None:
    size, kib = getattr(device, "capacityInBytes", None), getattr(device, "capacityInKB", None)
    return int(size) if size else int(kib) * _KIB if kib else None


def _is_shared(backing: Any, controller: Any) -> bool:
    multi_writer = str(getattr(backing, "sharing", "") or "") == "sharingMultiWriter"
    return multi_writer or str(getattr(controller, "sharedBus", "") or "") in _SHARED_BUSES

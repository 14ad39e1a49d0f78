"""What a guest is made of, as a service keeps it: where its datastore has it, and what people compare. Pure.

The guest's own definition is its ``.vmx`` file, beside its disks. What is kept has its place, by which another host on
the same storage comes to know the guest, and the parts of its hardware that make a difference. The form is JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import asdict

from vmsvc.driver import DefinitionFields, DriverError
from vmsvc_esx import disks
from vmsvc_esx.faults import classes
from vmsvc_esx.machines import Machine

_NO_DEFINITION = "it is no definition of a guest of ESX"
# What of a disk is no part of its guest's definition.
_OF_THE_MOMENT = frozenset({"live", "persistent"})


def of_machine(machine: Machine, config: Any) -> str:
    """A guest's definition.

    Args:
        machine: The guest.
        config: All that the server tells of how it is made (``VirtualMachineConfigInfo``).

    Returns:
        JSON.
    """
    hardware = config.hardware
    drives = disks.of_hardware(hardware.device, is_running=False)
    content = {
        "name": machine.name,
        "uuid": config.uuid,
        "vmx": machine.vmx,
        "version": config.version,
        "guest": config.guestId,
        "firmware": config.firmware,
        "vcpus": hardware.numCPU,
        "cores_per_socket": hardware.numCoresPerSocket,
        "memory_mib": hardware.memoryMB,
        "disks": {each.target: _of_disk(asdict(each)) for each in drives},
        "adapters": dict(_adapters(hardware.device)),
    }
    return json.dumps(content, indent=2, sort_keys=True, default=str) + "\n"


def _of_disk(told: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key not in _OF_THE_MOMENT and value not in ("", None)}


def _adapters(devices: Any) -> Iterator[tuple[str, dict[str, str]]]:
    cards = [device for device in devices if "VirtualEthernetCard" in classes(device)]
    for number, card in enumerate(sorted(cards, key=lambda card: int(card.key))):
        port = getattr(card.backing, "port", None)
        network = getattr(card.backing, "deviceName", None) or getattr(port, "portgroupKey", None) or ""
        kind = type(card).__name__.rpartition(".")[2].removeprefix("Virtual").lower()
        yield f"ethernet{number}", {"type": kind, "network": str(network), "mac": str(card.macAddress or "")}


def read(text: str, *, origin: str) -> Mapping[str, Any]:
    """Read a definition.

    Args:
        text: What :func:`of_machine` has made.
        origin: Where it is from, for messages.

    Raises:
        DriverError: It cannot be read.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DriverError(f"{origin}: {_NO_DEFINITION}: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("vmx"), str):
        raise DriverError(f"{origin}: {_NO_DEFINITION}")
    return content


def fields(text: str) -> DefinitionFields:
    """What a definition says, field by field.

    Args:
        text: What :func:`of_machine` has made.

    Raises:
        DriverError: It cannot be read.
    """
    return DefinitionFields(values=dict(_flat(read(text, origin="the definition"), "")))


def _flat(content: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from ((f"{prefix}{key}", ""),) if prefix else ()
            yield from _flat(value, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", str(value)

"""What vSphere's words for a guest's state mean. Pure.

Sources: the vSphere Web Services API reference, ``VirtualMachinePowerState``, ``VirtualMachineConnectionState``,
``VirtualMachineGuestState`` and ``ManagedEntityStatus``. A word that is not here is one that nobody knows: unknown.
"""

from __future__ import annotations

from vmsvc.driver import AT_REST, Phase
from vmsvc_esx.machines import Machine

_POWER = {
    "poweredOn": Phase.RUNNING,
    "poweredOff": Phase.STOPPED,
    # Its memory lies in a file beside its disks, from which the next start resumes it.
    "suspended": Phase.SAVED,
}
# What its tools tell of a guest that is powered on.
_GUEST = {"shuttingDown": Phase.STOPPING, "standby": Phase.SUSPENDED}
_CONNECTED = "connected"
_NO_HEARTBEAT = "red"


def judge(machine: Machine) -> tuple[Phase, str]:
    """Say what the server's words about a guest mean.

    Args:
        machine: The guest.

    Returns:
        The phase, and the words for people: ``poweredOn (no heartbeat)``.
    """
    if machine.connection != _CONNECTED:
        # Its host does not answer its vCenter, or its files are not to be had: the power state is an old one.
        return Phase.UNKNOWN, machine.connection or "unknown"
    phase = _POWER.get(machine.power, Phase.UNKNOWN)
    if machine.question:
        return Phase.STUCK, f"{machine.power} (asks a question)"
    if phase is not Phase.RUNNING:
        return phase, machine.power or "unknown"
    if machine.guest_state in _GUEST:
        return _GUEST[machine.guest_state], f"{machine.power} ({machine.guest_state})"
    if machine.heartbeat == _NO_HEARTBEAT:
        return Phase.DEGRADED, f"{machine.power} (no heartbeat)"
    return phase, machine.power


def seen_from(host: str, machine: Machine) -> tuple[Phase, str]:
    """Say what a guest is to a node that is in charge of one host of a vCenter, and of no other.

    Args:
        host: The host's name; empty for a node to which it does not matter where the guest runs.
        machine: The guest.

    Returns:
        The phase, and the words for people: ``poweredOn on esx2`` of a guest that has gone there.
    """
    phase, state = judge(machine)
    if not is_elsewhere(host, machine) or phase in AT_REST or phase is Phase.UNKNOWN:
        return phase, state
    if not machine.host:
        return Phase.UNKNOWN, f"{state} on a host that is not told"
    return Phase.MOVED, f"{state} on {machine.host}"


def is_elsewhere(host: str, machine: Machine) -> bool:
    """Whether a guest is on another host, or on one that is not told; whether it runs there or not.

    Args:
        host: The host's name; empty where any will do.
        machine: The guest.
    """
    return bool(host) and machine.host.lower() != host.lower()

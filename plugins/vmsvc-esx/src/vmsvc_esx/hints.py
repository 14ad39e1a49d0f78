"""What people may do about a guest. Pure."""

from __future__ import annotations

from vmsvc.driver import Phase
from vmsvc_esx.options import EsxGuest


def about_autostart(guest: EsxGuest) -> str:
    """What to say of a guest that its host starts by itself.

    Args:
        guest: The guest.
    """
    return (
        f"{guest.name} is among the guests that its host starts when it boots, behind the service's back, as while the "
        "service runs elsewhere: take it out in the host's client (Manage, System, Autostart)"
    )


def way_back(phase: Phase) -> str:
    """How people bring a guest where it can be started.

    Args:
        phase: Where it stands.
    """
    if phase is Phase.STUCK:
        return "answer its question in the host's or vCenter's client"
    if phase is Phase.MOVED:
        return "stop it there first; or move it, from the node that has that host: `vmsvc migrate`"
    if phase is Phase.SUSPENDED:
        return "its operating system sleeps: wake it at its console, or stop the service first"
    return "it is going down; try again when it has"


def to_move(phase: Phase) -> str:
    """How people come to move a guest that cannot be moved as it is.

    Args:
        phase: Where it stands.
    """
    if phase is Phase.MOVED:
        return "say it on the node that has that host"
    return "only a guest that runs is moved; one that is down is started where it is to run"

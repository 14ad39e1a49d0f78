"""Where guests stand, by one survey of all; and the guests that there are."""

from __future__ import annotations

import time
from collections.abc import Sequence

from vmsvc.driver import Evidence, FoundGuest, Observation, Phase, Undetermined, VmsvcError, unknown
from vmsvc_vbox import disks
from vmsvc_vbox.options import VboxGuest
from vmsvc_vbox.parse import INACCESSIBLE, Listed
from vmsvc_vbox.states import phase_of
from vmsvc_vbox.tool import Tool, the_one

_PROBE = "VBoxManage list --long vms"


def survey(tool: Tool, resources: Sequence[VboxGuest]) -> dict[tuple[str, str], Observation]:
    """Say where guests stand.

    Args:
        tool: Who is asked.
        resources: The guests.

    Returns:
        Observations by service and rid.
    """
    began = time.monotonic()
    try:
        guests = tool.survey()
    except VmsvcError as error:
        nothing = unknown(_PROBE, error, duration_s=time.monotonic() - began)
        return {(resource.service, resource.rid): nothing for resource in resources}
    took_s = time.monotonic() - began
    return {(resource.service, resource.rid): _seen(resource, guests, took_s) for resource in resources}


def discover(tool: Tool) -> list[FoundGuest]:
    """Name every guest, with its disks.

    Args:
        tool: Who is asked.
    """
    guests = [guest for guest in tool.survey() if guest.name != INACCESSIBLE]
    media = tool.media() if guests else {}
    return [
        FoundGuest(
            name=guest.name,
            phase=phase_of(guest.state),
            state=guest.state,
            autostart=guest.autostart,
            title=f"{values.get('ostype', '')} guest".strip(),
            disks=tuple(disks.disks(tool, values, media)),
            warnings=_warnings(guest),
        )
        for guest in guests
        for values in [tool.info(guest.uuid)]
    ]


def _seen(resource: VboxGuest, guests: list[Listed], took_s: float) -> Observation:
    try:
        guest = the_one(guests, resource.name)
    except Undetermined as error:
        return unknown(_PROBE, error, duration_s=took_s)
    if guest is None:
        evidence = Evidence(
            probe=_PROBE, detail=f"none of {len(guests)} guests is {resource.name!r}", duration_s=took_s
        )
        return Observation(phase=Phase.ABSENT, state="absent", evidence=evidence)
    if not guest.state:
        return unknown(_PROBE, f"the list does not tell the state of {guest.name}", duration_s=took_s)
    evidence = Evidence(probe=_PROBE, detail=f"{guest.uuid}: {guest.state}", duration_s=took_s)
    return Observation(phase=phase_of(guest.state), state=guest.state, evidence=evidence, warnings=_warnings(guest))


def _warnings(guest: Listed) -> tuple[str, ...]:
    if not guest.autostart:
        return ()
    return (
        (
            f"VirtualBox starts {guest.name} when the node boots, behind the service's back; "
            f"`VBoxManage modifyvm {guest.uuid} --autostart-enabled off`"
        ),
    )

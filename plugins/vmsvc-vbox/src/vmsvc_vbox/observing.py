"""Where guests stand, by one survey of all; and the guests that there are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from attrs import evolve

from vmsvc.driver import Evidence, FoundGuest, Observation, Phase, Undetermined, VmsvcError, unknown
from vmsvc_vbox import disks
from vmsvc_vbox.options import VboxGuest
from vmsvc_vbox.parse import INACCESSIBLE, Listed
from vmsvc_vbox.states import phase_of
from vmsvc_vbox.tool import Tool, no_state, nobody_runs, the_one

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
    whole = Evidence(probe=_PROBE, detail=f"{len(guests)} guests", duration_s=time.monotonic() - began)
    named: dict[str, list[Listed]] = {}
    for guest in guests:
        named.setdefault(guest.name, []).append(guest)
    lost = named.get(INACCESSIBLE, [])
    doubts = _doubts(tool, guests, {resource.name for resource in resources} - set(named))
    return {
        (resource.service, resource.rid): _seen(
            resource, [*named.get(resource.name, []), *lost], whole, doubts.get(resource.name)
        )
        for resource in resources
    }


def _doubts(tool: Tool, guests: list[Listed], missing: AbstractSet[str]) -> dict[str, VmsvcError]:
    """Why some of the guests that are not listed may be there all the same."""
    if not missing:
        return {}
    try:
        strangers = tool.strangers(guests)
    except VmsvcError as error:
        return dict.fromkeys(missing, error)
    doubts: dict[str, VmsvcError] = {}
    for name in missing:
        try:
            nobody_runs(name, strangers)
        except Undetermined as error:
            doubts[name] = error
    return doubts


def discover(tool: Tool) -> list[FoundGuest]:
    """Name every guest, with its disks.

    Args:
        tool: Who is asked.
    """
    guests = [guest for guest in tool.survey() if guest.name != INACCESSIBLE]
    return [
        FoundGuest(
            name=guest.name,
            phase=phase_of(guest.state),
            state=guest.state,
            autostart=guest.autostart,
            title=f"{values.get('ostype', '')} guest".strip(),
            disks=tuple(disks.disks(tool, values)),
            warnings=_warnings(guest),
        )
        for guest in guests
        for values in [tool.info(guest.uuid)]
    ]


def _seen(resource: VboxGuest, meant: list[Listed], whole: Evidence, doubt: VmsvcError | None) -> Observation:
    try:
        guest = the_one(meant, resource.name)
    except Undetermined as error:
        return unknown(_PROBE, error, duration_s=whole.duration_s)
    if guest is None:
        if doubt is not None:
            return unknown(_PROBE, doubt, duration_s=whole.duration_s)
        evidence = evolve(whole, detail=f"none of {whole.detail} is {resource.name!r}")
        return Observation(phase=Phase.ABSENT, state="absent", evidence=evidence)
    if not guest.state:
        return unknown(_PROBE, no_state(guest), duration_s=whole.duration_s)
    evidence = evolve(whole, detail=f"{guest.uuid}: {guest.state}")
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

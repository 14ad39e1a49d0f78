"""What zoneadm tells of zones, as observations."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence

from vmsvc.driver import Evidence, FoundGuest, Objection, Observation, Phase, VmsvcError, unknown
from vmsvc_zone import parse
from vmsvc_zone.options import ZoneGuest
from vmsvc_zone.parse import Zone
from vmsvc_zone.tool import Tool

_PROBE = "zoneadm list -cp"
_BY_ITSELF = "the node boots it by itself, behind the service's back: `zonecfg -z {} set autoboot=false` ends that"


def survey(tool: Tool, resources: Sequence[ZoneGuest]) -> Mapping[tuple[str, str], Observation]:
    """Say where zones stand, by one command for all of them.

    Args:
        tool: The node's tools.
        resources: The zones to look at.
    """
    began = time.monotonic()
    try:
        found = {zone.name: zone for zone in tool.zones()}
    except VmsvcError as error:
        nothing = unknown(_PROBE, error, duration_s=time.monotonic() - began)
        return {(each.service, each.rid): nothing for each in resources}
    duration_s = time.monotonic() - began
    automatic = tool.booted_with_the_node(*(each.name for each in resources if each.name in found))
    return {
        (each.service, each.rid): _seen(each.name, found.get(each.name), automatic, duration_s) for each in resources
    }


def _seen(name: str, zone: Zone | None, automatic: Collection[str], duration_s: float) -> Observation:
    if zone is None:
        evidence = Evidence(probe=_PROBE, detail=f"{name} is not among the zones of this node", duration_s=duration_s)
        return Observation(phase=Phase.ABSENT, state="absent", evidence=evidence)
    phase, word = zone.phase, zone.word
    if phase is Phase.UNKNOWN:
        return unknown(_PROBE, f"{name} is in a state that is not known: {word}", duration_s=duration_s)
    return Observation(
        phase=phase,
        state=word,
        evidence=Evidence(probe=_PROBE, detail=f"{name} is {word}", duration_s=duration_s),
        warnings=(_BY_ITSELF.format(name),) if name in automatic else (),
        objection=_incomplete(name) if zone.state == "incomplete" else None,
    )


def _incomplete(name: str) -> Objection:
    return Objection(
        why="it is incomplete: somebody installs or uninstalls it, or that has failed",
        hint=f"wait for that; or `zoneadm -z {name} uninstall`, then install or attach it again",
    )


def discover(tool: Tool) -> list[FoundGuest]:
    """Name every zone of the node.

    Args:
        tool: The node's tools.
    """
    zones = tool.zones()
    automatic = tool.booted_with_the_node(*(zone.name for zone in zones))
    return [_found(tool, zone, is_self_booting=zone.name in automatic) for zone in zones]


def _found(tool: Tool, zone: Zone, *, is_self_booting: bool) -> FoundGuest:
    phase = zone.phase
    warnings = [_BY_ITSELF.format(zone.name)] if is_self_booting else []
    try:
        disks = parse.disks(tool.configuration(zone.name), zone.name, live=phase in (Phase.PREPARED, Phase.RUNNING))
    except VmsvcError as error:
        disks = []
        warnings.append(f"its disks are not known: {error.message}")
    return FoundGuest(
        name=zone.name,
        phase=phase,
        state=zone.word,
        options={} if zone.ip_type == "shared" else {"plumb": "false"},
        autostart=is_self_booting,
        disks=tuple(disks),
        warnings=tuple(warnings),
    )

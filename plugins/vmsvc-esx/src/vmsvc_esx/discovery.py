"""The guests that a server has already, for whoever makes services of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from attrs import evolve

from vmsvc.driver import AWAKE, FoundGuest, ask
from vmsvc_esx import disks, hints
from vmsvc_esx.client import Client
from vmsvc_esx.lanes import Lanes
from vmsvc_esx.machines import UUIDS, Machine
from vmsvc_esx.options import EsxGuest
from vmsvc_esx.states import judge

_DEVICES, _TEMPLATE, _SYSTEM = "config.hardware.device", "config.template", "config.guestFullName"
# The keys that say how a server is reached; each guest of it has the same.
_WAYS = ("server", "credentials", "ca_file", "thumbprint")


def discover(lanes: Lanes, where: EsxGuest, budget_s: float) -> list[FoundGuest]:
    """Name the guests of one server; templates are none.

    Args:
        lanes: Where the call runs.
        where: Its options tell which server, and how it is reached.
        budget_s: How long it may take, in seconds.
    """

    def look(client: Client) -> list[FoundGuest]:
        found = client.survey((*UUIDS, _DEVICES, _TEMPLATE, _SYSTEM)).told
        guests = {machine: told for machine, told in found.items() if machine.name and not told.get(_TEMPLATE)}
        called = Counter(machine.name for machine in guests)
        return [_found(where, each, told, is_alone=called[each.name] == 1) for each, told in guests.items()]

    return ask(lanes.to(where.access, "discovery", max_abandoned=1), look, budget_s=budget_s)


def _found(where: EsxGuest, machine: Machine, told: Mapping[str, Any], *, is_alone: bool) -> FoundGuest:
    phase, state = judge(machine)
    options = {key: getattr(where, key) for key in _WAYS if getattr(where, key)}
    if not is_alone:
        options["uuid"] = machine.instance_uuid or machine.uuid
    warning = hints.about_autostart(evolve(where, name=machine.name))
    return FoundGuest(
        name=machine.name,
        phase=phase,
        state=state,
        options=options,
        autostart=machine.autostart,
        title=str(told.get(_SYSTEM) or ""),
        disks=disks.of_hardware(told.get(_DEVICES) or (), is_running=phase in AWAKE),
        warnings=(warning,) if machine.autostart else (),
    )

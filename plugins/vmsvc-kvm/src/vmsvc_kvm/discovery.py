"""The guests that a libvirt has already, for whoever makes services of them."""

from __future__ import annotations

from attrs import evolve, fields

from vmsvc.driver import FoundGuest, ask
from vmsvc_kvm.client import Connection
from vmsvc_kvm.lanes import Lanes
from vmsvc_kvm.observing import about_autostart, phase_of
from vmsvc_kvm.options import KvmGuest
from vmsvc_kvm.seen import Listed


def discover(lanes: Lanes, where: KvmGuest, budget_s: float) -> list[FoundGuest]:
    """Name the guests of one libvirt, over a connection that libvirt itself keeps from changing anything.

    Args:
        lanes: Where the call runs.
        where: Its ``uri`` tells which libvirt.
        budget_s: How long it may take, in seconds.
    """
    way = lanes.to(where.uri, "discovery", readonly=True, max_abandoned=1)
    return [_found(where, one) for one in ask(way, Connection.listed, budget_s=budget_s)]


def _found(where: KvmGuest, one: Listed) -> FoundGuest:
    guest = evolve(where, name=one.name)
    phase, state = phase_of(one.seen)
    described = one.described.persistent or one.described.live
    options = {} if where.uri == fields(KvmGuest).uri.default else {"uri": where.uri}
    if described is not None and described.is_windows:
        options["guestos"] = "windows"
    warnings = [about_autostart(guest)] if one.seen.autostart else []
    if one.described.persistent is None:
        warnings.append(
            f"{one.name} is transient: libvirt forgets it when it stops; `vmsvc push` keeps its definition, from which "
            "a start defines it again"
        )
    return FoundGuest(
        name=one.name,
        phase=phase,
        state=state,
        options=options,
        autostart=one.seen.autostart,
        title="" if described is None else described.title,
        disks=one.described.disks,
        warnings=tuple(warnings),
    )

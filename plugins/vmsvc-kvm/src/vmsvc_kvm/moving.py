"""Moves a guest to the libvirt of another node, and calls off a move that takes too long.

The two libvirts see to it among themselves (``VIR_MIGRATE_PEER2PEER``): a vmsvc that dies half-way leaves a move that
goes on to its end. Each node keeps its definition: the source's is not undefined, and starts nothing by itself.
"""

from __future__ import annotations

import shlex
import time

from vmsvc.driver import AT_REST, TIMED_OUT, Destination, DriverError, Phase, Undetermined, VmsvcError, ask, ask_once
from vmsvc_kvm.client import Connection
from vmsvc_kvm.lanes import Lanes
from vmsvc_kvm.observing import phase_of
from vmsvc_kvm.options import KvmGuest, reached_by

#: What is kept of a budget to call a move off, and how often it is looked whether that has happened, in seconds.
CALLING_OFF_S, LOOK_AGAIN_S = 10.0, 0.2
#: ``VIR_ERR_MIGRATE_UNSAFE``, of virterror.h.
UNSAFE = "driver.libvirt-81"


def migrate(lanes: Lanes, guest: KvmGuest, destination: Destination[KvmGuest], budget_s: float) -> None:
    """Move a guest that runs, and return when it has gone.

    Args:
        lanes: Where calls of libvirt run.
        guest: The guest.
        destination: Where it is to go.
        budget_s: How long it may take, in seconds; the end of it is for calling it off.

    Raises:
        DriverError: It stays here, and runs.
        Undetermined: That is not known.
    """
    deadline = time.monotonic() + budget_s
    uri = reached_by(destination.node, destination.guest)
    if uri == guest.uri:
        raise DriverError(
            f"{destination.node} has the guest by the same libvirt as this node: {uri}",
            hint=f"give `migrate_uri@{destination.node}` the libvirt on that node",
        )
    way = lanes.to(guest.uri, f"migration of {guest.name}", max_abandoned=1)
    patience_s = budget_s - min(CALLING_OFF_S, budget_s / 2)
    ask(way, lambda connection: _check_runs(connection, guest), budget_s=patience_s)
    try:
        left_s = patience_s - (time.monotonic() - (deadline - budget_s))
        ask_once(way, lambda connection: connection.migrate(guest.name, uri), budget_s=left_s)
    except (DriverError, Undetermined) as failure:
        _settle(lanes, guest, uri, failure, deadline)


def _check_runs(connection: Connection, guest: KvmGuest) -> None:
    phase, state = phase_of(connection.find(guest.name))
    if phase is Phase.UNKNOWN:
        raise Undetermined(f"{guest.name} on {guest.uri} is in a state that is not known: {state}")
    if phase is not Phase.RUNNING:
        raise DriverError(f"{guest.name} on {guest.uri} cannot be moved: it is {state}")


def _settle(lanes: Lanes, guest: KvmGuest, uri: str, failure: VmsvcError, deadline: float) -> None:
    """After a request that has failed: call off what goes on, and tell by the guest's own state where it is left."""
    is_late = failure.code == TIMED_OUT

    def look(connection: Connection) -> tuple[Phase, str, bool]:
        if is_late:
            connection.call_off(guest.name)
        while connection.is_moving(guest.name) and time.monotonic() < deadline - 2 * LOOK_AGAIN_S:
            time.sleep(LOOK_AGAIN_S)
        phase, state = phase_of(connection.find(guest.name))
        return phase, state, connection.is_moving(guest.name)

    way = lanes.to(guest.uri, f"end of the migration of {guest.name}", max_abandoned=1)
    try:
        phase, state, is_moving = ask(way, look, budget_s=deadline - time.monotonic())
    except (DriverError, Undetermined) as silence:
        raise Undetermined(f"{failure.message}; and then: {silence.message}", hint=silence.hint) from None
    if phase in AT_REST:
        return  # it has gone; whoever asked looks at both ends
    if is_moving or phase is not Phase.RUNNING:
        told = "goes on being moved" if is_moving else f"is {state}"
        raise Undetermined(f"{failure.message}; {guest.name} {told}")
    if is_late:
        raise DriverError(
            f"{uri} had not got it in time: the move was called off",
            hint="`migrate_timeout` gives it more; one that changes its memory faster than it is sent is never there",
        )
    hint = f"does the libvirtd of this node, as its own user, reach it? `virsh -c {shlex.quote(uri)} list`"
    if failure.code == UNSAFE:
        hint = "both nodes must share its disks, and their cache must be `none`; see virsh(1), migrate --unsafe"
    raise DriverError(f"{uri} has not got it: {failure.message}", code=failure.code, hint=failure.hint or hint)

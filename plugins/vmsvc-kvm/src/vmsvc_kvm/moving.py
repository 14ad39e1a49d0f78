"""Moves a guest to the libvirt of another node, and calls off a move that takes too long.

The two libvirts see to it among themselves (``VIR_MIGRATE_PEER2PEER``): a vmsvc that dies half-way leaves a move that
goes on to its end. Each node keeps its definition: the source's is not undefined, and starts nothing by itself.
"""

from __future__ import annotations

import shlex
import time

from attrs import frozen

from vmsvc.driver import AT_REST, TIMED_OUT, Destination, DriverError, Phase, Undetermined, VmsvcError, ask, ask_once
from vmsvc_kvm.client import Connection
from vmsvc_kvm.lanes import Lanes
from vmsvc_kvm.observing import phase_of
from vmsvc_kvm.options import KvmGuest, driver_of, reached_by

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
    calling_off = deadline - min(CALLING_OFF_S, budget_s / 2)
    uri = reached_by(destination.node, destination.guest)
    if uri == guest.uri:
        raise DriverError(
            f"{destination.node} has the guest by the same libvirt as this node: {uri}",
            hint=f"give `migrate_uri@{destination.node}` the libvirt on that node",
        )
    if driver_of(uri) != driver_of(guest.uri):
        raise DriverError(
            f"{destination.node} is reached by the libvirt of another hypervisor than here: {uri}, not {guest.uri}",
            hint=f"give `migrate_uri@{destination.node}` a URI that begins with `{driver_of(guest.uri)}+`",
        )
    way = lanes.to(guest.uri, f"migration of {guest.name}", max_abandoned=1)
    ask(way, lambda connection: _check_runs(connection, guest), budget_s=calling_off - time.monotonic())
    try:
        left_s = calling_off - time.monotonic()
        ask_once(way, lambda connection: connection.migrate(guest.name, uri), budget_s=left_s)
    except (DriverError, Undetermined) as failure:
        _settle(lanes, guest, uri, failure, calling_off=calling_off, deadline=deadline)


def _check_runs(connection: Connection, guest: KvmGuest) -> None:
    phase, state = phase_of(connection.find(guest.name))
    if phase is Phase.UNKNOWN:
        raise Undetermined(f"{guest.name} on {guest.uri} is in a state that is not known: {state}")
    if phase is not Phase.RUNNING:
        raise DriverError(f"{guest.name} on {guest.uri} cannot be moved: it is {state}")


def _settle(
    lanes: Lanes, guest: KvmGuest, uri: str, failure: VmsvcError, *, calling_off: float, deadline: float
) -> None:
    """After a request that has failed: call off what goes on, and tell by the guest's own state where it is left."""
    if isinstance(failure, DriverError):  # libvirt's own answer: what goes on all the same is somebody else's move
        calling_off = deadline
    has_no_answer = failure.code == TIMED_OUT

    def look(connection: Connection) -> _Left:
        return _left(connection, guest.name, has_no_answer=has_no_answer, calling_off=calling_off, deadline=deadline)

    way = lanes.to(guest.uri, f"end of the migration of {guest.name}", max_abandoned=1)
    try:
        left = ask(way, look, budget_s=deadline - time.monotonic())
    except (DriverError, Undetermined) as silence:
        raise Undetermined(f"{failure.message}; and then: {silence.message}", hint=silence.hint) from None
    if left.phase is Phase.MOVED:
        return  # libvirt itself says so; whoever asked looks at both ends
    if left.phase is Phase.RUNNING and left.goes_on:
        raise Undetermined(f"{failure.message}; {guest.name} goes on being moved, or may yet be")
    if left.phase is not Phase.RUNNING:
        raise Undetermined(f"{failure.message}; here it is {left.state}")
    if left.was_called_off:
        raise DriverError(
            f"{uri} had not got it in time: the move was called off",
            hint="`migrate_timeout` gives it more; one that changes its memory faster than it is sent is never there",
        )
    hint = f"does the libvirtd of this node, as its own user, reach it? `virsh -c {shlex.quote(uri)} list`"
    if failure.code == UNSAFE:
        hint = "both nodes must share its disks, and their cache must be `none`; see virsh(1), migrate --unsafe"
    raise DriverError(f"{uri} has not got it: {failure.message}", code=failure.code, hint=failure.hint or hint)


@frozen(kw_only=True)
class _Left:
    """How a guest is left by a request to move it that has failed.

    Attributes:
        phase: Where it stands.
        state: The word for that.
        goes_on: Whether it is being moved all the same, or may yet be.
        was_called_off: Whether libvirt has ended a move when it was told to.
    """

    phase: Phase
    state: str
    goes_on: bool
    was_called_off: bool


def _left(connection: Connection, name: str, *, has_no_answer: bool, calling_off: float, deadline: float) -> _Left:
    """Wait for a move to end, and call it off when its time is over.

    A request that has no answer may still be on its way to libvirt: what it begins late is called off, too.
    """
    was_called_off = False
    while True:
        if time.monotonic() >= calling_off:
            was_called_off = connection.call_off(name) or was_called_off
        # The move first: what is told of a guest after its end is where that has left it.
        goes_on = connection.is_moving(name) or (has_no_answer and not was_called_off)
        phase, state = phase_of(connection.find(name))
        if not goes_on or phase in AT_REST or time.monotonic() > deadline - 2 * LOOK_AGAIN_S:
            return _Left(phase=phase, state=state, goes_on=goes_on, was_called_off=was_called_off)
        time.sleep(LOOK_AGAIN_S)

"""Moves a guest that runs to another host of its vCenter (vMotion), and calls off a move that takes too long.

The vCenter sees to it: a vmsvc that dies half-way leaves a move that goes on to its end. It is one guest of one
inventory before and after; what tells the nodes apart is the host of each (``host``), and where the guest runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from vmsvc.driver import TIMED_OUT, ConnectionLost, Destination, DriverError, Phase, Undetermined, ask, ask_once
from vmsvc_esx import faults, hints
from vmsvc_esx.client import POLL_S, Client
from vmsvc_esx.lanes import Lanes
from vmsvc_esx.machines import Machine
from vmsvc_esx.options import EsxGuest
from vmsvc_esx.states import seen_from

T = TypeVar("T")

#: What is kept of a budget to call a move off, in seconds.
CALLING_OFF_S = 10.0
# The server has said what these mean; all else that is not known is silence, which may hide a move that has begun.
_SAID = frozenset({faults.BUSY, faults.HOST})


def migrate(lanes: Lanes, guest: EsxGuest, destination: Destination[EsxGuest], budget_s: float) -> None:
    """Move a guest that runs, and return when it runs at the destination's host.

    Args:
        lanes: Where calls of servers run.
        guest: The guest.
        destination: Where it is to go.
        budget_s: How long it may take, in seconds; the end of it is for calling it off.

    Raises:
        DriverError: It stays here, and runs.
        Undetermined: That is not known.
    """
    deadline = time.monotonic() + budget_s
    calling_off = deadline - min(CALLING_OFF_S, budget_s / 2)
    there = _described_there(guest, destination)
    way = lanes.to(guest.access, f"migration of {guest.name}", max_abandoned=1)
    # Asked first, and by itself: a session that a server has forgotten is noticed before anything is begun.
    machine, host = ask(way, lambda client: _ready(client, guest, there), budget_s=calling_off - time.monotonic())

    def move(client: Client) -> None:
        client.until(calling_off)  # a server that falls silent leaves the time to ask it once more
        try:
            task = client.begin_move(machine, host)
        except Undetermined as silence:
            if silence.code in _SAID:
                raise
            client.until(deadline)
            task = _begun_all_the_same(client, machine, guest, there, silence)
        if task is not None:
            _follow(client, task, machine, guest, there, calling_off=calling_off, deadline=deadline)

    ask_once(way, move, budget_s=deadline - time.monotonic())


def _described_there(guest: EsxGuest, destination: Destination[EsxGuest]) -> EsxGuest:
    """The guest as the destination knows it, by the same vCenter and another host."""
    there = destination.guest
    if there.access.server != guest.access.server:
        raise DriverError(
            f"{destination.node} has the guest by {there.server}, and this node by {guest.server}: a guest that runs "
            "is moved within one vCenter only",
            hint="`server` must name the vCenter of both hosts, and `host` each node's own; else stop it here, and "
            "start it there",
        )
    for node, described in (("this node", guest), (destination.node, there)):
        if not described.host:
            raise DriverError(
                f"nothing says which host of {guest.server} is that of {node}",
                hint=f"set `host` for each node: `host@{destination.node}` = the host's name in the inventory",
            )
    if guest.host.lower() == there.host.lower():
        raise DriverError(
            f"{destination.node} has the same host of {guest.server} as this node: {there.host}",
            hint=f"give `host@{destination.node}` that node's own",
        )
    return there


def _ready(client: Client, guest: EsxGuest, there: EsxGuest) -> tuple[Machine, str]:
    """The guest, which must run here, and what its new host is acted upon by."""
    survey = client.survey_for(guest)
    machine = survey.described(guest)
    phase, state = seen_from(guest.host, machine)
    if phase is Phase.UNKNOWN:
        raise Undetermined(f"{guest.name} on {guest.server} is in a state that is not known: {state}")
    if phase is not Phase.RUNNING:
        raise DriverError(f"{guest.name} cannot be moved: on {guest.server}, it is {state}", hint=hints.to_move(phase))
    if there.host not in survey:
        raise DriverError(
            f"{guest.server} shows no host {there.host!r}", hint=f"it shows: {', '.join(sorted(survey.hosts))}"
        )
    return machine, survey.host(there.host)


def _begun_all_the_same(
    client: Client, machine: Machine, guest: EsxGuest, there: EsxGuest, silence: Undetermined
) -> Any:
    """The task of a request whose answer was lost; ``None`` where the guest has moved meanwhile.

    Raises:
        Undetermined: There is no such task, by now: the request may still be on its way.
    """
    try:
        task = _again(lambda: client.move_under_way(machine))
        if task is None and _runs(client, guest, there):
            return None
    except (DriverError, Undetermined) as more:
        raise Undetermined(f"{silence.message}; and then: {more.message}", hint=more.hint) from None
    if task is None:
        raise Undetermined(f"{silence.message}; whether it is being moved is not known", hint=silence.hint)
    return task


def _follow(
    client: Client,
    task: Any,
    machine: Machine,
    guest: EsxGuest,
    there: EsxGuest,
    *,
    calling_off: float,
    deadline: float,
) -> None:
    """Wait until a move has ended, whatever becomes of connections meanwhile; call it off when its time is over."""
    what = f"{machine.name} cannot be moved to {there.host}"
    pauses = iter(POLL_S)
    was_called_off = False
    while True:
        client.until(deadline if was_called_off else calling_off)
        try:
            now = client.task(task, what)
        except Undetermined as silence:  # a server that is started again has its tasks still, or tells that it has not
            now = None
            last: Undetermined = silence
        except DriverError as gone:
            _tell_by_where_it_runs(client, guest, there, Undetermined(gone.message))
            return
        if now is not None and now.state == "success":
            return
        if now is not None and now.error is not None:
            _tell_by_where_it_runs(client, guest, there, _why(now.error, what, was_called_off=was_called_off))
            return
        if now is not None:
            last = Undetermined(f"{what} in time: it is still at it", code=TIMED_OUT)
        pause = next(pauses, POLL_S[-1])
        if time.monotonic() + pause >= calling_off and not was_called_off:
            client.until(deadline)
            client.cancel(task, what)
            was_called_off = True
        if time.monotonic() + pause >= deadline:
            raise last
        time.sleep(pause)


def _why(error: BaseException, what: str, *, was_called_off: bool) -> DriverError | Undetermined:
    """What a move has ended with that has not come to its end."""
    if faults.classes(error) & faults.CANCELLED:
        hint = "`migrate_timeout` gives it more" if was_called_off else "somebody has cancelled its task"
        return DriverError(f"{what}: the move was called off", code="driver.called-off", hint=hint)
    found = faults.meaning(error, what)
    if isinstance(found, DriverError):
        hint = found.hint or "the vCenter's client tells more: `Migrate…`, and the events of the guest"
        return DriverError(found.message, code=found.code, hint=hint)
    return Undetermined(found.message, code=found.code, hint=found.hint)


def _tell_by_where_it_runs(
    client: Client, guest: EsxGuest, there: EsxGuest, failure: DriverError | Undetermined
) -> None:
    """After a move that has failed, by its task's words: the guest's own host tells where it was left."""
    try:
        has_arrived, has_stayed = (_runs(client, guest, at) for at in (there, guest))
    except (DriverError, Undetermined) as more:
        raise Undetermined(f"{failure.message}; and then: {more.message}", hint=more.hint) from None
    if has_arrived:
        return
    if isinstance(failure, DriverError) and not has_stayed:
        raise Undetermined(f"{failure.message}; it does not run here any more", hint=failure.hint)
    raise failure


def _runs(client: Client, guest: EsxGuest, at: EsxGuest) -> bool:
    machine = _again(lambda: client.survey_for(guest).described(guest))
    return seen_from(at.host, machine)[0] is Phase.RUNNING


def _again(look: Callable[[], T]) -> T:
    """Look; once more where a connection had broken before."""
    try:
        return look()
    except ConnectionLost:
        return look()

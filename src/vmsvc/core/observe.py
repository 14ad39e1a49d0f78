"""Look at many resources at once: one query for each technology, each within its deadline, none waiting for another.

Whatever goes wrong in a driver ends here as an ``unknown`` with its reason: never as ``down``, never as an exception,
never as a call that does not return. Each driver is called through a lane, so that one which breaks its promise of
keeping its budget costs a bounded number of threads and nobody's time but its own. And all looks together have one
deadline: where there are more than can be looked at in time, the last are unknown.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from vmsvc.core.contract import BulkObserver, Capability, Driver
from vmsvc.core.errors import Undetermined, VmsvcError, told
from vmsvc.core.lane import call_within
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.status import Observation, Phase, inapplicable, unknown

_log = logging.getLogger(__name__)

#: What identifies a resource on a node: its service's name and its rid.
Key = tuple[str, str]

#: How a session finds the driver of a resource; a text is the reason why there is none. An error means that there
#: ought to be one.
DriverFinder = Callable[[Resource], "Driver[Any] | str"]

#: One query, on its way: given when all looks must be over (on the monotonic clock), it tells what it has seen.
Look = Callable[[float], Mapping[Key, Observation]]

#: How long all looks together may take, in seconds; what has not answered by then is unknown.
STATUS_DEADLINE_S = 9.0
#: A driver may need a moment more than its budget to give up in an orderly way: a command must be killed first.
GRACE_S = 3.0
_PARALLEL = 32


def key_of(resource: Resource) -> Key:
    """What identifies a resource on its node.

    Args:
        resource: The resource.
    """
    return resource.service, resource.rid


def observe(resources: Iterable[Resource], driver_of: DriverFinder) -> dict[Key, Observation]:
    """Look at resources, whatever their technologies, for at most :data:`STATUS_DEADLINE_S` seconds.

    Args:
        resources: What to look at, of any number of services.
        driver_of: Finds the driver of a resource.

    Returns:
        An observation for each resource, in their order.
    """
    deadline = time.monotonic() + STATUS_DEADLINE_S
    wanted = list(resources)
    seen: dict[Key, Observation] = {}
    # By identity: nothing obliges a driver to be hashable, or to differ from another one.
    groups: dict[int, tuple[Driver[Any], list[Resource]]] = {}
    for resource in wanted:
        try:
            driver = driver_of(resource)
        except VmsvcError as error:
            seen[key_of(resource)] = unknown(_probe(resource), error)
            continue
        if isinstance(driver, str):
            seen[key_of(resource)] = inapplicable("vmsvc", driver)
        else:
            groups.setdefault(id(driver), (driver, []))[1].append(resource)
    looks = [look for driver, members in groups.values() for look in _looks(driver, members)]
    seen.update(_answers(looks, deadline))
    late = f"it gave no answer within the {STATUS_DEADLINE_S:g} s that all looks together may take"
    found = {
        key: seen.get(key) or unknown(_probe(resource), late, duration_s=STATUS_DEADLINE_S)
        for key, resource in ((key_of(resource), resource) for resource in wanted)
    }
    for (service, rid), answer in found.items():
        told = answer.evidence
        line = "looked at %s of %s: %s (%s: %s; %.3f s)"
        _log.info(line, rid, service, answer.state, told.probe, told.detail, told.duration_s)
    return found


def _answers(looks: Sequence[Look], deadline: float) -> dict[Key, Observation]:
    """Take all looks, a bounded number at a time, and return what they have seen until the deadline.

    The threads are daemons, so that the program's exit waits for none of them. They end by themselves: each look is
    bounded, and none begins after the deadline.
    """
    waiting = deque(looks)
    found: dict[Key, Observation] = {}
    guard = threading.Lock()

    def work() -> None:
        with contextlib.suppress(IndexError):  # no look is left
            while time.monotonic() < deadline:
                answers = waiting.popleft()(deadline)
                with guard:
                    found.update(answers)

    workers = [threading.Thread(target=work, name="vmsvc look", daemon=True) for _ in looks[:_PARALLEL]]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(max(deadline - time.monotonic(), 0.0))
    with guard:
        return dict(found)


def _looks(driver: Driver[Any], members: Sequence[Resource]) -> list[Look]:
    """One look for all members where the driver can do that, else one for each."""
    try:
        is_bulk = Capability.BULK in driver.capabilities
    except Exception:  # noqa: BLE001 - a driver's defect; the looks themselves will tell what is wrong with it
        is_bulk = False
    groups = [members] if is_bulk else [[member] for member in members]
    return [_look_of(driver, group, is_bulk=is_bulk) for group in groups]


def _look_of(driver: Any, members: Sequence[Resource], *, is_bulk: bool) -> Look:
    """A look that reads everything foreign inside its guard, and turns what is no observation into an unknown one."""

    def ask(budget_s: float) -> dict[Key, object]:
        if not is_bulk:
            return {key_of(member): driver.observe(member, budget_s=budget_s) for member in members}
        bulk: BulkObserver[Any] = driver
        answers: object = bulk.observe_all(members, budget_s=budget_s)
        if not isinstance(answers, Mapping):
            raise Undetermined(f"it answered with a {type(answers).__name__}")
        return {key_of(member): answers.get(key_of(member)) for member in members}

    def look(deadline: float) -> Mapping[Key, Observation]:
        probe = _probe(members[0])
        began = time.monotonic()
        answers: Mapping[Key, object] = {}
        reason = "it gave no answer for this resource"
        try:
            budget_s = max(member.observe_budget_s for member in members)
            left = deadline - began
            answers = call_within(probe, lambda: ask(min(budget_s, left)), budget_s=min(budget_s + GRACE_S, left))
        except VmsvcError as error:
            reason = str(error)
        except BaseException as error:  # noqa: BLE001 - a driver's defect must not become a status, nor end anything
            reason = told(error)
        missing = unknown(probe, reason, duration_s=time.monotonic() - began)
        return {key_of(member): _checked(member, answers.get(key_of(member)), missing) for member in members}

    return look


def _checked(resource: Resource, answer: object, missing: Observation) -> Observation:
    if not isinstance(answer, Observation):
        return missing
    if answer.phase is Phase.INAPPLICABLE and isinstance(resource, Guest):
        # As a status, n/a would count for nothing: a service would look fine without its guest.
        return unknown(answer.evidence.probe, f"the driver says n/a of a guest: {answer.evidence.detail}")
    return answer


def _probe(resource: Resource) -> str:
    return f"{resource.type or resource.kind} driver"

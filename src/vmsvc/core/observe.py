"""Look at many resources at once: one query for each technology, each within its deadline, none waiting for another.

Whatever goes wrong in a driver ends here as an ``unknown`` with its reason: never as ``down``, never as an exception,
never as a call that does not return. Each driver is called through a lane, so that one which breaks its promise of
keeping its budget costs a bounded number of threads and nobody's time but its own. And all looks together have one
deadline: where there are more than can be looked at in time, the last are unknown.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

from vmsvc.core.contract import Capability, Driver
from vmsvc.core.deadline import left_until
from vmsvc.core.errors import Undetermined, VmsvcError, told
from vmsvc.core.kinds import Located
from vmsvc.core.lane import call_within
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.roles import BulkObserver
from vmsvc.core.status import Observation, Phase, inapplicable, unknown

_log = logging.getLogger(__name__)

#: What identifies a resource on a node: its service's name and its rid.
Key = tuple[str, str]

#: How a session finds the driver of a resource; a text is the reason why there is none. An error means that there
#: ought to be one.
DriverFinder = Callable[[Resource], "Driver[Any] | str"]

#: One query, on its way: given when all looks must be over (on the monotonic clock), it tells what it has seen.
Look = Callable[[float], Mapping[Key, Observation]]

#: A query that is told first what was seen of another resource.
LookAfter = Callable[[Observation, float], Mapping[Key, Observation]]

#: How long all looks together may take, in seconds; what has not answered by then is unknown.
STATUS_DEADLINE_S = 9.0
#: A driver may need a moment more than its budget to give up in an orderly way: a command must be killed first.
GRACE_S = 3.0
_PARALLEL = 64


def key_of(resource: Resource) -> Key:
    """What identifies a resource on its node.

    Args:
        resource: The resource.
    """
    return resource.service, resource.rid


@runtime_checkable
class Insider(Protocol):
    """A driver of what is inside guests. Its looks follow those at the guests: one that does not run has no inside."""

    def guest_of(self, resource: Located) -> Guest:
        """The guest inside which a resource is.

        Args:
            resource: The resource.
        """

    def observe_inside(self, resource: Located, guest: Observation, *, budget_s: float) -> Observation:
        """Say where a resource stands, once its guest has been looked at.

        Args:
            resource: The resource to look at.
            guest: What was seen of its guest.
            budget_s: How long the look may take, in seconds.
        """


def observe(resources: Iterable[Resource], driver_of: DriverFinder) -> dict[Key, Observation]:
    """Look at resources, whatever their technologies, for at most :data:`STATUS_DEADLINE_S` seconds.

    Args:
        resources: What to look at, of any number of services.
        driver_of: Finds the driver of a resource.

    Returns:
        An observation for each resource, in their order.
    """
    looks = _Looks(time.monotonic() + STATUS_DEADLINE_S)
    wanted = {key_of(resource): resource for resource in resources}
    # By identity: nothing obliges a driver to be hashable, or to differ from another one.
    groups: dict[int, tuple[Driver[Any], list[Resource]]] = {}
    todo = deque(wanted.values())
    guests: set[Key] = set()
    while todo:
        resource = todo.popleft()
        key = key_of(resource)
        try:
            driver = driver_of(resource)
        except VmsvcError as error:
            looks.settle({key: unknown(_probe(resource), error)})
            continue
        if isinstance(driver, str):
            looks.settle({key: inapplicable("vmsvc", driver)})
        elif isinstance(resource, Located) and resource.is_inside_guest and isinstance(driver, Insider):
            guest = driver.guest_of(resource)
            of_guest = key_of(guest)
            looks.add_after(of_guest, partial(_look_inside, driver, resource))
            if of_guest not in wanted and of_guest not in guests:
                guests.add(of_guest)
                todo.append(guest)
        else:
            groups.setdefault(id(driver), (driver, []))[1].append(resource)
    for driver, members in groups.values():
        looks.add(_looks(driver, members))
    seen = looks.take()
    late = f"it gave no answer within the {STATUS_DEADLINE_S:g} s that all looks together may take"
    found = {
        key: seen.get(key) or unknown(_probe(resource), late, duration_s=STATUS_DEADLINE_S)
        for key, resource in wanted.items()
    }
    for (service, rid), answer in found.items():
        told = answer.evidence
        line = "looked at %s of %s: %s (%s: %s; %.3f s)"
        _log.info(line, rid, service, answer.state, told.probe, told.detail, told.duration_s)
    return found


class _Looks:
    """All looks of one call: a bounded number at a time, and those that follow another as soon as it has its answer.

    The threads are daemons, so that the program's exit waits for none of them. They end by themselves: each look is
    bounded, and none begins after the deadline.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._seen: dict[Key, Observation] = {}
        self._ready: deque[Look] = deque()
        self._following: dict[Key, list[LookAfter]] = {}
        self._busy = 0
        self._changed = threading.Condition()

    def add(self, looks: Iterable[Look]) -> None:
        """Take these, too."""
        self._ready.extend(looks)

    def add_after(self, key: Key, look: LookAfter) -> None:
        """Take this one when it is known what was seen of another resource, and tell it that."""
        if key in self._seen:
            self._ready.append(partial(look, self._seen[key]))
        else:
            self._following.setdefault(key, []).append(look)

    def settle(self, answers: Mapping[Key, Observation]) -> None:
        """Keep answers, and make ready what has waited for them."""
        self._seen.update(answers)
        for key, answer in answers.items():
            self._ready.extend(partial(look, answer) for look in self._following.pop(key, ()))

    def take(self) -> dict[Key, Observation]:
        """Take all looks, and return what they have seen until the deadline."""
        count = len(self._ready) + sum(map(len, self._following.values()))
        workers = [
            threading.Thread(target=self._work, name="vmsvc look", daemon=True) for _ in range(min(count, _PARALLEL))
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(left_until(self._deadline))
        with self._changed:
            return dict(self._seen)

    def _work(self) -> None:
        while (look := self._next()) is not None:
            answers = look(self._deadline)
            with self._changed:
                self.settle(answers)
                self._busy -= 1
                self._changed.notify_all()

    def _next(self) -> Look | None:
        with self._changed:
            while not self._ready and self._busy and time.monotonic() < self._deadline:
                self._changed.wait(self._deadline - time.monotonic())
            if not self._ready or time.monotonic() >= self._deadline:
                return None
            self._busy += 1
            return self._ready.popleft()


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

    return partial(_guarded, members, ask)


def _look_inside(driver: Insider, resource: Located, guest: Observation, deadline: float) -> Mapping[Key, Observation]:
    """A look inside a guest, told what was seen of it."""

    def ask(budget_s: float) -> dict[Key, object]:
        return {key_of(resource): driver.observe_inside(resource, guest, budget_s=budget_s)}

    return _guarded([resource], ask, deadline)


def _guarded(
    members: Sequence[Resource], ask: Callable[[float], Mapping[Key, object]], deadline: float
) -> Mapping[Key, Observation]:
    """Have a driver look, within the deadline; whatever it does, this ends in an observation for each member."""
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


def _checked(resource: Resource, answer: object, missing: Observation) -> Observation:
    if not isinstance(answer, Observation):
        return missing
    if answer.phase is Phase.INAPPLICABLE and isinstance(resource, Guest):
        # As a status, n/a would count for nothing: a service would look fine without its guest.
        return unknown(answer.evidence.probe, f"the driver says n/a of a guest: {answer.evidence.detail}")
    return answer


def _probe(resource: Resource) -> str:
    return f"{resource.type or resource.kind} driver"

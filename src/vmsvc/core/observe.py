"""Look at many resources at once: one query for each technology, each within its deadline, none waiting for another.

Whatever goes wrong in a driver ends here as an ``unknown`` with its reason: never as ``down``, never as an exception,
never as a call that does not return. Each driver is called through a lane, so that one which breaks its promise of
keeping its budget costs a bounded number of threads and nobody's time but its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from vmsvc.core.contract import Capability, Driver
from vmsvc.core.errors import VmsvcError
from vmsvc.core.lane import call_within
from vmsvc.core.resource import Resource
from vmsvc.core.status import Observation, inapplicable, unknown

#: What identifies a resource on a node: its service's name and its rid.
Key = tuple[str, str]

#: How a session finds the driver of a resource; a text is the reason why there is none. An error means that there
#: ought to be one.
DriverFinder = Callable[[Resource], "Driver[Any] | str"]

#: One query, on its way.
Look = Callable[[], Mapping[Key, Observation]]

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
    """Look at resources, whatever their technologies.

    Args:
        resources: What to look at, of any number of services.
        driver_of: Finds the driver of a resource.

    Returns:
        An observation for each resource.
    """
    seen: dict[Key, Observation] = {}
    # By identity: nothing obliges a driver to be hashable, or to differ from another one.
    groups: dict[int, tuple[Driver[Any], list[Resource]]] = {}
    for resource in resources:
        try:
            driver = driver_of(resource)
        except VmsvcError as error:
            seen[key_of(resource)] = unknown(f"{resource.type or resource.kind} driver", error)
            continue
        if isinstance(driver, str):
            seen[key_of(resource)] = inapplicable("vmsvc", driver)
        else:
            groups.setdefault(id(driver), (driver, []))[1].append(resource)

    looks: list[Look] = []
    for driver, members in groups.values():
        if Capability.BULK in driver.capabilities:
            looks.append(_bulk_look(driver, members))
        else:
            looks.extend(_single_look(driver, member) for member in members)
    if len(looks) == 1:
        seen.update(looks[0]())
    elif looks:
        with ThreadPoolExecutor(max_workers=_PARALLEL, thread_name_prefix="vmsvc look") as pool:
            for part in pool.map(lambda look: look(), looks):
                seen.update(part)
    return seen


def _bulk_look(driver: Driver[Any], members: Sequence[Resource]) -> Look:
    budget_s = max(member.observe_budget_s for member in members)
    ask: Callable[..., Mapping[Key, Observation]] = driver.observe_all  # type: ignore[attr-defined]
    return lambda: _look(driver, members, lambda: ask(members, budget_s=budget_s), budget_s)


def _single_look(driver: Driver[Any], member: Resource) -> Look:
    budget_s = member.observe_budget_s

    def ask() -> Mapping[Key, Observation]:
        return {key_of(member): driver.observe(member, budget_s=budget_s)}

    return lambda: _look(driver, [member], ask, budget_s)


def _look(
    driver: Driver[Any], members: Sequence[Resource], ask: Callable[[], Mapping[Key, Observation]], budget_s: float
) -> Mapping[Key, Observation]:
    """Ask a driver, and turn everything that is not an observation into an unknown one."""
    probe = f"{driver.type or driver.kind} driver"
    began = time.monotonic()
    answers: object = {}
    reason = "it gave no answer for this resource"
    try:
        answers = call_within(probe, ask, budget_s=budget_s + GRACE_S)
    except VmsvcError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - a driver's defect must not become a status
        reason = f"{type(error).__name__}: {error}"
    if not isinstance(answers, Mapping):
        answers, reason = {}, f"it answered with a {type(answers).__name__}"
    missing = unknown(probe, reason, duration_s=time.monotonic() - began)
    return {
        key_of(member): answer if isinstance(answer := answers.get(key_of(member)), Observation) else missing
        for member in members
    }

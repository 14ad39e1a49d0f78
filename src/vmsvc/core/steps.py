"""Do one step to one resource: ask its driver, wait for the result, and keep the deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

from attrs import field, frozen

from vmsvc.core.contract import Capability, Driver
from vmsvc.core.errors import ActionFailed, Undetermined, VmsvcError
from vmsvc.core.lane import call_within
from vmsvc.core.observe import GRACE_S, DriverFinder, observe
from vmsvc.core.plan import DOWN, Step
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.status import Observation, Phase, unknown

#: A guest that ignored a request to stop is asked again this often, in seconds: a booting guest loses the first one.
_ASK_AGAIN_S = 15.0
#: How long one request to stop may take, in seconds; the guest has its whole budget to answer it.
_REQUEST_S = 30.0
#: How often a driver that cannot wait is asked again, in seconds: quickly at first, then with patience.
_POLL_S = (0.05, 0.1, 0.2, 0.5, 1.0)


@frozen(kw_only=True)
class StepTaker:
    """Takes steps, one at a time.

    Args:
        driver_of: Finds the driver of a resource.
        cancelled: When set, waits end.
    """

    driver_of: DriverFinder
    cancelled: threading.Event = field(factory=threading.Event)

    def take(self, step: Step, resource: Resource) -> None:
        """Take a step, and return when the resource is where the step wanted it.

        Args:
            step: The step.
            resource: Its resource.

        Raises:
            ActionFailed: The resource did not get there within the step's budget, or died on the way.
            DriverError: The driver said clearly that it cannot.
            Undetermined: Whether it got there could not be seen.
        """
        deadline = time.monotonic() + step.budget_s
        driver = self.driver_of(resource)
        if isinstance(driver, str):  # plans have no steps for such resources
            raise ActionFailed(driver, code="action.no-driver")
        if step.verb == "start":
            self._start(driver, resource, deadline)
        elif step.verb == "stop":
            self._stop(driver, resource, deadline)
        else:
            self._kill(driver, resource, deadline)

    def observe(self, resource: Resource) -> Observation:
        """Look at one resource, now.

        Args:
            resource: What to look at.
        """
        (seen,) = observe([resource], self.driver_of).values()
        return seen

    def _start(self, driver: Driver[Any], resource: Resource, deadline: float) -> None:
        def settled(seen: Observation) -> bool:
            # A guest that is down after its start has died; an application's check may lag behind its start.
            return seen.phase in (Phase.RUNNING, Phase.INAPPLICABLE) or (isinstance(resource, Guest) and is_down(seen))

        self._request(driver, driver.start, resource, budget_s=_left(deadline))
        seen = self._wait(driver, resource, settled, deadline)
        if isinstance(resource, Guest) and is_down(seen):
            raise ActionFailed(
                f"it went down while its start waited for it: {seen.state}",
                code="action.went-down",
                hint="look at its console and at the hypervisor's log",
            )
        if not settled(seen):
            self._too_late(seen, "is not up")

    def _stop(self, driver: Driver[Any], resource: Resource, deadline: float) -> None:
        """Ask until the resource is down: a booting guest, or a daemon that restarts, may miss a request."""
        is_guest = isinstance(resource, Guest)
        while True:
            try:
                left = _left(deadline)
                self._request(driver, driver.stop, resource, budget_s=min(left, _REQUEST_S) if is_guest else left)
            except Undetermined:
                if not is_guest:
                    raise
            pause = min(deadline, time.monotonic() + _ASK_AGAIN_S) if is_guest else deadline
            seen = self._wait(driver, resource, _is_down_or_silent, pause)
            if _is_down_or_silent(seen):
                return
            if time.monotonic() >= deadline or self.cancelled.is_set():
                self._too_late(seen, "is still not down after being asked to stop")

    def _kill(self, driver: Driver[Any], resource: Resource, deadline: float) -> None:
        self._request(driver, driver.kill, resource, budget_s=_left(deadline))
        seen = self._wait(driver, resource, is_down, deadline)
        if not is_down(seen):
            self._too_late(seen, "is still not down after being forced to stop")

    def _too_late(self, seen: Observation, words: str) -> NoReturn:
        if self.cancelled.is_set():
            raise ActionFailed("interrupted", code="action.interrupted")
        if seen.phase is Phase.UNKNOWN:
            raise Undetermined(f"its status is unknown: {seen.evidence.detail}", code="undetermined.status")
        raise ActionFailed(f"it {words}: {seen.state}", code="action.timeout")

    def _request(self, driver: Driver[Any], verb: Callable[..., None], resource: Resource, *, budget_s: float) -> None:
        """Have a driver do something, and hold it to its budget and to the errors that it may raise."""
        name = f"{driver.type or driver.kind} driver"
        try:
            call_within(name, lambda: verb(resource, budget_s=budget_s), budget_s=budget_s + GRACE_S)
        except VmsvcError:
            raise
        except Exception as error:
            raise Undetermined(
                f"the {name} broke off with {type(error).__name__}: {error}",
                code="undetermined.driver-defect",
                hint="report it to the driver's authors; whether the step was done is not known",
            ) from error

    def _wait(
        self, driver: Driver[Any], resource: Resource, until: Callable[[Observation], bool], deadline: float
    ) -> Observation:
        """Watch a resource until a condition holds, its time is up, or the action is cancelled."""

        def settled(seen: Observation) -> bool:
            return until(seen) or self.cancelled.is_set()

        if Capability.WAIT in driver.capabilities:
            seen = _watch(driver, resource, settled, _left(deadline))
            if settled(seen) or time.monotonic() >= deadline:
                return seen
            # The watch broke off, as when a daemon restarts: look for oneself, and with patience.
        pauses = iter(_POLL_S)
        while True:
            seen = self.observe(resource)
            pause = min(next(pauses, _POLL_S[-1]), deadline - time.monotonic())
            if settled(seen) or pause <= 0 or self.cancelled.wait(pause):
                return seen


def _watch(
    driver: Driver[Any], resource: Resource, until: Callable[[Observation], bool], budget_s: float
) -> Observation:
    """Have a driver watch a resource; whatever it does, this ends in an observation."""
    probe = f"{driver.type or driver.kind} driver"
    watch: Callable[..., object] = driver.wait  # type: ignore[attr-defined]
    try:
        seen = call_within(probe, lambda: watch(resource, until, budget_s=budget_s), budget_s=budget_s + GRACE_S)
    except Exception as error:  # noqa: BLE001 - a driver's defect must not become a status
        return unknown(probe, error)
    return seen if isinstance(seen, Observation) else unknown(probe, f"it answered with a {type(seen).__name__}")


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.0)


def is_down(seen: Observation) -> bool:
    """Whether a resource was positively seen to be down.

    Args:
        seen: What was seen of it.
    """
    return seen.phase in DOWN


def _is_down_or_silent(seen: Observation) -> bool:
    """Down, or a resource that has no status to wait for."""
    return is_down(seen) or seen.phase is Phase.INAPPLICABLE

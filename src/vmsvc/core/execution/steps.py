"""Do one step to one resource: ask its driver, wait for the result, and keep the deadline."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

from attrs import define, evolve, field

from vmsvc.core.contract import Capability, Driver
from vmsvc.core.deadline import left_until
from vmsvc.core.errors import INTERRUPTED, ActionFailed, DriverError, Undetermined, VmsvcError, told
from vmsvc.core.execution.moving import Ends, Journey
from vmsvc.core.execution.report import WENT_DOWN
from vmsvc.core.kinds import App
from vmsvc.core.lane import call_within
from vmsvc.core.observe import GRACE_S, DriverFinder, key_of, observe
from vmsvc.core.planning.plan import Step
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.status import AT_REST, Observation, Phase, unknown
from vmsvc.core.verb import STARTING, Verb

_log = logging.getLogger(__name__)

#: A guest that ignored a request to stop is asked again this often, in seconds: a booting guest loses the first one.
_ASK_AGAIN_S = 15.0
#: How long one request to stop may take, in seconds; the guest has its whole budget to answer it.
_REQUEST_S = 30.0
#: How long a technology may take, in seconds, to show that a guest which it has started is no longer down.
_SETTLE_S = 2.0
#: How often a driver that cannot wait is asked again, in seconds: quickly at first, then with patience.
_POLL_S = (0.05, 0.1, 0.2, 0.5, 1.0)
#: How long one attempt to get inside a guest may take, in seconds, and how long each has at the least.
_KNOCK_S, _LEAST_S = 5.0, 0.5
#: How long both ends of a move may take, in seconds, to show where the guest is; and how often they are looked at.
_ENDS_S, _ENDS_AGAIN_S = 30.0, 0.5
#: What no waiting mends of a way into a guest: somebody has to look at it.
_BARRED = ("undetermined.ssh-host-key", "undetermined.ssh-configuration")
_LASTING = ("undetermined.no-such-way", *_BARRED)
#: What is there, or has nothing that could be.
_THERE = (Phase.RUNNING, Phase.INAPPLICABLE)
_NOT_STOPPED = "is still not down after being asked to stop"


@define(kw_only=True)
class StepTaker:
    """Takes one step.

    Args:
        driver_of: Finds the driver of a resource.
        cancelled: When set, waits end.
        reach: Runs nothing inside a guest, within so many seconds: it raises where there is no way in.
        forget: Has the next look inside a guest not trust in an earlier one: what comes up is not dead any more.
        renew: Has the next look inside a guest that was started go by none of the connections to what ran before.
        journey: The way to another node, of a migration.

    Attributes:
        has_set_going: What the driver said of a start: whether this very request set the resource going; ``None`` as
            long as it has not answered.
    """

    driver_of: DriverFinder
    cancelled: threading.Event = field(factory=threading.Event)
    reach: Callable[[Guest, float], None] = field(default=lambda _guest, _budget_s: None)
    forget: Callable[[Guest], None] = field(default=lambda _guest: None)
    renew: Callable[[Guest], None] = field(default=lambda _guest: None)
    journey: Journey | None = None
    has_set_going: bool | None = field(default=None, init=False)
    _guest: Guest | None = field(default=None, init=False)

    def take(
        self, step: Step, resource: Resource, *, budget_s: float | None = None, guest: Guest | None = None
    ) -> None:
        """Take a step, and return when the resource is where the step wanted it.

        Args:
            step: The step.
            resource: Its resource.
            budget_s: How long it may take, in seconds; as long as the step says when not given.
            guest: The guest inside which the resource is; a wait ends where it goes down.

        Raises:
            ActionFailed: The resource did not get there within the step's budget, or died on the way.
            DriverError: The driver said clearly that it cannot.
            Refused: A safety rule of the resource says no.
            Undetermined: Whether it got there could not be seen.
        """
        deadline = time.monotonic() + (step.budget_s if budget_s is None else budget_s)
        self._guest = guest
        if step.verb is Verb.WAIT:
            self._wait_for(resource, deadline)
            return
        driver = self.driver_of(resource)
        if isinstance(driver, str):  # plans have no steps for such resources
            raise ActionFailed(driver, code="action.no-driver")
        if step.verb in STARTING:
            self._start(driver, step.verb, resource, deadline)
        elif isinstance(resource, Guest) and step.verb is Verb.MIGRATE and self.journey is not None:
            self._migrate(driver, resource, self.journey, deadline)
        else:
            {Verb.STOP: self._stop, Verb.KILL: self._kill}[step.verb](driver, resource, deadline)

    def observe(self, resource: Resource) -> Observation:
        """Look at one resource, now.

        Args:
            resource: What to look at.
        """
        guest = self._guest
        found = observe([resource, *([guest] if guest else [])], self.driver_of)
        if guest and _is_lost(found[key_of(guest)]):
            raise ActionFailed(
                f"its guest went down while it was waited for: {found[key_of(guest)].state}",
                code=WENT_DOWN,
                hint="look at the guest's console and at the hypervisor's log",
            )
        return found[key_of(resource)]

    def _wait_for(self, resource: Resource, deadline: float) -> None:
        """Wait until something is there. An address that could not be seen in time was not there in time: a failure.

        Of an application it stays a doubt: whether it runs decides what comes next.
        """
        if isinstance(resource, Guest):
            self._wait_for_way_into(resource, deadline)
            return
        if isinstance(resource, App):
            self._wait_for_sight_of(resource, deadline)
            return
        seen = self._poll(resource, self._is_there, deadline)
        if seen.phase is Phase.UNKNOWN and not self.cancelled.is_set():
            raise ActionFailed(f"it was not seen in time: {seen.evidence.detail}", code="action.timeout")
        if seen.phase not in _THERE:
            self._too_late(seen, "is not there")

    def _wait_for_sight_of(self, app: App, deadline: float) -> None:
        """Wait until it can be seen how an application stands: it is started next, unless it runs."""
        budget_s = left_until(deadline)
        seen = self._poll(app, self._can_be_seen, deadline)
        if self.cancelled.is_set():
            raise ActionFailed("interrupted", code=INTERRUPTED)
        if seen.phase is Phase.UNKNOWN:
            raise Undetermined(
                f"it could not be seen within {budget_s:.1f} s: {seen.evidence.detail}",
                code="undetermined.status",
                hint=f"`start_timeout` of {self._guest.rid if self._guest else app.rid} is how long that may take",
            )

    def until_seen(self, resource: Resource, guest: Guest, *, budget_s: float) -> Observation:
        """Look until something inside a guest that has just come up can be seen: it shows nothing at first.

        Args:
            resource: What to look at.
            guest: The guest; where it goes down, that is the end of it.
            budget_s: How long it may take, in seconds.

        Returns:
            What was seen last; where it could not be seen in time, that.

        Raises:
            ActionFailed: The guest went down.
            Undetermined: No waiting opens the way into it.
        """
        self._guest = guest
        return self._poll(resource, self._can_be_seen, time.monotonic() + budget_s)

    def _is_there(self, seen: Observation) -> bool:
        return self._can_be_seen(seen) and seen.phase in _THERE

    def _can_be_seen(self, seen: Observation) -> bool:
        """Whether a look has shown something; what is behind a way in that no waiting opens is given up at once."""
        if seen.phase is Phase.UNKNOWN and self._guest is not None:
            try:
                self.reach(self._guest, _LEAST_S)
            except VmsvcError as error:
                if error.code in _BARRED:
                    raise
        return seen.phase is not Phase.UNKNOWN

    def _wait_for_way_into(self, guest: Guest, deadline: float) -> None:
        """Knock until somebody opens: a guest that boots has no way in at first."""
        self._guest = guest
        pauses = iter(_POLL_S)
        while True:
            self.observe(guest)
            try:
                self.reach(guest, min(max(left_until(deadline), _LEAST_S), _KNOCK_S))
            except VmsvcError as error:
                if error.code in _LASTING:
                    raise
                pause = min(next(pauses, _POLL_S[-1]), deadline - time.monotonic())
                if pause > 0 and not self.cancelled.wait(pause):
                    continue
                if self.cancelled.is_set():
                    raise ActionFailed("interrupted", code=INTERRUPTED) from error
                raise ActionFailed(
                    f"it lets no commands in: {error.message}", code="action.timeout", hint=error.hint
                ) from error
            return

    def _start(self, driver: Driver[Any], verb: Verb, resource: Resource, deadline: float) -> None:
        wanted = (*_THERE, Phase.PREPARED) if verb is Verb.PREPARE else _THERE
        try:
            answer = self._request(driver, verb, resource, budget_s=left_until(deadline))
        except VmsvcError:
            if self._guest:
                self.observe(self._guest)  # where that is down, this is what there is to tell
            raise
        self.has_set_going = answer if isinstance(answer, bool) else None
        if isinstance(resource, Guest):
            self.renew(resource)
        if resource.proves_itself or not resource.is_awaited:
            return
        patience = time.monotonic() + _SETTLE_S
        has_come_up = False

        def has_died(seen: Observation) -> bool:
            # An application's check may lag behind its start; a guest that was seen and is down again has died.
            nonlocal has_come_up
            has_come_up = has_come_up or not (_is_lost(seen) or seen.phase is Phase.UNKNOWN)
            return isinstance(resource, Guest) and _is_lost(seen) and (has_come_up or time.monotonic() > patience)

        def has_settled(seen: Observation) -> bool:
            return seen.phase in wanted or has_died(seen)

        seen = self._wait(driver, resource, has_settled, min(deadline, patience))
        if not has_settled(seen):
            seen = self._wait(driver, resource, has_settled, deadline)
        if has_died(seen):
            what = "went down while its start waited for it" if has_come_up else "did not come up"
            raise ActionFailed(
                f"it {what}: {seen.state}",
                code=WENT_DOWN,
                hint="look at its console and at the hypervisor's log",
            )
        if not has_settled(seen):
            self._too_late(seen, "is not prepared" if verb is Verb.PREPARE else "is not up")

    def _stop(self, driver: Driver[Any], resource: Resource, deadline: float) -> None:
        if isinstance(resource, Guest):
            self._stop_guest(driver, resource, deadline)
            return
        self._request(driver, Verb.STOP, resource, budget_s=left_until(deadline))
        if resource.proves_itself:
            return
        seen = self._wait(driver, resource, _is_down_or_silent, deadline)
        if not _is_down_or_silent(seen):
            self._too_late(seen, _NOT_STOPPED)

    def _stop_guest(self, driver: Driver[Any], guest: Guest, deadline: float) -> None:
        """Ask until it is down: a guest that boots, or a daemon that restarts, may miss a request."""
        was_asked = False
        doubt: Undetermined | None = None
        phase = Phase.RUNNING
        while True:
            # One that is on its way down is left to it: asking again may be refused, or even break it off.
            if phase is not Phase.STOPPING:
                try:
                    self._request(driver, Verb.STOP, guest, budget_s=min(left_until(deadline), _REQUEST_S))
                    was_asked, doubt = True, None
                except Undetermined as error:
                    doubt = error  # it may have heard; if not, it is asked again
                except DriverError:
                    if not was_asked:
                        raise
            seen = self._wait(driver, guest, is_down, min(deadline, time.monotonic() + _ASK_AGAIN_S))
            if is_down(seen):
                return
            if time.monotonic() >= deadline or self.cancelled.is_set():
                words = _NOT_STOPPED if doubt is None else f"is still not down, and may not have heard: {doubt.message}"
                self._too_late(seen, words)
            phase = seen.phase

    def _kill(self, driver: Driver[Any], resource: Resource, deadline: float) -> None:
        self._request(driver, Verb.KILL, resource, budget_s=left_until(deadline))
        seen = self._wait(driver, resource, is_down, deadline)
        if not is_down(seen):
            self._too_late(seen, "is still not down after being forced to stop")

    def _migrate(self, driver: Driver[Any], guest: Guest, journey: Journey, deadline: float) -> None:
        """Have a guest moved; both ends tell whether it was, and not the request: that may fail when it is there."""
        destination = journey.destination_of(guest)
        failure: VmsvcError | None = None
        journey.leave(guest)
        try:
            self._request(driver, Verb.MIGRATE, guest, destination, budget_s=left_until(deadline))
        except VmsvcError as error:
            failure = error
        patience = time.monotonic() + _ENDS_S
        while True:
            ends = Ends(here=self.observe(guest), there=journey.look(guest), failure=failure)
            if ends.run_twice:  # it may have gone between the two looks
                ends = evolve(ends, here=self.observe(guest))
            if ends.has_moved:
                return
            if ends.has_stayed:
                journey.stay(guest)
            if ends.has_stayed or time.monotonic() > patience:
                raise ends.error(destination.node) from failure
            time.sleep(_ENDS_AGAIN_S)

    def _too_late(self, seen: Observation, words: str) -> NoReturn:
        if self.cancelled.is_set():
            raise ActionFailed("interrupted", code=INTERRUPTED)
        if seen.phase is Phase.UNKNOWN:
            raise Undetermined(f"its status is unknown: {seen.evidence.detail}", code="undetermined.status")
        raise ActionFailed(f"it {words}: {seen.state}", code="action.timeout")

    def _request(self, driver: Driver[Any], verb: Verb, resource: Resource, *more: object, budget_s: float) -> object:
        """Have a driver do something, and hold it to its budget and to the errors that it may raise."""
        request: Callable[..., object] | None = getattr(driver, verb.value, None)
        if request is None:
            raise ActionFailed(
                f"the {driver.type} driver cannot {verb} a guest, though its options say so",
                code="action.no-such-role",
                hint="report it to the driver's authors: a capability is missing",
            )
        # Threads that are lost to one guest must not keep another from being stopped: so the lane bears its name.
        name = f"{driver.type or driver.kind} driver, {verb} {resource.rid} of {resource.service}"
        began = time.monotonic()
        try:
            answer = call_within(
                name,
                lambda: request(resource, *more, budget_s=budget_s),
                budget_s=budget_s + resource.ending_s + GRACE_S,
            )
        except VmsvcError as error:
            _log.info("%s: %s (%.3f s)", name, error, time.monotonic() - began)
            raise
        except Exception as error:
            raise Undetermined(
                f"the {name}, broke off with {told(error)}",
                code="undetermined.driver-defect",
                hint="report it to the driver's authors; whether the step was done is not known",
            ) from error
        _log.info("%s: it has heard the request (%.3f s)", name, time.monotonic() - began)
        return answer

    def _wait(
        self, driver: Driver[Any], resource: Resource, until: Callable[[Observation], bool], deadline: float
    ) -> Observation:
        """Watch a resource until a condition holds, its time is up, or the action is cancelled."""

        def settled(seen: Observation) -> bool:
            return until(seen) or self.cancelled.is_set()

        if Capability.WAIT in driver.capabilities:
            seen = _watch(driver, resource, settled, left_until(deadline))
            if not settled(seen) and time.monotonic() >= deadline:
                return seen
            # What a watch tells is confirmed by a look; and where it broke off, as when a daemon restarts, one looks
            # for oneself, with patience.
        return self._poll(resource, settled, deadline)

    def _poll(self, resource: Resource, until: Callable[[Observation], bool], deadline: float) -> Observation:
        """Look until a condition holds, the time is up, or the action is cancelled."""
        pauses = iter(_POLL_S)
        while True:
            if self._guest:
                self.forget(self._guest)
            seen = self.observe(resource)
            pause = min(next(pauses, _POLL_S[-1]), deadline - time.monotonic())
            if until(seen) or pause <= 0 or self.cancelled.wait(pause):
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
        return unknown(probe, told(error))
    return seen if isinstance(seen, Observation) else unknown(probe, f"it answered with a {type(seen).__name__}")


def is_down(seen: Observation) -> bool:
    """Whether a resource was positively seen to be down.

    Args:
        seen: What was seen of it.
    """
    return seen.phase in AT_REST


def _is_lost(guest: Observation) -> bool:
    """Whether a guest that is to come up never will by itself."""
    return is_down(guest) or guest.phase is Phase.CRASHED


def _is_down_or_silent(seen: Observation) -> bool:
    """Down, or a resource that has no status to wait for."""
    return is_down(seen) or seen.phase is Phase.INAPPLICABLE

"""The bench on which a clause is tried: a driver, its backend, and calls that are timed and never outlast a clause.

PYTEST_DONT_REWRITE: what an assertion says is what is told of a clause, and pytest would add to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, TypeVar

from attrs import frozen

from vmsvc.core.contract import Capability, Driver
from vmsvc.core.errors import Undetermined, VmsvcError, told
from vmsvc.core.lane import call_within
from vmsvc.core.resource import Guest
from vmsvc.core.roles import ROLES, Destination
from vmsvc.core.status import Observation, Phase, Status, unknown
from vmsvc.testing import commands
from vmsvc.testing.kit.backend import Backend, trouble

T = TypeVar("T")

#: How much longer than its budget a call may take: a command must be killed, and the machine may be busy. In seconds.
GRACE_S = 1.5
#: The same where a command inside a guest must be ended first: what every way into a guest is given.
ENTER_GRACE_S = commands.GRACE_S
#: What every driver can be asked to do with a guest.
VERBS = ("start", "stop", "kill")
_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5


@frozen(kw_only=True)
class Answer:
    """What became of a call.

    Attributes:
        value: What it returned.
        error: What it raised; ``None`` where it returned.
        took_s: How long it took, in seconds.
    """

    value: Any = None
    error: Exception | None = None
    took_s: float = 0.0

    def __str__(self) -> str:
        """What it returned or raised, for messages."""
        return repr(self.value) if self.error is None else told(self.error)


class Bench:
    """One driver on one backend, for one clause.

    Args:
        driver_class: The driver's class.
        backend: The backend.

    Attributes:
        backend: The backend.
        driver: The driver, made for this clause.
    """

    def __init__(self, driver_class: type[Driver[Any]], backend: Backend) -> None:
        self.backend = backend
        self.driver = driver_class(backend.context)
        self._guests: dict[str, Guest] = {}

    # --- guests -------------------------------------------------------------------------------------------------------

    def guest(self, name: str) -> Guest:
        """A guest, made when it is first asked for.

        Args:
            name: Its name.
        """
        if name not in self._guests:
            self._guests[name] = self.backend.guest(name)
        return self._guests[name]

    def stopped(self, name: str) -> Guest:
        """Make a guest that does not run.

        Args:
            name: Its name.
        """
        guest = self.guest(name)
        self.true(guest, Phase.STOPPED)
        return guest

    def running(self, name: str) -> Guest:
        """Make a guest, and let the driver start it.

        Args:
            name: Its name.
        """
        guest = self.stopped(name)
        self.do("start", guest)
        self.true(guest, Phase.RUNNING)
        self.shows(guest, Phase.RUNNING)
        return guest

    def in_phase(self, name: str, phase: Phase) -> Guest:
        """Make a guest, and bring it into a phase without the driver.

        Args:
            name: Its name.
            phase: The phase.
        """
        guest = self.guest(name)
        if phase is not Phase.STOPPED:
            self.backend.put(guest, phase)
        self.true(guest, phase)
        return guest

    def destination(self, guest: Guest, *, is_open: bool = True) -> Destination[Any]:
        """Where a guest is to be moved.

        Args:
            guest: The guest.
            is_open: Whether the destination takes it in; else it turns it away, or cannot be reached.
        """
        return self.backend.destination(guest, is_open=is_open)

    # --- calls --------------------------------------------------------------------------------------------------------

    def call(self, verb: str, *arguments: Any, budget_s: float | None = None) -> Answer:
        """Call a method of the driver, within its budget.

        Args:
            verb: The method.
            arguments: What it is called with.
            budget_s: Its budget, in seconds; the backend's for verbs when not given.

        Raises:
            AssertionError: It did not return in time.
        """
        budget_s = self.backend.budget_s if budget_s is None else budget_s
        grace_s = ENTER_GRACE_S if verb == "enter" else GRACE_S
        work = partial(getattr(self.driver, verb), *arguments, budget_s=budget_s)
        begin = time.monotonic()
        try:
            answer = call_within(f"{verb} in the kit", partial(_outcome, work), budget_s=budget_s + grace_s)
        except Undetermined:
            raise AssertionError(
                f"{verb} was given {budget_s:g} s and had not returned {grace_s:g} s after that"
            ) from None
        return Answer(value=answer.value, error=answer.error, took_s=time.monotonic() - begin)

    def do(self, verb: str, *arguments: Any) -> Any:
        """Call a method that has to succeed; what it returned is returned.

        Args:
            verb: The method.
            arguments: What it is called with.
        """
        answer = self.call(verb, *arguments)
        if answer.error is not None:
            raise AssertionError(f"{verb} raised {answer}") from answer.error
        return answer.value

    def refuses(self, verb: str, *arguments: Any, by: type[VmsvcError] = VmsvcError, budget_s: float) -> None:
        """Call a method that has to raise an error of the contract.

        Args:
            verb: The method.
            arguments: What it is called with.
            by: The kind of error.
            budget_s: Its budget, in seconds.
        """
        answer = self.call(verb, *arguments, budget_s=budget_s)
        assert answer.error is not None, f"{verb} returned {answer}, as if all were well; it must raise {by.__name__}"
        is_right = isinstance(answer.error, by)
        if not is_right:
            raise AssertionError(f"{verb} raised {answer}; it must be {by.__name__}") from answer.error

    def observe(self, guest: Guest, *, budget_s: float | None = None) -> Observation:
        """Look at a guest as the core does: whatever is raised is unknown.

        Args:
            guest: The guest.
            budget_s: The look's budget, in seconds.
        """
        return _seen(self.call("observe", guest, budget_s=budget_s))

    def observe_all(self, *guests: Guest, budget_s: float | None = None) -> Mapping[tuple[str, str], Observation]:
        """Look at guests as the core does, by one query where the driver has that.

        Args:
            guests: The guests.
            budget_s: The look's budget, in seconds.
        """
        keys = [(guest.service, guest.rid) for guest in guests]
        if not self.has(Capability.BULK):
            return {key: self.observe(guest, budget_s=budget_s) for key, guest in zip(keys, guests, strict=True)}
        answer = self.call("observe_all", guests, budget_s=budget_s)
        seen = {} if answer.error else answer.value
        return {key: seen.get(key) or unknown("observe_all", answer) for key in keys}

    # --- what is so ---------------------------------------------------------------------------------------------------

    def has(self, capability: Capability) -> bool:
        """Whether the driver declares a capability.

        Args:
            capability: The capability.
        """
        return capability in self.driver.capabilities

    def reads(self) -> dict[str, Callable[..., Answer]]:
        """The driver's methods that only read, by name; each is called with a guest and a budget.

        A driver has those of the roles that it declares.
        """
        named = {
            Capability.DISKS: "disks",
            Capability.DEFINITION: "definition",
            Capability.COMPARE: "definitions",
            Capability.SIZES: "sizes",
            Capability.DISCOVER: "discover",
        }
        return {method: partial(self.call, method) for capability, method in named.items() if self.has(capability)}

    def trouble(self, name: str, *arguments: Any, or_none: bool = False) -> AbstractContextManager[object]:
        """A trouble that lasts for a ``with`` block.

        Args:
            name: One of the troubles of a backend.
            arguments: What it is about.
            or_none: Go without it where the backend cannot make it.
        """
        make = trouble(self.backend, name)
        if make is None and or_none:
            return nullcontext()
        assert make is not None, f"{type(self.backend).__name__} has no when_{name}()"
        return make(*arguments)

    def eventually(self, holds: Callable[[], bool], message: Callable[[], str]) -> None:
        """Wait for something to become so.

        Args:
            holds: Whether it is.
            message: What to say if it never is.
        """
        deadline = time.monotonic() + self.backend.patience_s
        pause = _PAUSE_S
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"{message()}, after {self.backend.patience_s:g} s")
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_S)

    def true(self, guest: Guest, phase: Phase) -> None:
        """Wait until a guest truly is in a phase.

        Args:
            guest: The guest.
            phase: The phase.
        """
        self.eventually(
            lambda: self.backend.truth(guest) is phase,
            lambda: f"the guest {guest.name!r} is {self.backend.truth(guest).value} and not {phase.value}",
        )

    def shows(self, guest: Guest, phase: Phase) -> None:
        """Wait until the driver says that a guest is in a phase, asked for it alone and by its query for many.

        Args:
            guest: The guest.
            phase: The phase.
        """
        self.eventually(
            lambda: all(seen.phase is phase for seen in self._looks(guest).values()),
            lambda: (
                f"{guest.name!r} is {phase.value}, and the driver tells: "
                + "; ".join(f"{name}: {shown(seen)}" for name, seen in self._looks(guest).items())
            ),
        )

    def _looks(self, guest: Guest) -> dict[str, Observation]:
        looks = {"observe": self.observe(guest)}
        if self.has(Capability.BULK):
            looks["observe_all"] = self.observe_all(guest)[guest.service, guest.rid]
        return looks

    def stop(self, guest: Guest) -> None:
        """Stop a guest as the core does: ask, wait, and ask again.

        Args:
            guest: The guest.
        """
        deadline = time.monotonic() + self.backend.patience_s
        while self.backend.truth(guest) is not Phase.STOPPED:
            assert time.monotonic() < deadline, f"stop was asked for, and {guest.name!r} goes on running"
            self.do("stop", guest)
            until = time.monotonic() + self.backend.patience_s / 10
            while time.monotonic() < until and self.backend.truth(guest) is not Phase.STOPPED:
                time.sleep(_PAUSE_S)


def shown(seen: Observation) -> str:
    """An observation in a few words, for messages.

    Args:
        seen: The observation.
    """
    return f"{seen.phase.value}, {seen.state!r} ({seen.evidence.probe}: {seen.evidence.detail})"


def is_down(seen: Observation) -> bool:
    """Whether an observation says that a guest is down.

    Args:
        seen: The observation.
    """
    return seen.status is Status.DOWN


def role_of(capability: Capability) -> list[str]:
    """The methods by which a capability's role is known.

    Args:
        capability: The capability.
    """
    return sorted(name for name in vars(ROLES[capability]) if not name.startswith("_"))


def _outcome(work: Callable[[], Any]) -> Answer:
    try:
        return Answer(value=work())
    except Exception as error:  # noqa: BLE001 - what a driver raises is what a clause is about
        return Answer(error=error)


def _seen(answer: Answer) -> Observation:
    if answer.error is not None:
        return unknown("observe", answer)
    assert isinstance(answer.value, Observation), f"observe returned {answer}, which is no Observation"
    return answer.value

"""Run the launchers of one guest: each within its own budget, whatever the others do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import PurePath

from attrs import evolve, field, frozen

from vmsvc.core.errors import (
    INTERRUPTED,
    TIMED_OUT,
    ActionFailed,
    DriverError,
    NoWayIn,
    Problem,
    TimedOut,
    Undetermined,
    VmsvcError,
)
from vmsvc.core.inside.launchers import Action, Launchers, parsed
from vmsvc.core.inside.marked import Marked
from vmsvc.core.inside.verbs import BUSY, ask
from vmsvc.core.transport import Host, Outcome
from vmsvc.core.transport.command import NOT_RUN, killed_by, last_words, printable, shortened, shown

#: How often one that has to wait for its turn is tried again, in seconds.
_AGAIN_S = 0.5


@frozen(kw_only=True)
class Ran:
    """What became of one launcher.

    Attributes:
        name: Its name, as a message shows it.
        outcome: What it left behind; ``None`` where it did not come to its end.
        failure: Why it did not.
        kept: Where what it printed can be read; empty where that is nowhere.
    """

    name: str
    outcome: Outcome | None = None
    failure: VmsvcError | None = None
    kept: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether it did anything but end with exit code 0."""
        return self.outcome is None or self.outcome.code != 0

    @property
    def was_run(self) -> bool:
        """Whether its exit code is its own word."""
        code = None if self.outcome is None else self.outcome.code
        return code is not None and not killed_by(code) and code not in NOT_RUN

    def __str__(self) -> str:
        """Read as ``S10web exited with 3: the last lines that it printed``."""
        if self.outcome is None:
            return f"{self.name}: {self.failure}"
        code = self.outcome.code
        ended = f"was killed by signal {killed_by(code)}" if killed_by(code) else f"exited with {code}"
        reason = f", {NOT_RUN[code]}" if code in NOT_RUN else ""
        return f"{self.name} {ended}{reason}: {last_lines(self.outcome)}"


@frozen(kw_only=True)
class Told:
    """What the launchers of one application tell about it.

    Attributes:
        service: The service's name.
        rid: The application.
        ran: What became of each launcher, called with ``info``.
        useless: Why there are none to ask; empty where there may be.
    """

    service: str
    rid: str
    ran: tuple[Ran, ...] = ()
    useless: str = ""


@frozen(kw_only=True)
class Launching:
    """Runs the launchers of a directory inside a guest.

    Attributes:
        host: The inside of the guest.
        directory: Where the launchers are.
        budget_s: How long each of them may take, in seconds.
        environment: Makes what they are told by a deadline, on the monotonic clock: called where one is run.
        keep: Keeps what one of them printed, called with its name and its argument, and tells where.
        cancelled: When set, no further one is run. One that runs is ended, unless it stops something: half of a stop
            would be worse than all of it.
    """

    host: Host
    directory: str
    budget_s: float
    environment: Callable[[float], Mapping[str, str]]
    keep: Callable[[str, str, Ran], str] = lambda _name, _word, _ran: ""
    cancelled: threading.Event = field(factory=threading.Event)

    def found(self, *, budget_s: float) -> Launchers:
        """Look what there is.

        Args:
            budget_s: How long that may take, in seconds.

        Raises:
            NoWayIn: The guest could not be asked.
            Undetermined: It did not answer, or nothing that can be read.
        """
        try:
            outcome = ask(self.host, "launchers", self.directory, budget_s=budget_s)
        except ActionFailed as error:  # its end of the way does not know the verb, or may not look there
            raise Undetermined(error.message, code="undetermined.launchers") from error
        if outcome.code != 0 or outcome.truncated:
            raise Undetermined(f"{self.host.name} cannot tell its launchers: {last_lines(outcome)}")
        return parsed(outcome.stdout)

    def run(self, action: Action, names: tuple[str, ...], *, deadline: float, word: str = "") -> Iterator[Ran]:
        """Run launchers, one after the other; who asks for no further one has it run no further.

        Args:
            action: What they are run for.
            names: Their names.
            deadline: When all must have ended, on the monotonic clock.
            word: What they are called with, if that is not the action's own word.

        Raises:
            ActionFailed: The operator has interrupted.
        """
        word = word or action.word
        environment = self.environment(deadline) if names else {}
        lost: Marked | None = None
        for name in names:
            launch = Marked(host=self.host)
            work = partial(self._run, name, word, launch, {**environment, **launch.environment}, deadline)
            ran = self._in_turn(work, lost, deadline)
            # Where the way broke, it may go on, and whoever comes next waits for it.
            has_broken = isinstance(ran.failure, Undetermined) and not isinstance(ran.failure, (NoWayIn, TimedOut))
            lost = launch if has_broken else lost
            yield evolve(ran, kept=self.keep(name, word, ran))

    def _in_turn(self, run: Callable[[], Ran], lost: Marked | None, deadline: float) -> Ran:
        """Run a launcher once no other of the directory runs. A lost one has had its time by then: it is ended."""
        patient_until = time.monotonic() + self.budget_s
        while True:
            ran = run()
            if ran.failure is None or ran.failure.code != BUSY:
                return ran
            if min(patient_until, deadline) <= time.monotonic():
                if lost is None:
                    return ran
                lost.end()
                lost = None
            self.cancelled.wait(_AGAIN_S)

    def _run(self, name: str, word: str, launch: Marked, environment: Mapping[str, str], deadline: float) -> Ran:
        whose = printable(name)
        budget_s = min(self.budget_s, deadline - time.monotonic())
        if self.cancelled.is_set():
            raise ActionFailed(f"interrupted before {whose}", code=INTERRUPTED)
        if budget_s <= 0:
            late = Undetermined("not run: the others have left no time for it", code=TIMED_OUT)
            return Ran(name=whose, failure=late)
        told = {**environment, "VMSVC_ACTION": word}
        work = partial(ask, self.host, "launch", self.directory, name, word, budget_s=budget_s, environment=told)
        try:
            is_heard = word != Action.STOP.word
            outcome = launch.run(work, cancelled=self.cancelled if is_heard else threading.Event())
        except VmsvcError as error:
            if error.code == INTERRUPTED:
                raise error.reworded(f"{whose}: {error.message}") from None
            # Who reads it knows which launcher was called: the line that called it says nothing more.
            line, rest = error.message.partition(shown(["launch", self.directory, name, word]))[1:]
            return Ran(name=whose, failure=error.reworded(rest.lstrip(": ")) if line else error)
        return Ran(name=whose, outcome=outcome)


def raise_of(ran: Sequence[Ran], names: Sequence[str]) -> None:
    """Tell in one error which launchers have failed, in a problem for each where they are several; nothing for none.

    Args:
        ran: What became of those that were run.
        names: All that there were, in their order.

    Raises:
        DriverError: They have failed.
        Undetermined: What became of one of them is not known.
    """
    failures = [each for each in ran if each.has_failed]
    if not failures:
        return
    is_unclear = any(isinstance(each.failure, Undetermined) for each in failures)
    code = "undetermined.launcher" if is_unclear else "driver.launcher-failed"
    is_one = len(failures) == 1
    which = str(failures[0]) if is_one else shortened(", ".join(each.name for each in failures))
    message = f"{len(failures)} of {len(names)} launchers failed: {which}"
    if left := names[len(ran) :]:
        message = f"{message}; not run: {shortened(', '.join(map(printable, left)))}"
    kept = next((each.kept for each in failures if each.kept), "")
    where = kept if is_one else str(PurePath(kept).parent)
    problems = [Problem(message=message, code=code, hint=f"what was printed is in {where}" if kept else "")]
    if not is_one:  # each has a line of its own
        problems += [Problem(message=str(each), code=code) for each in failures]
    raise (Undetermined if is_unclear else DriverError)(problems=problems)


def last_lines(outcome: Outcome) -> str:
    """The last lines that a command printed, where reasons usually are, on one line.

    Args:
        outcome: What it left behind.
    """
    return last_words(outcome.stderr, outcome.stdout, between=" / ") or "no output"

"""What vmsvc has started somewhere and may have to end: it is known by a mark, whatever the way to it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from concurrent.futures import TimeoutError as FutureTimeoutError

from attrs import field, frozen

from vmsvc.core.errors import INTERRUPTED, ActionFailed, TimedOut, VmsvcError
from vmsvc.core.inside.verbs import ask
from vmsvc.core.transport import Host, Outcome

#: How long it may take to end what has a mark, in seconds: it is asked to end first, and then killed.
_END_S = 6.0
#: How often it is looked whether the operator has interrupted, in seconds; and how long an ended command may take.
_LOOK_S, _ENDED_S = 0.1, 3.0


@frozen(kw_only=True)
class Marked:
    """A command or a launcher, all of whose processes have a mark in their environment, wherever they went.

    A way ends what it has run by the session. By the mark, what has left that is found as well, after the connection
    has broken, too; and by a key for vmsvc's verbs alone there is no other way.

    Attributes:
        host: Where it runs.
        has_shell: Whether there is a shell there. Without one there are no verbs to end anything, and no mark is set.
        mark: The mark.
    """

    host: Host
    has_shell: bool = True
    mark: str = field(factory=lambda: secrets.token_hex(16))

    @property
    def environment(self) -> Mapping[str, str]:
        """The variable that has the mark; :file:`verbs.sh` looks for it."""
        return {"VMSVC_LAUNCH": self.mark} if self.has_shell else {}

    def run(self, work: Callable[[], Outcome], *, cancelled: threading.Event) -> Outcome:
        """Run it to its end, to that of its time, or until the operator interrupts.

        Args:
            work: Runs it, with the mark in its environment.
            cancelled: Set where the operator interrupts: it is ended then.

        Returns:
            What it left behind.

        Raises:
            VmsvcError: As ``work`` does. Of a :class:`~vmsvc.core.errors.TimedOut` nothing is left, or that is told.
            ActionFailed: It was interrupted.
        """
        done: Future[Outcome] = Future()
        threading.Thread(target=_into, args=(done, work), name="vmsvc launch", daemon=True).start()
        while not cancelled.is_set():
            try:
                return done.result(_LOOK_S)
            except TimedOut as error:
                raise error.reworded(f"{error.message}; {self.end()}") from None
            except FutureTimeoutError:
                if done.done():  # before Python 3.11, a TimeoutError of the work itself is another
                    raise
        if done.done():
            return done.result()
        fate = self.end()
        wait([done], _ENDED_S)
        raise ActionFailed(f"interrupted: {fate}", code=INTERRUPTED)

    def end(self) -> str:
        """End what is left of it.

        Returns:
            What has become of it, in words.
        """
        if not self.has_shell:
            return "it may go on: there is no shell that could look for it"
        try:
            outcome = ask(self.host, "end", self.mark, budget_s=_END_S)
        except VmsvcError as error:
            return f"some of it may go on: {error.message}"
        return f"some of it may go on: exit code {outcome.code}" if outcome.code else "nothing of it is left"


def _into(done: Future[Outcome], work: Callable[[], Outcome]) -> None:
    try:
        done.set_result(work())
    except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
        done.set_exception(error)

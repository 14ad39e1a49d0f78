"""The inside of a guest that may be dead: who has waited for it in vain has done so for all who come next."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from attrs import frozen

from vmsvc.core.errors import TIMED_OUT, NoWayIn
from vmsvc.core.transport import Host, Outcome
from vmsvc.core.transport.asking import Restricted

#: How long a dead guest is not asked again, in seconds; and how long it must have kept one waiting to count as dead.
_REMEMBERED_S, _IN_VAIN_S = 15.0, 1.0
#: Who has so much more time than others have waited in vain tries it nevertheless, in seconds.
MORE_S = 1.0
#: What says nothing of the guest: no time or turn was left for a command, the server lets in no more of them at once,
#: or the connection was of no use any more, and the next command opens another.
_NOT_OF_THE_GUEST = (TIMED_OUT, "undetermined.ssh-channel", "undetermined.ssh-broken")


@runtime_checkable
class Kept(Protocol):
    """A way that stays open between commands."""

    is_open: bool


@frozen
class _Vain:
    refusal: NoWayIn
    at: float
    budget_s: float


class Memory:
    """Whether a guest was found to be dead just now.

    A guest that says no at once is not dead: one that boots refuses connections, and is asked each time. Nor does who
    had little time speak for those who have more.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._vain: _Vain | None = None

    @contextlib.contextmanager
    def kept(self, budget_s: float, *, is_open: bool = False) -> Iterator[None]:
        """Remember it where what is done here waits for the guest in vain; and do nothing where that is known.

        Args:
            budget_s: How long what is done here may take, in seconds.
            is_open: Whether the way is open now: then it is tried, whatever was in vain.

        Raises:
            NoWayIn: It was in vain a moment ago, for somebody who had as much time.
        """
        with self._guard:
            vain = self._vain
        began = time.monotonic()
        if vain is not None and not is_open and began - vain.at < _REMEMBERED_S and budget_s < vain.budget_s + MORE_S:
            words = f"{vain.refusal.message} (found out {began - vain.at:.0f} s ago)"
            raise NoWayIn(words, code=vain.refusal.code, hint=vain.refusal.hint)
        try:
            yield
        except NoWayIn as error:
            now = time.monotonic()
            if now - began >= _IN_VAIN_S and error.code not in _NOT_OF_THE_GUEST:
                with self._guard:
                    self._vain = _Vain(error, now, budget_s)
            raise
        self.forget()

    def forget(self) -> None:
        """Have the next one try anew."""
        with self._guard:
            self._vain = None


@frozen
class RememberingHost:
    """The inside of a guest, and what is remembered of it.

    Attributes:
        host: The inside, by its way.
        memory: The memory of all who come into this guest.
    """

    host: Host
    memory: Memory

    @property
    def name(self) -> str:
        """The guest's name."""
        return self.host.name

    @property
    def is_restricted(self) -> bool:
        """Whether the way, as it is open now, lets in vmsvc's verbs alone."""
        return isinstance(self.host, Restricted) and self.host.is_restricted

    def open(self, *, budget_s: float) -> None:
        """Open the way, if it is one that stays open.

        Args:
            budget_s: How long that may take, in seconds.

        Raises:
            NoWayIn: It cannot be opened, or could not be a moment ago.
        """
        if isinstance(self.host, Restricted):
            with self._remembered(budget_s):
                self.host.open(budget_s=budget_s)

    def run(self, argv: Sequence[str], *, budget_s: float, environment: dict[str, str] | None = None) -> Outcome:
        """Run a command; see :class:`~vmsvc.core.transport.Host`.

        Args:
            argv: The program and its arguments.
            budget_s: How long it may take, in seconds.
            environment: Variables to set in addition.

        Raises:
            NoWayIn: Nothing was run: there is no way in, or there was none a moment ago.
        """
        with self._remembered(budget_s):
            return self.host.run(argv, budget_s=budget_s, environment=environment)

    def _remembered(self, budget_s: float) -> contextlib.AbstractContextManager[None]:
        return self.memory.kept(budget_s, is_open=isinstance(self.host, Kept) and self.host.is_open)

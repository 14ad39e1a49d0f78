"""The inside of a guest that may be dead: who has waited for it in vain has done so for all who come next."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence

from attrs import frozen

from vmsvc.core.errors import NoWayIn
from vmsvc.core.transport import Host, Outcome
from vmsvc.core.transport.asking import Restricted

#: How long a dead guest is not asked again, in seconds; and how long it must have kept one waiting to count as dead.
_REMEMBERED_S, _IN_VAIN_S = 15.0, 1.0


class Memory:
    """Whether a guest was found to be dead just now.

    A guest that says no at once is not dead: one that boots refuses connections, and is asked each time.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._refusal: tuple[NoWayIn, float] | None = None

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Remember it where what is done here waits for the guest in vain; and do nothing where that is known.

        Raises:
            NoWayIn: It was in vain a moment ago.
        """
        with self._guard:
            refusal, at = self._refusal or (None, 0.0)
        began = time.monotonic()
        if refusal is not None and began - at < _REMEMBERED_S:
            words = f"{refusal.message} (found out {began - at:.0f} s ago)"
            raise NoWayIn(words, code=refusal.code, hint=refusal.hint)
        try:
            yield
        except NoWayIn as error:
            if (now := time.monotonic()) - began >= _IN_VAIN_S:
                with self._guard:
                    self._refusal = error, now
            raise

    def forget(self) -> None:
        """Have the next one try anew."""
        with self._guard:
            self._refusal = None


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
            with self.memory.kept():
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
        with self.memory.kept():
            return self.host.run(argv, budget_s=budget_s, environment=environment)

"""Commands inside a guest, or on a peer, by ssh: one connection for each host, kept, and shared by threads."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import TYPE_CHECKING

from vmsvc.core.deadline import left_until
from vmsvc.core.errors import TIMED_OUT, NoWayIn, told
from vmsvc.core.transport import Outcome
from vmsvc.core.transport.command import check_command, shown

if TYPE_CHECKING:  # paramiko takes longer to load than a status takes
    from vmsvc.core.transport.ssh.known_hosts import HostKey
    from vmsvc.core.transport.ssh.link import Link
    from vmsvc.core.transport.ssh.opening import Way
    from vmsvc.core.transport.ssh.trial import Trial

#: How long an attempt to connect is waited for by those that come later, in seconds; then there is another.
_ATTEMPT_S = 60.0


class SshHost:
    """A guest or a peer that is reached by ssh, as a :class:`~vmsvc.core.transport.Host`.

    The connection is opened when it is first needed, as ``ssh TARGET`` would, with the admin's configuration, keys and
    agent, and nobody is asked anything. Threads that need it at once share one attempt, and its failure. A connection
    that has broken, or on which the host has let somebody wait in vain, is opened anew before the next command, and
    never within one. A host that was not heard of for a while is asked for a sign of life first.

    A command gets a session of its own, without input and terminal, with the environment of a login. A daemon that it
    leaves behind lives on, unless it writes to an output that nobody reads any more.

    Args:
        target: A host, alias or address, with ``USER@`` and ``:PORT`` where they are given.
        known_hosts: vmsvc's own file of host keys, pinned at first sight.
        own_key: vmsvc's own key, which is offered first. Servers are told to take it for vmsvc's verbs alone, so
            commands go out as they are where it is taken.
        user: Who logs in, unless the target or the admin's configuration says so.
        name: The host's name, for messages; the target unless given.
        config: An ssh configuration to read instead of the user's and the system's.

    Attributes:
        name: The host's name.
    """

    def __init__(
        self,
        target: str,
        *,
        known_hosts: Path,
        own_key: Path | None = None,
        user: str = "root",
        name: str = "",
        config: Path | None = None,
    ) -> None:
        self.name = name or target
        self._target, self._user, self._own_key, self._config = target, user, own_key, config
        self._known_hosts = known_hosts
        self._guard = threading.Lock()
        self._attempt: _Attempt | None = None

    @property
    def is_restricted(self) -> bool:
        """Whether the connection that is open now is one by vmsvc's own key, which permits vmsvc's verbs alone."""
        attempt = self._attempt
        return attempt is not None and attempt.is_restricted

    @property
    def is_open(self) -> bool:
        """Whether there is a connection now that the next command takes."""
        attempt = self._attempt
        return attempt is not None and attempt.is_open

    def open(self, *, budget_s: float) -> None:
        """Open the connection, unless it is open.

        Args:
            budget_s: How long that may take, in seconds.

        Raises:
            NoWayIn: It cannot be opened.
        """
        with self._named():
            self._link(budget_s)

    def run(self, argv: Sequence[str], *, budget_s: float, environment: Mapping[str, str] | None = None) -> Outcome:
        """Run one command to its end, or to the end of its budget; the connection is opened first if need be.

        Args:
            argv: The program and its arguments; they arrive as they are.
            budget_s: How long all of it may take, in seconds; then all processes of the command's session are ended.
            environment: Variables to set in addition to those of a login.

        Returns:
            What the command left behind, whatever its exit code.

        Raises:
            UsageError: The arguments or the environment cannot be given to any command.
            NoWayIn: There was no way in. Nothing was run.
            ActionFailed: The command could not be started: no such program, or no permission.
            Undetermined: The budget was spent, or the connection broke; what the command did is not known.
        """
        environment = environment or {}
        check_command(argv, environment)
        deadline = time.monotonic() + budget_s
        with self._named():
            link = self._link(budget_s)
            from vmsvc.core.transport.ssh.link import Command  # noqa: PLC0415 - loaded by whoever has opened the link

            place = f"{self.name}: {shown(argv)}"
            return link.run(
                Command(argv=argv, environment=environment, budget_s=budget_s, deadline=deadline, place=place)
            )

    def trial(self, *, budget_s: float) -> Trial:
        """What tries out what the host grants on the connection, which is opened first if need be.

        Args:
            budget_s: How long that may take, in seconds.

        Raises:
            NoWayIn: It cannot be opened.
        """
        with self._named():
            return self._link(budget_s).trial()

    def pinned(self) -> list[HostKey]:
        """The keys that are pinned for the host, as far as it has been met. Connects to nothing.

        Raises:
            NoWayIn: The ssh configuration, or the file of pinned keys, cannot be read.
        """
        with self._named():
            return self._new_way().pinned()

    def close(self) -> None:
        """Close the connection, without waiting; a command that runs on it is left alone. A later one opens another."""
        with self._guard:
            attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.close()

    def _link(self, budget_s: float) -> Link:
        if budget_s <= 0:
            raise NoWayIn("not started, since no time was left for it", code=TIMED_OUT)
        deadline = time.monotonic() + budget_s
        link = self._newest().link(budget_s)
        if link.answers(budget_s=left_until(deadline)):
            return link
        return self._newest().link(left_until(deadline))

    def _newest(self) -> _Attempt:
        with self._guard:
            attempt = self._attempt
            if attempt is None or attempt.is_over:
                if attempt is not None:
                    attempt.leave()
                attempt = self._attempt = _Attempt(self._new_way)
            return attempt

    def _new_way(self) -> Way:
        from vmsvc.core.transport.ssh.known_hosts import KnownHosts  # noqa: PLC0415
        from vmsvc.core.transport.ssh.opening import Way  # noqa: PLC0415

        return Way(
            target=self._target,
            user=self._user,
            known_hosts=KnownHosts(self._known_hosts),
            own_key=self._own_key,
            config=self._config,
        )

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Say in errors which host it was that there was no way into."""
        try:
            yield
        except NoWayIn as error:
            raise NoWayIn(f"{self.name}: {error.message}", code=error.code, hint=error.hint) from None


class _Attempt:
    """An attempt to connect, in a thread that nobody has to wait for, and what has come of it."""

    def __init__(self, new_way: Callable[[], Way]) -> None:
        self._new_way = new_way
        self._end = time.monotonic() + _ATTEMPT_S
        self._way: Way | None = None
        self._is_closed = False
        self._result: Future[Link] = Future()
        threading.Thread(target=self._connect, name="ssh", daemon=True).start()

    @property
    def is_over(self) -> bool:
        """Whether another is needed: it failed, or takes too long, or its connection is of no use any more."""
        return not self.is_open if self._result.done() else time.monotonic() > self._end

    @property
    def is_open(self) -> bool:
        """Whether it has led to a connection that is good for another command."""
        return self._opened is not None and self._opened.is_alive

    @property
    def is_restricted(self) -> bool:
        """Whether it has led to a connection that permits vmsvc's verbs alone."""
        return self._opened is not None and self._opened.is_restricted

    @property
    def _opened(self) -> Link | None:
        return self._result.result() if self._result.done() and self._result.exception() is None else None

    def link(self, budget_s: float) -> Link:
        """What has come of it, as soon as that is known.

        Args:
            budget_s: How long to wait for it, in seconds.

        Raises:
            NoWayIn: It has failed, or takes longer.
        """
        try:
            return self._result.result(budget_s)
        except FutureTimeoutError:
            doing = self._way.doing if self._way else "starting"
            raise NoWayIn(
                f"not open within {budget_s:.1f} s: {doing} takes too long",
                code="undetermined.ssh-timeout",
                hint="it is down, hangs, is busy or boots, or a firewall drops what is sent to it",
            ) from None

    def close(self) -> None:
        """Close what it has opened, or will."""
        self._is_closed = True
        if self._way is not None:
            self._way.close()

    def leave(self) -> None:
        """Close it, once commands that run on its connection have ended: there is another attempt now."""
        if self._opened is not None:
            self._opened.leave()
        else:
            self.close()

    def _connect(self) -> None:
        try:
            self._way = way = self._new_way()
            from vmsvc.core.transport.ssh.link import Link  # noqa: PLC0415

            if self._is_closed:
                way.close()
            transport = way.open()
            self._result.set_result(Link(transport, way.close, is_restricted=way.let_in_by_own_key))
        except NoWayIn as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - those who wait are to be told, whatever it is
            self._fail(NoWayIn(f"no connection: {told(error)}", code="undetermined.ssh-failed"))

    def _fail(self, error: NoWayIn) -> None:
        if self._way is not None:
            self._way.close()
        self._result.set_exception(error)

"""Trying out what a host grants to whoever has logged in: commands as they are, shells, terminals, forwarding."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial

import paramiko
from attrs import frozen

from vmsvc.core.errors import TIMED_OUT, Undetermined
from vmsvc.core.transport.ssh.session import REST_S, Session
from vmsvc.core.transport.ssh.wire import Transport, watched

#: RFC 4254, section 5.1: the host may open such a channel, and does not want to.
_PROHIBITED = 1
#: How much longer than it may take a trial is given to come to its own end, in seconds; then the connection is closed.
_SPARE_S = 1.0


@frozen
class Answer:
    """What became of what was asked for.

    Attributes:
        code: The exit code of what was run; ``None`` where nothing was.
        stdout: What it printed.
        stderr: What it printed to its standard error.
    """

    code: int | None
    stdout: bytes = b""
    stderr: bytes = b""


class Trial:
    """Asks a host for one thing after another, on an open connection.

    Args:
        transport: The connection, somebody logged in.
        close: Closes it, and what leads to it, without waiting.
    """

    def __init__(self, transport: Transport, close: Callable[[], None]) -> None:
        self._transport, self._close = transport, close

    def run(self, what: str, *fields: str, budget_s: float) -> Answer:
        """Ask for something that runs, without input and terminal, and wait for its end.

        Args:
            what: ``exec``, ``shell`` or ``subsystem``; RFC 4254, section 6.5.
            fields: The command as it is, or the subsystem.
            budget_s: How long all of it may take, in seconds.

        Raises:
            NoWayIn: The host gives no channel, or the connection is broken.
            Undetermined: It did not end in time, or nobody answered.
        """
        with self._session(budget_s) as session:
            session.ask(what, *fields)
            if not self._answered(session):
                return Answer(None)
            session.end_input()
            if not session.read_until_end():
                raise Undetermined(f"it did not end within {budget_s:.1f} s", code=TIMED_OUT)
            return Answer(session.exit_code, session.out.output, session.err.output)

    def grants(self, what: str, *fields: str | bool | int, budget_s: float) -> bool:
        """Whether the host grants something in a channel, such as a terminal.

        Args:
            what: The type of request: ``pty-req``, ``x11-req``, ``auth-agent-req@openssh.com``.
            fields: What belongs to it.
            budget_s: How long the answer may take, in seconds.

        Raises:
            NoWayIn: The host gives no channel, or the connection is broken.
            Undetermined: Nobody answered.
        """
        with self._session(budget_s) as session:
            session.ask(what, *fields)
            return self._answered(session)

    def connects(self, host: str, port: int, *, budget_s: float) -> bool:
        """Whether the host lets us connect to elsewhere, as ``ssh -L`` and ``ssh -W`` do.

        Args:
            host: Where to, as the host calls it.
            port: Its port; whether anybody listens there does not matter.
            budget_s: How long the answer may take, in seconds.

        Raises:
            Undetermined: Nobody answered.
        """
        try:
            with self._watched(budget_s):
                self._transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=budget_s).close()
        except paramiko.ChannelException as error:
            return error.code != _PROHIBITED
        except (paramiko.SSHException, OSError, EOFError):
            raise self._unanswered() from None
        return True

    def listens(self, *, budget_s: float) -> bool:
        """Whether the host would listen for others on our behalf, as with ``ssh -R``. It does not go on doing so.

        Args:
            budget_s: How long each of its answers may take, in seconds.

        Raises:
            Undetermined: Nobody answered.
        """
        ask = partial(self._transport.ask_host, budget_s=budget_s)
        try:
            with self._watched(2 * budget_s):
                answer = ask("tcpip-forward", "127.0.0.1", 0)
                if answer is not None:
                    ask("cancel-tcpip-forward", "127.0.0.1", answer.get_int())
        except (paramiko.SSHException, OSError, EOFError):
            raise self._unanswered() from None
        return answer is not None

    @contextlib.contextmanager
    def _session(self, budget_s: float) -> Iterator[Session]:
        with self._watched(budget_s + REST_S), Session(self._transport, "", time.monotonic() + budget_s) as session:
            yield session

    def _watched(self, budget_s: float) -> contextlib.AbstractContextManager[None]:
        return watched(self._close, time.monotonic() + budget_s + _SPARE_S)

    def _answered(self, session: Session) -> bool:
        is_granted = session.is_granted
        if is_granted is None:
            raise self._unanswered()
        return is_granted

    def _unanswered(self) -> Undetermined:
        if not self._transport.is_active():
            return Undetermined("the connection broke", code="undetermined.ssh-broken")
        return Undetermined("the host does not answer", code=TIMED_OUT)

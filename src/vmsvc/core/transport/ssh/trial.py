"""Trying out what a host grants to whoever has logged in: commands as they are, shells, terminals, forwarding."""

from __future__ import annotations

import time

import paramiko
from attrs import frozen

from vmsvc.core.errors import Undetermined
from vmsvc.core.transport.ssh.session import Session
from vmsvc.core.transport.ssh.wire import Transport

#: RFC 4254, section 5.1: the host may open such a channel, and does not want to.
_PROHIBITED = 1


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
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

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
        with Session(self._transport, "", time.monotonic() + budget_s) as session:
            session.ask(what, *fields)
            if not self._answered(session):
                return Answer(None)
            session.end_input()
            if not session.read_until_end():
                raise Undetermined(f"it did not end within {budget_s:.1f} s", code="undetermined.timeout")
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
        with Session(self._transport, "", time.monotonic() + budget_s) as session:
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
            self._transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=budget_s).close()
        except paramiko.ChannelException as error:
            return error.code != _PROHIBITED
        except (paramiko.SSHException, OSError, EOFError):
            raise self._unanswered() from None
        return True

    def listens(self) -> bool:
        """Whether the host would listen for others on our behalf, as with ``ssh -R``. It does not go on doing so.

        Raises:
            Undetermined: Nobody answered.
        """
        try:
            port = self._transport.request_port_forward("127.0.0.1", 0)
        except (paramiko.SSHException, OSError, EOFError):
            if not self._transport.is_active():
                raise self._unanswered() from None
            return False
        self._transport.cancel_port_forward("127.0.0.1", port)
        return True

    def _answered(self, session: Session) -> bool:
        is_granted = session.is_granted
        if is_granted is None:
            raise self._unanswered()
        return is_granted

    def _unanswered(self) -> Undetermined:
        if not self._transport.is_active():
            return Undetermined("the connection broke", code="undetermined.ssh-broken")
        return Undetermined("the host does not answer", code="undetermined.timeout")

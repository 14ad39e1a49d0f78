"""One command in a channel of its own: what is said to it, read from it, and how it ended (RFC 4254, section 6)."""

from __future__ import annotations

import contextlib
import time
from types import TracebackType
from typing import Any

import paramiko

from vmsvc.core.errors import NoWayIn, told
from vmsvc.core.transport import OUTPUT_GRACE_S
from vmsvc.core.transport.ssh.script import Answer
from vmsvc.core.transport.ssh.wire import Transport

#: How long output that has been printed by a command's end may be on its way, in seconds, as long as more of it comes.
REST_S = 2.0

#: How often it is looked whether the command has ended, in seconds, where a daemon keeps its output open.
_LOOK_S = 0.1

#: How often another channel is asked for, in seconds, where the server allows fewer at once than we have commands.
_AGAIN_S = 0.05

#: How long the server may take to notice that earlier commands have ended, in seconds.
_PATIENCE_S = 1.0

_READ_BYTES = 1 << 16


class Session:
    """A channel, and the command in it.

    Args:
        transport: The connection.
        mark: What begins the answer; empty where all is output.
        deadline: When it is over, by the monotonic clock.

    Attributes:
        out: What it prints to standard output.
        err: What it prints to standard error.

    Raises:
        NoWayIn: The server gives no channel, or the connection is broken. Nothing was run.
    """

    def __init__(self, transport: Transport, mark: str, deadline: float) -> None:
        self.out, self.err = Answer(mark), Answer(mark)
        self._transport = transport
        self._deadline = deadline
        self._is_at_end = False
        self._channel = self._open()

    def __enter__(self) -> Session:  # noqa: PYI034 - Self is younger than Python 3.10
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(Exception):
            self._channel.close()
        self._transport.exit_signals.pop(self._channel.get_id(), None)

    def execute(self, line: str) -> None:
        """Ask for a command; where it is refused, the channel ends.

        Args:
            line: A line for the shell of whoever has logged in.
        """
        self.ask("exec", line)

    def ask(self, what: str, *fields: str | bool | int) -> None:
        """Ask for something else than a command; where it is refused, the channel ends.

        Args:
            what: The type of request; RFC 4254, section 6.
            fields: What belongs to it.
        """
        self._transport.ask(self._channel, what, *fields)

    @property
    def is_granted(self) -> bool | None:
        """Whether what was asked for last was granted; ``None`` where nobody answers in time."""
        return self._transport.is_granted(self._channel, budget_s=self._left_s())

    def end_input(self) -> None:
        """Let the command's input end. One whose input does not matter is left with an open one."""
        self._transport.end_input(self._channel)

    def send(self, text: str) -> None:
        """Give the command something to read.

        Args:
            text: What it is given.

        Raises:
            OSError: It does not read it in time, or has ended.
        """
        self._channel.settimeout(self._left_s())
        try:
            self._channel.sendall(text.encode())
        except TimeoutError:
            self._transport.is_silent = True
            raise

    def read_until_mark(self) -> bool:
        """Read until the mark has come; ``False`` where the command has ended, or time is up, and it has not.

        Where time is up, nobody waits on this connection again.
        """
        while not self.out.word and not self._has_ended() and time.monotonic() < self._deadline:
            if self._is_at_end:
                self._channel.status_event.wait(self._left_s())
            else:
                self._read(_LOOK_S)
        self._transport.is_silent |= not self.out.word and not self._has_ended()
        return bool(self.out.word)

    def read_until_end(self) -> bool:
        """Read until the command has ended, or the connection has; ``False`` where time is up before."""
        while not self._has_ended():
            if time.monotonic() >= self._deadline:
                return False
            if self._is_at_end:  # it has closed its output, and goes on
                self._channel.status_event.wait(self._left_s())
            else:
                self._read(_LOOK_S)
        self.read_rest()
        return True

    def read_rest(self) -> None:
        """Read what is on its way still; a daemon may keep the output open for ever."""
        end = time.monotonic() + REST_S
        while not self._is_at_end and time.monotonic() < end and self._read(OUTPUT_GRACE_S):
            pass
        self._read_errors()
        if self._is_at_end:
            self._wait_for_close()

    @property
    def is_broken(self) -> bool:
        """Whether the connection has ended."""
        self._transport.join(_LOOK_S)  # its channels end a moment before itself
        return not self._transport.is_active()

    @property
    def exit_code(self) -> int | None:
        """The command's exit code, or ``None`` where the server has told none."""
        code: int = self._channel.exit_status
        return code if code >= 0 else None

    @property
    def exit_signal(self) -> str:
        """The name of the signal that ended it, such as ``KILL``; empty where none did."""
        return self._transport.exit_signals.get(self._channel.get_id(), "")

    def _open(self) -> paramiko.Channel:
        patient = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return self._transport.open_session(timeout=self._left_s())
            except (paramiko.SSHException, EOFError, OSError) as error:
                now = time.monotonic()
                if not self._transport.is_active():
                    raise _useless(f"it has been closed ({told(error)})") from None
                if now >= self._deadline and not isinstance(error, paramiko.ChannelException):
                    self._transport.is_silent = True
                    raise _useless("the host does not answer") from None
                if now >= self._deadline or not (now < patient or self._transport.has_channels):
                    raise NoWayIn(
                        "it allows no further command on this connection",
                        code="undetermined.ssh-channel",
                        hint="look at MaxSessions in its sshd_config",
                    ) from None
            time.sleep(_AGAIN_S)

    def _read(self, wait_s: float) -> bool:
        """Wait for output; tells whether some came in that time."""
        # While errors come, nobody waits for the other stream: the server sends no more of either until these are read.
        self._channel.settimeout(wait_s if not self._channel.recv_stderr_ready() else 0.001)
        try:
            chunk = self._channel.recv(_READ_BYTES)
        except TimeoutError:
            return self._read_errors()
        self._is_at_end = not chunk
        self.out.add(chunk)
        return self._read_errors() or bool(chunk)

    def _read_errors(self) -> bool:
        has_come = False
        while self._channel.recv_stderr_ready():
            self.err.add(self._channel.recv_stderr(_READ_BYTES))
            has_come = True
        return has_come

    def _wait_for_close(self) -> None:
        """Let the server close the channel first: dropbear fails where both do so at once."""
        inner: Any = self._channel
        inner.event.clear()  # what it was set for before is of no interest; paramiko sets it again at the channel's end
        if not inner.closed:
            inner.event.wait(OUTPUT_GRACE_S)

    def _has_ended(self) -> bool:
        return self._channel.exit_status_ready()

    def _left_s(self) -> float:
        return max(self._deadline - time.monotonic(), 0.001)


def _useless(why: str) -> NoWayIn:
    return NoWayIn(
        f"the connection is of no use any more: {why}",
        code="undetermined.ssh-broken",
        hint="the next command opens another",
    )

"""An open connection: commands on it, side by side, and the end of those that take too long."""

from __future__ import annotations

import contextlib
import logging
import secrets
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import paramiko
from attrs import frozen

from vmsvc.core.deadline import left_until
from vmsvc.core.errors import TIMED_OUT, ActionFailed, NoWayIn, TimedOut, Undetermined, UsageError, VmsvcError
from vmsvc.core.transport import Outcome
from vmsvc.core.transport.command import said_last
from vmsvc.core.transport.ssh import script
from vmsvc.core.transport.ssh.session import REST_S, Session
from vmsvc.core.transport.ssh.trial import Trial
from vmsvc.core.transport.ssh.wire import Transport, watched

log = logging.getLogger("vmsvc.host")

#: How many commands run at once on a connection, and how many more end others; sshd's MaxSessions is 10.
_AT_ONCE, _ENDING_AT_ONCE = 8, 2

#: How long a command's processes may take to obey SIGTERM, and to vanish after SIGKILL, in twentieths of a second.
_TERM_TICKS, _KILL_TICKS = 8, 6

#: How long a command that has spent its budget may take to be ended, in seconds; and how much longer than this and the
#: rest of its output everything may take. Then the host does not even read, and the connection is closed.
_END_S, _SPARE_S = 2.5, 1.0
#: What every server answers, be it by a refusal (RFC 4254, section 4); how long that may take, in seconds, and at most
#: which part of a command's time.
_KNOCK, _KNOCK_S, _KNOCK_SHARE = "keepalive@openssh.com", 1.0, 0.3
#: How much longer, where the host's system has taken the question: a new login would take a slow host longer still.
_PATIENCE_S, _PATIENCE_SHARE = 2.0, 0.3
#: How long a host that was heard of is taken to be there still, in seconds.
_FRESH_S = 2.0


@frozen(kw_only=True)
class Command:
    """A command, and what is asked of it.

    Attributes:
        argv: The program and its arguments.
        environment: Variables to set.
        budget_s: How long it may take, in seconds, with all that leads to it.
        deadline: When that is over, by the monotonic clock.
        place: The host and the command, for messages.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    budget_s: float
    deadline: float
    place: str


class Link:
    """An open connection to a host. Threads may share it.

    Where the host lets one of them wait in vain, the connection is of no use for another: nothing tells a host that is
    slow from one that has vanished without a word. Those whose commands run on it still wait for their ends.

    Args:
        transport: The connection, somebody logged in.
        close: Closes it, and what leads to it, without waiting.
        is_restricted: Whether vmsvc's own key was taken: the host runs vmsvc's verbs alone.

    Attributes:
        is_restricted: The same.
    """

    def __init__(self, transport: Transport, close: Callable[[], None], *, is_restricted: bool) -> None:
        self._transport = transport
        self._close = close
        self.is_restricted = is_restricted
        # Dropbear (2022.83) takes channels for each other that begin and end at the same time.
        at_once = 1 if "dropbear" in transport.remote_version.lower() else _AT_ONCE
        self._commands = threading.BoundedSemaphore(at_once)
        self._endings = threading.BoundedSemaphore(_ENDING_AT_ONCE)
        self._guard = threading.Lock()
        self._knocking = threading.Lock()
        self._running = 0
        self._is_left = False

    @property
    def is_alive(self) -> bool:
        """Whether it is good for another command: it is open still, and has let nobody wait in vain."""
        return self._transport.is_active() and not self._transport.is_silent

    def answers(self, *, budget_s: float) -> bool:
        """Whether it is good for another command; the host is asked for a sign where it gave none for a while.

        A host that has vanished without a word, as a guest that was destroyed, would cost the command all of its time.

        Args:
            budget_s: How much time there is for the command, in seconds; a part of it is spent here.
        """
        with self._knocking:  # who comes meanwhile is told what has come of it
            if self.is_alive and time.monotonic() - self._transport.heard_at > _FRESH_S:
                wait_s = min(_KNOCK_S, _KNOCK_SHARE * budget_s)
                patience_s = min(_PATIENCE_S, _PATIENCE_SHARE * budget_s)
                with watched(self.close, time.monotonic() + wait_s + patience_s + _SPARE_S):
                    self._knock(wait_s, patience_s)
            return self.is_alive

    def leave(self) -> None:
        """Close it as soon as no command runs on it, without waiting for that: there is another connection now."""
        with self._guard:
            self._is_left = True
            is_idle = not self._running
        if is_idle:
            self.close()

    def close(self) -> None:
        """Close it, without waiting."""
        self._close()

    def trial(self) -> Trial:
        """What tries out what the host grants on it."""
        return Trial(self._transport, self.close)

    def run(self, command: Command) -> Outcome:
        """Run one command to its end, or to the end of its budget.

        Args:
            command: The command.

        Raises:
            NoWayIn: Nothing was run.
            ActionFailed: The host has no such program, or it may not be run.
            Undetermined: What the command did is not known.
        """
        began = time.monotonic()
        with (
            self._counted(),
            watched(self.close, command.deadline + _END_S + REST_S + _SPARE_S),
            self._turn(self._commands, command.deadline),
            Session(self._transport, self._new_mark(), command.deadline) as session,
        ):
            self._tell(session, command)
            if not session.read_until_end():
                raise self._late(session, command)
            code = _code_of(session, command)
        word = script.why_not(session.out)
        if code == script.NOT_RUN and word:
            why, hint = script.WHY_NOT[word]
            raise ActionFailed(f"{command.place}: cannot be started: {why}", code=f"action.{word}", hint=hint)
        duration_s = time.monotonic() - began
        log.info("%s: exit code %d after %.3f s", command.place, code, duration_s)
        return Outcome(
            argv=tuple(command.argv),
            code=code,
            stdout=session.out.output,
            stderr=session.err.output,
            duration_s=duration_s,
            truncated=session.out.truncated or session.err.truncated,
        )

    def _new_mark(self) -> str:
        return "" if self.is_restricted else f"vmsvc-{secrets.token_hex(8)}"

    def _tell(self, session: Session, command: Command) -> None:
        """Tell the host's shell what to run; where the key is restricted, the host's script for that key is told."""
        if self.is_restricted:
            if command.environment:
                raise UsageError(f"{command.place}: this key lets no variables in", code="usage.command")
            with _broken_is(Undetermined, command):
                session.execute(shlex.join(command.argv))
                session.end_input()
            return
        words = script.command(command.argv, command.environment, session.out.mark)
        with _broken_is(NoWayIn, command):
            session.execute(script.SHELL)
            session.send(script.greeting(session.out.mark))
        if not session.read_until_mark():
            raise _no_shell(session, command)
        with _broken_is(Undetermined, command):
            session.send(words)

    def _late(self, session: Session, command: Command) -> TimedOut:
        """A command has spent its budget: end it, and say so. By a restricted key that is for who knows its verbs."""
        if self.is_restricted:
            self._knock(_KNOCK_S)
            fate = ""
        else:
            fate = f", and {self._end(session)}"
        session.read_rest()
        last = said_last(session.err.output, session.out.output)
        log.info("%s: did not end in time%s", command.place, fate)
        return TimedOut(
            f"{command.place}: did not end within {command.budget_s:.1f} s{fate}{last}",
            hint="what it did is not known: look, before trying again with a larger timeout",
            stdout=session.out.output,
            stderr=session.err.output,
            truncated=session.out.truncated or session.err.truncated,
        )

    def _knock(self, wait_s: float, patience_s: float = 0.0) -> None:
        """Hear whether the host is there still, so that whoever comes next goes by a way that leads there."""
        with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
            self._transport.ask_host(_KNOCK, budget_s=wait_s, patience_s=patience_s)

    def _end(self, session: Session) -> str:
        """End all processes of a command's session, by another channel; tells what has become of them."""
        deadline = time.monotonic() + _END_S
        argv = ["sh", "-c", script.END, "sh", session.out.word, str(_TERM_TICKS), str(_KILL_TICKS)]
        order = Command(argv=argv, environment={}, budget_s=_END_S, deadline=deadline, place="its end")
        try:
            with self._turn(self._endings, deadline), Session(self._transport, self._new_mark(), deadline) as ending:
                self._tell(ending, order)
                if not ending.read_until_end():
                    self._transport.is_silent = True
                    return "could not be killed in time"
                _code_of(ending, order)
        except VmsvcError as error:
            return f"could not be killed: {error.message}"
        left = ", ".join(ending.out.output.decode(errors="replace").split())
        return f"was killed; these processes of it do not die: {left}" if left else "was killed"

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """Know that a command runs; the last one on a connection that was left closes it."""
        with self._guard:
            self._running += 1
        try:
            yield
        finally:
            with self._guard:
                self._running -= 1
                is_over = self._is_left and not self._running
            if is_over:
                self.close()

    @contextlib.contextmanager
    def _turn(self, turns: threading.Semaphore, deadline: float) -> Iterator[None]:
        """Wait for one of the channels that may be open at once."""
        if not turns.acquire(timeout=left_until(deadline)):
            raise NoWayIn("not started, since too many commands run there already", code=TIMED_OUT)
        try:
            yield
        finally:
            turns.release()


@contextlib.contextmanager
def _broken_is(kind: type[Undetermined], command: Command) -> Iterator[None]:
    """While something is told to the host, a connection that breaks, or takes nothing more, is this kind of error."""
    try:
        yield
    except (paramiko.SSHException, OSError, EOFError) as error:
        why = "it takes nothing more" if isinstance(error, TimeoutError) else "the connection broke"
        if kind is NoWayIn:
            raise NoWayIn(f"nothing was run: {why}", code="undetermined.ssh-broken") from None
        raise _cut(command, why) from None


def _code_of(session: Session, command: Command) -> int:
    if session.exit_code is not None:
        return session.exit_code
    name = session.exit_signal
    if number := getattr(signal, f"SIG{name}", 0):
        return -int(number)
    if name:
        raise _cut(command, f"signal {name}, which is not known here, ended it")
    raise _cut(
        command, "the connection ended before the command did: the host went down, its sshd ended, or the network"
    )


def _cut(command: Command, why: str) -> Undetermined:
    log.info("%s: %s", command.place, why)
    return Undetermined(
        f"{command.place}: {why}",
        code="undetermined.ssh-broken",
        hint="what it did is not known: look, before trying again",
    )


def _no_shell(session: Session, command: Command) -> NoWayIn:
    """There was no mark: something else than the shell has answered, or nothing."""
    said = said_last(session.err.output, session.out.output)
    if session.is_broken:
        return NoWayIn("nothing was run: the connection broke", code="undetermined.ssh-broken")
    if time.monotonic() >= command.deadline:
        return NoWayIn(
            f"its shell did not answer within {command.budget_s:.1f} s{said}",
            code="undetermined.ssh-no-shell",
            hint="look at what the login shell's start-up files do (.bashrc, .profile), and at how busy the host is",
        )
    return NoWayIn(
        f"it runs no commands{said}",
        code="undetermined.ssh-no-shell",
        hint="is the login shell one that logs in (/etc/passwd), with a /bin/sh, and no ForceCommand for this key?",
    )

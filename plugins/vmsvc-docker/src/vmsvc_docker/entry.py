"""Commands inside of containers: run to their end, or to the end of their time."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence

from vmsvc.driver import (
    NO_SUCH_COMMAND,
    OUTPUT_GRACE_S,
    ActionFailed,
    DriverError,
    NoWayIn,
    Outcome,
    Phase,
    TimedOut,
    Undetermined,
    check_command,
    said_last,
    shown,
)
from vmsvc_docker.attached import Attached
from vmsvc_docker.client import Connection
from vmsvc_docker.containers import Ended, Seen
from vmsvc_docker.frames import Demultiplexer
from vmsvc_docker.options import DockerGuest
from vmsvc_docker.states import judge

#: How long it may take, in seconds, to kill what has not ended in its time.
KILL_S = 2.0
# How often the engine is asked whether a command has ended: quickly at first, then with patience.
_SOONEST_S, _LATEST_S = 0.01, 0.25
# Engines have no way to kill a command. Its processes, whatever they call themselves and wherever they went, have this
# variable, by which a second command finds them; again, in case one was just making another. The kernel hides the
# variables of the command itself where the container's own user is not root: it has gained rights (see ptrace(2) on
# "dumpable"). There it is one of root's processes that ends in the command's words.
_MARK = "VMSVC_ENTRY"
_KILL = """\
is_of_it() {
    grep -q "$0" "$of/environ" && return
    [ "$of" != /proc/1 ] && ! cat "$of/environ" >/dev/null && grep -q '^Uid:.0' "$of/status" || return
    case $(tr '\\0' '\\n' <"$of/cmdline") in *"$1") ;; *) return 1 ;; esac
}
for again in 1 2 3; do
    for of in /proc/[0-9]*; do
        is_of_it "$1" && kill -9 "${of#/proc/}"
    done
done 2>/dev/null
true
"""
_INHABITED = frozenset({Phase.RUNNING, Phase.DEGRADED})
# What a shell says of programs that are not there or may not be run, and engines with it.
_NOT_STARTED = (126, 127)
# What podman says then, which otherwise tells it from no command that ends with such a code: `Err…` in its
# libpod/define/errors.go.
_PODMAN_SAYS = (b"OCI runtime attempted to invoke a command that was not found", b"OCI permission denied")


def enter(
    connection: Connection,
    guest: DockerGuest,
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    budget_s: float,
    deadline: float,
) -> Outcome:
    """Run one command inside of a container.

    Args:
        connection: A connection to the container's engine.
        guest: The guest.
        argv: The program and its arguments.
        environment: Variables to set in addition to the container's own.
        budget_s: How long the command may take, in seconds.
        deadline: When that is over, on the monotonic clock.

    Raises:
        UsageError: No command can be given such arguments.
        NoWayIn: Nothing was run.
        ActionFailed: There is no such program, or it may not be run.
        TimedOut: It did not end in its time.
        Undetermined: What the command did is not known.
    """
    check_command(argv, environment)
    mark = f"{_MARK}={secrets.token_hex(16)}"
    try:
        seen = _inhabited(connection, guest)
        command = connection.prepare(seen, argv, [*(f"{name}={value}" for name, value in environment.items()), mark])
    except NoWayIn:
        raise
    except (Undetermined, DriverError) as error:
        raise NoWayIn(f"no command can be run in {guest.name}: {error.message}", hint=error.hint) from None
    began = time.monotonic()
    printed = Demultiplexer()
    with connection.attached(command) as attached:
        ended = _followed(connection, command, attached, printed, deadline)
    if ended is None:
        was_killed = _was_killed(connection, seen, command, mark, argv)
        raise TimedOut(
            f"{shown(argv)} in {guest.name} did not end within {budget_s:.1f} s and "
            f"{'was killed' if was_killed else 'could not be killed: that takes sh, grep and tr in it'}"
            f"{said_last(bytes(printed.err), bytes(printed.out))}",
            stdout=bytes(printed.out),
            stderr=bytes(printed.err),
            truncated=printed.out.truncated or printed.err.truncated,
        )
    if _was_not_started(connection, ended, printed):
        said = said_last(bytes(printed.err), bytes(printed.out))
        raise ActionFailed(
            f"there is no such command in {guest.name}, or it may not be run: {argv[0]}{said}",
            code=NO_SUCH_COMMAND,
        )
    return Outcome(
        argv=tuple(argv),
        code=ended.code,
        stdout=bytes(printed.out),
        stderr=bytes(printed.err),
        duration_s=time.monotonic() - began,
        truncated=printed.out.truncated or printed.err.truncated,
    )


def _inhabited(connection: Connection, guest: DockerGuest) -> Seen:
    found = connection.find(guest.name)
    if found is None:
        raise NoWayIn(f"{guest.endpoint} has no container named {guest.name!r}")
    phase, state = judge(found.seen.state, found.seen.health)
    if phase not in _INHABITED:
        raise NoWayIn(f"no command can be run in {guest.name}: it is {state}")
    return found.seen


def _followed(
    connection: Connection, command: str, attached: Attached, printed: Demultiplexer, deadline: float
) -> Ended | None:
    """Take what a command prints until it has ended; ``None`` where it has not in its time.

    The end of its output is not its own: it may close it early, and what it leaves behind may hold it open.
    """
    pause = _SOONEST_S
    look_at = time.monotonic()
    while (now := time.monotonic()) < deadline:
        if not attached.at_end:
            printed.feed(attached.read(min(pause, deadline - now)))
        else:
            time.sleep(min(pause, deadline - now))
        if time.monotonic() < look_at:
            continue
        ended = connection.ended(command)
        if ended is not None:
            _drain(attached, printed)
            return ended
        pause = min(2 * pause, _LATEST_S)
        look_at = time.monotonic() + pause
    return None


def _drain(attached: Attached, printed: Demultiplexer) -> None:
    """Take what an ended command has printed and did not arrive yet."""
    until = time.monotonic() + OUTPUT_GRACE_S
    while not attached.at_end and (left := until - time.monotonic()) > 0:
        printed.feed(attached.read(left))


def _was_not_started(connection: Connection, ended: Ended, printed: Demultiplexer) -> bool:
    if ended.code not in _NOT_STARTED:
        return False
    if connection.is_podman:
        return any(words in bytes(printed.err) for words in _PODMAN_SAYS)
    return not ended.pid


def _was_killed(connection: Connection, seen: Seen, command: str, mark: str, argv: Sequence[str]) -> bool:
    """Kill a command with all that it has started, as far as the container has a shell and grep; tells if it ended."""
    until = time.monotonic() + KILL_S

    def kill(connection: Connection) -> bool:
        words = "\n".join(argv).rstrip("\n")
        killer = connection.prepare(seen, ["sh", "-c", _KILL, mark, words, "and itself ends otherwise"], [])
        with connection.attached(killer) as attached:
            _followed(connection, killer, attached, Demultiplexer(), until)
        while (ended := connection.ended(command)) is None and time.monotonic() < until:
            time.sleep(_SOONEST_S)
        return ended is not None

    try:
        return connection.guarded(kill, until)
    except (Undetermined, DriverError):
        return False

"""Commands inside of a container, by ``vzctl exec2`` or ``prlctl exec``.

Both hand one line to a shell of the container, print notes of their own beside what the command prints, and end with
codes of their own when nothing was run. So the command comes with a few lines that say, after a word that nobody else
says, whether it is run; what stands before is the tools' own.
"""

from __future__ import annotations

import contextlib
import secrets
import shlex
import time
from collections.abc import Mapping, Sequence

from attrs import evolve

from vmsvc.driver import (
    ActionFailed,
    Host,
    NoWayIn,
    Outcome,
    Phase,
    TimedOut,
    Undetermined,
    VmsvcError,
    check_command,
    said_last,
    shown,
)
from vmsvc_vz.options import VzGuest
from vmsvc_vz.states import phase_of
from vmsvc_vz.tools import Listed, Tools, listed_by, the_one

#: How long it may take, in seconds, to kill what has not ended in its time.
KILL_S = 2.0

_MARK = "VMSVC_ENTRY"
_RUN = """\
case $1 in
*/*) [ -f "$1" ] && [ -x "$1" ] ;;
*) command -v -- "$1" >/dev/null 2>&1 ;;
esac || { printf '%s none\\n' "$0"; exit 0; }
printf '%s runs\\n' "$0"
exec "$@"
"""
# Every process that the command has started has the word among its variables; again, in case one was making another.
_KILL = """\
for again in 1 2 3; do
    for of in $(grep -l "$0" /proc/[0-9]*/environ); do
        of=${of%/environ}
        kill -9 "${of#/proc/}"
    done
done 2>/dev/null
true
"""


def enter(
    host: Host, guest: VzGuest, argv: Sequence[str], environment: Mapping[str, str], *, budget_s: float
) -> Outcome:
    """Run one command inside of a container, as root.

    Args:
        host: The node.
        guest: The container.
        argv: The command.
        environment: Variables to set in addition to the container's own.
        budget_s: How long it may take, in seconds.

    Raises:
        UsageError: No command can be given such arguments.
        NoWayIn: Nothing was run.
        ActionFailed: There is no such program, or it may not be run.
        Undetermined: What the command did is not known.
    """
    check_command(argv, environment)
    tools, container = _way(host, guest, budget_s)
    mark = secrets.token_hex(16)
    variables = [f"{_MARK}={mark}", *(f"{name}={value}" for name, value in environment.items())]
    began = time.monotonic()
    try:
        done = tools.enter(container, shlex.join(["exec", "env", *variables, "sh", "-c", _RUN, mark, *argv]))
    except Undetermined as error:
        _kill(host, type(tools), container, mark)
        late = error if isinstance(error, TimedOut) else TimedOut()
        raise TimedOut(
            f"{shown(argv)} in {guest.name} did not end within {budget_s:.1f} s and was killed",
            stdout=_after(mark, late.stdout)[2],
            stderr=late.stderr,
            truncated=late.truncated,
        ) from None
    found, word, printed = _after(mark, done.stdout)
    if not found:
        raise NoWayIn(
            f"no command can be run in {guest.name}: {done.argv[0]} exits with {done.code}"
            f"{said_last(done.stderr, done.stdout)}"
        )
    if word == b"none":
        raise ActionFailed(
            f"there is no such command in {guest.name}, or it may not be run: {argv[0]}", code="action.no-such-command"
        )
    return evolve(done, argv=tuple(argv), stdout=printed, duration_s=time.monotonic() - began)


def _after(mark: str, stdout: bytes) -> tuple[bool, bytes, bytes]:
    """Whether the script was run; what it says before it becomes the command; and what the command has printed."""
    _, found, rest = stdout.partition(mark.encode())
    word, _, printed = rest.partition(b"\n")
    return bool(found), word.strip(), printed


def _way(host: Host, guest: VzGuest, budget_s: float) -> tuple[Tools, Listed]:
    try:
        tools, containers = listed_by(host, guest.tool, budget_s)
        container = the_one(containers, guest.name)
    except VmsvcError as error:
        raise NoWayIn(f"no command can be run in {guest.name}: {error}") from None
    if container is None or phase_of(container.state) is not Phase.RUNNING:
        raise NoWayIn(f"no command can be run in {guest.name}: it is {container.state if container else 'absent'}")
    return tools, container


def _kill(host: Host, tools: type[Tools], container: Listed, mark: str) -> None:
    """Kill a command with all that it has started, as far as the container has grep."""
    with contextlib.suppress(VmsvcError):  # the caller is told that the command did not end
        tools(host, KILL_S).enter(container, shlex.join(["sh", "-c", _KILL, mark]))

"""Commands inside of a container, by ``vzctl exec2`` or ``prlctl exec``.

Both hand one line to a shell of the container, and print notes of their own beside what the command prints.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence

from attrs import evolve

from vmsvc.driver import (
    NO_SUCH_COMMAND,
    ActionFailed,
    Announced,
    NodeHost,
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


def enter(
    host: NodeHost, guest: VzGuest, argv: Sequence[str], environment: Mapping[str, str], *, budget_s: float
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
    announced = Announced(argv)
    tools, container = _way(host, guest, budget_s, keep=announced.keep)
    began = time.monotonic()
    try:
        done = tools.enter(container, announced.line({**announced.marked, **environment}))
    except Undetermined as error:
        fate = "was killed" if _was_killed(host, type(tools), container, announced) else "may go on"
        where = f"{shown(argv)} in {guest.name}"
        if not isinstance(error, TimedOut):
            raise error.reworded(f"{where}: {error.message}; it {fate}") from None
        raise TimedOut(
            f"{where} did not end within {budget_s:.1f} s and {fate}",
            stdout=announced.printed(error.stdout) or b"",
            stderr=error.stderr,
            truncated=error.truncated,
        ) from None
    if announced.is_missing(done.stdout):
        raise ActionFailed(
            f"there is no such command in {guest.name}, or it may not be run: {argv[0]}", code=NO_SUCH_COMMAND
        )
    left = announced.left_by_command(done)
    if left is None:
        raise NoWayIn(
            f"no command can be run in {guest.name}: {done.argv[0]} exits with {done.code}"
            f"{said_last(done.stderr, done.stdout)}"
        )
    return evolve(left, duration_s=time.monotonic() - began)


def _way(host: NodeHost, guest: VzGuest, budget_s: float, *, keep: int) -> tuple[Tools, Listed]:
    try:
        tools, containers = listed_by(host, guest.tool, budget_s)
        container = the_one(containers, guest.name)
    except VmsvcError as error:
        raise NoWayIn(f"no command can be run in {guest.name}: {error}") from None
    if container is None or phase_of(container.state) is not Phase.RUNNING:
        raise NoWayIn(f"no command can be run in {guest.name}: it is {container.state if container else 'absent'}")
    return type(tools)(host, tools.left_s, keep=keep), container


def _was_killed(host: NodeHost, tools: type[Tools], container: Listed, announced: Announced) -> bool:
    """Kill a command with all that it has started, as far as the container has grep; tells whether nothing is left."""
    try:
        return tools(host, KILL_S).enter(container, shlex.join(announced.killing)).code == 0
    except VmsvcError:
        return False

"""Commands inside of containers, by ``lxc-attach``: run to their end, or to the end of their time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vmsvc.driver import (
    NO_SUCH_COMMAND,
    ActionFailed,
    Announced,
    Commands,
    Host,
    NodeHost,
    NoWayIn,
    Outcome,
    Phase,
    TimedOut,
    Undetermined,
    VmsvcError,
    check_command,
    printable,
    said_last,
    shown,
)
from vmsvc_lxc.observing import seen_alone
from vmsvc_lxc.options import LxcGuest
from vmsvc_lxc.tools import Tools, on

# How long it may take, in seconds, to kill what has not ended in its time.
_KILL_S = 2.0


def enter(
    host: NodeHost, guest: LxcGuest, argv: Sequence[str], environment: Mapping[str, str], budget_s: float
) -> Outcome:
    """Run one command inside of a container.

    Args:
        host: Where the container is.
        guest: The container.
        argv: The program and its arguments.
        environment: Variables to set in addition to the container's own.
        budget_s: How long it may take, in seconds.

    Raises:
        UsageError: No command can be given such arguments.
        NoWayIn: Nothing was run.
        ActionFailed: There is no such program, or it may not be run.
        Undetermined: What the command did is not known.
    """
    check_command(argv, environment)
    tools = Tools(host, budget_s)
    _must_be_inhabited(tools, guest)
    announced = Announced(argv)
    given = [f"--set-var={name}={value}" for name, value in {**environment, **announced.marked}.items()]
    command = on("lxc-attach", guest, "--clear-env", *given, "--", *announced.words)
    try:
        done = Commands(host, tools.left_s, keep=announced.keep).run(*command)
    except Undetermined as silence:
        fate = "was killed" if _was_killed(host, announced) else "may go on"
        where = f"{shown(argv)} in {guest.name}"
        if not isinstance(silence, TimedOut):
            raise silence.reworded(f"{where}: {silence.message}; it {fate}") from None
        printed = announced.printed(silence.stdout) or b""
        raise TimedOut(
            f"{where}: did not end within {budget_s:.1f} s, and {fate}{said_last(silence.stderr, printed)}",
            hint=silence.hint,
            stdout=printed,
            stderr=silence.stderr,
            truncated=silence.truncated,
        ) from None
    if announced.is_missing(done.stdout):
        raise ActionFailed(
            f"there is no such command in {guest.name}, or it may not be run: {printable(argv[0])}",
            code=NO_SUCH_COMMAND,
        )
    left = announced.left_by_command(done)
    if left is None:
        _must_be_inhabited(tools, guest)
        said = said_last(done.stderr, done.stdout)
        raise NoWayIn(f"no command can be run in {guest.name}: lxc-attach exits with {done.code}{said}")
    return left


def _must_be_inhabited(tools: Tools, guest: LxcGuest) -> None:
    """A frozen container would take a command, and freeze it; one that does not run has nobody to run it."""
    try:
        seen = seen_alone(tools, guest)
    except VmsvcError as error:
        raise NoWayIn(f"no command can be run in {guest.name}: {error.message}", hint=error.hint) from None
    if seen.phase is not Phase.RUNNING:
        raise NoWayIn(f"no command can be run in {guest.name}: it is {seen.state.lower()}")


def _was_killed(host: Host, announced: Announced) -> bool:
    """Kill a command with all that it has started, which the node sees; tells whether nothing is left."""
    try:
        return host.run(announced.killing, budget_s=_KILL_S).code == 0
    except VmsvcError:
        return False

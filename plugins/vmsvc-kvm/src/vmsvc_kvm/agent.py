"""Commands inside of a guest, run by its agent: no network is needed, in Windows guests as well.

Each request to the agent has a deadline of its own. A command is started, and asked after until it has ended: often at
first, and then patiently. What nobody answers for any more is undetermined at once: the guest has gone down, or its
agent has, or another agent answers that knows nothing of the command.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from vmsvc.driver import (
    AT_REST,
    NO_COMMANDS,
    TIMED_OUT,
    ActionFailed,
    DriverError,
    GuestAddress,
    Lane,
    NoWayIn,
    Outcome,
    Phase,
    TimedOut,
    Undetermined,
    UsageError,
    VmsvcError,
    ask,
    ask_once,
    check_command,
    said_last,
    shown,
)
from vmsvc_kvm import inside
from vmsvc_kvm.client import Connection
from vmsvc_kvm.inside import PlainCommand, Printed, UnixCommand
from vmsvc_kvm.observing import phase_of
from vmsvc_kvm.options import KvmGuest, driver_of

log = logging.getLogger("vmsvc.host")

# How long an agent that is well may take to answer: it does nothing else meanwhile. libvirt, too, waits as long for one
# that was silent before.
_ANSWER_S = 5.0
# How long a command is given to come to its end once it has been told to, in seconds.
_ENDING_S = 2.0
# How often a command is asked after, in seconds: at first, and at last.
_FIRST_PAUSE_S, _LAST_PAUSE_S, _LONGER = 0.01, 0.5, 1.5

_UNKNOWN_HINT = "what it did is not known: look, before trying again"
_NOT_STARTED = {
    "no-such-command": ("the guest has no such command", "install it in the guest, or give its full path"),
    "not-executable": ("it is not an executable file", "look at its mode and owner with ls -l in the guest"),
}
_ENABLE_HINT = (
    "allow guest-exec and guest-exec-status in the guest: see BLACKLIST_RPC in /etc/sysconfig/qemu-ga, "
    "or block-rpcs in /etc/qemu/qemu-ga.conf"
)


class Agent:
    """The agent of one guest.

    Args:
        guest: The guest.
        way: A lane to its libvirt that nothing else depends on.
    """

    def __init__(self, guest: KvmGuest, way: Lane[Connection]) -> None:
        self._guest = guest
        self._way = way

    def run(self, argv: Sequence[str], *, budget_s: float, environment: Mapping[str, str]) -> Outcome:
        """Run a command inside of the guest; see :class:`vmsvc.driver.Entrance`.

        Args:
            argv: The program and its arguments.
            budget_s: How long it may take, in seconds. To end it then takes up to two more.
            environment: Variables to set in addition to the agent's own; none in a Windows guest.

        Returns:
            What the command left behind. A unix guest's shell tells of a signal as exit codes beyond 128 do.

        Raises:
            UsageError: It can be given to no command, or to none in such a guest.
            NoWayIn: The agent does not answer, or runs no commands. Nothing was run.
            ActionFailed: The guest has no such program, or it cannot be run.
            TimedOut: It did not end in time.
            Undetermined: Whoever knew of it has gone.
        """
        began = time.monotonic()
        check_command(argv, environment)
        command = self._command(argv, environment)
        place = f"{self._guest.name}: {shown(argv)}"
        if budget_s <= 0:
            raise NoWayIn(f"{place}: not started, since no time was left for it", code=TIMED_OUT)
        self._greet(began + budget_s)
        pid = self._start(command, place, began + budget_s)
        status = self._end_of(pid, place, began + budget_s)
        in_time = status is not None
        if not in_time and command.can_be_ended:
            status = self._ended(pid, place)
        printed = None if status is None else command.printed(status)
        duration_s = time.monotonic() - began
        if printed is None or not in_time:
            log.info("%s: ended by us after %.3f s", place, duration_s)
            raise _late(place, budget_s, printed)
        if printed.refusal:
            log.info("%s: not started: %s", place, printed.refusal)
            raise _not_started(place, printed.refusal)
        if printed.code is None:
            raise Undetermined(
                f"{place}: what waited for it in the guest was killed, and its exit code is lost"
                f"{said_last(printed.stderr, printed.stdout)}",
                code="undetermined.exit-code",
                hint=_UNKNOWN_HINT,
            )
        log.info("%s: exit code %d after %.3f s", place, printed.code, duration_s)
        return Outcome(
            argv=tuple(argv),
            code=printed.code,
            stdout=printed.stdout,
            stderr=printed.stderr,
            duration_s=duration_s,
            truncated=printed.truncated,
        )

    def addresses(self, budget_s: float) -> list[GuestAddress]:
        """The addresses of all adapters inside the guest; see :class:`vmsvc.driver.AddressLister`.

        Args:
            budget_s: How long it may take, in seconds.

        Raises:
            NoWayIn: The agent does not answer, or does not tell addresses.
            Undetermined: Its answer did not come in time, or cannot be read.
        """
        deadline = time.monotonic() + budget_s
        self._greet(deadline)
        command = "guest-network-get-interfaces"
        try:
            return inside.addresses(self._ask(command, {}, deadline))
        except DriverError as refusal:
            raise NoWayIn(f"the agent of {self._guest.name} does not tell addresses: {refusal.message}") from None

    # --- a command's life --------------------------------------------------------------------------------------------

    def _command(self, argv: Sequence[str], environment: Mapping[str, str]) -> UnixCommand | PlainCommand:
        if self._guest.has_shell:
            return UnixCommand(argv=argv, environment=environment)
        if environment:
            # The agent's own way to set variables takes away all others, SystemRoot among them.
            raise UsageError(
                f"{shown(argv)}: no variables can be set for a command in a Windows guest: {', '.join(environment)}",
                code="usage.environment",
                hint="set them in the command itself",
            )
        return PlainCommand(argv=argv)

    def _greet(self, deadline: float) -> None:
        """Make sure that the agent answers, before anything is asked of it that matters."""
        if driver_of(self._guest.uri) != "qemu":
            raise NoWayIn(f"{self._guest.name} on {self._guest.uri} has no guest agent: only QEMU's guests have one")
        try:
            self._ask("guest-ping", {}, deadline)
        except (DriverError, Undetermined) as error:
            raise self._no_way_in(error, deadline) from None

    def _start(self, command: UnixCommand | PlainCommand, place: str, deadline: float) -> int:
        """Start a command.

        Returns:
            What the agent calls it by.
        """
        try:
            return inside.started(self._ask("guest-exec", command.request(), deadline, patience_s=math.inf, once=True))
        except DriverError as refusal:
            raise self._refused(place, refusal, deadline) from None
        except Undetermined as silence:
            raise Undetermined(
                f"{place}: whether it was started is not known: {silence.message}",
                code=silence.code,
                hint=_UNKNOWN_HINT,
            ) from None

    def _end_of(self, pid: int, place: str, deadline: float) -> Mapping[str, Any] | None:
        """Wait for a command's end.

        Returns:
            The agent's answer about it; ``None`` where it has not ended by the deadline.
        """
        pause_s = _FIRST_PAUSE_S
        while (left_s := deadline - time.monotonic()) > 0:
            with contextlib.suppress(_NoAnswerError):
                status = self._status(pid, place, deadline)
                if inside.has_ended(status):
                    return status
            time.sleep(max(min(pause_s, left_s), 0.0))
            pause_s = min(pause_s * _LONGER, _LAST_PAUSE_S)
        return None

    def _status(self, pid: int, place: str, deadline: float) -> Mapping[str, Any]:
        try:
            return inside.status(self._ask("guest-exec-status", {"pid": pid}, deadline))
        except (DriverError, Undetermined) as error:
            gone = self._who_has_gone(error, deadline)
            if gone:
                raise Undetermined(
                    f"{place}: how it ended is not known: {gone}", code="undetermined.gone", hint=_UNKNOWN_HINT
                ) from None
            raise _NoAnswerError from None

    def _ended(self, pid: int, place: str) -> Mapping[str, Any] | None:
        """End a command: all processes of its session, as far as that can be."""
        deadline = time.monotonic() + _ENDING_S
        with contextlib.suppress(DriverError, Undetermined):
            self._ask("guest-exec", inside.ending(pid), deadline)
            return self._end_of(pid, place, deadline)
        return None

    # --- what went wrong ---------------------------------------------------------------------------------------------

    def _no_way_in(self, error: VmsvcError, deadline: float) -> NoWayIn:
        """Put into words why the agent does not answer."""
        guest = self._guest
        what = f"{guest.name} on {guest.uri} cannot be entered by its agent"
        standing = self._standing(deadline)
        if standing is None:
            return NoWayIn(f"{what}: {error.message}")
        phase, state, channel = standing
        if phase in AT_REST:
            return NoWayIn(f"{what}: the guest does not run, it is {state}")
        if phase is not Phase.RUNNING:
            return NoWayIn(f"{what}: the guest is {state}")
        if not channel:
            return NoWayIn(
                f"{what}: its definition has no channel for one",
                hint="`virt-xml NAME --add-device --channel unix,target.type=virtio,"
                "target.name=org.qemu.guest_agent.0`, and start the guest anew",
            )
        if channel != "connected":
            return NoWayIn(
                f"{what}: none has connected",
                hint="install qemu-guest-agent in the guest and start it; while the guest boots, wait",
            )
        return NoWayIn(
            f"{what}: it does not answer ({error.message})",
            hint="is it stopped, or does the guest hang? Restart it there",
        )

    def _refused(self, place: str, refusal: DriverError, deadline: float) -> VmsvcError:
        """Tell a command that cannot be run from an agent that runs none."""
        try:
            runs_commands = inside.runs_commands(self._ask("guest-info", {}, deadline))
        except (DriverError, Undetermined):
            return self._no_way_in(refusal, deadline)
        if runs_commands:
            return ActionFailed(f"{place}: cannot be started: {refusal.message}", code="action.cannot-start")
        return NoWayIn(
            f"the agent of {self._guest.name} runs no commands: guest-exec is disabled",
            code=NO_COMMANDS,
            hint=_ENABLE_HINT,
        )

    def _who_has_gone(self, error: VmsvcError, deadline: float) -> str:
        """Whether an agent that gave no answer about a command can still give one.

        Returns:
            Why not; empty where it may.
        """
        standing = self._standing(deadline)
        if standing is None:
            return ""
        phase, state, channel = standing
        if phase in AT_REST:
            return f"the guest is {state}"
        if channel != "connected":
            return "the guest, or its agent, has ended or is restarted"
        if phase is Phase.RUNNING and isinstance(error, DriverError):
            return f"the guest, or its agent, was restarted ({error.message})"
        return ""

    def _standing(self, deadline: float) -> tuple[Phase, str, str] | None:
        """Where the guest stands, and its agent's channel; ``None`` where libvirt does not tell."""

        def look(connection: Connection) -> tuple[Phase, str, str]:
            phase, state = phase_of(connection.find(self._guest.name))
            return phase, state, "" if phase is Phase.ABSENT else connection.agent_channel(self._guest.name)

        with contextlib.suppress(DriverError, Undetermined):
            # A moment is spent on it in any case: what went wrong is worth it.
            return ask(self._way, look, budget_s=max(deadline - time.monotonic(), 0.5))
        return None

    # --- the agent ---------------------------------------------------------------------------------------------------

    def _ask(
        self,
        command: str,
        arguments: Mapping[str, Any],
        deadline: float,
        *,
        patience_s: float = _ANSWER_S,
        once: bool = False,
    ) -> Any:
        """Ask the agent.

        Args:
            command: What it is to do.
            arguments: With what.
            deadline: How long its answer is waited for at most, on the monotonic clock.
            patience_s: How long it is waited for, in seconds.
            once: Whether it must not be asked twice.

        Raises:
            DriverError: It was not asked, or refused.
            Undetermined: It did not answer.
        """
        budget_s = min(deadline - time.monotonic(), patience_s)
        request = json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})})
        timeout_s = max(math.ceil(budget_s), 1)
        answer = (ask_once if once else ask)(
            self._way, lambda connection: connection.ask_agent(self._guest.name, request, timeout_s), budget_s=budget_s
        )
        return inside.answer(answer)


class _NoAnswerError(Exception):
    """The agent did not tell how a command stands, and may do so yet."""


def _not_started(place: str, refusal: str) -> ActionFailed:
    reason, hint = _NOT_STARTED.get(refusal, (refusal, ""))
    return ActionFailed(f"{place}: cannot be started: {reason}", code=f"action.{refusal}", hint=hint)


def _late(place: str, budget_s: float, printed: Printed | None) -> TimedOut:
    late = f"{place}: did not end within {budget_s:.1f} s"
    hint = "what it did is not known: look, before trying again with a larger timeout"
    if printed is None:
        return TimedOut(f"{late}, and could not be killed: it may go on", hint=hint)
    return TimedOut(
        f"{late}, and was killed{said_last(printed.stderr, printed.stdout)}",
        hint=hint,
        stdout=printed.stdout,
        stderr=printed.stderr,
        truncated=printed.truncated,
    )

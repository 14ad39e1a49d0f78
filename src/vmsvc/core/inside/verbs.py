"""What vmsvc asks of guests: it lists addresses, and lists and runs launchers."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import cache

from vmsvc.core.errors import ActionFailed, TimedOut, VmsvcError
from vmsvc.core.transport import Host, Outcome
from vmsvc.core.transport.asking import Script, is_restricted

#: What the script calls itself inside guests.
NAME = "vmsvc-guest"

#: A launch is known by this variable in the environment of its processes; ending it takes a few seconds.
_MARK, _END_S = "VMSVC_LAUNCH", 6.0


@cache
def script() -> Script:
    """The script of the verbs. As a forced command it is told the directories of launchers that the key is for."""
    return Script.of(NAME, "vmsvc.core.inside")


def ask(
    host: Host, verb: str, *arguments: str, budget_s: float, environment: Mapping[str, str] | None = None
) -> Outcome:
    """Have a guest do a verb.

    Args:
        host: The inside of the guest.
        verb: ``hello``, ``addresses``, ``launchers DIRECTORY``, ``launch DIRECTORY NAME ACTION`` or ``end MARK``.
        arguments: What belongs to it.
        budget_s: How long it may take, in seconds.
        environment: Variables for a launcher; their names begin with ``VMSVC_`` or ``OPENSVC_``.

    Returns:
        What the verb left behind. For ``launch`` that is the launcher's own, whatever its exit code.

    Raises:
        VmsvcError: As :meth:`~vmsvc.core.transport.asking.Script.ask` does.
    """
    deadline = time.monotonic() + budget_s
    if not is_restricted(host, budget_s=budget_s):
        return script().ask(host, verb, *arguments, budget_s=deadline - time.monotonic(), environment=environment)
    # A way that lets in verbs alone ends no commands, so that is one of the verbs.
    mark = os.urandom(16).hex() if verb == "launch" else ""
    variables = {**(environment or {}), **({_MARK: mark} if mark else {})}
    try:
        return script().ask(host, verb, *arguments, budget_s=deadline - time.monotonic(), environment=variables)
    except TimedOut as error:
        fate = _end(host, mark) if mark else "it goes on: this key ends launchers alone"
        raise error.reworded(f"{error.message}; {fate}") from None


def _end(host: Host, mark: str) -> str:
    """End what is left of a launch; tells what has become of it."""
    try:
        outcome = script().ask(host, "end", mark, budget_s=_END_S)
    except ActionFailed as error:
        return f"it goes on: {error.message}"
    except VmsvcError as error:
        return f"it may go on: {error.message}"
    return f"it goes on: {outcome.code}" if outcome.code else "it was killed"

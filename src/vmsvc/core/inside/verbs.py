"""What vmsvc asks of guests: it lists addresses, and lists and runs launchers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from vmsvc.core.errors import NoWayIn
from vmsvc.core.transport import Host, Outcome
from vmsvc.core.transport.asking import Script
from vmsvc.core.transport.command import said_last

#: What the script calls itself inside guests.
NAME = "vmsvc-guest"

#: The code of an error: a launcher is not launched, since another one of its directory still runs.
BUSY = "action.busy-inside"


@cache
def script() -> Script:
    """The script of the verbs. As a forced command it is told the directories of launchers that the key is for."""
    return Script.of(NAME, "vmsvc.core.inside")


def greet(host: Host, *, budget_s: float) -> None:
    """Make sure that there is a way into a guest by which verbs can be done.

    Args:
        host: The inside of the guest.
        budget_s: How long it may take, in seconds.

    Raises:
        VmsvcError: As :meth:`~vmsvc.core.transport.asking.Script.ask` does.
        NoWayIn: What answers there is not the script.
    """
    outcome = ask(host, "hello", budget_s=budget_s)
    if outcome.code or script().greeting not in outcome.out:
        said = said_last(outcome.stderr, outcome.stdout)
        raise NoWayIn(
            f"{host.name} does not know vmsvc's verbs: exit code {outcome.code}{said}",
            code="undetermined.no-verbs",
            hint="where it takes vmsvc's own key, its script may be missing: `vmsvc trust guest SERVICE --install`",
        )


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
    return script().ask(host, verb, *arguments, budget_s=budget_s, environment=environment)

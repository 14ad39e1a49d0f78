"""Where containers stand: one list for all of an engine, however many there are; a single one is inspected."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence

from vmsvc.driver import (
    DriverError,
    Evidence,
    Lane,
    Observation,
    Phase,
    Undetermined,
    ask,
    did_you_mean,
    survey_each,
    unknown,
)
from vmsvc_docker import hints
from vmsvc_docker.client import Connection
from vmsvc_docker.containers import MADE_OF, Inspected, Seen
from vmsvc_docker.lanes import Lanes
from vmsvc_docker.options import DockerGuest
from vmsvc_docker.states import judge

Key = tuple[str, str]


class Observer:
    """Looks at containers and changes nothing.

    Args:
        lanes: Where its calls run.
    """

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    def survey(self, guests: Sequence[DockerGuest], budget_s: float) -> dict[Key, Observation]:
        """Look at many containers: each engine is asked once, and all engines at once.

        Args:
            guests: The guests.
            budget_s: How long it may take, in seconds.

        Returns:
            Observations by service and rid.
        """

        def survey(endpoint: str, here: Sequence[DockerGuest]) -> dict[Key, Observation]:
            return _survey(self._lanes.to(endpoint, "status", max_abandoned=2), endpoint, here, budget_s)

        return survey_each(guests, lambda guest: guest.endpoint, survey)


def _survey(
    way: Lane[Connection], endpoint: str, guests: Sequence[DockerGuest], budget_s: float
) -> dict[Key, Observation]:
    """Look at some containers of one engine: a single one is inspected, of several the list tells.

    Both mean the same of where they stand; an inspection tells the restart policy as well.
    """
    only = guests[0].name if len(guests) == 1 else ""

    def look(connection: Connection) -> tuple[Mapping[str, Seen], Inspected | None]:
        found = connection.find(only) if only else None
        return (connection.survey(), None) if found is None else ({only: found.seen}, found)

    probe = f"GET /containers/{f'{only}/json' if only else 'json?all=1'} {endpoint}"
    began = time.monotonic()
    try:
        seen, inspected = ask(way, look, budget_s=budget_s)
    except (Undetermined, DriverError) as error:
        nothing = unknown(probe, error, duration_s=time.monotonic() - began)
        return {(guest.service, guest.rid): nothing for guest in guests}
    took_s, now = time.monotonic() - began, time.time()

    def observation(guest: DockerGuest) -> Observation:
        phase, state, detail = _standing(guest, seen.get(guest.name), seen)
        evidence = Evidence(probe=probe, detail=detail, at=now, duration_s=took_s)
        warnings = [about_restart(guest, inspected)] if inspected is not None and inspected.comes_back else []
        if _is_made_of_else(guest, seen.get(guest.name)):
            warnings.append(about_keys(guest))
        return Observation(phase=phase, state=state, evidence=evidence, warnings=tuple(warnings))

    return {(guest.service, guest.rid): observation(guest) for guest in guests}


def _standing(guest: DockerGuest, seen: Seen | None, names: Collection[str]) -> tuple[Phase, str, str]:
    """Where a guest stands: its phase, its state in a word, and the evidence."""
    if seen is None:
        said = f"{guest.endpoint} has no container {guest.name!r}"
        return Phase.ABSENT, "absent", "; ".join(filter(None, [said, did_you_mean(guest.name, names)]))
    phase, state = judge(seen.state, seen.health)
    return phase, state, seen.words or seen.state


def _is_made_of_else(guest: DockerGuest, seen: Seen | None) -> bool:
    """Whether vmsvc has made a container, and of other keys than its service has now."""
    if seen is None or not seen.made_of or not guest.image:
        return False
    from vmsvc_docker import definition  # noqa: PLC0415 - it reads JSON; most containers were made by others

    return bool(definition.of_guest(guest).made_of["Labels"][MADE_OF] != seen.made_of)


def about_keys(guest: DockerGuest) -> str:
    """What to say of a container that its service's keys do not describe any more.

    Args:
        guest: The guest.
    """
    remove = hints.by_hand(guest.endpoint, "rm", guest.name)
    return (
        f"{guest.name} was made of other keys than the service has now; once it is stopped, `{remove}`, and the next "
        "start makes it anew"
    )


def about_restart(guest: DockerGuest, inspected: Inspected) -> str:
    """What to say of a container that its engine starts by itself.

    Args:
        guest: The guest.
        inspected: Its container.
    """
    disable = hints.by_hand(guest.endpoint, "update", "--restart=no", guest.name)
    return (
        f"the restart policy of {guest.name} is {inspected.restart_policy}: its engine would start it behind the "
        f"service's back, as when the node boots; `{disable}`"
    )

"""Where guests stand: one question for all guests of a server, however many services mean one of them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from attrs import frozen

from vmsvc.driver import (
    DriverError,
    Evidence,
    Observation,
    Phase,
    Undetermined,
    ask,
    did_you_mean,
    survey_each,
    unknown,
)
from vmsvc_esx import hints
from vmsvc_esx.lanes import Lanes
from vmsvc_esx.machines import Index, Machine, wanted
from vmsvc_esx.options import Access, EsxGuest
from vmsvc_esx.states import seen_from
from vmsvc_esx.surveys import Survey

Key = tuple[str, str]


class Observer:
    """Looks at guests and changes nothing.

    Args:
        lanes: Where its calls run.
    """

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    def survey(self, guests: Sequence[EsxGuest], budget_s: float) -> dict[Key, Observation]:
        """Look at many guests: each server is asked once, and all servers at once.

        Args:
            guests: The guests.
            budget_s: How long it may take, in seconds.

        Returns:
            Observations by service and rid.
        """
        return survey_each(
            guests, lambda guest: guest.access, lambda access, here: self._survey(access, here, budget_s)
        )

    def _survey(self, access: Access, guests: Sequence[EsxGuest], budget_s: float) -> dict[Key, Observation]:
        probe = f"RetrievePropertiesEx {access.server}"
        began = time.monotonic()
        try:
            way = self._lanes.to(access, "status", max_abandoned=2)
            survey = ask(way, lambda client: client.survey(wanted(guests)), budget_s=budget_s)
        except (Undetermined, DriverError) as error:
            nothing = unknown(probe, error, duration_s=time.monotonic() - began)
            return {(guest.service, guest.rid): nothing for guest in guests}
        answer = _Answer(probe=probe, survey=survey, took_s=time.monotonic() - began)
        index = Index(list(survey.told))
        return {(guest.service, guest.rid): _observation(guest, index.around(guest), answer) for guest in guests}


@frozen(kw_only=True)
class _Answer:
    """What a server has told, and how long it took."""

    probe: str
    survey: Survey
    took_s: float


def _observation(guest: EsxGuest, around: Sequence[Machine], answer: _Answer) -> Observation:
    probe, took_s = answer.probe, answer.took_s
    try:
        machine = answer.survey.find(guest, around)
    except Undetermined as doubt:
        return unknown(probe, doubt, duration_s=took_s)
    if machine is None:
        near = did_you_mean(guest.name, [each.name for each in answer.survey.told])
        said = "; ".join(filter(None, [f"{guest.server} has no guest {guest.name!r}", near]))
        evidence = Evidence(probe=probe, detail=said, duration_s=took_s)
        return Observation(phase=Phase.ABSENT, state="absent", evidence=evidence)
    phase, state = seen_from(guest.host, machine)
    evidence = Evidence(probe=probe, detail="; ".join(_told(machine)), duration_s=took_s)
    warnings = (hints.about_autostart(guest),) if machine.autostart else ()
    return Observation(phase=phase, state=state, evidence=evidence, warnings=warnings)


def _told(machine: Machine) -> Sequence[str]:
    """The server's own words about a guest."""
    words = {"connection": machine.connection, "tools": machine.tools, "asks": machine.question}
    return [machine.power, *(f"{what} {word}" for what, word in words.items() if word not in ("", "connected"))]

"""Carries out attempts: each batch of requests in parallel, its answers fed back, within one deadline.

The deadline is absolute, and taking back is within it: whoever waits for an attempt does not give it up before it has
ended, and an attempt that has ended asks for nothing any more, nor does any command go on that it has begun. A removal
that came later could take a disk away from under a guest that was started meanwhile.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol, TypeVar

from vmsvc.core.lane import call_each
from vmsvc.core.vmdg.seen import Answer, Performed, Reading
from vmsvc.core.vmdg.tool import Deadline, Tool
from vmsvc.core.vmdg.turn import Request

#: How many requests are made at once. They wait for devices, not for the processor.
PARALLEL = 32
#: How long before the deadline the last command may begin, in seconds: about as long as one may take by itself. A
#: quarter of the budget, where that is less.
LANDING_S = 15.0
#: How long before the deadline a command is told to end that has not, in seconds: a host may take that long to kill it,
#: and to say so. A tenth of the budget, where that is less.
ENDING_S = 2.0
#: How long a request waits that was answered with a unit attention or "busy", in seconds, for each time before.
PAUSE_S = 0.1

_R_co = TypeVar("_R_co", covariant=True)


class Machine(Protocol[_R_co]):
    """What is carried out: an :class:`~vmsvc.core.vmdg.attempt.Attempt`, or a survey."""

    @property
    def wants(self) -> tuple[Request, ...]:
        """The next requests, which may be made in parallel."""

    @property
    def result(self) -> _R_co | None:
        """How it ended; ``None`` until it has."""

    @property
    def takes_back(self) -> bool:
        """Whether it takes back what it did when it is given up, so that time must be left for that."""

    def advanced(self, answers: tuple[Reading | Performed, ...]) -> Machine[_R_co]:
        """The machine after its requests have been answered."""

    def given_up(self, why: str) -> Machine[_R_co]:
        """The machine, ended from outside; the second time, without taking back."""


def carry_out(
    machine: Machine[_R_co],
    tool: Tool,
    *,
    budget_s: float,
    looking: Tool | None = None,
    parallel: int = PARALLEL,
    cancelled: threading.Event | None = None,
) -> _R_co:
    """Carry out an attempt or a survey.

    What takes back has half of the budget to take, and then the rest for taking back. No command begins in the last
    :data:`LANDING_S` seconds: those that are under way are waited for, are ended :data:`ENDING_S` seconds before the
    end, and what has not been answered by then counts as "no answer".

    Args:
        machine: What is to be done.
        tool: What asks the devices.
        budget_s: How long it may take, in seconds, all told.
        looking: What asks them as long as nothing was done to any; the same tool when not given. Such a look need not
            be waited for as long as an operation.
        parallel: How many requests are made at once.
        cancelled: When set, it is given up.

    Returns:
        How it ended.
    """
    began = time.monotonic()
    deadline = began + budget_s
    last = deadline - min(LANDING_S, budget_s / 4)
    until = began + budget_s / 2 if machine.takes_back else last
    ends = deadline - min(ENDING_S, budget_s / 10)
    late, has_acted = "not done", False

    def is_over() -> bool:
        return time.monotonic() >= until or (cancelled is not None and cancelled.is_set())

    def made(request: Request) -> Reading | Performed | None:
        if request.tries:
            time.sleep(PAUSE_S * request.tries)
        if is_over():
            return None
        allowed = Deadline(begins=until, ends=ends)
        if request.operation is None:
            asking = tool if has_acted or looking is None else looking
            return asking.read(request.disk, request.path, deadline=allowed)
        return tool.perform(request.disk, request.operation, deadline=allowed)

    while (result := machine.result) is None:
        if is_over():
            is_late = cancelled is None or not cancelled.is_set()
            machine = machine.given_up(f"{late} within {until - began:.3g} s" if is_late else "interrupted")
            cancelled, until, late = None, last, "what was done has not been taken back"
            continue
        wants = machine.wants
        has_acted = has_acted or any(request.operation is not None for request in wants)
        answers = call_each(made, wants, deadline=deadline, width=parallel, name="vmdg")
        machine = machine.advanced(tuple(map(_or_silence, wants, answers)))
    return result


def _or_silence(request: Request, answer: Reading | Performed | None) -> Reading | Performed:
    """The answer; where none came in time, or the request was not even made, that nobody knows what came of it."""
    if answer is not None:
        return answer
    if request.operation is None:
        return Reading(path=request.path, answer=Answer.SILENT, detail=_NO_ANSWER, calls=0)
    return Performed(operation=request.operation, answer=Answer.SILENT, detail=_NO_ANSWER, calls=0)


_NO_ANSWER = "no answer within the time that there was"

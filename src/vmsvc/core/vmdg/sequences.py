"""Carries out attempts: each batch of requests in parallel, its answers fed back, within a budget.

A request that has been made is waited for: an operation that lands after everything was taken back would be worse than
a delay. Its deadline is the tool's, so a batch is over in finite time.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from vmsvc.core.vmdg.seen import Performed, Reading
from vmsvc.core.vmdg.tool import Tool
from vmsvc.core.vmdg.turn import Request

#: How many requests are made at once. They wait for devices, not for the processor.
PARALLEL = 32
#: How long taking back may go on after the budget is spent, in seconds.
GRACE_S = 30.0
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

    def advanced(self, answers: tuple[Reading | Performed, ...]) -> Machine[_R_co]:
        """The machine after its requests have been answered."""

    def given_up(self, why: str) -> Machine[_R_co]:
        """The machine, ended from outside."""


def carry_out(
    machine: Machine[_R_co],
    tool: Tool,
    *,
    budget_s: float,
    parallel: int = PARALLEL,
    cancelled: threading.Event | None = None,
) -> _R_co:
    """Carry out an attempt or a survey.

    Args:
        machine: What is to be done.
        tool: What asks the devices.
        budget_s: How long it may take, in seconds, before it is given up; taking back may add :data:`GRACE_S`, and
            requests that are under way are waited for.
        parallel: How many requests are made at once.
        cancelled: When set, it is given up.

    Returns:
        How it ended.
    """
    deadline = time.monotonic() + budget_s
    with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="vmdg") as threads:
        while (result := machine.result) is None:
            if time.monotonic() >= deadline:
                machine = machine.given_up(f"not done within {budget_s:g} s")
                deadline += GRACE_S
            elif cancelled is not None and cancelled.is_set():
                machine, cancelled = machine.given_up("interrupted"), None
                deadline = time.monotonic() + GRACE_S
            else:
                answers = threads.map(lambda request: _made(tool, request), machine.wants)
                machine = machine.advanced(tuple(answers))
    return result


def _made(tool: Tool, request: Request) -> Reading | Performed:
    if request.tries:
        time.sleep(PAUSE_S * request.tries)
    if request.operation is None:
        return tool.read(request.disk, request.path)
    return tool.perform(request.disk, request.operation)

"""Which guests are there already: every driver that can tell is asked, all of them at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from attrs import frozen

from vmsvc.core.answers import FoundGuest
from vmsvc.core.contract import Driver
from vmsvc.core.errors import TIMED_OUT, Undetermined, VmsvcError, told
from vmsvc.core.lane import call_each, call_within
from vmsvc.core.observe import GRACE_S
from vmsvc.core.resource import Guest

#: How long a driver may take to name its guests, in seconds. Nobody's guest waits for it, and an estate may be large.
BUDGET_S = 20.0


@frozen(kw_only=True)
class Discovery:
    """What one driver has told.

    Attributes:
        type: The type that it serves.
        guests: The guests, sorted by name.
        error: Why it could not tell; ``None`` where it could.
    """

    type: str
    guests: tuple[FoundGuest, ...] = ()
    error: VmsvcError | None = None


def discover(
    places: Sequence[Guest], driver_of: Callable[[Guest], Driver[Any]], *, budget_s: float = BUDGET_S
) -> list[Discovery]:
    """Ask drivers for their guests; one that hangs or fails holds up no other.

    Args:
        places: For each driver, a guest of no service, whose options tell where to look.
        driver_of: Finds the driver of such a guest.
        budget_s: How long each may take, in seconds.

    Returns:
        What each has told, in the order of the places.
    """
    deadline = time.monotonic() + budget_s + 2 * GRACE_S  # each call has its own, which comes before
    ask = partial(_ask, driver_of=driver_of, budget_s=budget_s)
    found = call_each(ask, places, deadline=deadline, width=len(places), name="vmsvc discovery")
    return [each or _late(where, budget_s) for where, each in zip(places, found, strict=True)]


def _late(where: Guest, budget_s: float) -> Discovery:
    error = Undetermined(f"the {where.type} driver gave no answer within {budget_s:g} s", code=TIMED_OUT)
    return Discovery(type=where.type, error=error)


def _ask(where: Guest, driver_of: Callable[[Guest], Driver[Any]], budget_s: float) -> Discovery:
    name = f"{where.type} driver"
    try:
        driver: Any = driver_of(where)
        answer = call_within(
            name, lambda: _checked(driver.discover(where, budget_s=budget_s)), budget_s=budget_s + GRACE_S
        )
    except VmsvcError as error:
        return Discovery(type=where.type, error=error)
    except Exception as defect:  # noqa: BLE001 - a driver's defect must not hide the others' guests
        return Discovery(type=where.type, error=Undetermined(f"the {name} broke off with {told(defect)}"))
    return Discovery(type=where.type, guests=answer)


def _checked(answer: Any) -> tuple[FoundGuest, ...]:
    guests = tuple(answer)
    if strange := next((item for item in guests if not isinstance(item, FoundGuest)), None):
        raise TypeError(f"discover answered with a {type(strange).__name__}, not a FoundGuest")
    return tuple(sorted(guests, key=lambda guest: guest.name))

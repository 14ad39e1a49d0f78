"""What guests tell of their adapters, asked once for each look at a guest, however many addresses it is to have."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from attrs import define, field

from vmsvc.core.answers import GuestAddress
from vmsvc.core.contract import Capability
from vmsvc.core.deadline import left_until
from vmsvc.core.errors import NO_COMMANDS, ActionFailed, NoWayIn, Undetermined, VmsvcError, told
from vmsvc.core.inside import verbs
from vmsvc.core.inside.addresses.forms import read_addresses
from vmsvc.core.inside.place import Places
from vmsvc.core.inside.remembering import MORE_S
from vmsvc.core.inside.ways import Way, why_none
from vmsvc.core.ips.halves import Found, Half, on_adapter
from vmsvc.core.kinds import Ip
from vmsvc.core.lane import call_within
from vmsvc.core.observe import Key, key_of
from vmsvc.core.resource import Guest
from vmsvc.core.roles import AddressLister
from vmsvc.core.status import Observation

_GRACE_S = 1.0


@define
class _Question:
    """One question to one guest, and its answer for all who want to know.

    Attributes:
        look: What was seen of the guest in the look that the question belongs to.
        turn: Held by who asks; the others wait for it.
        answer: The addresses, or why nobody knows; ``None`` before it was asked.
        budget_s: How long the guest had for it, in seconds.
    """

    look: Observation
    turn: threading.Lock = field(factory=threading.Lock)
    answer: Sequence[GuestAddress] | VmsvcError | None = None
    budget_s: float = 0.0

    def had_less_than(self, budget_s: float) -> bool:
        """Whether it was asked in vain, and so much time is more: an answer may have come too late for others alone.

        Args:
            budget_s: How much time there is, in seconds.
        """
        return isinstance(self.answer, VmsvcError) and budget_s >= self.budget_s + MORE_S


class Adapters:
    """Asks guests which adapter has which address.

    Args:
        places: Where guests are, and the ways into them.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._asked: dict[Key, _Question] = {}
        self._guard = threading.Lock()

    def left_out(self, guest: Guest) -> str:
        """Why a guest is not asked, in words; empty where it is.

        Args:
            guest: The guest.

        Raises:
            Undetermined: The guest's driver cannot be made.
        """
        way = self._places.ways.way_into(guest)
        if way is Way.NONE:
            return f"there is no way in: {why_none(guest)}"
        if guest.guestos == "windows" and not self._is_told_by_agent(guest, way):
            return "a Windows guest tells its addresses only to an agent that lists them"
        return ""

    def check(self, resource: Ip, address: str, look: Observation, deadline: float) -> Half:
        """Whether an address is on its adapter inside the guest.

        Args:
            resource: The address's resource.
            address: The address.
            look: What was seen of the guest; all who were given the same share one question.
            deadline: When the answer must be there, on the monotonic clock.
        """
        guest = self._places.guest_of(resource)
        with self._guard:
            question = self._asked.get(key_of(guest))
            if question is None or question.look is not look:
                question = self._asked[key_of(guest)] = _Question(look)
        if not question.turn.acquire(timeout=left_until(deadline)):
            return Half(Found.UNKNOWN, f"{guest.name} did not tell its addresses in time")
        try:
            left = left_until(deadline)
            if question.answer is None or question.had_less_than(left):
                question.budget_s, question.answer = left, self._ask(guest, left)
        finally:
            question.turn.release()
        if isinstance(question.answer, VmsvcError):
            return Half(Found.UNKNOWN, f"{guest.name} did not tell its addresses: {question.answer.message}")
        return on_adapter(address, resource.ipdev, question.answer)

    def _is_told_by_agent(self, guest: Guest, way: Way) -> bool:
        return way is Way.AGENT and Capability.ADDRESSES in self._places.driver_of(guest).capabilities

    def _ask(self, guest: Guest, budget_s: float) -> Sequence[GuestAddress] | VmsvcError:
        deadline = time.monotonic() + budget_s
        try:
            is_told = self._is_told_by_agent(guest, self._places.ways.way_into(guest))
            if is_told and guest.guestos == "windows":
                return self._ask_driver(guest, budget_s)
            try:
                return read_addresses(verbs.ask(self._places.ways.into(guest), "addresses", budget_s=budget_s))
            except (NoWayIn, ActionFailed) as error:
                # What a command tells is more: an agent's own list does not say which adapters are down.
                if not is_told or (isinstance(error, NoWayIn) and error.code != NO_COMMANDS):
                    raise
                return self._ask_driver(guest, left_until(deadline))
        except VmsvcError as error:
            return error
        except Exception as error:  # noqa: BLE001 - a driver's defect must not become a status
            return Undetermined(told(error), code="undetermined.driver-defect")

    def _ask_driver(self, guest: Guest, budget_s: float) -> Sequence[GuestAddress]:
        driver: Any = self._places.driver_of(guest)
        lister: AddressLister[Any] = driver
        answer: object = call_within(
            f"{driver.type} driver, addresses of {guest.name}",
            lambda: lister.addresses(guest, budget_s=budget_s),
            budget_s=budget_s + _GRACE_S,
        )
        if not isinstance(answer, Sequence) or not all(isinstance(each, GuestAddress) for each in answer):
            raise Undetermined(f"the {driver.type} driver answered with what are no addresses")
        return answer

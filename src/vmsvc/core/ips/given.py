"""Addresses that the node gives to a guest, which could not give them to itself: told, given, taken away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from vmsvc.core.answers import GuestAddress
from vmsvc.core.contract import Capability
from vmsvc.core.deadline import left_until
from vmsvc.core.errors import DriverError, Undetermined, VmsvcError, told
from vmsvc.core.inside.place import Places
from vmsvc.core.ips.free import check_by_ping
from vmsvc.core.ips.halves import Found, Half, on_adapter
from vmsvc.core.ips.ledger import Ledger
from vmsvc.core.ips.names import meant, only_one
from vmsvc.core.kinds import Ip
from vmsvc.core.lane import call_within
from vmsvc.core.resource import Guest
from vmsvc.core.roles import AddressPlumber

_GRACE_S = 1.0


@frozen
class GivenAddresses:
    """Has the drivers of guests plumb and unplumb what their guests are to have.

    Attributes:
        places: Where guests are.
        ledger: Where it is written down what was given.
    """

    places: Places
    ledger: Ledger

    def check(self, resource: Ip, address: str, deadline: float) -> Half:
        """Whether the guest has an address on its adapter, as its driver tells.

        Args:
            resource: The address's resource.
            address: The address.
            deadline: When the answer must be there, on the monotonic clock.
        """
        try:
            added = self.ledger.read(resource)
            return on_adapter(address, resource.ipdev, self._plumbed(resource, deadline), added)
        except VmsvcError as error:
            return Half(Found.UNKNOWN, f"what the guest was given is not known: {error.message}")
        except Exception as error:  # noqa: BLE001 - a driver's defect must not become a status
            return Half(Found.UNKNOWN, f"what the guest was given is not known: {told(error)}")

    def start(self, resource: Ip, *, budget_s: float) -> bool:
        """Give a guest an address, unless it has it, and once nobody else answers to it.

        Args:
            resource: The address.
            budget_s: How long it may take, in seconds.

        Returns:
            Whether it was this call that gave it.

        Raises:
            Refused: Somebody else has the address.
            DriverError: The adapter is not as it must be, or the driver plumbs no addresses.
            Undetermined: Whether the guest has it, or somebody else, is not known.
        """
        deadline = time.monotonic() + budget_s
        address = only_one(resource, budget_s)
        plumbed = self._plumbed(resource, deadline)
        if on_adapter(address, resource.ipdev, plumbed).found is Found.YES:
            return False
        if resource.check_ping and not any(each.address == address for each in plumbed):
            check_by_ping(self.places.node(), address, deadline=deadline)
        wanted = GuestAddress(device=resource.ipdev, address=address, prefix=resource.netmask or None)
        self.ledger.write(resource, [*self.ledger.read(resource), wanted])
        answer = self._ask(
            resource, lambda driver, guest: driver.plumb(guest, wanted, budget_s=left_until(deadline)), deadline
        )
        return answer is not False

    def stop(self, resource: Ip, *, budget_s: float) -> None:
        """Take an address away from a guest, and what else was given for it; nothing where it has it not.

        Args:
            resource: The address.
            budget_s: How long it may take, in seconds.

        Raises:
            DriverError: It is refused.
            Undetermined: Whether the guest has it still is not known.
        """
        deadline = time.monotonic() + budget_s
        added = self.ledger.read(resource)
        address, _ = meant(resource, added, budget_s)
        wanted = GuestAddress(device=resource.ipdev, address=address, prefix=resource.netmask or None)

        def unplumb(driver: AddressPlumber[Any], guest: Guest) -> None:
            for each in dict.fromkeys((*added, wanted)):
                driver.unplumb(guest, each, budget_s=left_until(deadline))

        self._ask(resource, unplumb, deadline)
        self.ledger.write(resource, ())

    def _plumbed(self, resource: Ip, deadline: float) -> Sequence[GuestAddress]:
        answer = self._ask(
            resource, lambda driver, guest: driver.plumbed(guest, budget_s=left_until(deadline)), deadline
        )
        if not isinstance(answer, Sequence) or not all(isinstance(each, GuestAddress) for each in answer):
            raise Undetermined("the driver answered with what are no addresses", code="undetermined.driver-defect")
        return answer

    def _ask(self, resource: Ip, work: Callable[[AddressPlumber[Any], Any], object], deadline: float) -> object:
        guest = self.places.guest_of(resource)
        driver: Any = self.places.driver_of(guest)
        if Capability.PLUMB not in driver.capabilities:
            raise DriverError(
                f"the {driver.type} driver gives no addresses to guests, though their options say so",
                code="driver.no-such-role",
                hint="report it to the driver's authors: the capability `plumb` is missing",
            )
        name = f"{driver.type} driver, addresses of {guest.name}"
        return call_within(name, lambda: work(driver, guest), budget_s=left_until(deadline) + _GRACE_S)

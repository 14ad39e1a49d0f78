"""Which guest a container resource means, and guests and addresses that several services mean at once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from vmsvc.core.config.addresses import meant
from vmsvc.core.config.model import shortened
from vmsvc.core.errors import Problem, Severity
from vmsvc.core.kinds import Ip
from vmsvc.core.options import options_of
from vmsvc.core.resource import Guest
from vmsvc.core.service import Service


def identity(guest: Guest) -> str:
    """What tells a guest from every other: its type, its name, and the options that its driver says identify it.

    Args:
        guest: A container resource.

    Returns:
        Equal texts for resources that mean the same guest.
    """
    telling = [option.key for option in options_of(type(guest)) if option.identifies]
    return repr([guest.type, guest.name, *(getattr(guest, key) for key in telling)])


@frozen
class Claims:
    """Which services mean which guests and addresses.

    Attributes:
        by_guest: For each guest's identity, the services and the resources that mean it.
        by_address: For each address, or name of one, the services and the resources that mean it.
    """

    by_guest: Mapping[str, Sequence[tuple[Service, Guest]]]
    by_address: Mapping[str, Sequence[tuple[Service, Ip]]]

    @classmethod
    def of(cls, services: Iterable[Service]) -> Claims:
        """Gather what services claim.

        Args:
            services: The services of a node.
        """
        guests: dict[str, list[tuple[Service, Guest]]] = {}
        addresses: dict[str, list[tuple[Service, Ip]]] = {}
        for service in services:
            for guest in service.guests:
                guests.setdefault(identity(guest), []).append((service, guest))
            for address in addresses_of(service):
                addresses.setdefault(meant(address), []).append((service, address))
        return cls(guests, addresses)

    def against(self, service: Service) -> tuple[Problem, ...]:
        """What other services mean a guest of this one, or an address: they act on it behind each other's back.

        Args:
            service: The service; it need not be among those gathered. One of its name is no other.

        Returns:
            A warning for each.
        """
        same_guests = (
            Problem(
                message=f"[{theirs.rid}] of {other.file} means the same guest, `{shortened(guest.name, 60)}`",
                code="config.same-guest-elsewhere",
                hint="a guest belongs to one service: take it out of the other",
                file=str(service.file),
                section=guest.rid,
                key="name",
                severity=Severity.WARNING,
            )
            for guest in service.guests
            for other, theirs in self.by_guest.get(identity(guest), ())
            if other.name != service.name
        )
        same_addresses = (
            Problem(
                message=f"[{theirs.rid}] of {other.file} has the same address, {shortened(address.ipname, 60)}",
                code="config.same-address-elsewhere",
                hint="an address is one machine's at a time: give one of them another",
                file=str(service.file),
                section=address.rid,
                key="ipname",
                severity=Severity.WARNING,
            )
            for address in addresses_of(service)
            for other, theirs in self.by_address.get(meant(address), ())
            if other.name != service.name
        )
        return (*same_guests, *same_addresses)


def addresses_of(service: Service) -> tuple[Ip, ...]:
    """The addresses of a service that count.

    Args:
        service: The service.
    """
    return tuple(each for each in service.resources if isinstance(each, Ip) and not each.disable)

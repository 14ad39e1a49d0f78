"""Which guest a container resource means, and guests that several services mean at once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from vmsvc.core.config.model import shortened
from vmsvc.core.errors import Problem, Severity
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
    """Which services mean which guests.

    Attributes:
        by_guest: For each guest's identity, the services and the resources that mean it.
    """

    by_guest: Mapping[str, Sequence[tuple[Service, Guest]]]

    @classmethod
    def of(cls, services: Iterable[Service]) -> Claims:
        """Gather what services claim.

        Args:
            services: The services of a node.
        """
        found: dict[str, list[tuple[Service, Guest]]] = {}
        for service in services:
            for guest in service.guests:
                found.setdefault(identity(guest), []).append((service, guest))
        return cls(found)

    def against(self, service: Service) -> tuple[Problem, ...]:
        """What other services mean a guest of this one: they would start and stop it behind each other's back.

        Args:
            service: The service; it need not be among those gathered. One of its name is no other.

        Returns:
            A warning for each.
        """
        return tuple(
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

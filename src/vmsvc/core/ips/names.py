"""From the name of an address to addresses. A resolver may hang, so it is asked with a deadline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vmsvc.core.answers import GuestAddress
from vmsvc.core.errors import Undetermined
from vmsvc.core.kinds import Ip
from vmsvc.core.lane import call_within
from vmsvc.core.networks import usual_form


def resolved(name: str, *, budget_s: float) -> tuple[str, ...]:
    """The addresses of a name, as this node resolves it.

    Args:
        name: A name, or an address, which nobody is asked about; one of IPv6 may have a zone, such as ``fe80::1%br0``.
        budget_s: How long it may take, in seconds.

    Returns:
        At least one address, each in its usual form, in the resolver's order.

    Raises:
        Undetermined: The name has no address, or that could not be found out: the two look alike to who asks.
    """
    literal = usual_form(name)
    if literal:
        return (literal,)
    import socket  # noqa: PLC0415 - only who gives a name pays for it

    def ask() -> Sequence[tuple[Any, ...]]:
        return socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)

    try:
        found = call_within(f"the resolver of {name}", ask, budget_s=budget_s)
    except (OSError, UnicodeError) as error:
        raise Undetermined(
            f"{name} cannot be resolved: {error}",
            code="undetermined.name",
            hint=f"see `getent ahosts {name}`, or give the address itself",
        ) from None
    addresses = dict.fromkeys(usual_form(str(sockaddr[0])) for *_, sockaddr in found)
    if known := tuple(address for address in addresses if address):
        return known
    raise Undetermined(f"{name} has no address", code="undetermined.name")


def only_one(resource: Ip, budget_s: float) -> str:
    """The one address that an adapter is to have: a name with several does not tell which.

    Args:
        resource: What is to be added or taken away.
        budget_s: How long it may take to find out, in seconds.

    Raises:
        Undetermined: The name has several, or none, or that could not be found out.
    """
    addresses = resolved(resource.ipname, budget_s=budget_s)
    if len(addresses) > 1:
        raise Undetermined(
            f"{resource.ipname} has several addresses: {', '.join(addresses)}",
            code="undetermined.name",
            hint="give the one that the adapter is to have, and another section for each other one",
        )
    return addresses[0].partition("%")[0]


def meant(resource: Ip, added: Sequence[GuestAddress], budget_s: float) -> tuple[str, str]:
    """The address that a resource means; where nobody can tell now, the one that was added for it.

    So a resolver that does not answer keeps no node from giving an address up.

    Args:
        resource: The address.
        added: What was added for it.
        budget_s: How long it may take to find out, in seconds.

    Returns:
        The address; and why it is the one that was added, empty where the name itself tells.

    Raises:
        Undetermined: The name does not tell, and nothing was added.
    """
    try:
        return only_one(resource, budget_s), ""
    except Undetermined as error:
        if not added:
            raise
        return added[-1].address, f"{error.message}; {added[-1].address} was added for it"

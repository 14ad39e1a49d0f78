"""From a name to its addresses, as this node resolves it. A resolver may hang, so it is asked with a deadline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vmsvc.core.errors import Undetermined
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
            f"{name} cannot be resolved: {why_not(error)}",
            code="undetermined.name",
            hint=f"see `getent ahosts {name}`, or give the address itself",
        ) from None
    addresses = dict.fromkeys(usual_form(str(sockaddr[0])) for *_, sockaddr in found)
    if known := tuple(address for address in addresses if address):
        return known
    raise Undetermined(f"{name} has no address", code="undetermined.name")


def why_not(error: OSError | UnicodeError) -> str:
    """Why a name cannot be resolved, in the words of the system's resolver.

    Args:
        error: What Python has raised. It says by a ``UnicodeError`` that it has not even asked.
    """
    if isinstance(error, UnicodeError):
        return "no name has parts that are empty, or longer than 63 letters"
    return error.strerror or str(error)

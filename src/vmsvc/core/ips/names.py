"""From the name of an address to the one address that is to be added somewhere, or taken away."""

from __future__ import annotations

from collections.abc import Sequence

from vmsvc.core.answers import GuestAddress
from vmsvc.core.errors import Undetermined
from vmsvc.core.kinds import Ip
from vmsvc.core.networks import held_by_no_one
from vmsvc.core.transport.names import resolved

#: How long a resolver is waited for that is not needed, in seconds: what it takes is missing for all that comes after.
_UNNEEDED_S = 2.0


def only_one(resource: Ip, budget_s: float) -> str:
    """The one address that an adapter is to have: a name with several does not tell which.

    Args:
        resource: What is to be added or taken away.
        budget_s: How long it may take to find out, in seconds.

    Raises:
        Undetermined: The name has several, or none that a machine could have, or that could not be found out.
    """
    addresses = resolved(resource.ipname, budget_s=budget_s)
    if len(addresses) > 1:
        raise Undetermined(
            f"{resource.ipname} has several addresses: {', '.join(addresses)}",
            code="undetermined.name",
            hint="give the one that the adapter is to have, and another section for each other one",
        )
    if common := held_by_no_one(addresses[0]):
        raise Undetermined(
            f"{resource.ipname} resolves to {addresses[0]}, which {common}",
            code="undetermined.name",
            hint=f"see `getent ahosts {resource.ipname}`, or give the address itself",
        )
    return addresses[0].partition("%")[0]


def meant(resource: Ip, added: Sequence[GuestAddress], budget_s: float) -> tuple[str, str]:
    """The address that a resource means; where nobody can tell now, the one that was added for it.

    So a resolver that does not answer, at once or ever, keeps no node from giving an address up.

    Args:
        resource: The address.
        added: What was added for it.
        budget_s: How long it may take, and what is then done with the address, in seconds.

    Returns:
        The address; and why it is the one that was added, empty where the name itself tells.

    Raises:
        Undetermined: The name does not tell, and nothing was added.
    """
    try:
        return only_one(resource, min(budget_s / 2, _UNNEEDED_S) if added else budget_s), ""
    except Undetermined as error:
        if not added:
            raise
        return added[-1].address, f"{error.message}; {added[-1].address} was added for it"

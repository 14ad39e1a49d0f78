"""Whether nobody has an address yet: asked before it is given to anybody. Where nobody can be asked, it is not free."""

from __future__ import annotations

import re

from vmsvc.core.errors import ActionFailed, DriverError, Refused, Undetermined
from vmsvc.core.ips.halves import Answer
from vmsvc.core.ips.links import C_LOCALE
from vmsvc.core.ips.ping import UNEXPECTED_S, ping, who_has
from vmsvc.core.transport import Host
from vmsvc.core.transport.command import said_last

#: How many ARP requests ask whether an address is free, one a second: one may be lost (RFC 5227 sends three).
_REQUESTS = 2
_RECEIVED = re.compile(r"Received (\d+) response")
_MAC = re.compile(r"\[([0-9A-Fa-f:]{17})\]")


def check_by_ping(node: Host, address: str) -> None:
    """Check that nobody answers to an address, wherever it may be routed to.

    Args:
        node: Where to ask from.
        address: The address.

    Raises:
        Refused: Somebody does.
        Undetermined: Nobody could be asked.
    """
    heard = ping(node, address, wait_s=UNEXPECTED_S)
    if heard.answer is Answer.YES:
        raise taken(address, who_has(node, address))
    if heard.answer is Answer.UNKNOWN:
        raise Undetermined(f"whether somebody else has {address} cannot be found out: {heard.words}")


def check_by_arp(node: Host, address: str, adapter: str, *, budget_s: float) -> None:
    """Check that nobody in an adapter's network has an address of IPv4 (RFC 5227), by arping(8).

    Args:
        node: The node.
        address: The address.
        adapter: Its adapter.
        budget_s: How long it may take, in seconds.

    Raises:
        Refused: Somebody has it.
        DriverError: There is no ``arping``.
        Undetermined: Nobody could be asked.
    """
    argv = ["arping", "-D", "-c", str(_REQUESTS), "-w", str(_REQUESTS + 1), "-I", adapter, address]
    try:
        outcome = node.run(argv, budget_s=budget_s, environment=C_LOCALE)
    except ActionFailed as error:
        raise DriverError(
            f"whether somebody else has {address} cannot be found out: {error.message}",
            code="driver.no-arping",
            hint="install Debian's package iputils-arping, or its like",
        ) from error
    received = _RECEIVED.search(outcome.out)
    if received is None or outcome.code not in (0, 1):
        raise Undetermined(
            f"whether somebody else has {address} cannot be found out: arping exited with "
            f"{outcome.code}{said_last(outcome.stderr, outcome.stdout)}"
        )
    if int(received[1]):
        mac = _MAC.search(outcome.out)
        raise taken(address, f"{mac[1].lower() if mac else 'another machine'} on {adapter} has it")


def taken(address: str, who: str) -> Refused:
    """The refusal of an address that somebody else has.

    Args:
        address: The address.
        who: Who has it, in words.
    """
    return Refused(
        f"another machine has {address}: {who}",
        code="refused.address-taken",
        hint="find it by its MAC, and take the address away from it first",
    )

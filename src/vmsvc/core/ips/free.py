"""Whether nobody has an address yet: asked before it is given to anybody. Where nobody can be asked, it is not free."""

from __future__ import annotations

import re

from vmsvc.core.errors import ActionFailed, DriverError, Refused, Undetermined
from vmsvc.core.ips.halves import Found
from vmsvc.core.ips.links import C_LOCALE
from vmsvc.core.ips.neighbours import asked, who_has
from vmsvc.core.transport import Host
from vmsvc.core.transport.command import said_last

#: How many ARP requests ask whether an address is free, one a second: one may be lost (RFC 5227 sends three).
_REQUESTS = 2
_RECEIVED = re.compile(r"Received (\d+) response")
_NUMBER = re.compile(r"-?\d+")
_MAC = re.compile(r"\[([0-9A-Fa-f:]{17})\]")


def check_by_ping(node: Host, address: str, *, deadline: float) -> None:
    """Check that nobody answers to an address, wherever it may be routed to, nor has it in this node's own networks.

    Args:
        node: Where to ask from.
        address: The address.
        deadline: When it must be known, on the monotonic clock.

    Raises:
        Refused: Somebody does.
        Undetermined: Nobody could be asked.
    """
    heard = asked(node, address, deadline=deadline)
    if heard.found is Found.YES:
        raise taken(address, heard.holder or who_has(node, address))
    if heard.found is Found.UNKNOWN:
        raise _undetermined(address, heard.words)


def check_in_network(node: Host, address: str, adapter: str, *, budget_s: float) -> None:
    """Check that nobody in an adapter's network has an address; of IPv6, that the kernel will, once it is added.

    Args:
        node: The node.
        address: The address.
        adapter: Its adapter.
        budget_s: How long it may take, in seconds.

    Raises:
        Refused: Somebody has it.
        DriverError: There is no ``arping``, or the kernel is told to ask nobody.
        Undetermined: Nobody could be asked.
    """
    (_check_kernel_asks if ":" in address else _check_by_arp)(node, address, adapter, budget_s=budget_s)


def _check_kernel_asks(node: Host, address: str, adapter: str, *, budget_s: float) -> None:
    """IPv6 asks by itself (RFC 4862, 5.4), unless it is told not to: see the kernel's ip-sysctl."""
    each, everywhere = (f"net/ipv6/conf/{name}/accept_dad" for name in (adapter, "all"))
    keys = [each, everywhere, f"net/ipv6/conf/{adapter}/dad_transmits"]
    outcome = node.run(["sysctl", "-n", *keys], budget_s=budget_s, environment=C_LOCALE)
    told = outcome.out.split()
    if outcome.code or len(told) != len(keys) or not all(_NUMBER.fullmatch(value) for value in told):
        raise _undetermined(address, f"sysctl exited with {outcome.code}{said_last(outcome.stderr, outcome.stdout)}")
    accept, accept_everywhere, transmits = map(int, told)
    for setting, value in (("accept_dad", max(accept, accept_everywhere)), ("dad_transmits", transmits)):
        if value < 1:
            raise DriverError(
                f"whether somebody else has {address} cannot be found out: {adapter} has {setting} = {value}",
                code="driver.asks-nobody",
                hint=f"`sysctl -w net/ipv6/conf/{adapter}/{setting}=1`",
            )


def _check_by_arp(node: Host, address: str, adapter: str, *, budget_s: float) -> None:
    """Ask by ARP (RFC 5227), by arping(8)."""
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
        raise _undetermined(address, f"arping exited with {outcome.code}{said_last(outcome.stderr, outcome.stdout)}")
    if int(received[1]):
        mac = _MAC.search(outcome.out)
        raise taken(address, f"{mac[1].lower() if mac else 'another machine'} on {adapter} has it")


def _undetermined(address: str, why: str) -> Undetermined:
    return Undetermined(f"whether somebody else has {address} cannot be found out: {why}")


def taken(address: str, who: str) -> Refused:
    """The refusal of an address that somebody else has.

    Args:
        address: The address.
        who: Who has it, in words.
    """
    return Refused(
        f"{address} is taken: {who}",
        code="refused.address-taken",
        hint="take the address away from there first",
    )

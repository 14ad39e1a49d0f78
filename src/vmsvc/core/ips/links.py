"""The node's own adapters and their addresses, by ip(8) of Linux: told, added, taken away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import ip_interface
from typing import Any

from attrs import frozen

from vmsvc.core.answers import GuestAddress
from vmsvc.core.errors import DriverError, Undetermined
from vmsvc.core.inside.addresses.iproute import read_json
from vmsvc.core.transport import Host, Outcome
from vmsvc.core.transport.command import said_last, shown

#: What commands say is read: in a language that is known.
C_LOCALE = {"LC_ALL": "C"}


@frozen(kw_only=True)
class Links:
    """What the node told of all its adapters at one moment.

    Attributes:
        addresses: The addresses.
        flags: The flags of each adapter, by each of its names.
        secondary: The IPv4 addresses that another one of their network goes before.
    """

    addresses: tuple[GuestAddress, ...]
    flags: Mapping[str, frozenset[str]]
    secondary: frozenset[str]

    def of(self, address: str) -> list[GuestAddress]:
        """An address, on each adapter that has it.

        Args:
            address: The address.
        """
        return [each for each in self.addresses if each.address == address]

    def has_neighbours(self, device: str) -> bool:
        """Whether others can be asked on an adapter who has an address, and be told.

        Args:
            device: The adapter.
        """
        return not self.flags[device] & {"LOOPBACK", "NOARP"}

    def prefix_for(self, address: str, device: str) -> int | None:
        """The length of the prefix that an adapter's other addresses give to an address of their network.

        Args:
            address: The address.
            device: The adapter.
        """
        fitting = [each.prefix for each in self._beside(address, device) if each.prefix]
        return max(fitting, default=None)

    def leaning_on(self, address: GuestAddress) -> list[str]:
        """The addresses that the kernel takes away together with an address, unless it is told to keep them.

        Args:
            address: An address of an adapter.
        """
        if address.address in self.secondary:
            return []
        beside = self._beside(address.address, address.device.partition(":")[0])
        return [each.address for each in beside if each.address in self.secondary and each.prefix == address.prefix]

    def _beside(self, address: str, device: str) -> list[GuestAddress]:
        """The other addresses of an adapter whose network an address is in."""
        return [
            each
            for each in self.addresses
            if each.is_on(device)
            and each.address != address
            and ip_interface(address) in ip_interface(f"{each.address}/{each.prefix}").network
        ]


def look(host: Host, *, budget_s: float) -> Links:
    """Ask the node for its adapters.

    Args:
        host: The node.
        budget_s: How long it may take, in seconds.

    Raises:
        Undetermined: They cannot be told.
        ActionFailed: There is no ``ip`` on the node.
    """
    outcome = host.run(["ip", "-j", "addr"], budget_s=budget_s, environment=C_LOCALE)
    if outcome.code or outcome.truncated:
        raise Undetermined(f"`ip -j addr` exited with {outcome.code}{said_last(outcome.stderr, outcome.stdout)}")
    addresses = read_json(outcome.out)
    links: list[dict[str, Any]] = [link for link in json.loads(outcome.out) if link]
    return Links(
        addresses=tuple(addresses),
        flags={
            str(name): frozenset(link["flags"])
            for link in links
            for name in (link["ifname"], *link.get("altnames", ()))
        },
        secondary=frozenset(
            str(each["local"]) for link in links for each in link["addr_info"] if each and each.get("secondary")
        ),
    )


def add(host: Host, address: str, prefix: int, device: str, *, budget_s: float) -> bool:
    """Add an address to an adapter, under the name of an alias where one is given (``eth0:1``).

    Args:
        host: The node.
        address: The address.
        prefix: The length of its network's prefix, in bits.
        device: The adapter, or the alias.
        budget_s: How long it may take, in seconds.

    Returns:
        Whether it was added; ``False`` where it was there.

    Raises:
        DriverError: The kernel refuses.
    """
    adapter, _, alias = device.partition(":")
    is_ipv4 = ":" not in address
    argv = ["ip", "addr", "add", f"{address}/{prefix}", *(["brd", "+"] if is_ipv4 else []), "dev", adapter]
    outcome = host.run([*argv, *(["label", device] if alias else [])], budget_s=budget_s, environment=C_LOCALE)
    # "RTNETLINK answers: File exists" of older kernels; newer ones say "Address already assigned".
    if outcome.code and ("File exists" in outcome.err or "already assigned" in outcome.err):
        return False
    _check(outcome)
    return True


def take_away(host: Host, address: GuestAddress, *, budget_s: float) -> None:
    """Take an address away from its adapter.

    Args:
        host: The node.
        address: The address, as it was told.
        budget_s: How long it may take, in seconds.

    Raises:
        DriverError: The kernel refuses.
    """
    adapter = address.device.partition(":")[0]
    written = f"{address.address}/{address.prefix}"
    outcome = host.run(["ip", "addr", "del", written, "dev", adapter], budget_s=budget_s, environment=C_LOCALE)
    if outcome.code and "Cannot assign requested address" in outcome.err:
        return  # it has gone by itself
    _check(outcome)


def telling_neighbours(adapter: str) -> list[str]:
    """The command that has the kernel tell all neighbours of each address of IPv6 that it adds (RFC 4861, 7.2.6).

    By default it tells nobody, and who knows where the address was goes on sending there for some seconds.

    Args:
        adapter: The adapter; see ``ndisc_notify`` in the kernel's ip-sysctl.
    """
    return ["sysctl", "-q", "-w", f"net/ipv6/conf/{adapter}/ndisc_notify=1"]


def keep_secondaries(host: Host, adapter: str, *, budget_s: float) -> None:
    """Have the kernel keep what leans on an address that is taken away: by default, all of its network go with it.

    Args:
        host: The node.
        adapter: The adapter; see ``promote_secondaries`` in the kernel's ip-sysctl.
        budget_s: How long it may take, in seconds.

    Raises:
        DriverError: It does not.
    """
    key = f"net/ipv4/conf/{adapter}/promote_secondaries"
    _check(host.run(["sysctl", "-q", "-w", f"{key}=1"], budget_s=budget_s, environment=C_LOCALE))


def _check(outcome: Outcome) -> None:
    if outcome.code:
        raise DriverError(
            f"`{shown(outcome.argv)}` exited with {outcome.code}{said_last(outcome.stderr, outcome.stdout)}",
            code="driver.command-failed",
        )

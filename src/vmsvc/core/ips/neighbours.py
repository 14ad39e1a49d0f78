"""Who has an address, as the kernel of this node has heard it from the networks that it is in: ip-neighbour(8).

Whoever is sent a packet there is asked first by ARP or IPv6's neighbour discovery, and answers that also where it drops
what ping(8) sends. Only root may have the kernel forget what it knew before; for others, that counts as no evidence.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vmsvc.core.errors import VmsvcError
from vmsvc.core.ips.halves import Found, Half
from vmsvc.core.ips.links import C_LOCALE
from vmsvc.core.ips.ping import UNEXPECTED_S, ping
from vmsvc.core.networks import usual_form
from vmsvc.core.transport import Host

#: How long the kernel may take to tell or to forget, in seconds.
_TELL_S = 1.5
#: How long the kernel asks in vain before it says so, in seconds: three times, a second each (``mcast_solicit`` and
#: ``retrans_time_ms`` of its ip-sysctl); with one to spare on a busy node.
_RESOLVE_S = 4.0
#: How often the kernel is asked whether a neighbour has answered, in seconds.
_POLL_S = 0.05
_UNSEEN = "its MAC is not to be seen from here"
#: What somebody has put into the table, and nobody has answered for.
_NOT_HEARD = frozenset({"PERMANENT", "NOARP"})
#: One process, however many there are to be forgotten; one that has gone meanwhile stops no others.
_FORGET = "printf 'neigh del %s dev %s\\n' \"$@\" | ip -force -batch -"


def asked(host: Host, address: str) -> Half:
    """Whether anybody has an address that nobody is expected to have: by ping, and else by its network.

    Args:
        host: This node.
        address: The address.
    """
    listening = Listening(host, [address])
    half = ping(host, address, wait_s=UNEXPECTED_S)
    return listening.holders().get(address, half) if half.found is Found.NO else half


class Listening:
    """What the kernel hears of addresses from now on: whatever it knew of them is forgotten.

    A guest that has just been stopped stays known for a minute and longer, and must not be taken for somebody else.

    Args:
        host: This node.
        addresses: The addresses.
    """

    def __init__(self, host: Host, addresses: Sequence[str]) -> None:
        self._host = host
        self._by_form = {usual_form(address.partition("%")[0]): address for address in addresses}
        known = [word for each in self._heard() for word in (str(each["dst"]), str(each["dev"]))]
        if known:
            _run(host, ["sh", "-c", _FORGET, "sh", *known])
            for each in self._heard():
                self._by_form.pop(usual_form(str(each["dst"])), None)

    def holders(self) -> Mapping[str, Half]:
        """Who has answered since, by the address; nobody whose answer may have been a router's for somebody else."""
        heard = self._heard()
        routers = _routers(self._host) if heard else frozenset()
        return {
            self._by_form[usual_form(str(each["dst"]))]: Half(
                Found.YES, f"ping does not answer, and {_has_it(each)}", holder=_has_it(each)
            )
            for each in heard
            if each["lladdr"] not in routers
        }

    def _heard(self) -> list[dict[str, Any]]:
        only = ["to", *self._by_form] if len(self._by_form) == 1 else []
        return [
            each
            for each in _told(self._host, ["ip", "-j", "neigh", "show", *map(str, only)])
            if {"dst", "dev", "lladdr"} <= each.keys()
            and "extern_learn" not in each
            and not _NOT_HEARD & set(each.get("state", ()))
            and usual_form(str(each["dst"])) in self._by_form
        ]


def who_has(host: Host, address: str) -> str:
    """Who has an address that has just answered, in words.

    Args:
        host: The node that heard the answer.
        address: The address.

    Returns:
        The MAC and the adapter where it was heard; or why it cannot be seen, as behind a router.
    """
    bare = address.partition("%")[0]
    route = _told(host, ["ip", "-j", "route", "get", bare])
    if any(each.get("type") == "local" for each in route):
        return "this node itself has it"
    routers = [str(each["gateway"]) for each in route if each.get("gateway")]
    if routers:
        return f"it is behind the router {routers[0]}, so its MAC is not to be seen"
    return next((_has_it(each) for each in _neighbours(host, bare) if each.get("lladdr")), _UNSEEN)


def who_has_on(host: Host, address: str, adapter: str) -> str:
    """Who in an adapter's network has an address, wherever this node's routes lead to; in words.

    Args:
        host: The node, of Linux.
        address: The address; the node itself must not have it, or its kernel listens to nobody.
        adapter: The adapter.

    Returns:
        The MAC and the adapter; or that it cannot be seen.
    """
    mac = _mac_on(host, address, adapter)
    return f"{mac} on {adapter} has it" if mac else _UNSEEN


def _mac_on(host: Host, address: str, adapter: str) -> str:
    """The MAC of who has an address in an adapter's network; empty where nobody answers."""
    if mac := _known_on(host, address, adapter)[0]:
        return mac
    # This asks, without a packet that would need a route: ip-neighbour(8).
    _run(host, ["ip", "neigh", "replace", address, "dev", adapter, "use"])
    deadline = time.monotonic() + _RESOLVE_S
    while True:
        mac, is_asking = _known_on(host, address, adapter)
        if mac or not is_asking or time.monotonic() >= deadline:
            return mac
        time.sleep(_POLL_S)


def _known_on(host: Host, address: str, adapter: str) -> tuple[str, bool]:
    """The MAC that the kernel knows, and whether it asks still."""
    told = [each for each in _neighbours(host, address) if each.get("dev") == adapter]
    mac = next((str(each["lladdr"]) for each in told if each.get("lladdr")), "")
    return mac, any("INCOMPLETE" in each.get("state", ()) for each in told)


def _routers(host: Host) -> frozenset[str]:
    """The MACs of this node's own routers: one with proxy ARP answers for addresses that nobody has (RFC 1027)."""
    hops = {hop for family in ("-4", "-6") for hop in _hops(host, family)}
    return frozenset(_mac_on(host, gateway, adapter) for gateway, adapter in hops)


def _hops(host: Host, family: str) -> Iterator[tuple[str, str]]:
    """Each router that a default route leads to, and by which adapter."""
    for route in _told(host, ["ip", "-j", family, "route", "show", "default"]):
        for hop in (route, *route.get("nexthops", ())):
            gateway, adapter = hop.get("gateway") or hop.get("via", {}).get("host"), hop.get("dev")
            if gateway and adapter:
                yield str(gateway), str(adapter)


def _neighbours(host: Host, address: str) -> list[dict[str, Any]]:
    return _told(host, ["ip", "-j", "neigh", "show", "to", address])


def _has_it(neighbour: Mapping[str, Any]) -> str:
    return f"{neighbour['lladdr']} on {neighbour.get('dev', 'an adapter')} has it"


def _told(host: Host, argv: Sequence[str]) -> list[dict[str, Any]]:
    """What ``ip -j`` tells; nothing where it fails, as it only adds to what is known."""
    try:
        told: Any = json.loads(_run(host, argv) or "[]")
    except ValueError:
        return []
    return [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []


def _run(host: Host, argv: Sequence[str]) -> str:
    """What a command prints, or nothing."""
    try:
        return host.run(argv, budget_s=_TELL_S, environment=C_LOCALE).out
    except VmsvcError:
        return ""

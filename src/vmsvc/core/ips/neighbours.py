"""Who has an address, as the kernel of this node has heard it from the networks that it is in: ip-neighbour(8).

Whoever is sent a packet there is asked first by ARP or IPv6's neighbour discovery, and answers that also where it drops
what ping(8) sends. Only root may have the kernel forget what it knew before; for others, that counts as no evidence.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from vmsvc.core.deadline import left_until
from vmsvc.core.errors import VmsvcError
from vmsvc.core.ips.halves import Found, Half
from vmsvc.core.ips.links import C_LOCALE
from vmsvc.core.ips.ping import START_S, UNEXPECTED_S, ping
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


def asked(host: Host, address: str, *, deadline: float) -> Half:
    """Whether anybody has an address that nobody is expected to have: by ping, and else by its network.

    Args:
        host: This node.
        address: The address.
        deadline: When the answer must be there, on the monotonic clock.
    """

    def by_ping(_addresses: Sequence[str]) -> Half:
        return ping(host, address, wait_s=UNEXPECTED_S)

    half = by_ping([address])
    return silent_holders(host, [address], by_ping, deadline=deadline).get(address, half) if _is_silent(half) else half


def silent_holders(
    host: Host, addresses: Sequence[str], ask: Callable[[Sequence[str]], object], *, deadline: float
) -> Mapping[str, Half]:
    """Who in this node's own networks has addresses that have just been asked by ping, and did not answer.

    A guest that has just been stopped stays known for a minute and longer, and must not be taken for somebody else:
    what the kernel knows of an address is forgotten, and the address asked again.

    Args:
        host: This node.
        addresses: The addresses.
        ask: Asks some of them by ping, once more.
        deadline: When it must be known, on the monotonic clock.

    Returns:
        Who has answered, by the address; nobody whose answer may have been a router's for somebody else.
    """
    known = _heard_of(host, addresses, deadline)
    if not known or left_until(deadline) < UNEXPECTED_S + START_S:
        return {}
    entries = [word for each in known.values() for word in (str(each["dst"]), str(each["dev"]))]
    _run(host, ["sh", "-c", _FORGET, "sh", *entries], deadline)
    if forgotten := sorted(known.keys() - _heard_of(host, tuple(known), deadline).keys()):
        ask(forgotten)
    heard = _heard_of(host, forgotten, deadline) if forgotten else {}
    routers = _routers(host, deadline) if heard else frozenset()
    return {
        address: Half(Found.YES, f"ping does not answer, and {_has_it(each)}", holder=_has_it(each))
        for address, each in heard.items()
        if each["lladdr"] not in routers
    }


def _is_silent(half: Half) -> bool:
    return half.found is Found.NO


def _heard_of(host: Host, addresses: Sequence[str], deadline: float) -> dict[str, Mapping[str, Any]]:
    """What the kernel has heard of who has addresses; one with a zone is that of its adapter alone."""
    by_place = {(usual_form(bare), zone): each for each in addresses for bare, _, zone in [each.partition("%")]}
    only = ["to", *(bare for bare, _ in by_place)] if len(by_place) == 1 else []
    heard = dict[str, Mapping[str, Any]]()
    for each in _told(host, ["ip", "-j", "neigh", "show", *only], deadline):
        if {"dst", "dev", "lladdr"} <= each.keys() and "extern_learn" not in each and not _is_entered(each):
            form = usual_form(str(each["dst"]))
            address = by_place.get((form, str(each["dev"])), by_place.get((form, "")))
            heard |= {address: each} if address else {}
    return heard


def _is_entered(neighbour: Mapping[str, Any]) -> bool:
    return not _NOT_HEARD.isdisjoint(neighbour.get("state", ()))


def who_has(host: Host, address: str) -> str:
    """Who has an address that has just answered, in words.

    Args:
        host: The node that heard the answer.
        address: The address.

    Returns:
        The MAC and the adapter where it was heard; or why it cannot be seen, as behind a router.
    """
    bare, _, zone = address.partition("%")
    route = _told(host, ["ip", "-j", "route", "get", bare, *(["oif", zone] if zone else [])])
    if any(each.get("type") == "local" for each in route):
        return "this node itself has it"
    routers = [str(each["gateway"]) for each in route if each.get("gateway")]
    if routers:
        return f"it is behind the router {routers[0]}, so its MAC is not to be seen"
    heard = [each for each in _neighbours(host, bare) if each.get("lladdr") and zone in ("", each.get("dev"))]
    return _has_it(heard[0]) if heard else _UNSEEN


def who_has_on(host: Host, address: str, adapter: str) -> str:
    """Who in an adapter's network has an address, wherever this node's routes lead to; in words.

    Args:
        host: The node, of Linux.
        address: The address; the node itself must not have it, or its kernel listens to nobody.
        adapter: The adapter.

    Returns:
        The MAC and the adapter; or that it cannot be seen.
    """
    place = address, adapter
    mac = _macs_on(host, [place], time.monotonic() + _RESOLVE_S)[place]
    return f"{mac} on {adapter} has it" if mac else _UNSEEN


def _macs_on(host: Host, places: Collection[tuple[str, str]], deadline: float) -> dict[tuple[str, str], str]:
    """The MAC of who has each address in an adapter's network, all asked together; empty where nobody answers."""
    macs = {place: _known_on(host, *place, deadline)[0] for place in places}
    asking = [place for place, mac in macs.items() if not mac]
    for address, adapter in asking:
        # This asks, without a packet that would need a route: ip-neighbour(8).
        _run(host, ["ip", "neigh", "replace", address, "dev", adapter, "use"], deadline)
    while asking:
        known = {place: _known_on(host, *place, deadline) for place in asking}
        macs |= {place: mac for place, (mac, _) in known.items()}
        asking = [place for place, (mac, is_asking) in known.items() if is_asking and not mac]
        if time.monotonic() >= deadline:
            break
        if asking:
            time.sleep(_POLL_S)
    return macs


def _known_on(host: Host, address: str, adapter: str, deadline: float) -> tuple[str, bool]:
    """The MAC that the kernel knows, and whether it asks still."""
    told = [each for each in _neighbours(host, address, deadline) if each.get("dev") == adapter]
    mac = next((str(each["lladdr"]) for each in told if each.get("lladdr")), "")
    return mac, any("INCOMPLETE" in each.get("state", ()) for each in told)


def _routers(host: Host, deadline: float) -> frozenset[str]:
    """The MACs of this node's own routers: one with proxy ARP answers for addresses that nobody has (RFC 1027)."""
    hops = {hop for family in ("-4", "-6") for hop in _hops(host, family, deadline)}
    return frozenset(_macs_on(host, hops, min(deadline, time.monotonic() + UNEXPECTED_S)).values())


def _hops(host: Host, family: str, deadline: float) -> Iterator[tuple[str, str]]:
    """Each router that a default route leads to, and by which adapter."""
    for route in _told(host, ["ip", "-j", family, "route", "show", "default"], deadline):
        for hop in (route, *route.get("nexthops", ())):
            gateway, adapter = hop.get("gateway") or hop.get("via", {}).get("host"), hop.get("dev")
            if gateway and adapter:
                yield str(gateway), str(adapter)


def _neighbours(host: Host, address: str, deadline: float = math.inf) -> list[dict[str, Any]]:
    return _told(host, ["ip", "-j", "neigh", "show", "to", address], deadline)


def _has_it(neighbour: Mapping[str, Any]) -> str:
    return f"{neighbour['lladdr']} on {neighbour.get('dev', 'an adapter')} has it"


def _told(host: Host, argv: Sequence[str], deadline: float = math.inf) -> list[dict[str, Any]]:
    """What ``ip -j`` tells; nothing where it fails, as it only adds to what is known."""
    try:
        told: Any = json.loads(_run(host, argv, deadline) or "[]")
    except ValueError:
        return []
    return [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []


def _run(host: Host, argv: Sequence[str], deadline: float) -> str:
    """What a command prints; nothing where it fails, or there is no time for it."""
    budget_s = min(_TELL_S, left_until(deadline))
    try:
        return host.run(argv, budget_s=budget_s, environment=C_LOCALE).out if budget_s else ""
    except VmsvcError:
        return ""

"""Addresses that cannot be, or that several mean at once: told before anybody is cut off by them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from vmsvc.core.config.model import Findings, Section, shortened
from vmsvc.core.errors import Severity
from vmsvc.core.kinds import Ip
from vmsvc.core.networks import is_loopback, is_of_its_network, lacks_zone, usual_form
from vmsvc.core.resource import Guest, Resource

_LONGEST_OF_IPV4 = 32
_ADAPTER = re.compile(r"[^\s/:]+(?::[^\s/:]+)?")


def meant(address: Ip) -> str:
    """What tells an address from every other: itself, or the name that stands for it.

    Args:
        address: The resource.
    """
    return usual_form(address.ipname) or address.ipname.casefold().rstrip(".")


def tell_of_addresses(resources: Iterable[Resource], sections: Mapping[str, Section], findings: Findings) -> None:
    """Tell of addresses that do not fit their netmask or adapter, and of those that a service means twice.

    Args:
        resources: The resources of the service.
        sections: The sections of its file, by name.
        findings: Where the problems go.
    """
    resources = list(resources)
    on_windows = {each.rid for each in resources if isinstance(each, Guest) and each.guestos == "windows"}
    first: dict[str, Ip] = {}
    for address in resources:
        if not isinstance(address, Ip):
            continue
        if address.container_id not in on_windows:
            _tell_of_adapter(address, sections[address.rid], findings)
        _tell_of_netmask(address, sections[address.rid], findings)
        _tell_of_loopback(address, sections[address.rid], findings)
        _tell_of_zone(address, sections[address.rid], findings)
        if address.disable:
            continue
        other = first.setdefault(meant(address), address)
        if other is not address:
            is_same_place = other.container_id == address.container_id
            findings.add(
                sections[address.rid].position,
                f"[{other.rid}] has the same address, {shortened(address.ipname, 60)}",
                code="same-address",
                section=address.rid,
                key="ipname",
                hint="give each section its own address, and list it once",
                severity=Severity.ERROR if is_same_place else Severity.WARNING,
            )


def _tell_of_adapter(address: Ip, section: Section, findings: Findings) -> None:
    """Unix has adapters without blanks, which an alias may follow: `eth0`, `eth0:1`. Windows has `Ethernet 2`."""
    if _ADAPTER.fullmatch(address.ipdev):
        return
    findings.add(
        section.position_of("ipdev"),
        f"{shortened(address.ipdev, 60)!r} is no name of an adapter",
        code="adapter",
        section=address.rid,
        key="ipdev",
        hint="an adapter is called like `eth0`, an alias like `eth0:1`; a second address has a section of its own",
    )


def _tell_of_netmask(address: Ip, section: Section, findings: Findings) -> None:
    literal = usual_form(address.ipname)
    if not literal or not address.netmask:
        return
    position = section.position_of("netmask")
    if ":" not in literal and address.netmask > _LONGEST_OF_IPV4:
        findings.add(
            position,
            f"{address.netmask} bits are more than {address.ipname} has",
            code="netmask",
            section=address.rid,
            key="netmask",
            hint=f"an address of IPv4 has {_LONGEST_OF_IPV4}",
        )
    elif not is_of_its_network(literal, address.netmask):
        findings.add(
            position,
            f"{address.ipname} is the first or the last address of its network, which no machine can have",
            code="netmask",
            section=address.rid,
            key="netmask",
            hint="correct the address, or the netmask",
        )


def _tell_of_loopback(address: Ip, section: Section, findings: Findings) -> None:
    """A ping to it never leaves the node, and to take it away from the node would cut its programs off each other."""
    if not is_loopback(address.ipname) or (address.is_inside_guest and not address.check_ping):
        return
    findings.add(
        section.position_of("ipname"),
        f"{shortened(address.ipname, 60)} is every machine's own (loopback): it is this node that answers by it",
        code="loopback",
        section=address.rid,
        key="ipname",
        hint="give the address by which others reach it",
    )


def _tell_of_zone(address: Ip, section: Section, findings: Findings) -> None:
    """Each adapter leads to other machines with the same link-local addresses: RFC 4007, section 6."""
    if not (address.is_inside_guest and address.check_ping and lacks_zone(usual_form(address.ipname))):
        return
    findings.add(
        section.position_of("ipname"),
        f"{address.ipname} is in each network (link-local): this node does not know by which adapter to ping it",
        code="zone",
        section=address.rid,
        key="ipname",
        hint=f"add this node's adapter, as in `{address.ipname}%br0`",
    )

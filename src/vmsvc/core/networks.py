"""What people write of networks: addresses, names that stand for them, and netmasks. Pure."""

from __future__ import annotations

import re

from vmsvc.core.options import Raw, Value, name

_LONGEST_PREFIX = 128
_BYTE = r"(?:\d\d?|1\d\d|2[0-4]\d|25[0-5])"


def usual_form(text: str) -> str:
    """An address in its usual form; one of IPv6 keeps its zone. Empty for what is no address.

    Args:
        text: Perhaps an address.

    >>> usual_form("2001:DB8:0::7"), usual_form("::ffff:192.0.2.7"), usual_form("web")
    ('2001:db8::7', '192.0.2.7', '')
    """
    from ipaddress import ip_address  # noqa: PLC0415 - only who has addresses pays for it

    try:
        address = ip_address(text)
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)


def held_by_no_one(address: str) -> str:
    """Why no machine has an address for itself, to follow the address in a sentence; empty where one may have it.

    Args:
        address: The address, in its usual form.

    >>> held_by_no_one("::1"), held_by_no_one("224.0.0.18"), held_by_no_one("192.0.2.7")
    ("is every machine's own (loopback)", 'is the address of a group (multicast)', '')
    """
    from ipaddress import ip_address  # noqa: PLC0415 - as above

    meaning = ip_address(address)
    if meaning.is_unspecified:
        return "means any address"
    if meaning.is_multicast:
        return "is the address of a group (multicast)"
    if address == "255.255.255.255":
        return "means all machines (broadcast)"
    return "is every machine's own (loopback)" if meaning.is_loopback else ""


def is_loopback(host: str) -> bool:
    """Whether an address, or a name whatever a resolver says of it (RFC 6761, 6.3), leads to whoever asks.

    Args:
        host: The address or the name.

    >>> is_loopback("127.0.1.1"), is_loopback("LocalHost."), is_loopback("web")
    (True, True, False)
    """
    from ipaddress import ip_address  # noqa: PLC0415 - as above

    address = usual_form(host)
    if address:
        return ip_address(address).is_loopback
    return host.casefold().rstrip(".").rpartition(".")[2] == "localhost"


def lacks_zone(address: str) -> bool:
    """Whether an address is only told from others by the adapter that leads to its network, and that is not given.

    Args:
        address: The address, in its usual form; or a name, of which nothing is known.

    >>> lacks_zone("fe80::7"), lacks_zone("fe80::7%br0"), lacks_zone("2001:db8::7"), lacks_zone("web")
    (True, False, False, False)
    """
    from ipaddress import ip_address  # noqa: PLC0415 - as above

    return ":" in address and "%" not in address and ip_address(address).is_link_local


def is_of_its_network(address: str, prefix: int) -> bool:
    """Whether an address is one that a machine of its network can have, and not the network's own or its broadcast.

    Args:
        address: The address, in its usual form.
        prefix: The length of its network's prefix, in bits.

    >>> is_of_its_network("192.0.2.255", 24), is_of_its_network("192.0.2.255", 16), is_of_its_network("192.0.2.0", 31)
    (False, True, True)
    """
    from ipaddress import IPv4Interface, ip_interface  # noqa: PLC0415 - as above

    interface = ip_interface(f"{address.partition('%')[0]}/{prefix}")
    network = interface.network
    # Networks of two addresses, or of one, have no address of their own (RFC 3021); nor have those of IPv6.
    if not isinstance(interface, IPv4Interface) or network.num_addresses <= 2:  # noqa: PLR2004 - see above
        return True
    return interface.ip not in (network.network_address, network.broadcast_address)


def _prefix_length(raw: Raw) -> int:
    written = str(raw).strip()
    if re.fullmatch(r"\d{1,3}", written, re.ASCII) and 1 <= int(written) <= _LONGEST_PREFIX:
        return int(written)
    if re.fullmatch(rf"{_BYTE}(?:\.{_BYTE}){{3}}", written, re.ASCII):
        bits = "".join(f"{int(byte):08b}" for byte in written.split("."))
        if "01" not in bits and "1" in bits:
            return bits.count("1")
    raise ValueError(f"{raw!r} is no netmask such as 255.255.255.0, and no length of a prefix such as 24")


def _host(raw: Raw) -> str:
    if "/" in str(raw):
        raise ValueError(f"{raw!r} has a '/' in it: the length of the network's prefix belongs to `netmask`")
    written = name.parse(raw)
    address = usual_form(written)
    if not address:
        # What a resolver would be asked about, and would take for an address in some old notation, such as 10.1.
        if ":" in written or re.fullmatch(r"[\d.]+", written, re.ASCII):
            raise ValueError(f"{written!r} looks like an address and is none")
        if re.search(r"\s", written):
            raise ValueError(f"{written!r} is no address and no host name: there are blanks in it")
        return written
    why = held_by_no_one(address)
    if why and not is_loopback(address):  # which some resources may have: who knows them tells
        raise ValueError(f"{written} {why}: give one that a machine can have")
    return written


prefix_length: Value[int] = Value(
    "a netmask such as 255.255.255.0, or the length of a prefix such as 24", _prefix_length
)
host: Value[str] = Value("an address, or a name that resolves to it", _host)

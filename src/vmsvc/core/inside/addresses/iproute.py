"""The outputs of Linux's ``ip addr``: as JSON, and as text, of iproute2 of any age and of busybox. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve

from vmsvc.core.answers import GuestAddress
from vmsvc.core.inside.addresses.build import address_of, lines_of, unreadable, unusable

#: How ``ip -j`` tells what the text forms tell by a word beside the address.
_JSON_WORDS = ("tentative", "dadfailed", "deprecated")
_FAMILIES = ("inet", "inet6")


def read_json(text: str) -> list[GuestAddress]:
    """Read what ``ip -j addr`` prints.

    Args:
        text: Its output.

    Raises:
        Undetermined: It cannot be read.
    """
    import json  # noqa: PLC0415 - only who reads it pays for it

    try:
        links: Any = json.loads(text)
        # With an adapter named, ip prints an empty record for each of the others.
        found = [address for link in links if link for address in _of_link(link)]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise unreadable(f"no JSON of `ip -j addr` ({type(error).__name__})", text[:80]) from None
    if not any(links):
        raise unreadable("no adapter is told, not even a loopback")
    return found


def _of_link(link: Mapping[str, Any]) -> Iterator[GuestAddress]:
    name, flags = link["ifname"], link["flags"]
    if not (isinstance(name, str) and isinstance(flags, list) and all(isinstance(flag, str) for flag in flags)):
        raise TypeError("the name of an adapter, or its flags")
    for each in link["addr_info"]:
        if each and each["family"] in _FAMILIES:
            words = [word for word in _JSON_WORDS if each.get(word)]
            yield address_of(
                _labelled(name, str(each.get("label", ""))),
                str(each["local"]),
                prefix=int(each["prefixlen"]),
                hardware=str(link.get("address", "")),
                unusable=unusable(flags, words=words),
                also_called=[str(other) for other in link.get("altnames", ())],
            )


_LINK = re.compile(r"\d+: (?P<name>[^\s:@]+)(?:@[^\s:]+)?: <(?P<flags>[^>]*)>.* mtu \d+")
_INET = re.compile(
    r"(?:inet|inet6) (?P<local>[0-9a-fA-F.:]+)(?: peer [0-9a-fA-F.:]+)?(?:/(?P<prefix>\d+))?(?P<rest> .*)?"
)


def read_text(text: str) -> list[GuestAddress]:
    """Read what ``ip addr`` prints.

    Args:
        text: Its output.

    Raises:
        Undetermined: It cannot be read.
    """
    found: list[GuestAddress] = []
    name, hardware, flags = "", "", [""]
    others: list[str] = []
    for line in lines_of(text):
        words = line.split()
        if not line[0].isspace():
            link = _LINK.match(line)
            if link is None:
                raise unreadable("no adapter of `ip addr`", line)
            name, hardware, flags, others = link["name"], "", link["flags"].split(","), []
        elif not name:
            raise unreadable("it begins in the middle", line)
        elif words[0].startswith("link/") and len(words) > 1:
            hardware = words[1]
        elif words[0] == "altname":  # each before the addresses
            others += words[1:]
        elif words[0] in _FAMILIES:
            found.append(evolve(_of_line(line, name, flags, hardware), also_called=others))
    return found


def _of_line(line: str, name: str, flags: list[str], hardware: str) -> GuestAddress:
    inet = _INET.fullmatch(line.strip())
    if inet is None:
        raise unreadable("no address of `ip addr`", line)
    words = (inet["rest"] or "").split()
    if "scope" not in words:
        raise unreadable("an address without its scope", line)
    return address_of(
        _labelled(name, words[-1]),
        inet["local"],
        prefix=int(inet["prefix"]) if inet["prefix"] else None,
        hardware=hardware,
        unusable=unusable(flags, words=words),
    )


def _labelled(name: str, label: str) -> str:
    """The name of the alias where an address has one; aliases are labels that begin with the adapter's name."""
    return label if label.startswith(f"{name}:") else name

"""What the readers of all forms share: the flags of adapters, the lengths of prefixes, and how they give up. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from vmsvc.core.answers import GuestAddress
from vmsvc.core.errors import Undetermined

_IPV4_BITS = 32
_BYTE = r"(?:\d\d?|1\d\d|2[0-4]\d|25[0-5])"
_DOTTED = rf"{_BYTE}(?:\.{_BYTE}){{3}}"


def unreadable(what: str, line: str = "") -> Undetermined:
    """The error of an output that cannot be read.

    Args:
        what: What is wrong with it, to complete a sentence that begins with "the addresses cannot be read:".
        line: The line where it is wrong.
    """
    where = f": {line.strip()[:80]!r}" if line else ""
    return Undetermined(f"the addresses cannot be read: {what}{where}", code="undetermined.addresses")


def lines_of(text: str) -> list[str]:
    """The lines of a whole output. One that was cut off ends within a line, as all these commands end theirs.

    Args:
        text: What a command printed.

    Raises:
        Undetermined: It is empty, or ends within a line.
    """
    if not text.strip():
        raise unreadable("nothing was printed")
    if not text.endswith("\n"):
        raise unreadable("it ends in the middle of a line", text.rpartition("\n")[2])
    return [line.rstrip() for line in text.split("\n") if line.strip()]


def address_of(
    device: str,
    text: str,
    *,
    prefix: int | None = None,
    hardware: str = "",
    unusable: str = "",
    also_called: Sequence[str] = (),
    is_cut: bool = False,
) -> GuestAddress:
    """An address as it was printed, perhaps with its prefix (``/24``) and its zone (``%eth0``).

    Args:
        device: The adapter or the alias that has it.
        text: The address.
        prefix: The length of its prefix in bits, where that was printed beside it.
        hardware: The adapter's own address.
        unusable: Why it is of no use.
        also_called: Other names of the adapter.
        is_cut: Whether its name may be the beginning of one.

    Raises:
        Undetermined: It is no address.
    """
    address, _, length = text.partition("/")
    try:
        return GuestAddress(
            device=device,
            address=address,
            prefix=int(length) if length else prefix,
            hardware=hardware,
            unusable=unusable,
            also_called=also_called,
            is_cut=is_cut,
        )
    except ValueError:
        raise unreadable("no address", text) from None


def prefix_of(netmask: str) -> int | None:
    """The length of the prefix that a netmask means.

    Args:
        netmask: ``255.255.255.0``, ``0xffffff00``, ``ffffff00`` or ``0``.

    Returns:
        The length in bits; ``None`` for a netmask with holes, which a few old systems allow.

    Raises:
        Undetermined: It is no netmask.

    >>> prefix_of("255.255.254.0"), prefix_of("0xffffff00"), prefix_of("ffff00ff")
    (23, 24, None)
    """
    if re.fullmatch(r"(?:0x)?[0-9a-fA-F]{1,8}", netmask, re.ASCII):
        value = int(netmask, 16)
    elif re.fullmatch(_DOTTED, netmask, re.ASCII):
        value = int.from_bytes(bytes(map(int, netmask.split("."))), "big")
    else:
        raise unreadable("no netmask", netmask)
    bits = f"{value:0{_IPV4_BITS}b}"
    return None if "01" in bits else bits.count("1")


#: Words by which systems say, in small letters or capitals, that an address is not in use: Linux ip-address(8),
#: ifconfig(8) of the BSDs and Darwin, Solaris ifconfig(8) and if_tcp(4P).
_UNUSABLE = {
    "dadfailed": "another machine has it",
    "duplicated": "another machine has it",
    "duplicate": "another machine has it",
    "tentative": "it is not yet known whether another machine has it",
    "detached": "the adapter has no link",
    "failed": "the adapter has failed",
    "offline": "the adapter was taken out of use",
    "nolocal": "it is not used for this machine",
}


def unusable(flags: Collection[str], *, words: Collection[str] = (), running: str = "") -> str:
    """Why an address is of no use, from what stands beside it; empty where nothing speaks against it.

    Args:
        flags: The adapter's flags, such as ``UP``.
        words: The words that follow the address.
        running: The flag that the adapter has while it has a link, where the system tells that by a flag.
    """
    if "UP" not in flags:
        return "the adapter is down"
    if "NO-CARRIER" in flags or (running and running not in flags):
        return "the adapter has no carrier"
    told = {word.lower(): word for word in (*flags, *words)}
    return next((f"{meaning} ({told[word]})" for word, meaning in _UNUSABLE.items() if word in told), "")

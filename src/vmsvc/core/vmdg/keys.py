"""Keys of reservations: 64-bit integers that never are compared as text. Pure, but for one random number.

The key of a registration belongs to a node: two nodes never share one, and none of them is 0, which means "no key"
(SPC-4, 6.16.3: a service action reservation key of zero unregisters).
"""

from __future__ import annotations

import secrets

from vmsvc.core.options import hexadecimal

#: The largest key: eight bytes (SPC-4, 6.16.3).
LARGEST = 0xFFFF_FFFF_FFFF_FFFF


def parse_key(text: str) -> int:
    """Read a key as people and files write it.

    Args:
        text: ``0x`` and up to 16 hexadecimal digits, in either case, with or without leading zeros.

    Returns:
        The key, from 1 to 2**64 - 1.

    Raises:
        ValueError: It is written in another way, or is zero.

    >>> parse_key("0x0000A1B2") == parse_key("0xa1b2") == 0xA1B2
    True
    """
    return int(hexadecimal.parse(text), 16)


def key_text(key: int) -> str:
    """A key as vmsvc writes it.

    Args:
        key: The key.

    Returns:
        ``0x`` and 16 hexadecimal digits, in lower case.

    >>> key_text(0xA1B2)
    '0x000000000000a1b2'
    """
    return f"0x{key:016x}"


def new_key() -> int:
    """A random key whose first hexadecimal digit is not zero, for tools that drop leading zeros.

    Returns:
        A key of 64 bits, 63.9 of them random: that two nodes draw the same one does not happen.
    """
    return secrets.randbelow(LARGEST - (1 << 60)) + (1 << 60)

"""The addresses of Solaris' zones, as the global zone tells them. Pure."""

from __future__ import annotations

from vmsvc.core.answers import GuestAddress


def addresses_of_zones(text: str) -> list[tuple[str, GuestAddress]]:
    """Read what ``ifconfig -a`` printed in the global zone of Solaris, where it tells the addresses of all zones.

    Args:
        text: What it printed.

    Returns:
        Each address with the zone that has it; that is empty for an address of the global zone.

    Raises:
        Undetermined: It cannot be read.
    """
    from vmsvc.core.inside.addresses.ifconfig import read_zones  # noqa: PLC0415 - only who has zones pays for it

    return read_zones(text)

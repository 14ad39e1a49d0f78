"""Guests of HP Integrity Virtual Machines as vmsvc services."""

from __future__ import annotations

from vmsvc.driver import Driver, hookimpl
from vmsvc_hpvm.driver import HpvmDriver, HpvmGuest

__all__ = ["HpvmDriver", "HpvmGuest", "vmsvc_drivers"]


@hookimpl
def vmsvc_drivers() -> list[type[Driver[HpvmGuest]]]:
    """The one driver of this plugin: type ``hpvm`` of kind ``container``."""
    return [HpvmDriver]

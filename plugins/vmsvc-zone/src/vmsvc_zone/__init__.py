"""Zones of Solaris and illumos as vmsvc services."""

from __future__ import annotations

from vmsvc.driver import Driver, hookimpl
from vmsvc_zone.driver import ZoneDriver
from vmsvc_zone.options import ZoneGuest

__all__ = ["ZoneDriver", "ZoneGuest", "vmsvc_drivers"]


@hookimpl
def vmsvc_drivers() -> list[type[Driver[ZoneGuest]]]:
    """The one driver of this plugin: type ``zone`` of kind ``container``."""
    return [ZoneDriver]

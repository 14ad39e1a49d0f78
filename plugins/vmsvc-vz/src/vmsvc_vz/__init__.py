"""Containers of OpenVZ and Virtuozzo as vmsvc services."""

from __future__ import annotations

from vmsvc.driver import Driver, hookimpl
from vmsvc_vz.driver import VzDriver
from vmsvc_vz.options import VzGuest

__all__ = ["VzDriver", "VzGuest", "vmsvc_drivers"]


@hookimpl
def vmsvc_drivers() -> list[type[Driver[VzGuest]]]:
    """The one driver of this plugin: type ``vz`` of kind ``container``."""
    return [VzDriver]

"""Guests of Xen as vmsvc services."""

from __future__ import annotations

from vmsvc.driver import Driver, hookimpl
from vmsvc_xen.driver import XenDriver
from vmsvc_xen.options import XenGuest

__all__ = ["XenDriver", "XenGuest", "vmsvc_drivers"]


@hookimpl
def vmsvc_drivers() -> list[type[Driver[XenGuest]]]:
    """The one driver of this plugin: type ``xen`` of kind ``container``."""
    return [XenDriver]

"""Guests of VirtualBox as vmsvc services."""

from __future__ import annotations

from vmsvc.driver import Driver, hookimpl
from vmsvc_vbox.driver import VboxDriver
from vmsvc_vbox.options import VboxGuest

__all__ = ["VboxDriver", "VboxGuest", "vmsvc_drivers"]


@hookimpl
def vmsvc_drivers() -> list[type[Driver[VboxGuest]]]:
    """The one driver of this plugin: type ``vbox`` of kind ``container``."""
    return [VboxDriver]

"""Guests of VMware ESX and vCenter as vmsvc services."""

from __future__ import annotations

from vmsvc.driver import Driver, hookimpl
from vmsvc_esx.driver import EsxDriver
from vmsvc_esx.options import EsxGuest

__all__ = ["EsxDriver", "EsxGuest", "vmsvc_drivers"]


@hookimpl
def vmsvc_drivers() -> list[type[Driver[EsxGuest]]]:
    """The one driver of this plugin: type ``esx`` of kind ``container``."""
    return [EsxDriver]

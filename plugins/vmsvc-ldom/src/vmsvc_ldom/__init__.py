"""Logical domains as vmsvc services."""

from __future__ import annotations

from vmsvc.driver import Driver, hookimpl
from vmsvc_ldom.driver import LdomDriver, LdomGuest

__all__ = ["LdomDriver", "LdomGuest", "vmsvc_drivers"]


@hookimpl
def vmsvc_drivers() -> list[type[Driver[LdomGuest]]]:
    """The one driver of this plugin: type ``ldom`` of kind ``container``."""
    return [LdomDriver]

"""Containers of LXC as vmsvc services."""

from __future__ import annotations

from vmsvc.driver import Driver, hookimpl
from vmsvc_lxc.driver import LxcDriver
from vmsvc_lxc.options import LxcGuest

__all__ = ["LxcDriver", "LxcGuest", "vmsvc_drivers"]


@hookimpl
def vmsvc_drivers() -> list[type[Driver[LxcGuest]]]:
    """The one driver of this plugin: type ``lxc`` of kind ``container``."""
    return [LxcDriver]

"""vmsvc plugin for a simulated hypervisor; the example that authors of drivers copy."""

from __future__ import annotations

from vmsvc.driver import hookimpl
from vmsvc_null.driver import NullDriver, NullGuest
from vmsvc_null.hypervisor import Hypervisor

__all__ = ["Hypervisor", "NullDriver", "NullGuest"]


@hookimpl
def vmsvc_drivers() -> list[type[NullDriver]]:
    """The driver of containers of type ``null``."""
    return [NullDriver]

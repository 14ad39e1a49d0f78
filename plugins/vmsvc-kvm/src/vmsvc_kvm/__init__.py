"""KVM guests, and those of any other libvirt hypervisor, as vmsvc services."""

from __future__ import annotations

from vmsvc.driver import Driver, hookimpl
from vmsvc_kvm.driver import KvmDriver
from vmsvc_kvm.options import KvmGuest

__all__ = ["KvmDriver", "KvmGuest", "vmsvc_drivers"]


@hookimpl
def vmsvc_drivers() -> list[type[Driver[KvmGuest]]]:
    """The one driver of this plugin: type ``kvm`` of kind ``container``."""
    return [KvmDriver]

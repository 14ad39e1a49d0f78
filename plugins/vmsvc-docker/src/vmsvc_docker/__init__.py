"""Containers of docker and podman as vmsvc services."""

from __future__ import annotations

from vmsvc.driver import Driver, hookimpl
from vmsvc_docker.driver import DockerDriver
from vmsvc_docker.options import DockerGuest

__all__ = ["DockerDriver", "DockerGuest", "vmsvc_drivers"]


@hookimpl
def vmsvc_drivers() -> list[type[Driver[DockerGuest]]]:
    """The one driver of this plugin: type ``docker`` of kind ``container``."""
    return [DockerDriver]

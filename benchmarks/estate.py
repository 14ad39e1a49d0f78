"""Many guests of one libvirt, and a service for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_DOMAIN = """\
<domain type='{type}'>
  <name>{name}</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64'>hvm</type></os>
</domain>"""

_SERVICE = """\
[DEFAULT]
app = shop
env = TST
nodes = n1 n2

[container#1]
type = kvm
name = {name}
uri = {uri}
start_timeout = 2m
"""


class Estate:
    """Guests of a libvirt that are shut off, and services for them under a root.

    Args:
        connection: An open connection of libvirt's binding.
        uri: What services are to connect to.
        root: The root of the services.
        type: The libvirt type of the guests: ``qemu``, ``test`` …
    """

    def __init__(self, connection: Any, uri: str, root: Path, *, type: str) -> None:
        self._connection = connection
        self._uri = uri
        self._services = root / "etc/vmsvc/services"
        self._services.mkdir(parents=True)
        self._type = type
        self.names: list[str] = []

    def grow(self, size: int) -> None:
        """Have at least so many guests, each with its service of the same name.

        Args:
            size: How many.
        """
        for number in range(len(self.names), size):
            name = f"web{number:04}"
            self._connection.defineXML(_DOMAIN.format(type=self._type, name=name))
            (self._services / f"{name}.conf").write_text(_SERVICE.format(name=name, uri=self._uri), encoding="utf-8")
            self.names.append(name)

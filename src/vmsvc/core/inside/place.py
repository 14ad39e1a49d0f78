"""Where addresses and applications are: which guest, which host, and whose driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from vmsvc.core.contract import Driver
from vmsvc.core.inside.ways import Ways
from vmsvc.core.kinds import Located
from vmsvc.core.resource import Guest
from vmsvc.core.service import Service
from vmsvc.core.transport import Host


@frozen(kw_only=True)
class Places:
    """Finds where the resources of some services are.

    Attributes:
        services: The services, by name.
        ways: The ways into their guests.
        node: Makes the host where this node's own commands run.
        driver_of: Finds a guest's driver.
    """

    services: Mapping[str, Service]
    ways: Ways
    node: Callable[[], Host]
    driver_of: Callable[[Guest], Driver[Any]]

    def guest_of(self, resource: Located) -> Guest:
        """The guest inside which a resource is.

        Args:
            resource: A resource inside a guest.
        """
        return self.services[resource.service].guest_of(resource)

    def host_of(self, resource: Located) -> Host:
        """Where a resource's commands run: inside its guest, or on this node.

        Args:
            resource: The resource.

        Raises:
            NoWayIn: It is inside a guest into which there is no way.
            Undetermined: The guest's driver cannot be made.
        """
        return self.ways.into(self.guest_of(resource)) if resource.is_inside_guest else self.node()

"""The drivers of a node: which one serves a resource, made when it is first needed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vmsvc.core.contract import Context, Driver
from vmsvc.core.errors import Undetermined, told
from vmsvc.core.kinds import Reserved
from vmsvc.core.lane import call_within
from vmsvc.core.node import Node
from vmsvc.core.observe import DriverFinder
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.service import Service
from vmsvc.core.transport import NodeHost

_log = logging.getLogger(__name__)

#: How long a driver may take to be made, and to give up its connections, in seconds.
_MAKE_S, _CLOSE_S = 5.0, 1.0

DriverClass = type[Driver[Any]]

#: Makes the core's own drivers of what may be inside some services' guests, by kind; they tell what they have left, and
#: break off where the event is set.
Located = Callable[[Sequence[Service], Callable[[str], None], "threading.Event | None"], Mapping[str, Driver[Any]]]


class Drivers:
    """Makes drivers and keeps them.

    Args:
        node: The node that they work for.
        host: Makes the host where their commands run, when the first driver is made.
        classes: The classes that plugins offer, by kind and type.
        located: Makes the core's own drivers of what may be inside guests.
    """

    def __init__(
        self,
        node: Node,
        host: Callable[[], NodeHost],
        classes: Mapping[tuple[str, str], DriverClass],
        located: Located = lambda _services, _tell, _cancelled: {},
    ) -> None:
        self._node = node
        self._host = host
        self._classes = classes
        self._located = located
        self._made: dict[tuple[str, str], Driver[Any]] = {}
        self._making = threading.Lock()

    def finder(
        self,
        services: Sequence[Service],
        *,
        reserving: Driver[Any] | None = None,
        tell: Callable[[str], None] = lambda _: None,
        cancelled: threading.Event | None = None,
    ) -> DriverFinder:
        """A way to find the drivers of some services' resources.

        Args:
            services: The services.
            reserving: The driver of disks that are reserved, made for one action.
            tell: Told of what drivers have left undone, and why.
            cancelled: When set, what runs inside guests is broken off.

        Returns:
            A function that takes a resource of theirs. It raises :class:`~vmsvc.core.errors.Undetermined` for a
            driver that cannot be made.
        """
        located = self._located(services, tell, cancelled)

        def driver_of(resource: Resource) -> Driver[Any] | str:
            if isinstance(resource, Reserved) and reserving is not None:
                return reserving
            if (resource.kind, resource.type) not in self._classes and resource.kind in located:
                return located[resource.kind]
            if (resource.kind, resource.type) not in self._classes:
                return f"{resource.kind} resources are not handled by this version yet"
            return self._driver(resource.kind, resource.type)

        return driver_of

    def of_guest(self, guest: Guest) -> Driver[Any]:
        """The driver of a guest; there is one, or its service could not have been read.

        Args:
            guest: The guest.

        Raises:
            Undetermined: The driver cannot be made.
        """
        return self._driver("container", guest.type)

    def close(self) -> None:
        """Close every driver, within a moment, whatever state it is in."""
        for driver in self._made.values():
            name = f"{driver.type or driver.kind} driver"
            try:
                call_within(f"{name}, close", driver.close, budget_s=_CLOSE_S)
            except Exception as error:  # noqa: BLE001 - a driver's defect must not keep the others open
                _log.warning("the %s did not close: %s", name, error)
        self._made.clear()

    def _driver(self, kind: str, technology: str) -> Driver[Any]:
        key = (kind, technology)
        with self._making:
            if key not in self._made:
                state_dir = self._node.state_dir / "drivers" / (technology or kind)
                context = Context(node=self._node, host=self._host(), state_dir=state_dir)
                try:
                    made = call_within(
                        f"{technology or kind} driver, made", lambda: self._classes[key](context), budget_s=_MAKE_S
                    )
                except Exception as error:
                    raise Undetermined(
                        f"there is no working driver for {kind} resources of type {technology}: {told(error)}",
                        code="undetermined.driver-defect",
                        hint="see `vmsvc drivers`",
                    ) from error
                self._made[key] = made
            return self._made[key]

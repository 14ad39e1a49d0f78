"""Ways into guests: which one a guest has, and the host that it makes of the guest's inside."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from attrs import frozen

from vmsvc.core.contract import Capability, Driver
from vmsvc.core.errors import NoWayIn
from vmsvc.core.inside.remembering import Memory, RememberingHost
from vmsvc.core.lane import call_within
from vmsvc.core.resource import Guest
from vmsvc.core.roles import Entrance
from vmsvc.core.transport import Host, Outcome

#: A driver may need a moment more than its budget to give up in an orderly way, in seconds.
_GRACE_S = 3.0


class Way(enum.Enum):
    """How commands come into a guest."""

    SSH = "ssh"
    ENTRY = "entry"
    AGENT = "agent"
    NONE = "none"


def way_into(guest: Guest, capabilities: Collection[Capability]) -> Way:
    """Choose the way: what the service says, and else what suits the technology and the guest.

    Args:
        guest: The guest.
        capabilities: What its driver offers.

    Returns:
        The way. That its service asks for one that its driver has not is told when the service is read.
    """
    if guest.way_in != "auto":
        return Way(guest.way_in)
    if Capability.ENTRY in capabilities:
        return Way.ENTRY
    if guest.guestos != "windows":
        return Way.SSH
    return Way.AGENT if Capability.AGENT in capabilities else Way.NONE


class ClosingHost(Host, Protocol):
    """A host with a connection that can be given up."""

    def close(self) -> None:
        """Give up the connection; a later command opens another."""


@frozen
class DriverHost:
    """The inside of a guest, by its driver's own means.

    Attributes:
        guest: The guest.
        driver: Its driver, which has :class:`~vmsvc.core.roles.Entrance`.
    """

    guest: Guest
    driver: Any

    @property
    def name(self) -> str:
        """The guest's name."""
        return self.guest.name

    def run(self, argv: Sequence[str], *, budget_s: float, environment: dict[str, str] | None = None) -> Outcome:
        """Have the driver run a command; see :class:`~vmsvc.core.transport.Host`.

        Args:
            argv: The program and its arguments.
            budget_s: How long it may take, in seconds.
            environment: Variables to set in addition.
        """
        driver: Entrance[Any] = self.driver
        return call_within(
            f"{self.driver.type} driver, a command in {self.guest.name}",
            lambda: driver.enter(self.guest, argv, budget_s=budget_s, environment=environment),
            budget_s=budget_s + _GRACE_S,
        )


class Ways:
    """The ways into the guests of a node. Each is kept, with its connection, until all are closed.

    A dead guest is waited for once: see :class:`~vmsvc.core.inside.remembering.RememberingHost`.

    Args:
        driver_of: Finds a guest's driver.
        ssh: Makes the host at the other end of ssh, by what ssh calls it. It opens nothing yet.
    """

    def __init__(self, driver_of: Callable[[Guest], Driver[Any]], ssh: Callable[[str], ClosingHost]) -> None:
        self._driver_of = driver_of
        self._ssh = ssh
        self._kept: dict[str, ClosingHost] = {}
        self._memories: dict[tuple[str, ...], Memory] = {}
        self._guard = threading.Lock()

    def way_into(self, guest: Guest) -> Way:
        """The way into a guest, as it is configured; it may be blocked.

        Args:
            guest: The guest.

        Raises:
            Undetermined: The guest's driver cannot be made.
        """
        return way_into(guest, self._driver_of(guest).capabilities)

    def into(self, guest: Guest) -> Host:
        """The inside of a guest. Opens nothing: that is for the first command.

        Args:
            guest: The guest.

        Raises:
            NoWayIn: The guest has none by its configuration, or one that its driver does not offer.
            Undetermined: The guest's driver cannot be made.
        """
        driver = self._driver_of(guest)
        way = way_into(guest, driver.capabilities)
        if way is Way.NONE:
            raise NoWayIn(
                f"there is no way into {guest.name}: {why_none(guest)}",
                code="undetermined.no-such-way",
                hint=f"`way_in` of [{guest.rid}] chooses one",
            )
        if way is not Way.SSH and Capability(way.value) not in driver.capabilities:
            raise NoWayIn(
                f"the {driver.type} driver has no `{way.value}` into its guests",
                code="undetermined.no-such-way",
                hint=f"`way_in` of [{guest.rid}] chooses another way, such as ssh",
            )
        with self._guard:
            memory = self._memories.setdefault((guest.service, guest.rid), Memory())
            if way is Way.SSH:
                host: Host = self._kept.setdefault(called(guest), self._ssh(called(guest)))
            else:
                host = DriverHost(guest, driver)
        return RememberingHost(host, memory)

    def forget(self, guest: Guest) -> None:
        """Have the next one who goes into a guest try it, even if that was in vain a moment ago.

        Args:
            guest: The guest.
        """
        with self._guard:
            memory = self._memories.get((guest.service, guest.rid))
        if memory is not None:
            memory.forget()

    def renew(self, guest: Guest) -> None:
        """Have the next one who goes into a guest that was started do so by a new connection.

        Whatever led into it before leads nowhere, and may not show that for a long time.

        Args:
            guest: The guest.
        """
        self.forget(guest)
        with self._guard:
            host = self._kept.get(called(guest))
        if host is not None:
            host.close()

    def close(self) -> None:
        """Give up all connections."""
        with self._guard:
            kept, self._kept = self._kept, {}
        for host in kept.values():
            host.close()


def why_none(guest: Guest) -> str:
    """Why a guest has no way in, in words.

    Args:
        guest: A guest whose way is :attr:`Way.NONE`.
    """
    return "`way_in = none`" if guest.way_in == "none" else f"its operating system is {guest.guestos}"


def called(guest: Guest) -> str:
    """What ssh calls a guest.

    Args:
        guest: The guest.
    """
    return guest.hostname or guest.name

"""The contract between the core and a driver: the required part, and the names of what it can offer beyond that.

A driver serves one type of one kind of resource. It *names what it sees* (a :class:`~vmsvc.core.status.Phase` with
evidence) and *does what it is told*; order, waiting, safety and status words are the core's. Each capability has a
protocol of its own in :mod:`~vmsvc.core.roles`.
"""

from __future__ import annotations

import builtins
import enum
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

from attrs import frozen

from vmsvc.core.node import Node
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.status import Observation
from vmsvc.core.transport import NodeHost

#: The newest version of this contract, and all that the core can speak.
API = 1
SUPPORTED_APIS = frozenset({1})

R = TypeVar("R", bound=Resource)
R_contra = TypeVar("R_contra", bound=Resource, contravariant=True)


class Capability(str, enum.Enum):
    """What a driver offers beyond the required part; each has its role protocol.

    A driver lists its capabilities by name: what this version of the core knows is no measure of what a driver has.
    """

    BULK = "bulk"
    WAIT = "wait"
    DISKS = "disks"
    DEFINITION = "definition"
    CONFIG_FILES = "config-files"
    SIZES = "sizes"
    DISCOVER = "discover"
    COMPARE = "compare"
    ENTRY = "entry"
    AGENT = "agent"
    ADDRESSES = "addresses"
    SELF_STARTING = "self-starting"
    SPLIT_START = "split-start"
    PLUMB = "plumb"
    MIGRATE = "migrate"


@frozen(kw_only=True)
class Context:
    """What a driver is given when a session makes it.

    Attributes:
        node: The node that the session works for.
        host: Where the driver's commands run.
        state_dir: A directory of the driver's own that survives reboots; it may not exist yet.
    """

    node: Node
    host: NodeHost
    state_dir: Path

    def definition_file(self, guest: Guest) -> Path:
        """Where the service keeps the guest's definition, for a node that has none.

        Args:
            guest: The guest whose definition is kept.

        Returns:
            A path that need not exist; its format is the driver's.
        """
        return self.node.definition_file(guest.service, guest.rid)


class Driver(Protocol[R_contra]):
    """What every driver has.

    All verbs are idempotent and may be called again at any time. None of them waits longer than its budget.
    A verb that hangs must be abandoned by the driver (:class:`~vmsvc.core.lane.Lane` does it for API clients;
    :meth:`Host.run <vmsvc.core.transport.Host.run>` for commands) and raise
    :class:`~vmsvc.core.errors.Undetermined`; once its budget is spent it changes nothing any more, as far as the
    technology allows: a start that comes to life after its caller gave up is how a guest runs twice.

    The world moves on between the core's look and a verb, so a driver that can looks once more before it acts. Where it
    cannot tell what it sees, :meth:`start`, :meth:`stop` and :meth:`kill` raise ``Undetermined`` and change nothing. So
    they do of a guest on its way to or from another node (:attr:`~vmsvc.core.status.Phase.MIGRATING`): it belongs to
    whoever moves it, and is not started, stopped or killed there by a driver's own decision.

    Attributes:
        type: The type that it serves, as in a service file's ``type``.
        kind: The kind of resource; ``container`` for guests.
        api: The versions of this contract that it speaks.
        options: The record of a resource of this type, a subclass of the kind's.
        capabilities: What it offers beyond this protocol.
    """

    type: ClassVar[str]
    kind: ClassVar[str]
    api: ClassVar[frozenset[int]]
    options: ClassVar[builtins.type[Resource]]
    capabilities: ClassVar[frozenset[Capability]]

    def __init__(self, context: Context) -> None:
        """Keep the context. Open nothing: a session makes drivers that it may never use."""

    def observe(self, resource: R_contra, *, budget_s: float) -> Observation:
        """Say where the resource stands, and change nothing.

        Args:
            resource: The resource to look at.
            budget_s: How long the look may take, in seconds.

        Returns:
            What was seen. ``ABSENT`` and ``STOPPED`` need positive evidence; what could not be seen is ``UNKNOWN``.

        Raises:
            Undetermined: Equal to an ``UNKNOWN``; so is any other exception.
        """

    def start(self, resource: R_contra, *, budget_s: float) -> bool | None:
        """Begin to start the resource; do nothing where it runs or is starting.

        When it returns, :meth:`observe` tells that the resource is starting, or further; a technology that takes a
        moment to show it is waited for here. The core waits for the rest.

        Args:
            resource: The resource to start.
            budget_s: How long the request itself may take, in seconds.

        Returns:
            Whether this very call has set it going. The core stops, when it rolls back, only what it has started
            itself: ``False`` where somebody else was faster; ``None`` where nobody can tell, and what was seen before
            decides.

        Raises:
            DriverError: The technology said clearly that it cannot.
            Undetermined: The budget was spent, and whether the resource starts is not known; or its state is not
                known, or it is between two nodes, and nothing was changed.
        """

    def stop(self, resource: R_contra, *, budget_s: float) -> None:
        """Ask the resource to stop, gracefully; do nothing where it is stopped. The core asks again and waits.

        Args:
            resource: The resource to stop.
            budget_s: How long the request itself may take, in seconds.

        Raises:
            DriverError: The technology said clearly that it cannot ask. If no request before was accepted, the core
                goes on to :meth:`kill`.
            Undetermined: The budget was spent, and whether the resource was asked is not known; or its state is
                not known, or it is between two nodes, and nothing was changed.
        """

    def kill(self, resource: R_contra, *, budget_s: float) -> None:
        """Stop the resource by force; do nothing where it is stopped.

        Args:
            resource: The resource to stop.
            budget_s: How long the request itself may take, in seconds.

        Raises:
            DriverError: The technology said clearly that it cannot.
            Undetermined: The budget was spent; or its state is not known, or it is between two nodes, and nothing
                was changed.
        """

    def close(self) -> None:
        """Give up connections, within a second, whatever state their other ends are in."""

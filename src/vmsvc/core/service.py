"""A service as one file describes it, seen from one node. Pure."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from vmsvc.core.errors import Problem, UsageError
from vmsvc.core.kinds import Located
from vmsvc.core.node import Node
from vmsvc.core.options import boolean, choice, line, node_names, option, seconds, text
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.triggers import Triggered


@frozen(kw_only=True, eq=False, repr=False)
class Service(Triggered):
    """What is started and stopped as one.

    Attributes:
        name: The service's name, which is its file's name.
        file: The file it was read from.
        resources: Its parts, in the order of the file.
        problems: Warnings and notes from reading the file; never errors.
    """

    name: str
    file: Path
    resources: tuple[Resource, ...] = ()
    problems: tuple[Problem, ...] = ()

    app: str = option(line, default="default", help="The application that the service belongs to.")
    comment: str = option(text, default="", help="Free text.")
    env: str = option(
        line, default="", help="The environment of the service: PRD, DEV, TST …; the node's when not given."
    )
    nodes: tuple[str, ...] = option(
        node_names, default=(), scoped=False, help="The nodes that may run the service; this node when not given."
    )
    drpnodes: tuple[str, ...] = option(
        node_names, default=(), scoped=False, help="The nodes that may run it in a disaster recovery situation."
    )
    orchestrate: str = option(
        choice("no", "start", "ha"), default="no", help="start: the placement leader starts the service on boot."
    )
    lock_timeout: float = option(seconds, default=10.0, help="How long an action waits for another one to finish.")
    monitor_action: str = option(
        choice(
            "none",
            "stop",
            "freezestop",
            "reboot",
            "crash",
            elsewhere={
                "switch": "no node of this version starts what another one gives up; `freezestop` stops it here"
            },
        ),
        default="none",
        help="What `vmsvc monitor` does where a resource with `monitor = true` stays down: tell only; stop the "
        "service; freeze it, and then stop it; or reboot or crash the node, by the command that its own file gives.",
    )
    rollback: bool = option(boolean, default=True, help="Stop what a failed start has started.")

    def resource(self, rid: str) -> Resource:
        """The resource of a rid.

        Args:
            rid: The resource's id, such as ``container#1``.

        Returns:
            The resource.

        Raises:
            UsageError: The service has no such resource.
        """
        for resource in self.resources:
            if resource.rid == rid:
                return resource
        known = ", ".join(resource.rid for resource in self.resources) or "none"
        raise UsageError(f"{self.name} has no resource {rid}", code="usage.no-such-resource", hint=f"it has: {known}")

    @property
    def guests(self) -> tuple[Guest, ...]:
        """The guests behind its container resources."""
        return tuple(resource for resource in self.resources if isinstance(resource, Guest))

    def is_inside_guest(self, resource: Resource) -> bool:
        """Whether a resource lives inside the service's guest rather than on the node.

        Args:
            resource: One of its resources.
        """
        return isinstance(resource, Located) and resource.is_inside_guest

    def guest_of(self, resource: Resource) -> Guest:
        """The guest inside which a resource is.

        Args:
            resource: A resource inside a guest.

        Returns:
            The guest.

        Raises:
            UsageError: The resource is inside no guest of this service.
        """
        if not self.is_inside_guest(resource):
            raise UsageError(f"{resource.rid} of {self.name} is inside no guest")
        guest = self.resource(resource.container_id)  # type: ignore[attr-defined]
        assert isinstance(guest, Guest)  # a section that means anything else is told to be wrong
        return guest

    def place_of(self, node: Node) -> str:
        """Which list of the service names a node.

        Args:
            node: The node to look for.

        Returns:
            ``nodes``, ``drpnodes``, or an empty string where neither names it.
        """
        for place, listed in (("nodes", self.nodes), ("drpnodes", self.drpnodes)):
            if any(node.is_called(member) for member in listed):
                return place
        return ""

    def peers_of(self, node: Node) -> tuple[str, ...]:
        """The other nodes that may run the service, each once, as it is first spelt.

        Args:
            node: The node that asks.
        """
        peers: dict[str, str] = {}
        for peer in (*self.nodes, *self.drpnodes):
            if not node.is_called(peer):
                peers.setdefault(peer.casefold(), peer)
        return tuple(peers.values())

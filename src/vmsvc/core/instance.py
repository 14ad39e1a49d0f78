"""The status of a service: what its resources show, projected and merged. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from attrs import field, frozen

from vmsvc.core.kinds import AVAILABILITY_KINDS
from vmsvc.core.resource import Resource
from vmsvc.core.service import Service
from vmsvc.core.status import Observation, Status, inapplicable, merge, unknown


def projected(status: Status, resource: Resource) -> Status:
    """What a resource's status counts for, before statuses are merged.

    A disabled resource counts as ``n/a``. Replication (kind ``sync``) is never what makes a service available: when it
    is up to date it counts as ``n/a``, when it is not as ``warn``.

    Args:
        status: The resource's own status.
        resource: The resource.

    Returns:
        The status to merge.
    """
    if resource.disable:
        return Status.NA
    if resource.kind == "sync":
        return {Status.UP: Status.NA, Status.DOWN: Status.WARN}.get(status, status)
    return status


def over_nodes(statuses: Iterable[Status]) -> Status:
    """What the statuses of a service's instances come to.

    No join, unlike the merge of resources: a service is to be up on one node and down on the others, and being up on
    two of them is the worst that can happen to it. So how often a status comes counts; the order of nodes does not.

    Args:
        statuses: One for each node.

    Returns:
        ``unknown`` where any is; else ``warn`` where any is, or where more than one is up; else ``up`` where one is;
        else ``down`` where any is; else ``n/a``.
    """
    found = list(statuses)
    if Status.UNKNOWN in found:
        return Status.UNKNOWN
    if Status.WARN in found or found.count(Status.UP) > 1:
        return Status.WARN
    return next((status for status in (Status.UP, Status.DOWN) if status in found), Status.NA)


@frozen(kw_only=True)
class ResourceStatus:
    """A resource and what was seen of it.

    Attributes:
        resource: The resource.
        observation: What was seen, with its evidence.
        status: The status that counts, after projection.
    """

    resource: Resource
    observation: Observation
    status: Status = field(init=False, eq=False, repr=False)

    @status.default
    def _status(self) -> Status:
        return projected(self.observation.status, self.resource)

    @property
    def decides_availability(self) -> bool:
        """Whether the status counts in ``avail``, and not in ``overall`` only."""
        return self.resource.kind in AVAILABILITY_KINDS and not self.resource.optional


@frozen(kw_only=True)
class Instance:
    """A service on one node.

    Attributes:
        node: The node's name.
        resources: The status of each resource, in the order of the service's file.
        notes: What else there is to tell, such as an action that was cut short.
        freeze: Where the service is frozen on the node: since when and why.
        going_on: Which action of another process is going on there; empty for none.
        avail: The merge of the resources without which the service is not there.
        overall: The merge of all resources.
    """

    node: str
    resources: tuple[ResourceStatus, ...]
    notes: tuple[str, ...] = ()
    freeze: str = ""
    going_on: str = ""
    avail: Status = field(init=False, eq=False, repr=False)
    overall: Status = field(init=False, eq=False, repr=False)

    @avail.default
    def _avail(self) -> Status:
        return merge(item.status for item in self.resources if item.decides_availability)

    @overall.default
    def _overall(self) -> Status:
        return merge(item.status for item in self.resources)

    @property
    def told(self) -> tuple[str, ...]:
        """What there is to tell beside the resources."""
        goings_on = (f"going on: {self.going_on}",) if self.going_on else ()
        return (*((self.freeze,) if self.freeze else ()), *goings_on, *self.notes)


@frozen(kw_only=True)
class ServiceStatus:
    """The status of a service, over the instances that could be asked.

    Attributes:
        service: The service.
        instances: One entry for each node that was asked: this node's, and those of peers where they were.
    """

    service: Service
    instances: tuple[Instance, ...]

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service.name

    @property
    def avail(self) -> Status:
        """The availability over all instances."""
        return over_nodes(instance.avail for instance in self.instances)

    @property
    def overall(self) -> Status:
        """The overall status over all instances."""
        return over_nodes(instance.overall for instance in self.instances)

    @property
    def up_on(self) -> tuple[str, ...]:
        """The nodes on which the service is available; more than one is a split brain."""
        return tuple(instance.node for instance in self.instances if instance.avail is Status.UP)

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to tell of the service as a whole."""
        if len(self.up_on) <= 1:
            return ()
        return (f"it is up on {len(self.up_on)} nodes at once ({', '.join(self.up_on)}): stop all but one",)

    @property
    def is_determined(self) -> bool:
        """Whether every resource's status is known."""
        return all(item.status is not Status.UNKNOWN for instance in self.instances for item in instance.resources)


def instance_of(
    service: Service,
    node: str,
    seen: Mapping[str, Observation],
    *,
    notes: tuple[str, ...] = (),
    freeze: str = "",
    going_on: str = "",
    only: Collection[str] = (),
) -> Instance:
    """Put what was seen beside the resources it was seen of.

    Args:
        service: The service.
        node: The node's name.
        seen: Observations by rid; a resource that nobody looked at is unknown, unless it is disabled.
        notes: What else there is to tell.
        freeze: Where the service is frozen on the node: since when and why.
        going_on: Which action of another process is going on there; empty for none.
        only: The rids of the resources that the look was limited to; empty for all.

    Returns:
        The service's instance on the node.
    """
    looked_at = [resource for resource in service.resources if not only or resource.rid in only]

    def of(resource: Resource) -> Observation:
        if resource.disable:
            return inapplicable("configuration", "disabled")
        return seen.get(resource.rid) or unknown(f"{resource.type or resource.kind} driver", "it gave no answer")

    statuses = tuple(ResourceStatus(resource=resource, observation=of(resource)) for resource in looked_at)
    if len(looked_at) < len(service.resources):
        names = ", ".join(resource.rid for resource in looked_at)
        notes = (*notes, f"nothing but {names} was looked at: the status is of that alone")
    return Instance(node=node, resources=statuses, notes=notes, freeze=freeze, going_on=going_on)

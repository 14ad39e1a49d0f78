"""What is to become of resources that are down although this node has brought them up. Pure.

Nothing is started again that is not positively seen to be down: what is unknown, saved, absent or has moved is left as
it is, and so is what another node may have started meanwhile.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from attrs import frozen

from vmsvc.core.errors import VmsvcError
from vmsvc.core.instance import Instance, ResourceStatus
from vmsvc.core.kinds import Located, Reserved
from vmsvc.core.node import Node
from vmsvc.core.planning.needs import needs_of
from vmsvc.core.planning.rules import clause_of
from vmsvc.core.resource import NO_ACTION, Guest, Resource
from vmsvc.core.service import Service
from vmsvc.core.status import Phase, Status
from vmsvc.core.verb import Verb


class Care(enum.Enum):
    """What a resource needs.

    ``START``: it is to be started again. ``WAIT``: it will be, but not yet. ``GIVE_UP``: it stays down, and
    ``monitor_action`` has its turn. ``LEAVE``: it is not up, and nothing is done about it.
    """

    START = "start"
    WAIT = "wait"
    GIVE_UP = "give up"
    LEAVE = "leave"


@frozen(kw_only=True)
class Finding:
    """A resource that is not up, although it should be.

    Attributes:
        rid: The resource's id.
        care: What it needs.
        why: The reason, for people.
        is_unknown: Whether nobody could see how it stands.
    """

    rid: str
    care: Care
    why: str
    is_unknown: bool = False


@frozen(kw_only=True)
class Upkeep:
    """How a service stands that this node has brought up.

    Attributes:
        service: The service.
        held: The rids of what this node has brought up, and has not stopped since.
        findings: Those of them that are not up and should be, in the order of a start.
        pause: Why nothing is done about them at present; empty where something may be.
    """

    service: Service
    held: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    pause: str = ""


@frozen(kw_only=True)
class Deed:
    """What was done about a service.

    Attributes:
        words: What it was, for people: ``container#1: it is stopped (attempt 1 of 3): start it again``.
        rid: The resource's id; empty for what concerns the service as a whole.
        error: Why it failed; ``None`` where it did not.
    """

    words: str
    rid: str = ""
    error: VmsvcError | None = None


def findings(
    service: Service, instance: Instance, node: Node, attempts: Mapping[str, tuple[float, ...]], now: float
) -> tuple[Finding, ...]:
    """Decide what a service's resources need.

    Args:
        service: The service.
        instance: How it stands on this node.
        node: This node.
        attempts: Of each resource that this node has brought up: when it was started again, in seconds since the epoch.
        now: The present moment, alike.

    Returns:
        A finding for each of these resources that is not up.
    """
    found = []
    for item in instance.resources:
        resource = item.resource
        is_cared_for = (resource.restart or resource.monitor) and Verb.START in resource.budgets_s
        if resource.rid not in attempts or not is_cared_for or resource.disable or NO_ACTION in resource.tags:
            continue
        if item.observation.phase not in (Phase.RUNNING, Phase.STARTING, Phase.INAPPLICABLE):
            found.append(_finding(service, item, node, attempts[resource.rid], now))
    return tuple(found)


def _finding(service: Service, item: ResourceStatus, node: Node, attempts: tuple[float, ...], now: float) -> Finding:
    resource, state = item.resource, item.observation.state
    if item.observation.phase is not Phase.STOPPED:
        told = item.observation.evidence.detail if item.status is Status.UNKNOWN else state
        is_unknown = item.status is Status.UNKNOWN
        why = f"it is {item.status}{f': {told}' if told else ''}"
        return Finding(rid=resource.rid, care=Care.LEAVE, why=why, is_unknown=is_unknown)
    stands = clause_of(resource, state)
    recent = [at for at in attempts if now - at < resource.restart_period]
    if resource.restart and (reason := _unsafe(service, resource, node)):
        return Finding(rid=resource.rid, care=Care.LEAVE, why=f"{stands}, and {reason}")
    if len(recent) < resource.restart:
        due = max(recent, default=0.0) + resource.restart_delay - now
        if due > 0:
            return Finding(rid=resource.rid, care=Care.WAIT, why=f"{stands}; the next attempt is due in {due:.0f} s")
        why = f"{stands} (attempt {len(recent) + 1} of {resource.restart})"
        return Finding(rid=resource.rid, care=Care.START, why=why)
    tried = f" after {len(recent)} attempts" if recent else ""
    stays = f"it stays down{tried}: {state}" if isinstance(resource, Located) else f"it stays {state}{tried}"
    return Finding(rid=resource.rid, care=Care.GIVE_UP if resource.monitor else Care.LEAVE, why=stays)


def _unsafe(service: Service, resource: Resource, node: Node) -> str:
    """Why a resource must not be started again, since nobody asks other nodes of it; empty where it may be."""
    peers = service.peers_of(node)
    is_asked_for = isinstance(resource, Guest)  # by the start itself
    if not peers or is_asked_for or isinstance(resource, Reserved) or needs_of(Verb.START, resource, service):
        return ""
    return f"{', '.join(peers)} may have started it: a start asks other nodes of guests alone"

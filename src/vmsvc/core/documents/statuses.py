"""Services, their instances, their resources: how they stand."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import asdict

from vmsvc.core.documents.envelope import Data, document
from vmsvc.core.instance import Instance, ResourceStatus, ServiceStatus


def status(statuses: Iterable[ServiceStatus]) -> Data:
    """``vmsvc.status/1``: services, their instances, their resources.

    Args:
        statuses: The statuses of services.
    """
    return document("vmsvc.status/1", {"services": [service_status(item) for item in statuses]})


def service_status(item: ServiceStatus) -> Data:
    """The status of one service.

    Args:
        item: The status.
    """
    return {
        "name": item.name,
        "nodes": list(item.service.nodes),
        "drpnodes": list(item.service.drpnodes),
        **standing(item),
    }


def standing(item: ServiceStatus) -> Data:
    """How one service stands, without what is known of it anyway.

    Args:
        item: The status.
    """
    return {
        "name": item.name,
        "avail": item.avail.value,
        "overall": item.overall.value,
        "instances": [_instance(instance) for instance in item.instances],
    }


def _instance(item: Instance) -> Data:
    return {
        "node": item.node,
        "avail": item.avail.value,
        "overall": item.overall.value,
        "frozen": bool(item.freeze),
        "going_on": item.going_on,
        "notes": list(item.told),
        "resources": [_resource_status(resource) for resource in item.resources],
    }


def _resource_status(item: ResourceStatus) -> Data:
    seen = item.observation
    return {
        "rid": item.resource.rid,
        "kind": item.resource.kind,
        "type": item.resource.type,
        "label": item.resource.label,
        "status": item.status.value,
        "phase": seen.phase.value,
        "state": seen.state,
        "optional": item.resource.optional,
        "disable": item.resource.disable,
        "evidence": asdict(seen.evidence),
        "warnings": list(seen.warnings),
    }

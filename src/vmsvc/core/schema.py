"""The published shapes of vmsvc's JSON: plain data for ``--format json`` and for the store.

Each document names its schema and version; within a version, keys are only added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import asdict

from vmsvc.core.contract import GuestDisk
from vmsvc.core.errors import Problem
from vmsvc.core.instance import Instance, ResourceStatus, ServiceStatus
from vmsvc.core.inventory import GuestFacts
from vmsvc.core.options import options_of
from vmsvc.core.plan import Plan
from vmsvc.core.plugins import PluginReport
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.service import Service

Data = dict[str, Any]


def document(name: str, content: Data) -> Data:
    """A whole document.

    Args:
        name: The schema and its version, such as ``vmsvc.status/1``.
        content: What it holds.
    """
    return {"schema": name, **content}


def error(problems: Iterable[Problem]) -> Data:
    """``vmsvc.error/1``: why a command failed.

    Args:
        problems: What went wrong.
    """
    return document("vmsvc.error/1", {"errors": [problem(item) for item in problems]})


def problem(item: Problem) -> Data:
    """One problem.

    Args:
        item: The problem.
    """
    return {**asdict(item), "severity": item.severity.value}


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
        "avail": item.avail.value,
        "overall": item.overall.value,
        "instances": [_instance(instance) for instance in item.instances],
    }


def _instance(item: Instance) -> Data:
    return {
        "node": item.node,
        "avail": item.avail.value,
        "overall": item.overall.value,
        "notes": list(item.notes),
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
        "state": seen.state,
        "optional": item.resource.optional,
        "disable": item.resource.disable,
        "evidence": asdict(seen.evidence),
        "warnings": list(seen.warnings),
    }


def plan(item: Plan) -> Data:
    """``vmsvc.plan/1``: what an action would do, or why it would not.

    Args:
        item: The plan.
    """
    return document(
        "vmsvc.plan/1",
        {
            "action": item.action,
            "service": item.service.name,
            "node": item.node,
            "steps": [asdict(step) for step in item.steps],
            "kept": [asdict(kept) for kept in item.kept],
            "refusals": [problem(refusal) for refusal in item.refusals],
            "notes": [problem(note) for note in item.notes],
        },
    )


def drivers(reports: Iterable[PluginReport]) -> Data:
    """``vmsvc.drivers/1``: the installed plugins and what became of each.

    Args:
        reports: The reports of the plugin host.
    """
    rows = [
        {
            **asdict(report, recurse=False),
            "state": str(report.state),
            "drivers": [asdict(driver) for driver in report.drivers],
        }
        for report in reports
    ]
    return document("vmsvc.drivers/1", {"plugins": rows})


def service(item: Service) -> Data:
    """A service as its file describes it, defaults included.

    Args:
        item: The service.
    """
    return {
        "name": item.name,
        "file": str(item.file),
        "settings": _settings(item),
        "resources": [
            {"rid": resource.rid, "kind": resource.kind, "type": resource.type, "settings": _settings(resource)}
            for resource in item.resources
        ],
    }


def disks(guest: Guest, found: Sequence[GuestDisk] | None) -> list[Data]:
    """The disks of a guest, a row each.

    Args:
        guest: The guest.
        found: Its disks; ``None`` where its driver cannot name any.
    """
    return [{"rid": guest.rid, "guest": guest.name, **asdict(disk)} for disk in found or ()]


def inventory(item: Service, seen: ServiceStatus, facts: Iterable[GuestFacts]) -> Data:
    """What ``push`` stores of a service: configuration, status, and what is known of its guests.

    Args:
        item: The service.
        seen: Its status.
        facts: The facts of its guests.
    """
    return {
        "service": service(item),
        "status": service_status(seen),
        "guests": [guest_facts(fact) for fact in facts],
    }


def guest_facts(item: GuestFacts) -> Data:
    """What is known of a guest; not its definition, which may hold passwords.

    Args:
        item: The facts.
    """
    return {
        "rid": item.guest.rid,
        "name": item.guest.name,
        "type": item.guest.type,
        "sizes": None if item.sizes is None else asdict(item.sizes),
        "disks": None if item.disks is None else disks(item.guest, item.disks),
        "config_files": [str(path) for path in item.config_files],
        "gaps": list(item.gaps),
    }


def _settings(owner: Service | Resource) -> Data:
    values = {option.key: getattr(owner, option.key) for option in options_of(type(owner))}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

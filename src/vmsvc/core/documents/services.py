"""Services as their files describe them, guests that have none, and the plugins that serve them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import asdict

from vmsvc.core.answers import FoundGuest
from vmsvc.core.errors import Problem, Severity
from vmsvc.core.guests.drift import KEPT, LIVE, PERSISTENT
from vmsvc.core.options import options_of
from vmsvc.core.plugins import PluginReport
from vmsvc.core.resource import Resource
from vmsvc.core.service import Service

if TYPE_CHECKING:
    from vmsvc.core.guests.adoption import Adoption
    from vmsvc.core.guests.definitions import Drift

from vmsvc.core.documents.envelope import Data, document, problem


def validation(reports: Iterable[tuple[Path, Sequence[Problem]]]) -> Data:
    """``vmsvc.validation/1``: what is wrong, odd or worth knowing about files.

    Args:
        reports: The files, with the problems of each.
    """
    files = [
        {
            "file": str(path),
            "valid": all(item.severity is not Severity.ERROR for item in problems),
            "problems": [problem(item) for item in problems],
        }
        for path, problems in reports
    ]
    return document("vmsvc.validation/1", {"files": files})


def services(items: Iterable[Service], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.services/1``: the services of a node.

    Args:
        items: Those that can be read.
        problems: What is wrong with the others.
    """
    rows = [
        {
            "name": item.name,
            "file": str(item.file),
            "env": item.env,
            "nodes": list(item.nodes),
            "drpnodes": list(item.drpnodes),
            "types": list(dict.fromkeys(guest.type for guest in item.guests)),
        }
        for item in items
    ]
    return document("vmsvc.services/1", {"services": rows, "errors": [problem(item) for item in problems]})


def drift(service: str, items: Iterable[Drift], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.drift/1``: how the definitions of a service's guests differ.

    Args:
        service: The service's name.
        items: The drift of each guest.
        problems: What could not be compared.
    """
    guests = [
        {
            "rid": item.guest.rid,
            "name": item.guest.name,
            "type": item.guest.type,
            "forms": list(item.forms),
            "differences": [
                {"field": each.field, **{form: each.values.get(form) for form in (LIVE, PERSISTENT, KEPT)}}
                for each in item.differences
            ],
        }
        for item in items
    ]
    content = {"service": service, "guests": guests, "errors": [problem(item) for item in problems]}
    return document("vmsvc.drift/1", content)


def adoption(item: Adoption, written: Collection[Path], problems: Iterable[Problem], *, dry_run: bool) -> Data:
    """``vmsvc.adoption/1``: guests that were found, and the service files that they got.

    Args:
        item: What became of each guest.
        written: The files that were written.
        problems: What went wrong.
        dry_run: Whether nothing was to be written.
    """
    content = {
        "dry_run": dry_run,
        "proposals": [
            {
                **_found(proposal.type, proposal.guest),
                "service": proposal.draft.service.name,
                "file": str(proposal.draft.path),
                "text": proposal.draft.text,
                "written": proposal.draft.path in written,
                "warnings": list(proposal.guest.warnings),
            }
            for proposal in item.proposals
        ],
        "claimed": [{**_found(each.type, each.guest), "service": each.service} for each in item.claimed],
        "left": [{**_found(each.type, each.guest), "reason": str(each.error)} for each in item.left],
        "errors": [problem(each) for each in problems],
    }
    return document("vmsvc.adoption/1", content)


def _found(type: str, guest: FoundGuest) -> Data:
    status = guest.phase.status.value
    return {"guest": guest.name, "type": type, "status": status, "state": guest.state, "autostart": guest.autostart}


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


def _settings(owner: Service | Resource) -> Data:
    values = {option.key: getattr(owner, option.key) for option in options_of(type(owner))}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

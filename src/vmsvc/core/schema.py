"""The published shapes of vmsvc's JSON: plain data for ``--format json`` and for the store.

Each document names its schema and version; within a version, keys are only added.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import Attribute, asdict

from vmsvc.core.answers import FoundGuest, GuestDisk
from vmsvc.core.drift import KEPT, LIVE, PERSISTENT
from vmsvc.core.errors import ExitCode, Problem, Severity
from vmsvc.core.freezer import Freeze
from vmsvc.core.instance import Instance, ResourceStatus, ServiceStatus
from vmsvc.core.inventory import GuestFacts
from vmsvc.core.options import options_of
from vmsvc.core.plan import Plan, Step
from vmsvc.core.plugins import PluginReport
from vmsvc.core.records import Record
from vmsvc.core.report import Report
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.service import Service
from vmsvc.core.vmdg.keys import key_text

if TYPE_CHECKING:
    from vmsvc.core.adoption import Adoption
    from vmsvc.core.definitions import Drift
    from vmsvc.core.inside.launching import Told
    from vmsvc.core.upkeep import Deed, Upkeep
    from vmsvc.core.usage import Usage, Use

if TYPE_CHECKING:  # who has no disks to reserve does not pay for them
    from vmsvc.core.disk_sets import DiskReport
    from vmsvc.core.trust.guest import GuestTrust
    from vmsvc.core.trust.own_key import OwnKey
    from vmsvc.core.trust.peers import PeerTrust
    from vmsvc.core.trust.trusting import Trust
    from vmsvc.core.validating import Validation
    from vmsvc.core.vmdg.judge import Judged
    from vmsvc.core.vmdg.seen import Reading, ScsiDisk
    from vmsvc.core.watch import Noticed

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


def plans(items: Iterable[Plan], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.plan/1``: what actions would do, or why they would not.

    Args:
        items: The plans.
        problems: What kept other services from being planned for.
    """
    content = {"plans": [plan(item) for item in items], "errors": [problem(item) for item in problems]}
    return document("vmsvc.plan/1", content)


def plan(item: Plan) -> Data:
    """What one action would do.

    Args:
        item: The plan.
    """
    return {
        "action": item.action,
        "service": item.service.name,
        "node": item.node,
        "only": sorted(item.only),
        "steps": [_step(step) for step in item.steps],
        "kept": [asdict(kept) for kept in item.kept],
        "refusals": [problem(refusal) for refusal in item.refusals],
        "notes": [problem(note) for note in item.notes],
    }


def _step(item: Step) -> Data:
    trigger = None
    if item.trigger is not None:
        trigger = {"key": item.trigger.key, "command": list(item.trigger.command)}
    return {**asdict(item), "needs": [asdict(need) for need in item.needs], "trigger": trigger}


def action(name: str, results: Iterable[Data], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.action/1``: what an action did to services.

    Args:
        name: ``start``, ``stop``, ``restart`` or ``boot``.
        results: An :func:`action_result` for each service.
        problems: What kept the action from services whose files cannot be read.
    """
    content = {"action": name, "results": list(results), "errors": [problem(item) for item in problems]}
    return document("vmsvc.action/1", content)


def action_result(
    service: str,
    *,
    exit_code: ExitCode,
    report: Report | None,
    status: ServiceStatus | None,
    problems: Iterable[Problem],
) -> Data:
    """What an action did to one service.

    Args:
        service: The service's name.
        exit_code: How it ended; its name in lower case is the outcome, and ``unchanged`` where nothing had to be done.
        report: What was done; ``None`` where it failed or was refused.
        status: The service's status afterwards; ``None`` where nobody looked.
        problems: Errors, warnings and notes.
    """
    told = list(problems)
    outcome = "unchanged" if report is not None and not report.results else exit_code.name.lower()
    return {
        "service": service,
        "outcome": outcome,
        "exit_code": int(exit_code),
        "steps": [
            {
                "rid": result.step.rid,
                "verb": result.step.verb,
                "trigger": result.step.trigger.key if result.step.trigger is not None else "",
                "duration_s": result.duration_s,
                "error": result.error,
            }
            for result in (report.results if report is not None else ())
        ],
        "kept": [asdict(kept) for kept in (report.plan.kept if report is not None else ())],
        "status": None if status is None else service_status(status),
        "errors": [problem(item) for item in told if item.severity is Severity.ERROR],
        "notes": [problem(item) for item in told if item.severity is not Severity.ERROR],
    }


def frozen(rows: Iterable[Data], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.frozen/1``: services that were frozen or thawed.

    Args:
        rows: A :func:`frozen_service` for each.
        problems: What kept the command from others.
    """
    return document("vmsvc.frozen/1", {"services": list(rows), "errors": [problem(item) for item in problems]})


def frozen_service(name: str, found: Freeze | None, *, changed: bool) -> Data:
    """Whether a service is frozen.

    Args:
        name: The service's name.
        found: Since when and why; ``None`` where it is not frozen.
        changed: Whether the command has changed that, or would.
    """
    return {
        "service": name,
        "frozen": found is not None,
        "changed": changed,
        "since": None if found is None or not found.at else found.at,
        "reason": "" if found is None else found.reason,
    }


def monitoring(items: Iterable[tuple[Upkeep, Sequence[Deed]]], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.monitor/1``: what is down of what this node has brought up, and what was done about it.

    Args:
        items: How each service stands, with what was done.
        problems: What kept the command from others.
    """
    rows = [
        {
            "service": upkeep.service.name,
            "pause": upkeep.pause,
            "held": list(upkeep.held),
            "findings": [
                {"rid": found.rid, "care": found.care.value, "why": found.why, "unknown": found.is_unknown}
                for found in upkeep.findings
            ],
            "deeds": [
                {
                    "rid": deed.rid,
                    "words": deed.words,
                    "errors": [] if deed.error is None else [problem(item) for item in deed.error.problems],
                }
                for deed in deeds
            ],
        }
        for upkeep, deeds in items
    ]
    return document("vmsvc.monitor/1", {"services": rows, "errors": [problem(item) for item in problems]})


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


def shown(item: Service, facts: Iterable[GuestFacts]) -> Data:
    """``vmsvc.service/1``: a service, defaults included, and what is known of its guests.

    Args:
        item: The service.
        facts: The facts of its guests.
    """
    content = {
        "service": service(item),
        "guests": [guest_facts(fact) for fact in facts],
        "problems": [problem(found) for found in item.problems],
    }
    return document("vmsvc.service/1", content)


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


def stored(items: Iterable[Record], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.stored/1``: what was put into the node's own store, and what has changed since the time before.

    Args:
        items: What was collected.
        problems: What kept other services' facts from being collected.
    """
    rows = [
        {
            **_record(item),
            "stored": item.is_stored,
            "dry_run": item.is_dry,
            "problems": [problem(loss) for loss in item.losses],
        }
        for item in items
    ]
    return document("vmsvc.stored/1", {"stored": rows, "errors": [problem(item) for item in problems]})


def snapshot(item: Record) -> Data:
    """``vmsvc.snapshot/1``: what publishers are given.

    Args:
        item: What was collected.
    """
    return document("vmsvc.snapshot/1", _record(item))


def history(service: str, items: Iterable[Record]) -> Data:
    """``vmsvc.history/1``: what the store has of a service.

    Args:
        service: The service's name.
        items: The records, the newest first.
    """
    return document("vmsvc.history/1", {"service": service, "history": [_record(item) for item in items]})


def _record(item: Record) -> Data:
    changes = [{**asdict(change, recurse=False), "kind": change.kind.value} for change in item.changes]
    return {**asdict(item.snapshot, recurse=False), "since": item.since, "changes": changes}


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


def used_disks(guest: Guest, found: Sequence[GuestDisk] | None, usage: Usage) -> list[Data]:
    """The disks of a guest, a row each, with what backs them on this node and who else uses that.

    Args:
        guest: The guest.
        found: Its disks; ``None`` where its driver cannot name any.
        usage: Who uses which disk.
    """
    return [
        {**row, "backing": asdict(usage.backing(disk.source)), "users": _users(usage.others(guest, disk))}
        for row, disk in zip(disks(guest, found), found or (), strict=True)
    ]


def _users(others: Iterable[Use] | None) -> list[Data] | None:
    return None if others is None else [{"user": str(use), **asdict(use, filter=_is_told)} for use in others]


def _is_told(field: Attribute[Any], _value: object) -> bool:
    """What is known of a user but who it is to vmsvc itself, and the name that it has for the disk."""
    return field.name not in ("who", "source", "kind")


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
        "config_files": None if item.config_files is None else [str(path) for path in item.config_files],
        "gaps": list(item.gaps),
    }


def watch(items: Iterable[Noticed], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.watch/1``: whether guests still have their disks, and what was done where they do not.

    Args:
        items: What was noticed.
        problems: What kept other services from being looked at.
    """
    rows = [
        {
            "service": item.watched.resource.service,
            "rid": item.watched.resource.rid,
            "concern": item.watched.concern.value,
            "status": item.watched.status.value,
            "text": item.watched.text,
            "hint": item.watched.hint,
            "users": list(item.watched.users),
            "stopped": list(item.stopped),
            "errors": [problem(each) for each in item.error.problems] if item.error else [],
        }
        for item in items
    ]
    return document("vmsvc.watch/1", {"watched": rows, "errors": [problem(item) for item in problems]})


def validated_disks(service: str, items: Iterable[Validation], *, scratch: Collection[str]) -> Data:
    """``vmsvc.validate-disks/1``: whether disks do what exclusive disks need of them.

    Args:
        service: The service's name.
        items: What was checked of each resource.
        scratch: The disks on which everything was tried; none where all were only read.
    """
    content = {
        "service": service,
        "mode": "scratch" if scratch else "safe",
        "resources": [
            {
                "rid": item.resource.rid,
                "checks": [
                    {"check": check.name, "disk": check.disk, "verdict": str(check.verdict), "text": check.text}
                    for check in item.checks
                ],
            }
            for item in items
        ],
    }
    return document("vmsvc.validate-disks/1", content)


def trust_of_guests(key: OwnKey, items: Iterable[tuple[str, GuestTrust]], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.trust/1``: what guests are to have for vmsvc's own ssh key, what was installed, and what the test found.

    Args:
        key: vmsvc's own key.
        items: Services, and what is known of a guest of each.
        problems: Why others are not among them.
    """
    rows = [
        {"service": name, "rid": item.guest.rid, "guest": item.guest.name, "way": item.way.value, **_trust(item)}
        for name, item in items
    ]
    return _trusts(key, {"guests": rows, "peers": []}, problems)


def trust_of_peers(key: OwnKey, items: Iterable[PeerTrust], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.trust/1``: the same of peers.

    Args:
        key: vmsvc's own key.
        items: What is known of each peer.
        problems: Why services are not among them.
    """
    rows = [{"node": item.peer, "services": list(item.services), **_trust(item)} for item in items]
    return _trusts(key, {"guests": [], "peers": rows}, problems)


def _trusts(key: OwnKey, rows: Data, problems: Iterable[Problem]) -> Data:
    shown = {"file": str(key.file), "public": key.public, "fingerprint": key.fingerprint}
    return document("vmsvc.trust/1", {"key": shown, **rows, "problems": [problem(each) for each in problems]})


def _trust(item: Trust) -> Data:
    wanted = item.wanted
    return {
        "target": item.target,
        "script": None if wanted is None else {"path": wanted.script, "text": wanted.text},
        "line": None if wanted is None else wanted.line,
        "host_keys": [{"type": key.type, "fingerprint": key.fingerprint} for key in item.host_keys],
        "changes": [
            {"file": each.path, "diff": each.diff, "is_done": each.is_needed and item.is_installed}
            for each in item.changes
        ],
        "tests": [
            {
                "name": each.name,
                "is_right": each.verdict.is_right,
                "verdict": each.verdict.name.lower().replace("_", "-"),
                "detail": each.detail,
            }
            for each in item.tried
        ],
        "problems": [problem(each) for each in (*item.warnings, *(item.error.problems if item.error else ()))],
    }


def disk_reports(items: Iterable[DiskReport], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.disks/1``: the disks of services, and who has reserved them.

    Args:
        items: What was found of each resource.
        problems: What kept other resources from being looked at.
    """
    content = {"resources": [_disk_report(item) for item in items], "errors": [problem(item) for item in problems]}
    return document("vmsvc.disks/1", content)


def _disk_report(item: DiskReport) -> Data:
    found, whole = item.found, item.whole
    reserved = zip(found.disks, item.readings, item.judged, strict=True)
    return {
        "service": found.resource.service,
        "rid": found.resource.rid,
        "scsireserv": found.resource.scsireserv,
        "prkey": None if item.key is None else key_text(item.key),
        "status": whole.phase.status.value,
        "state": whole.state,
        "detail": whole.detail,
        "hint": whole.hint,
        "warnings": list(whole.warnings),
        "disks": [_disk(item, disk, readings, judged) for disk, readings, judged in reserved],
        "others": [
            {
                "name": other.name,
                "target": found.targets.get(other.name, ""),
                "status": judged.phase.status.value,
                "why": other.why,
            }
            for other, judged in zip(found.others, item.others, strict=True)
        ],
        "left_over": [
            {
                "name": judged.name,
                "wwid": each.entry.wwid,
                "prkey": key_text(each.entry.key),
                "status": judged.phase.status.value,
                "state": judged.state,
                "detail": judged.detail,
            }
            for each, judged in zip(found.left_over, item.left_over, strict=True)
        ],
    }


def _disk(item: DiskReport, disk: ScsiDisk, readings: Iterable[Reading], judged: Judged) -> Data:
    return {
        "name": disk.name,
        "target": item.found.targets.get(disk.name, ""),
        "wwid": disk.wwid,
        "map": disk.map,
        "vendor": disk.vendor,
        "product": disk.product,
        "size_bytes": disk.size_bytes,
        "readonly": disk.readonly,
        "status": judged.phase.status.value,
        "state": judged.state,
        "detail": judged.detail,
        "paths": [
            {
                "path": reading.path,
                "answer": reading.answer.value,
                "detail": reading.detail,
                "generation": reading.generation,
                "registrations": [
                    {"prkey": key_text(each.key), "node": item.names.get(each.key, ""), "nexus": each.nexus}
                    for each in reading.registrations
                ],
                "reservation": None
                if reading.reservation is None
                else {
                    "prkey": key_text(reading.reservation.key),
                    "node": item.names.get(reading.reservation.key, ""),
                    "type": reading.reservation.type,
                },
            }
            for reading in readings
        ],
    }


def _settings(owner: Service | Resource) -> Data:
    values = {option.key: getattr(owner, option.key) for option in options_of(type(owner))}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def app_info(items: Iterable[Told], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.app-info/1``: what launchers tell about the applications that they start.

    Args:
        items: What those of each application tell.
        problems: Why others could not be asked.
    """
    applications = [
        {
            "service": item.service,
            "rid": item.rid,
            "why_none": item.useless or None,
            "launchers": [
                {
                    "name": each.name,
                    "exit_code": None if each.outcome is None else each.outcome.code,
                    "output": None if each.outcome is None else each.outcome.out,
                    "error": str(each) if each.has_failed else None,
                }
                for each in item.ran
            ],
        }
        for item in items
    ]
    return document("vmsvc.app-info/1", {"applications": applications, "errors": [problem(item) for item in problems]})

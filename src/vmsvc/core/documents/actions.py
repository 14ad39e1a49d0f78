"""Plans, and what actions did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from attrs import asdict

from vmsvc.core.errors import ExitCode, Problem, Severity
from vmsvc.core.execution.report import Report
from vmsvc.core.instance import ServiceStatus
from vmsvc.core.keeping.freezer import Freeze
from vmsvc.core.planning.plan import Plan, Step

if TYPE_CHECKING:
    from vmsvc.core.keeping.upkeep import Deed, Upkeep

from vmsvc.core.documents.envelope import Data, document, problem
from vmsvc.core.documents.statuses import service_status


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
        "to": item.to,
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


def action(name: str, results: Iterable[Data], problems: Iterable[Problem] = (), *, command: str = "") -> Data:
    """``vmsvc.action/1``: what an action did to services.

    Args:
        name: ``start``, ``stop``, ``restart``, ``boot`` or ``migrate``.
        command: What asked for it, such as ``startapp``; the action itself where that is not given.
        results: An :func:`action_result` for each service.
        problems: What kept the action from services whose files cannot be read.
    """
    content = {
        "action": name,
        "command": command or name,
        "results": list(results),
        "errors": [problem(item) for item in problems],
    }
    return document("vmsvc.action/1", content)


def action_result(
    service: str,
    *,
    exit_code: ExitCode,
    report: Report | None,
    status: ServiceStatus | None,
    problems: Iterable[Problem],
    only: Iterable[str] = (),
) -> Data:
    """What an action did to one service.

    Args:
        service: The service's name.
        exit_code: How it ended; its name in lower case is the outcome, and ``unchanged`` where nothing had to be done.
        report: What was done; ``None`` where it failed or was refused.
        status: The service's status afterwards; ``None`` where nobody looked.
        problems: Errors, warnings and notes.
        only: The rids of the resources that it was limited to; empty for all.
    """
    told = list(problems)
    outcome = "unchanged" if report is not None and not report.results else exit_code.name.lower()
    return {
        "service": service,
        "outcome": outcome,
        "exit_code": int(exit_code),
        "only": sorted(only),
        "steps": [
            {
                "rid": result.step.rid,
                "verb": result.step.verb,
                "to": result.step.to,
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

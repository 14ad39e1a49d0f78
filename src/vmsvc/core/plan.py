"""What an action would do: ordered steps, decided resource by resource from what was seen. Pure.

The rules of safety that need no host are here too: a plan that may not run carries its refusals, so that
``plan start`` can show them and nothing can run it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from attrs import evolve, field, frozen

from vmsvc.core.errors import ExitCode, Problem, Refused, Severity, Undetermined, UsageError
from vmsvc.core.node import Node
from vmsvc.core.resource import KINDS, App, Guest, Resource
from vmsvc.core.service import Service
from vmsvc.core.status import Observation, Phase

#: What can be done to a service.
ACTIONS = ("start", "stop", "restart")

DOWN = frozenset({Phase.STOPPED, Phase.SAVED, Phase.ABSENT})
_STARTABLE = DOWN | {Phase.STARTING, Phase.DEGRADED}
_ASKABLE = frozenset({Phase.RUNNING, Phase.STARTING, Phase.STOPPING, Phase.DEGRADED})

_NOT_STARTABLE_HINTS = {
    Phase.PAUSED: "resume it with the hypervisor's own tool, or stop the service first",
    Phase.SUSPENDED: "wake it with the hypervisor's own tool, or stop the service first",
    Phase.CRASHED: "look at why it crashed, then stop the service, then start it",
    Phase.STUCK: "look at its process, or stop the service first",
    Phase.STOPPING: "try again when it is down",
    Phase.MIGRATING: "try again when the migration has ended",
}


@frozen(kw_only=True)
class Consent:
    """What the operator has said in words, beyond the action's name.

    Attributes:
        drp: Start on a node of ``drpnodes``.
        despite_unknown: Resources, by rid, to act on although their status is unknown.
        kill: Stop guests by force at once, without asking them first.
    """

    drp: bool = False
    despite_unknown: frozenset[str] = field(default=frozenset(), converter=frozenset)
    kill: bool = False


@frozen(kw_only=True)
class Step:
    """One thing to do to one resource.

    Attributes:
        rid: The resource's id.
        verb: ``start``, ``stop`` (ask it to) or ``kill`` (force it to).
        budget_s: How long it may take until the resource is where it should be, in seconds.
        why: What was seen that makes it necessary.
        only_if_needed: Whether the step is left out when the one before has done the job.
    """

    rid: str
    verb: str
    budget_s: float
    why: str = ""
    only_if_needed: bool = False

    def __str__(self) -> str:
        """Read as ``stop container#1``."""
        return f"{self.verb} {self.rid}"


@frozen(kw_only=True)
class Kept:
    """A resource that an action leaves as it is.

    Attributes:
        rid: The resource's id.
        why: The reason.
    """

    rid: str
    why: str


@frozen(kw_only=True)
class Plan:
    """What an action would do. Data: it can be printed, compared and stored.

    Attributes:
        action: ``start``, ``stop`` or ``restart``.
        service: The service.
        node: The node's name.
        steps: What would be done, in order.
        kept: What would be left as it is.
        refusals: Why the plan may not run; empty when it may.
        notes: What the operator should know before it runs.
        consent: What the operator has agreed to.
    """

    action: str
    service: Service
    node: str
    steps: tuple[Step, ...] = ()
    kept: tuple[Kept, ...] = ()
    refusals: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    consent: Consent = Consent()

    @property
    def exit_code(self) -> ExitCode:
        """What the action would exit with if it were refused: a rule counts more than a fact that is missing."""
        if not self.refusals:
            return ExitCode.DONE
        only_facts = all(problem.code.startswith("undetermined") for problem in self.refusals)
        return ExitCode.UNDETERMINED if only_facts else ExitCode.REFUSED

    def raise_if_refused(self) -> None:
        """Stop here if the plan may not run.

        Raises:
            Undetermined: Nothing forbids it, but the status of a resource is unknown.
            Refused: A safety rule forbids it.
        """
        if self.exit_code is ExitCode.UNDETERMINED:
            raise Undetermined(problems=self.refusals)
        if self.refusals:
            raise Refused(problems=self.refusals)


def plan(
    action: str, service: Service, node: Node, seen: Mapping[str, Observation], consent: Consent | None = None
) -> Plan:
    """Decide what an action would do.

    Args:
        action: ``start``, ``stop`` or ``restart``.
        service: The service.
        node: The node that would act.
        seen: What was seen of each resource, by rid; a missing one is unknown.
        consent: What the operator has agreed to.

    Returns:
        The plan, with its refusals if it may not run.

    Raises:
        UsageError: There is no such action.
    """
    if action not in ACTIONS:
        raise UsageError(
            f"there is no action {action!r}", code="usage.no-such-action", hint=f"there are: {', '.join(ACTIONS)}"
        )
    draft = _Draft(service, node, consent or Consent())
    draft.rules_of_any_action()
    if action in ("start", "restart"):
        draft.rules_of_start()
    if action in ("stop", "restart"):
        for resource in reversed(_ordered(service)):
            draft.stop(resource, seen.get(resource.rid))
    if action in ("start", "restart"):
        stopped = {step.rid for step in draft.steps}
        for resource in _ordered(service):
            draft.start(resource, seen.get(resource.rid), will_be_down=resource.rid in stopped)
    return draft.plan(action)


def undo(step: Step, service: Service) -> tuple[Step, ...]:
    """The steps that take back a start.

    Args:
        step: The step that was taken, or begun.
        service: Its service.

    Returns:
        Ask it to stop, then force it to.
    """
    why = f"it was started by the action that failed: {step}"
    return tuple(evolve(undoing, why=why) for undoing in _stopping(service.resource(step.rid), kill_only=False))


def _ordered(service: Service) -> list[Resource]:
    """The resources in the order of a start: by kind, then by number."""
    order = list(KINDS)

    def rank(resource: Resource) -> tuple[int, list[tuple[int, int, str]]]:
        parts = re.findall(r"\d+|\D+", resource.rid)
        natural = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
        return order.index(resource.kind), natural

    return sorted(service.resources, key=rank)


def _stopping(resource: Resource, *, kill_only: bool, why: str = "") -> Iterator[Step]:
    if isinstance(resource, Guest):
        if not kill_only:
            yield Step(rid=resource.rid, verb="stop", budget_s=resource.stop_timeout, why=why)
        yield Step(rid=resource.rid, verb="kill", budget_s=resource.kill_timeout, why=why, only_if_needed=not kill_only)
    elif isinstance(resource, App):
        yield Step(rid=resource.rid, verb="stop", budget_s=resource.stop_timeout, why=why)


class _Draft:
    """A plan in the making."""

    def __init__(self, service: Service, node: Node, consent: Consent) -> None:
        self._service = service
        self._node = node
        self._consent = consent
        self.steps: list[Step] = []
        self._kept: list[Kept] = []
        self._refusals: list[Problem] = []
        self._notes: list[Problem] = []

    def plan(self, action: str) -> Plan:
        touched = {step.rid for step in self.steps}
        return Plan(
            action=action,
            service=self._service,
            node=self._node.name,
            steps=tuple(self.steps),
            # A restart asks twice about each resource.
            kept=tuple(dict.fromkeys(kept for kept in self._kept if kept.rid not in touched)),
            refusals=tuple(dict.fromkeys(self._refusals)),
            notes=tuple(self._notes),
            consent=self._consent,
        )

    def rules_of_any_action(self) -> None:
        if not self._service.place_of(self._node):
            self._refuse(
                "refused.not-listed",
                f"this node, {self._node.name}, is in neither nodes nor drpnodes of {self._service.name}",
                hint=f"act on {' or '.join(self._service.nodes) or 'a node of the list'}, or add this node to nodes",
            )

    def rules_of_start(self) -> None:
        service, node = self._service, self._node
        if service.place_of(node) == "drpnodes" and not self._consent.drp:
            self._refuse(
                "refused.drp",
                f"{node.name} is a disaster recovery node of {service.name}",
                hint="if this is the disaster (or its rehearsal), say so: --drp",
            )
        if node.mode == "PRD" and service.env not in ("", "PRD"):
            self._refuse(
                "refused.host-mode",
                f"{service.name} is a {service.env} service and {node.name} is a PRD node",
                hint="only PRD services start on PRD nodes; see `vmsvc node`",
            )
        for resource in service.resources:
            if getattr(resource, "scsireserv", False) and not resource.disable:
                self._refuse(
                    "refused.no-reservations",
                    "scsireserv = true asks for disks that only this hypervisor can write to, "
                    "and this version cannot reserve them yet",
                    section=resource.rid,
                    hint="start without it only if you are sure of every other hypervisor: scsireserv = false",
                )
        peers = service.peers_of(node)
        if peers:
            message = f"the other nodes were not asked whether they run {service.name}: {', '.join(peers)}"
            self._notes.append(Problem(message=message, code="note.peers-not-asked", severity=Severity.NOTE))

    def start(self, resource: Resource, seen: Observation | None, *, will_be_down: bool) -> None:
        if self._is_left_alone(resource, seen, command=getattr(resource, "start", None)):
            return
        phase = Phase.STOPPED if will_be_down or seen is None else seen.phase
        if phase is Phase.RUNNING:
            self._keep(resource, "already up")
        elif phase in _STARTABLE or phase in (Phase.INAPPLICABLE, Phase.UNKNOWN):
            budget_s: float = getattr(resource, "start_timeout", 0.0)
            why = "it was stopped before" if will_be_down else _words(seen)
            self.steps.append(Step(rid=resource.rid, verb="start", budget_s=budget_s, why=why))
        elif resource.optional:
            self._keep(resource, f"it is {_words(seen)}, and optional")
        else:
            self._refuse(
                "refused.not-startable",
                f"it is {_words(seen)}: neither up nor down",
                section=resource.rid,
                hint=_NOT_STARTABLE_HINTS.get(phase, ""),
            )

    def stop(self, resource: Resource, seen: Observation | None) -> None:
        if self._is_left_alone(resource, seen, command=getattr(resource, "stop", None)):
            return
        phase = Phase.UNKNOWN if seen is None else seen.phase
        if phase in DOWN:
            self._keep(resource, f"already down ({_words(seen)})")
        elif phase is Phase.MIGRATING and resource.optional:
            self._keep(resource, f"it is {_words(seen)}, and optional")
        elif phase is Phase.MIGRATING:
            self._refuse(
                "refused.migrating",
                f"it is {_words(seen)}",
                section=resource.rid,
                hint="try again when the migration has ended",
            )
        else:
            askable = phase in _ASKABLE or phase in (Phase.INAPPLICABLE, Phase.UNKNOWN)
            kill_only = self._consent.kill or not askable
            self.steps.extend(_stopping(resource, kill_only=kill_only, why=_words(seen)))

    def _is_left_alone(self, resource: Resource, seen: Observation | None, *, command: tuple[str, ...] | None) -> bool:
        """Settle the cases that are the same for start and stop."""
        if resource.disable:
            self._keep(resource, "disabled")
        elif not self._service.acts_on(resource):
            self._keep(resource, "nothing to do here" if seen is None else f"{seen.status}: {seen.evidence.detail}")
        elif command == ():
            self._keep(resource, "it has no command for that")
        elif (seen is None or seen.phase is Phase.UNKNOWN) and resource.rid not in self._consent.despite_unknown:
            reason = "nobody looked" if seen is None else seen.evidence.detail
            if resource.optional:
                self._keep(resource, f"its status is unknown, and it is optional: {reason}")
            else:
                self._refuse(
                    "undetermined.status",
                    f"its status is unknown: {reason}",
                    section=resource.rid,
                    hint="repair what keeps it from being seen; if you know its state from elsewhere, say so: "
                    f"--despite-unknown {resource.rid}",
                )
        else:
            return False
        return True

    def _keep(self, resource: Resource, why: str) -> None:
        self._kept.append(Kept(rid=resource.rid, why=why))

    def _refuse(self, code: str, message: str, *, section: str = "", hint: str = "") -> None:
        self._refusals.append(
            Problem(code=code, message=message, hint=hint, file=str(self._service.file), section=section)
        )


def _words(seen: Observation | None) -> str:
    return "of unknown status" if seen is None else seen.state

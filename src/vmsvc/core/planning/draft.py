"""A plan in the making: what has been decided, and what all kinds of plans ask and say alike. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import define, field

from vmsvc.core.errors import Problem, Severity
from vmsvc.core.node import Node
from vmsvc.core.planning.plan import Kept, Plan, Step
from vmsvc.core.planning.rules import Consent, Judgement, Need, Ruling, judge, judge_need
from vmsvc.core.resource import NO_ACTION, Resource
from vmsvc.core.service import Service
from vmsvc.core.status import Observation
from vmsvc.core.verb import STARTING, Verb


@define(kw_only=True)
class Draft:
    """A plan in the making.

    Attributes:
        service: The service.
        node: The node that would act.
        seen: What was seen of each resource, by rid; a missing one is unknown.
        consent: What the operator has agreed to.
        only: The rids of the resources that the action is limited to; empty for all.
        to: The node to which a migration goes; empty for every other action.
        steps: What would be done so far, in order.
        kept: What would be left as it is.
        refusals: Why the plan may not run.
        notes: What the operator should know before it runs.
    """

    service: Service
    node: Node
    seen: Mapping[str, Observation]
    consent: Consent = field(factory=Consent)
    only: frozenset[str] = frozenset()
    to: str = ""
    steps: list[Step] = field(factory=list)
    kept: list[Kept] = field(factory=list)
    refusals: list[Problem] = field(factory=list)
    notes: list[Problem] = field(factory=list)

    def plan(self, action: str) -> Plan:
        """The plan, as it has been made.

        Args:
            action: What it is a plan of.
        """
        touched = {step.rid for step in self.steps}
        return Plan(
            action=action,
            service=self.service,
            node=self.node.name,
            steps=tuple(self.steps),
            # A restart asks twice about each resource.
            kept=tuple(dict.fromkeys(kept for kept in self.kept if kept.rid not in touched)),
            refusals=tuple(dict.fromkeys(self.refusals)),
            notes=tuple(self.notes),
            consent=self.consent,
            only=self.only,
            to=self.to,
        )

    def rules_of_any_action(self) -> None:
        """Refuse to act on a node that the service does not list."""
        if not self.service.place_of(self.node):
            self.refusals.append(_refusal_of_place(self.service, self.node))

    def judgement(self, verb: Verb, resource: Resource, seen: Observation | None) -> Judgement | None:
        """The ruling on a verb; ``None`` for a resource to which it cannot be done, whatever is seen of it.

        Args:
            verb: The verb.
            resource: The resource.
            seen: What was seen of it; ``None`` where nobody looked.
        """
        if self.is_left_alone(resource):
            pass
        elif not resource.budgets_s:
            self.keep(resource, "nothing to do here" if seen is None else f"{seen.status}: {seen.evidence.detail}")
        elif (Verb.START if verb in STARTING else verb) not in resource.budgets_s:
            self.keep(resource, "it has no command for that")
        else:
            return judge(verb, resource, seen, self.consent.despite_unknown)
        return None

    def is_left_alone(self, resource: Resource) -> bool:
        """Whether no action touches a resource, whatever is seen of it.

        Args:
            resource: The resource.
        """
        if resource.disable:
            self.keep(resource, "disabled")
        elif NO_ACTION in resource.tags:
            self.keep(resource, f"tagged {NO_ACTION}")
        else:
            return False
        return True

    def refuse_unmet(self, verb: str, resource: Resource, needs: tuple[Need, ...]) -> None:
        """Refuse what needs another resource elsewhere than it is, unless the plan brings it there before.

        Args:
            verb: What is to be done.
            resource: The resource.
            needs: What it needs for that.
        """
        known = {each.rid for each in self.service.resources}
        for need in needs:
            if need.rid not in known:  # its section is gone, and whatever it was may go on
                self.refuse_to(verb, resource, _unseen(need, self.node.reservations_dir(self.service.name)))
            elif need.rid in self.seen and not any(step.rid == need.rid for step in self.steps):
                unmet = judge_need(need, self.seen[need.rid], self.consent.despite_unknown)
                if unmet is not None:
                    self.refuse_to(verb, resource, unmet)

    def refuse_to(self, verb: str, resource: Resource, judgement: Judgement) -> None:
        """Refuse, since a rule forbids a verb, or what it depends on is not known.

        Args:
            verb: The verb.
            resource: The resource.
            judgement: The ruling on it.
        """
        code = "undetermined.status" if judgement.ruling is Ruling.UNKNOWN else f"refused.not-to-{verb}"
        self.refuse(code, judgement.why, section=resource.rid, hint=judgement.hint)
        self.keep(resource, judgement.why)

    def refuse(self, code: str, message: str, *, section: str = "", hint: str = "") -> None:
        """Let the plan not run.

        Args:
            code: The refusal's code.
            message: Why.
            section: The rid of the resource that it is about; empty for the service.
            hint: What to do about it.
        """
        self.refusals.append(
            Problem(code=code, message=message, hint=hint, file=str(self.service.file), section=section)
        )

    def keep(self, resource: Resource, why: str, *, in_place: bool = False) -> None:
        """Leave a resource as it is.

        Args:
            resource: The resource.
            why: The reason.
            in_place: Whether it is where the action wants it.
        """
        self.kept.append(Kept(rid=resource.rid, why=why, in_place=in_place))

    def note(self, code: str, message: str) -> None:
        """Tell the operator something.

        Args:
            code: The note's code.
            message: What to tell.
        """
        self.notes.append(Problem(code=code, message=message, severity=Severity.NOTE))


def _unseen(need: Need, records: Path) -> Judgement:
    """What becomes of a verb that needs a resource which the service does not have any more."""
    return Judgement(
        ruling=Ruling.UNKNOWN,
        why=f"it needs {need}, for which it was reserved, and the service does not have that any more: nobody can look",
        hint="put it back into the file until this is done; if it is down for certain, remove the resource's record in "
        f"{records}",
    )


def _refusal_of_place(service: Service, node: Node) -> Problem:
    """Why a node that a service does not list may not act on it."""
    return Problem(
        code="refused.not-listed",
        message=f"this node, {node.name}, is in neither nodes nor drpnodes of {service.name}",
        hint=_where_to_act(service, node.name),
        file=str(service.file),
    )


def _where_to_act(service: Service, name: str) -> str:
    for listed in (*service.nodes, *service.drpnodes):
        if listed.partition(".")[0].casefold() == name.partition(".")[0].casefold():
            return f"the file calls it {listed}: set VMSVC_NODENAME={listed}, or write {name} in the file"
    return f"act on {' or '.join(service.nodes) or 'a node of the list'}, or add this node to nodes"

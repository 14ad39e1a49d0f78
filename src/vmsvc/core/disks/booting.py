"""What a node does once after it has booted: give up the disks that a crash has left registered for it. Pure.

A node that lost power leaves its keys on its disks. Nothing runs on it that could need them, and other nodes must not
take them for those of a node that works. Only what is this node's own is given up, and only where whatever might write
to the disks is positively seen to be down here. Nothing is started.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from attrs import define, evolve

from vmsvc.core.errors import Problem, Severity
from vmsvc.core.kinds import Reserved
from vmsvc.core.node import Node
from vmsvc.core.planning.draft import Draft
from vmsvc.core.planning.needs import needs_of
from vmsvc.core.planning.plan import Plan, Step
from vmsvc.core.planning.rules import Ruling, judge_need
from vmsvc.core.resource import NO_ACTION, Resource
from vmsvc.core.service import Service
from vmsvc.core.status import AT_REST, Observation, Phase, unknown
from vmsvc.core.verb import Verb

#: The action's name.
BOOT = "boot"
#: What shows nothing of this node, or cannot show anything.
_NOTHING_LEFT = AT_REST | {Phase.INAPPLICABLE, Phase.INCAPABLE}


def looked_at(service: Service) -> list[Resource]:
    """The resources that a boot has to look at: disks that are to be reserved, and whatever may write to them.

    Args:
        service: The service.
    """
    disks = _reserved(service)
    users = {need.rid for each in disks for need in needs_of(Verb.STOP, each, service)}
    return [*disks, *(each for each in service.resources if each.rid in users)]


def plan_boot(
    service: Service,
    node: Node,
    seen: Mapping[str, Observation],
    claims: Callable[[Reserved], Sequence[Problem]],
    *,
    only: Collection[str] = (),
) -> Plan:
    """Decide what a node gives up after it has booted.

    Args:
        service: The service.
        node: The node.
        seen: What was seen of the resources that are :func:`looked_at`, by rid; a missing one is unknown.
        claims: Tells why disks may belong to another resource as well; asked only of disks that would be given up.
        only: The rids of the resources to limit it to; empty for all.

    Returns:
        The plan, with its refusals if it may not run.
    """
    draft = _Draft(service=service, node=node, seen=seen, only=frozenset(only), claims=claims)
    for resource in _reserved(service):
        if not only or resource.rid in only:
            draft.consider(resource)
    if draft.steps:
        draft.rules_of_any_action()
    return draft.plan(BOOT)


def _reserved(service: Service) -> list[Reserved]:
    """The disks that can be released, in the order of a stop."""
    return [
        each
        for each in reversed(service.resources)
        if isinstance(each, Reserved) and Verb.STOP in each.budgets_s
        if not each.disable
    ]


@define(kw_only=True)
class _Draft(Draft):
    """A plan of a boot in the making."""

    claims: Callable[[Reserved], Sequence[Problem]]

    def consider(self, disks: Reserved) -> None:
        """Decide what becomes of the disks of one resource."""
        found = self.seen.get(disks.rid)
        if NO_ACTION in disks.tags:
            self.keep(disks, f"tagged {NO_ACTION}")
        elif found is None or found.phase not in _NOTHING_LEFT:
            self._give_up(disks, unknown("vmsvc", "nobody looked") if found is None else found)
        elif found.phase in AT_REST:
            self.keep(disks, f"nothing of this node is left there: {found.state}", in_place=True)
            self._warn_of_users(disks, found.state)
        else:
            self.keep(disks, f"nothing to give up: {found.evidence.detail}", in_place=True)

    def _give_up(self, disks: Reserved, found: Observation) -> None:
        needs = needs_of(Verb.STOP, disks, self.service)
        unmet = {need.rid: why for need in needs if (why := judge_need(need, self.seen.get(need.rid), ()))}
        in_use = [f"{rid} is {self.seen[rid].state}" for rid, why in unmet.items() if why.ruling is Ruling.FORBIDDEN]
        if in_use:
            self.keep(disks, f"left as it is: {', '.join(in_use)}", in_place=True)
            return
        self.refusals += [
            Problem(
                message=why.why,
                hint=why.hint,
                code="undetermined.status",
                file=str(self.service.file),
                section=disks.rid,
            )
            for why in unmet.values()
        ]
        self.refusals += [_refusal(problem, str(self.service.file)) for problem in self.claims(disks)]
        self.steps.append(
            Step(
                rid=disks.rid,
                verb=Verb.STOP,
                budget_s=disks.budgets_s[Verb.STOP],
                why=found.evidence.detail,
                needs=needs,
            )
        )
        is_known = found.phase is not Phase.UNKNOWN
        message = f"left from before: {found.state}" if is_known else "what is left from before is not known yet"
        self.notes.append(Problem(message=message, section=disks.rid, code="note.left-over", severity=Severity.NOTE))

    def _warn_of_users(self, disks: Reserved, state: str) -> None:
        """Something else than vmsvc starts guests at boot, perhaps: nothing keeps another node from their disks."""
        for need in needs_of(Verb.STOP, disks, self.service):
            user = self.seen.get(need.rid)
            if user is not None and user.phase not in _NOTHING_LEFT and user.phase is not Phase.UNKNOWN:
                message = f"{need.rid} is {user.state}, and its disks are not reserved for this node: {state}"
                self.notes.append(
                    Problem(
                        message=message,
                        code="warning.not-reserved",
                        hint="if something else than vmsvc starts it at boot, switch that off; see `vmsvc pr watch`",
                        section=disks.rid,
                        severity=Severity.WARNING,
                    )
                )


def _refusal(claim: Problem, file: str) -> Problem:
    """What else may have the disks is asked for its guests by nobody: so they are left as they are."""
    is_known = claim.severity is Severity.ERROR
    code = "refused.same-disk" if is_known else "undetermined.same-disk"
    return evolve(claim, code=code, file=file, severity=Severity.ERROR)

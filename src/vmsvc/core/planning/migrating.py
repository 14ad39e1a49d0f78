"""Whether the guests of a service may be moved to another node while they run, and which. Pure.

Only guests move. What else a service has on its node would stay behind, so it has to be down; and disks that are
reserved for this node alone cannot be written to by another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import define, field

from vmsvc.core.errors import Problem, Severity
from vmsvc.core.kinds import Ip, Reserved
from vmsvc.core.node import Node
from vmsvc.core.planning.plan import Kept, Plan, Step
from vmsvc.core.planning.planner import refusal_of_place
from vmsvc.core.planning.rules import DOWN, Consent, Ruling, judge
from vmsvc.core.resource import NO_ACTION, Guest, Resource
from vmsvc.core.service import Service
from vmsvc.core.status import Observation, Phase
from vmsvc.core.verb import Verb

#: Down at the destination, with nothing kept that would go on there.
_ROOM = DOWN - {Phase.SAVED}
_UNSEEN = (Phase.UNKNOWN, Phase.INAPPLICABLE)

#: Asks the destination: what it sees of each guest, by rid; and what speaks against moving anything there, or is to be
#: told besides.
Ask = Callable[[], tuple[Mapping[str, Observation], Sequence[Problem]]]


def plan_migration(
    service: Service,
    node: Node,
    to: str,
    seen: Mapping[str, Observation],
    ask: Ask,
    *,
    cannot: Mapping[str, str],
    consent: Consent | None = None,
) -> Plan:
    """Decide which guests are moved.

    Args:
        service: The service.
        node: The node that would act: the source.
        to: The destination, one of the other nodes of the service.
        seen: What was seen here of each resource, by rid; a missing one is unknown.
        ask: Asks the destination; called only where nothing else speaks against it.
        cannot: Why guests cannot be moved while they run, by rid: their technology has no way to do it.
        consent: What the operator has agreed to.

    Returns:
        The plan, with its refusals if it may not run.
    """
    draft = _Draft(service=service, node=node, to=to, seen=seen)
    draft.rules_of_the_service(cannot)
    if not draft.refusals:
        there, problems = ask()
        for guest in draft.guests:
            draft.consider(guest, there[guest.rid])
        # What speaks against coming there is of no matter where everything is there already.
        draft.refusals += [each for each in problems if draft.steps and each.severity is Severity.ERROR]
        draft.notes += [each for each in problems if each.severity is not Severity.ERROR]
    return Plan(
        action=Verb.MIGRATE.value,
        service=service,
        node=node.name,
        steps=tuple(draft.steps),
        kept=tuple(draft.kept),
        refusals=tuple(draft.refusals),
        notes=tuple(draft.notes),
        consent=consent or Consent(),
        to=to,
    )


@define(kw_only=True)
class _Draft:
    """A plan in the making."""

    service: Service
    node: Node
    to: str
    seen: Mapping[str, Observation]
    guests: list[Guest] = field(factory=list)
    steps: list[Step] = field(factory=list)
    kept: list[Kept] = field(factory=list)
    refusals: list[Problem] = field(factory=list)
    notes: list[Problem] = field(factory=list)

    def rules_of_the_service(self, cannot: Mapping[str, str]) -> None:
        """What speaks against it before anybody else is asked; and which guests are meant."""
        service, instead = self.service, self._instead
        if not service.place_of(self.node):
            self.refusals.append(refusal_of_place(service, self.node))
        if self.to.casefold() not in map(str.casefold, service.nodes):
            self._refuse(
                "refused.drp",
                f"{self.to} is a disaster recovery node of {service.name}, whose storage is not taken for shared",
                hint=f"`vmsvc stop {service.name}` here, then `vmsvc start {service.name} --drp` on {self.to}",
            )
        for resource in service.resources:
            if isinstance(resource, Reserved) and resource.may_be_held and not resource.disable:
                why = "its disks are reserved for this node alone: no other one could write to them"
                self._refuse("refused.exclusive-disks", why, section=resource.rid, hint=instead)
            elif self._is_left_alone(resource):
                continue
            elif not isinstance(resource, Guest):
                self._refuse_what_stays(resource)
            elif resource.rid in cannot:
                self._refuse("refused.cannot-migrate", cannot[resource.rid], section=resource.rid, hint=instead)
            else:
                self.guests.append(resource)
        if not self.guests and not self.refusals:
            self._refuse("refused.no-guest", f"{service.name} has no guest that could be moved")

    def consider(self, guest: Guest, there: Observation) -> None:
        """Decide what becomes of a guest, from what is seen of it at both ends."""
        here, to = self.seen.get(guest.rid), self.to
        if here is not None and here.phase in DOWN and there.phase is Phase.RUNNING:
            self._keep(guest, f"it runs on {to} already", in_place=True)
            return
        judgement = judge(Verb.MIGRATE, guest, here, ())
        if judgement.ruling is not Ruling.DO:
            code = "undetermined.status" if judgement.ruling is Ruling.UNKNOWN else "refused.not-to-migrate"
            hint = judgement.hint or f"`vmsvc start {self.service.name}` on the node where it is to run"
            self._refuse(code, judgement.why, section=guest.rid, hint=hint)
        elif there.phase in _UNSEEN:
            self._refuse(
                "refused.peer-silent",
                f"{to} cannot say whether it runs {guest.rid}: {there.evidence.detail}",
                section=guest.rid,
                hint="nothing is moved to a node that does not answer; see `vmsvc trust peers --test`",
            )
        elif there.phase not in _ROOM:
            self._refuse(
                "refused.runs-on-peer",
                f"it is {there.state} on {to}, too",
                section=guest.rid,
                hint=f"look at it there; `vmsvc status --peers {self.service.name}` shows both nodes",
            )
        else:
            why = f"{judgement.why} here, {there.state} on {to}"
            budget_s = guest.budgets_s[Verb.MIGRATE]
            self.steps.append(Step(rid=guest.rid, verb=Verb.MIGRATE, budget_s=budget_s, why=why, to=to))

    @property
    def _instead(self) -> str:
        name = self.service.name
        return f"stop it here and start it there: `vmsvc stop {name}`, then `vmsvc start {name}` on {self.to}"

    def _refuse_what_stays(self, resource: Resource) -> None:
        """Refuse where something is up on this node that would not go with its guest."""
        is_given = isinstance(resource, Ip) and resource.is_plumbed
        if not resource.budgets_s or (self.service.is_inside_guest(resource) and not is_given):
            return
        seen = self.seen.get(resource.rid)
        if seen is None or seen.phase is Phase.UNKNOWN:
            detail = "nobody looked" if seen is None else seen.evidence.detail
            self._refuse(
                "undetermined.status",
                f"it would stay on this node, and its status is unknown: {detail}",
                section=resource.rid,
                hint=f"repair what keeps it from being seen; or {self._instead}",
            )
        elif seen.phase not in DOWN:
            why = f"it is {seen.state} on this node, and would stay here: only guests are moved"
            self._refuse("refused.stays-here", why, section=resource.rid, hint=self._instead)

    def _is_left_alone(self, resource: Resource) -> bool:
        if resource.disable or NO_ACTION in resource.tags:
            if isinstance(resource, Guest):
                self._keep(resource, "disabled" if resource.disable else f"tagged {NO_ACTION}")
            return True
        return False

    def _keep(self, guest: Guest, why: str, *, in_place: bool = False) -> None:
        self.kept.append(Kept(rid=guest.rid, why=why, in_place=in_place))

    def _refuse(self, code: str, message: str, *, section: str = "", hint: str = "") -> None:
        self.refusals.append(
            Problem(code=code, message=message, hint=hint, file=str(self.service.file), section=section)
        )

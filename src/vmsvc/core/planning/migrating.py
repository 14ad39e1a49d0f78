"""Whether the guests of a service may be moved to another node while they run, and which. Pure.

Only guests move. What else a service has on its node would stay behind, so it has to be down; and disks that are
reserved for this node alone cannot be written to by another one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from attrs import define, evolve, field

from vmsvc.core.errors import Problem, Severity
from vmsvc.core.kinds import Ip, Reserved
from vmsvc.core.node import Node
from vmsvc.core.planning.draft import Draft
from vmsvc.core.planning.plan import Plan, Step
from vmsvc.core.planning.rules import Consent, Ruling, judge
from vmsvc.core.resource import NO_ACTION, Guest, Resource
from vmsvc.core.room import why_no_room
from vmsvc.core.service import Service
from vmsvc.core.status import AT_REST, Observation, Phase
from vmsvc.core.verb import Verb

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
    reserved_there: Collection[str] = (),
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
        reserved_there: The rids of disks that the destination would reserve before it starts a guest.
        consent: What the operator has agreed to.

    Returns:
        The plan, with its refusals if it may not run.
    """
    draft = _Draft(
        service=service, node=node, to=to, seen=seen, reserved_there=reserved_there, consent=consent or Consent()
    )
    draft.rules_of_the_service(cannot)
    if not draft.refusals:
        there, problems = ask()
        for guest in draft.guests:
            draft.consider(guest, there[guest.rid])
        # What speaks against coming there is of no matter where everything is there already.
        draft.refusals += [each for each in problems if draft.steps and each.severity is Severity.ERROR]
        draft.notes += [each for each in problems if each.severity is not Severity.ERROR]
    return draft.plan(Verb.MIGRATE.value)


@define(kw_only=True)
class _Draft(Draft):
    """A plan of a migration in the making."""

    reserved_there: Collection[str] = ()
    guests: list[Guest] = field(factory=list)

    def rules_of_the_service(self, cannot: Mapping[str, str]) -> None:
        """What speaks against it before anybody else is asked; and which guests are meant."""
        service, instead = self.service, self._instead
        self._rules_of_places()
        for rid in self.reserved_there:
            why = f"its disks are reserved for {self.to} alone before a start there, and a move reserves none"
            self.refuse("refused.exclusive-disks", why, section=rid, hint=instead)
        for resource in service.resources:
            if resource.rid in self.reserved_there:
                continue
            if isinstance(resource, Reserved) and resource.may_be_held and not resource.disable:
                why = "its disks are reserved for this node alone: no other one could write to them"
                self.refuse("refused.exclusive-disks", why, section=resource.rid, hint=instead)
            elif self._is_left_alone(resource):
                continue
            elif not isinstance(resource, Guest):
                self._refuse_what_stays(resource)
            elif resource.rid in cannot:
                self.refuse("refused.cannot-migrate", cannot[resource.rid], section=resource.rid, hint=instead)
            else:
                self.guests.append(resource)
        if not self.guests and not self.refusals:
            self.refuse("refused.no-guest", f"{service.name} has no guest that could be moved")

    def _rules_of_places(self) -> None:
        """Both ends are nodes of the service, and not the ones for disasters."""
        service, node = self.service, self.node
        self.rules_of_any_action()
        why = f"is a disaster recovery node of {service.name}, whose storage is not taken for shared"
        if service.place_of(node) == "drpnodes":
            self.refuse("refused.drp", f"{node.name} {why}", hint=self._instead)
        if self.to.casefold() not in map(str.casefold, service.nodes):
            hint = f"`vmsvc stop {service.name}` here, then `vmsvc start {service.name} --drp` on {self.to}"
            self.refuse("refused.drp", f"{self.to} {why}", hint=hint)

    def consider(self, guest: Guest, there: Observation) -> None:
        """Decide what becomes of a guest, from what is seen of it at both ends."""
        here, to = self.seen.get(guest.rid), self.to
        if here is not None and here.phase in AT_REST and there.phase is Phase.RUNNING:
            self.keep(guest, f"running on {to} already", in_place=True)
            self._warn_of_what_is_left(guest, here)
            return
        judgement = judge(Verb.MIGRATE, guest, here, ())
        if judgement.ruling is not Ruling.DO:
            code = "undetermined.status" if judgement.ruling is Ruling.UNKNOWN else "refused.not-to-migrate"
            hint = judgement.hint or f"`vmsvc start {self.service.name}` on the node where it is to run"
            self.refuse(code, judgement.why, section=guest.rid, hint=hint)
        elif problem := why_no_room(guest, there, to):
            self.refusals.append(evolve(problem, file=str(self.service.file)))
        else:
            why = f"{judgement.why} here, {there.state} on {to}"
            budget_s = guest.budgets_s[Verb.MIGRATE]
            self.steps.append(Step(rid=guest.rid, verb=Verb.MIGRATE, budget_s=budget_s, why=why, to=to))
            self._warn_of_what_is_left(guest, here)

    def _warn_of_what_is_left(self, guest: Guest, here: Observation | None) -> None:
        """Tell what the technology warns of here: a hypervisor that starts guests with its node knows of no move."""
        hint = (
            f"whatever starts it with {self.node.name}, such as the next boot, would start it a second time, "
            f"while it runs on {self.to}"
        )
        self.notes += [
            Problem(message=each, code="warning.guest", hint=hint, section=guest.rid, severity=Severity.WARNING)
            for each in (here.warnings if here is not None else ())
        ]

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
            self.refuse(
                "undetermined.status",
                f"it would stay on this node, and its status is unknown: {detail}",
                section=resource.rid,
                hint=f"repair what keeps it from being seen; or {self._instead}",
            )
        elif seen.phase not in AT_REST:
            why = f"it is {seen.state} on this node, and would stay here: only guests are moved"
            self.refuse("refused.stays-here", why, section=resource.rid, hint=self._instead)

    def _is_left_alone(self, resource: Resource) -> bool:
        if resource.disable or NO_ACTION in resource.tags:
            if isinstance(resource, Guest):
                self.keep(resource, "disabled" if resource.disable else f"tagged {NO_ACTION}")
            return True
        return False

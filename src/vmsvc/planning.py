"""Planning actions: looks at a service, asks other nodes what they see of it, and decides what would be done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from vmsvc.core.config import as_seen_by
from vmsvc.core.contract import Capability
from vmsvc.core.errors import Problem, Severity, UsageError, VmsvcError
from vmsvc.core.kinds import Reserved, Vmdg
from vmsvc.core.observe import STATUS_DEADLINE_S, observe
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.service import Service
from vmsvc.core.verb import STARTING, Verb
from vmsvc.looking import Looking

# Every session can plan, and most only look: what that takes is imported when it begins.
if TYPE_CHECKING:
    from vmsvc.core.peers.arrivals import Arrivals
    from vmsvc.core.peers.interlock import Interlock
    from vmsvc.core.planning.plan import Plan
    from vmsvc.core.planning.rules import Consent

#: Actions that may start guests here.
STARTING_ACTIONS = ("start", "restart")


class Planning(Looking):
    """What a session would do to services."""

    def plan(
        self,
        action: str,
        service: Service,
        *,
        consent: Consent | None = None,
        only: Collection[str] = (),
        to: str = "",
    ) -> Plan:
        """Look at a service and decide what an action would do. Changes nothing.

        Args:
            action: ``start``, ``stop``, ``restart``, ``boot`` or ``migrate``.
            service: The service.
            consent: What the operator has agreed to; no boot asks for that.
            only: The rids of the resources to limit the action to; empty for all.
            to: The node to which a migration goes; of no other action.

        Returns:
            The plan; its ``refusals`` say why it may not run, if so.

        Raises:
            UsageError: There is no such action, no such resource, or no such other node; or it cannot be limited so.
        """
        if action == Verb.MIGRATE.value:
            return self._migration_plan(service, self._arrivals(service, to, consent), consent, only)
        return self._made(action, service, consent, only, self._interlock(action, service, consent))

    def _check_consent(self, service: Service, consent: Consent | None) -> None:
        """Refuse consent to what cannot come to pass: a slip of the pen must not pass for it."""
        if consent is None:
            return
        peers = service.peers_of(self.node)
        for name in sorted(consent.despite_peers):
            if name.casefold() not in map(str.casefold, peers):
                raise UsageError(
                    f"--despite-peer: {name} is no other node of {service.name}",
                    code="usage.no-such-peer",
                    hint=f"its other nodes: {', '.join(peers) or 'none'}",
                )
        if not (consent.force or consent.despite_lost_keys):
            return
        disks = [each for each in service.resources if isinstance(each, Reserved)]
        reserved = [each for each in disks if each.scsireserv and not each.disable]
        if not reserved:
            option = "--force" if consent.force else "--despite-lost-keys"
            raise UsageError(
                f"{option}: {service.name} reserves no disks",
                code="usage.no-disks",
                hint=f"leave it out: {option} is for disks that are reserved (`scsireserv = true`)",
            )
        reserving = self._reserving([service], consent)
        for each in reserved:
            reserving.authority(each)

    def _made(
        self, action: str, service: Service, consent: Consent | None, only: Collection[str], interlock: Interlock | None
    ) -> Plan:
        """A plan, with what is going on besides."""
        from vmsvc.core.disks.booting import BOOT  # noqa: PLC0415

        for rid in only:
            service.resource(rid)
        self._check_consent(service, consent)
        if action == BOOT:
            made = self._boot_plan(service, only)
        else:
            made = self._plan(action, service, consent, only, interlock)
        return self._with_goings_on(made)

    def _with_goings_on(self, made: Plan) -> Plan:
        """A plan, with what other processes do, or did, to its service."""
        going = self._goings_on([made.service])[made.service.name]
        told = f"going on: {going.action}" if going.action else going.cut_short
        notes = (Problem(message=told, code="note.goings-on", severity=Severity.NOTE),) if told else ()
        return evolve(made, notes=(*made.notes, *notes))

    def _plan(
        self, action: str, service: Service, consent: Consent | None, only: Collection[str], interlock: Interlock | None
    ) -> Plan:
        from vmsvc.core.planning.planner import plan  # noqa: PLC0415

        seen = observe(_worth_a_look(service), self._finder([service], consent))
        frozen = self.frozen(service)
        made = plan(
            action,
            service,
            self.node,
            {rid: observation for (_, rid), observation in seen.items()},
            consent,
            only=only,
            freeze="" if frozen is None else str(frozen),
        )
        started = {step.rid for step in made.steps if step.verb in STARTING}
        guests = {rid: seen[service.name, rid] for rid in _guests(service) if rid in started}
        if interlock is None or made.refusals or not guests:  # what starts nothing has nobody to ask
            return made
        problems = interlock.objections(guests)
        errors = [problem for problem in problems if problem.severity is Severity.ERROR]
        notes = [problem for problem in problems if problem.severity is not Severity.ERROR]
        return evolve(made, refusals=(*made.refusals, *errors), notes=(*made.notes, *notes))

    def _interlock(
        self,
        action: str,
        service: Service,
        consent: Consent | None,
        *,
        waiting: Callable[[str], None] = lambda _: None,
        cancelled: threading.Event | None = None,
    ) -> Interlock | None:
        """What keeps an action from starting guests that may run elsewhere; ``None`` of an action that starts none."""
        if action not in STARTING_ACTIONS:
            return None
        from vmsvc.core.peers.interlock import Interlock  # noqa: PLC0415 - only who asks peers pays for it

        return Interlock(
            service,
            self.node,
            lambda: self._peers,
            despite=consent.despite_peers if consent else (),
            despite_moved=consent.despite_moved if consent else (),
            are_exclusive=lambda guests: self._are_exclusive(service, guests),
            waiting=waiting,
            cancelled=cancelled,
        )

    def _are_exclusive(self, service: Service, guests: Sequence[str]) -> bool:
        """Whether every disk of guests is one that is reserved for this node alone before they start."""
        groups = {each.container_id: each for each in service.resources if isinstance(each, Vmdg)}
        reserved = [groups[rid] for rid in guests if rid in groups]
        if len(reserved) < len(guests) or any(not each.scsireserv or each.disable for each in reserved):
            return False
        reports = self._reserving([service]).examine(reserved, budget_s=STATUS_DEADLINE_S)
        return all(
            not isinstance(report, VmsvcError) and report.found.disks and not report.found.others for report in reports
        )

    def _arrivals(
        self,
        service: Service,
        to: str,
        consent: Consent | None,
        *,
        waiting: Callable[[str], None] = lambda _: None,
        cancelled: threading.Event | None = None,
    ) -> Arrivals:
        """What asks the destination of a migration."""
        from vmsvc.core.peers.arrivals import Arrivals  # noqa: PLC0415 - only who moves something pays for it

        peers = service.peers_of(self.node)
        found = next((each for each in peers if each.casefold() == to.casefold()), None)
        if found is None:
            raise UsageError(
                f"--to: {to} is no other node of {service.name}" if to else f"where is {service.name} to go?",
                code="usage.no-such-peer",
                hint=f"its other nodes: {', '.join(peers) or 'none'}",
            )
        return Arrivals(
            service,
            self.node,
            found,
            as_seen_by(found, service, self.node, self.catalog),
            lambda: self._peers,
            despite_frozen=consent is not None and consent.despite_frozen,
            waiting=waiting,
            cancelled=cancelled,
        )

    def _migration_plan(
        self, service: Service, arrivals: Arrivals, consent: Consent | None, only: Collection[str]
    ) -> Plan:
        from vmsvc.core.planning.migrating import plan_migration  # noqa: PLC0415

        _check_migration(service, consent, only)
        seen = observe([each for each in service.resources if not each.disable], self._finder([service], consent))
        cannot = {guest.rid: why for guest in service.guests if (why := self._why_unmovable(guest, arrivals))}
        disks = [each for each in (arrivals.theirs or service).resources if isinstance(each, Reserved)]
        made = plan_migration(
            service,
            self.node,
            arrivals.to,
            {rid: observation for (_, rid), observation in seen.items()},
            arrivals.expected,
            cannot=cannot,
            reserved_there=[each.rid for each in disks if each.may_be_held and not each.disable],
            consent=consent,
        )
        return self._with_goings_on(made)

    def _why_unmovable(self, guest: Guest, arrivals: Arrivals) -> str:
        """Why a guest cannot be moved to another node while it runs, whatever is seen of it; empty where it can."""
        if Capability.MIGRATE not in self._drivers.of_guest(guest).capabilities:
            return f"a guest of type {guest.type} cannot be moved while it runs"
        if arrivals.counterpart(guest) is None:
            return f"the service's file does not mean the same guest on {arrivals.to}"
        return ""

    def _boot_plan(self, service: Service, only: Collection[str]) -> Plan:
        from vmsvc.core.disks.booting import looked_at, plan_boot  # noqa: PLC0415

        seen = observe(looked_at(service), self._finder([service]))
        return plan_boot(
            service,
            self.node,
            {rid: observation for (_, rid), observation in seen.items()},
            lambda disks: self._reserving([service]).rivals_of(disks),
            only=only,
        )


def _worth_a_look(service: Service) -> list[Resource]:
    """What a plan depends on: what is not disabled, and what would have to be down for disks to be released."""
    disks = [each for each in service.resources if Verb.STOP in each.budgets_s]
    from vmsvc.core.planning.needs import needs_of  # noqa: PLC0415

    needed = {need.rid for each in disks for need in needs_of(Verb.STOP, each, service)}
    return [each for each in service.resources if not each.disable or each.rid in needed]


def _check_migration(service: Service, consent: Consent | None, only: Collection[str]) -> None:
    """Refuse what no migration does: to move less than was asked for, or more, must not pass for it."""
    from vmsvc.core.planning.rules import Consent as Agreed  # noqa: PLC0415

    for rid in only:
        service.resource(rid)
    if only:
        raise UsageError(
            f"a migration moves all guests of {service.name}, and cannot be limited to {', '.join(sorted(only))}",
            code="usage.only",
            hint="leave the limit out",
        )
    if consent is not None and evolve(consent, despite_frozen=False) != Agreed():
        raise UsageError(
            f"of all consent, a migration of {service.name} takes none but --despite-frozen",
            code="usage.consent",
            hint="leave the rest out",
        )


def _guests(service: Service) -> set[str]:
    return {guest.rid for guest in service.guests}

"""From what was seen to a plan: decided resource by resource, in the order of a start or the other way round. Pure.

The rules of safety that need no host are here too: a plan that may not run carries its refusals, so that
``plan start`` can show them and nothing can run it.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

from attrs import evolve

from vmsvc.core.errors import Problem, Severity, UsageError
from vmsvc.core.host_mode import why_not_on
from vmsvc.core.kinds import App, Ip, Reserved, Vmdg
from vmsvc.core.node import Node
from vmsvc.core.planning.needs import needs_of, not_stopped_before, nothing_to_reserve, warning_of
from vmsvc.core.planning.ordering import in_order_of_start, in_order_of_stop, ordered
from vmsvc.core.planning.plan import ACTIONS, Kept, Plan, Step
from vmsvc.core.planning.rules import Consent, Judgement, Need, Ruling, judge, judge_need
from vmsvc.core.resource import NO_ACTION, Guest, Resource
from vmsvc.core.service import Service
from vmsvc.core.status import AT_REST, Evidence, Observation, Phase
from vmsvc.core.triggers import Triggered
from vmsvc.core.verb import BRINGING_UP, STARTING, Verb


def plan(
    action: str,
    service: Service,
    node: Node,
    seen: Mapping[str, Observation],
    consent: Consent | None = None,
    *,
    only: Collection[str] = (),
    freeze: str = "",
) -> Plan:
    """Decide what an action would do.

    Args:
        action: ``start``, ``stop`` or ``restart``.
        service: The service.
        node: The node that would act.
        seen: What was seen of each resource, by rid; a missing one is unknown.
        consent: What the operator has agreed to.
        only: The rids of the resources to limit the action to; empty for all.
        freeze: Of a service that is frozen: since when and why. It is not started then.

    Returns:
        The plan, with its refusals if it may not run.

    Raises:
        UsageError: There is no such action.
    """
    if action not in ACTIONS:
        raise UsageError(
            f"there is no action {action!r}", code="usage.no-such-action", hint=f"there are: {', '.join(ACTIONS)}, boot"
        )
    draft = _Draft(service, node, seen, consent or Consent(), frozenset(only))
    resources = [resource for resource in ordered(service) if not only or resource.rid in only]
    draft.rules_of_any_action()
    if action in ("start", "restart"):
        draft.rules_of_start(freeze)
    is_whole = not only  # what runs around the service's own start does not run around that of one of its parts
    if action in ("stop", "restart"):
        for resource in in_order_of_stop(resources):
            # A restart gives up no disk: another node might take it.
            if action == "stop" or not isinstance(resource, Reserved):
                draft.stop(resource, seen.get(resource.rid))
        if is_whole:
            draft.steps = _around(service, Verb.STOP, draft.steps)
    if action in ("start", "restart"):
        stopped = draft.stopped = {step.rid for step in draft.steps}
        stops, draft.steps = draft.steps, []
        for verb, resource in in_order_of_start(resources):
            will_be_down = _goes_down(resource, service, stopped)
            draft.start(resource, seen.get(resource.rid), verb, will_be_down=will_be_down)
        draft.steps = stops + (_around(service, Verb.START, draft.steps) if is_whole else draft.steps)
    return draft.plan(action)


def _goes_down(resource: Resource, service: Service, stopped: Collection[str]) -> bool:
    """Whether a resource is down once others have been stopped: what is inside a guest goes down with it."""
    is_gone_with_guest = service.is_inside_guest(resource) and service.guest_of(resource).rid in stopped
    return resource.rid in stopped or is_gone_with_guest


def undo(step: Step, service: Service) -> tuple[Step, ...]:
    """The steps that take back a start.

    Args:
        step: The step that was taken, or begun.
        service: Its service.

    Returns:
        Ask it to stop, then force it to; empty for a resource that cannot be stopped.
    """
    why = f"it was started by the action that failed: {step}"
    resource = service.resource(step.rid)
    stopping = _stopping(resource, kill_only=False, why=why, needs=needs_of(Verb.STOP, resource, service))
    return tuple(evolve(undoing, takes_back=True) for undoing in _around(resource, Verb.STOP, stopping, step.rid))


def refusal_of_place(service: Service, node: Node) -> Problem:
    """Why a node that a service does not list may not act on it.

    Args:
        service: The service.
        node: The node.
    """
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


def _around(owner: Triggered, verb: Verb, steps: list[Step], rid: str = "") -> list[Step]:
    """Steps with what runs before and after them. Where there are none, nothing runs."""

    def runs(*, before: bool) -> list[Step]:
        return [
            Step(rid=rid, verb=Verb.RUN, budget_s=each.budget_s, why=shlex.join(each.command), trigger=each)
            for each in owner.triggers(verb, before=before, rid=rid)
        ]

    return [*runs(before=True), *steps, *runs(before=False)] if steps else []


def _stopping(resource: Resource, *, kill_only: bool, why: str, needs: tuple[Need, ...]) -> list[Step]:
    """Ask, then force; whichever the resource has."""
    budgets_s = resource.budgets_s
    steps = []
    kill_only = (kill_only or budgets_s.get(Verb.STOP) == 0.0) and Verb.KILL in budgets_s
    if Verb.STOP in budgets_s and not kill_only:
        steps.append(Step(rid=resource.rid, verb=Verb.STOP, budget_s=budgets_s[Verb.STOP], why=why, needs=needs))
    if Verb.KILL in budgets_s:
        budget_s = budgets_s[Verb.KILL]
        steps.append(
            Step(rid=resource.rid, verb=Verb.KILL, budget_s=budget_s, why=why, needs=needs, only_if_needed=bool(steps))
        )
    return steps


#: What a restart will find where it has stopped something.
_STOPPED_BEFORE = Observation(
    phase=Phase.STOPPED, state="it was stopped before", evidence=Evidence(probe="plan", at=0.0)
)


def _unseen(need: Need, records: Path) -> Judgement:
    """What becomes of a verb that needs a resource which the service does not have any more."""
    return Judgement(
        ruling=Ruling.UNKNOWN,
        why=f"it needs {need}, for which it was reserved, and the service does not have that any more: nobody can look",
        hint="put it back into the file until this is done; if it is down for certain, remove the resource's record in "
        f"{records}",
    )


class _Draft:
    """A plan in the making."""

    def __init__(
        self, service: Service, node: Node, seen: Mapping[str, Observation], consent: Consent, only: frozenset[str]
    ) -> None:
        self._service = service
        self._node = node
        self._seen = seen
        self._consent = consent
        self._only = only
        self.steps: list[Step] = []
        self.stopped: set[str] = set()
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
            only=self._only,
        )

    def rules_of_any_action(self) -> None:
        if not self._service.place_of(self._node):
            self._refusals.append(refusal_of_place(self._service, self._node))

    def rules_of_start(self, freeze: str) -> None:
        service, node = self._service, self._node
        if freeze and not self._consent.despite_frozen:
            self._refuse(
                "refused.frozen",
                f"{service.name} is {freeze}",
                hint=f"`vmsvc thaw {service.name}` lets it start; for this once, say so: --despite-frozen",
            )
        if service.place_of(node) == "drpnodes" and not self._consent.drp:
            self._refuse(
                "refused.drp",
                f"{node.name} is a disaster recovery node of {service.name}",
                hint="if this is the disaster (or its rehearsal), say so: --drp",
            )
        for resource in service.resources:
            self._refuse_taken(resource)
            self._refuse_stale_memory(resource)
        self._refusals.extend(node.problems)  # its host mode is not known, so nor is what may start here
        if problem := why_not_on(node.name, node.mode, service):
            self._refusals.append(problem)

    def start(self, resource: Resource, seen: Observation | None, verb: Verb, *, will_be_down: bool) -> None:
        if isinstance(resource, Ip) and resource.is_inside_guest and (verb is Verb.WAIT or not resource.is_plumbed):
            self._wait_for(resource, seen, will_be_down=will_be_down)
            return
        if verb is Verb.BOOT and self._is_begun(resource):
            self._bring_up(resource, verb, "it is prepared then")
            return
        bears_no_verbs = seen is not None and seen.bears_no_verbs  # whether it is down or not
        judgement = self._judgement(verb, resource, _STOPPED_BEFORE if will_be_down and not bears_no_verbs else seen)
        if judgement is None or (verb is Verb.PREPARE and judgement.ruling is Ruling.NEEDLESS):
            return  # what becomes of it is told of its second half
        if isinstance(resource, Reserved) and seen is not None:
            self._warn_of_disks(resource, seen)
        if judgement.ruling is Ruling.NEEDLESS and resource.proves_itself and self._has_waiting_users(resource):
            # What a look has shown is no promise, and it cannot tell everything: taken again, it is made sure of.
            judgement = evolve(judgement, ruling=Ruling.DO, why=f"{judgement.why}; made sure of before it is used")
        if judgement.ruling is Ruling.DO:
            if self._service.is_inside_guest(resource) and not isinstance(resource, Ip):
                guest = self._service.guest_of(resource)
                self._wait_for_way_into(guest, f"{resource.rid} is started inside it")
                self._wait_for_launchers(resource, guest, seen, will_be_down=will_be_down)
            self._bring_up(resource, verb, judgement.why)
        elif judgement.ruling is Ruling.NEEDLESS:
            self._keep(resource, judgement.why, in_place=True)
        elif resource.optional:
            self._keep(resource, f"{judgement.why}; it is optional")
        else:
            self._refuse_to("start", resource, judgement)

    def _bring_up(self, resource: Resource, verb: Verb, why: str) -> None:
        """Add a start, or one half of it, with what runs around the whole."""
        needs = needs_of(verb, resource, self._service)
        self._refuse_unmet("start", resource, needs)
        within = resource.rid if self._is_begun(resource) else ""
        budget_s = resource.budgets_s[Verb.START]
        step = Step(rid=resource.rid, verb=verb, budget_s=budget_s, why=why, within=within, needs=needs)
        around = _around(resource, Verb.START, [step], resource.rid)
        first = 0 if not within else around.index(step)
        last = len(around) if verb in BRINGING_UP else around.index(step) + 1
        self.steps += around[first:last]
        if verb in BRINGING_UP and isinstance(resource, Guest) and resource.ready == "way-in":
            self._wait_for_way_into(resource, "`ready = way-in`")

    def _is_begun(self, resource: Resource) -> bool:
        """Whether the first half of its start is planned."""
        return any(step.rid == resource.rid and step.verb is Verb.PREPARE for step in self.steps)

    def _refuse_stale_memory(self, guest: Resource) -> None:
        """Refuse to let a guest go on from its saved memory on disks that another node may have written to since."""
        seen = self._seen.get(guest.rid)
        if self._consent.despite_lost_keys or guest.disable or seen is None or seen.phase is not Phase.SAVED:
            return
        for need in needs_of(Verb.START, guest, self._service):
            disks = self._seen.get(need.rid)
            if disks is not None and disks.phase in AT_REST:
                self._refuse(
                    "refused.stale-memory",
                    f"its memory was saved, and {need.rid} has not been this node's since: what it knows is old",
                    section=guest.rid,
                    hint="discard its saved memory with the hypervisor's own tool; or, if you know that nobody has "
                    "written to its disks: --despite-lost-keys",
                )

    def _wait_for_way_into(self, guest: Guest, why: str) -> None:
        """Wait, once, until commands can be run inside a guest that is started."""
        is_waited_for = any(step.rid == guest.rid and step.verb is Verb.WAIT for step in self.steps)
        if self._is_started(guest) and not is_waited_for and guest.ready != "up" and guest.way_in != "none":
            self._wait(guest, guest, why)

    def _wait_for_launchers(
        self, resource: Resource, guest: Guest, seen: Observation | None, *, will_be_down: bool
    ) -> None:
        """Wait until a guest that is started shows its launchers: their directory may be mounted late."""
        if not isinstance(resource, App) or not resource.has_launchers or not self._is_started(guest):
            return
        has_none = seen is not None and seen.phase is Phase.INAPPLICABLE and not will_be_down
        is_vouched_for = resource.rid in self._consent.despite_unknown
        if not has_none and not is_vouched_for and guest.way_in != "none":
            self._wait(resource, guest, "its launchers are there, and their checks tell something")

    def _wait_for(self, address: Ip, seen: Observation | None, *, will_be_down: bool) -> None:
        """Wait until an address is there that the guest brings up by itself, or answers that it was given before."""
        guest = self._service.guest_of(address)
        if self._is_left_alone(address):
            return
        if address.is_plumbed:
            is_given = self._is_in_steps(address) or (seen is not None and seen.phase is Phase.RUNNING)
            if is_given and address.wait and address.check_ping and self._is_started(guest):
                self._wait(address, guest, "the guest answers by it")
            return
        if not address.wait:
            self._keep(address, "nothing waits for it")
            return
        if not self._is_started(guest) and not will_be_down:
            judgement = judge(Verb.WAIT, address, seen, self._consent.despite_unknown)
            if judgement.ruling is Ruling.NEEDLESS:
                self._keep(address, judgement.why, in_place=True)
                return
            if judgement.ruling is not Ruling.DO:
                if address.optional:
                    self._keep(address, f"{judgement.why}; it is optional")
                else:
                    self._refuse_to("start", address, judgement)
                return
            self._refuse_unmet("start", address, needs_of(Verb.WAIT, address, self._service))
        self._wait(address, guest, "the guest brings it up")

    def _wait(self, resource: Resource, guest: Guest, why: str) -> None:
        self.steps.append(
            Step(
                rid=resource.rid,
                verb=Verb.WAIT,
                budget_s=guest.start_timeout,
                within=guest.rid,
                why=why,
                needs=needs_of(Verb.WAIT, resource, self._service),
            )
        )

    def _is_in_steps(self, resource: Resource) -> bool:
        return any(step.rid == resource.rid for step in self.steps)

    def _is_started(self, guest: Guest) -> bool:
        return any(step.rid == guest.rid and step.verb in BRINGING_UP for step in self.steps)

    def _refuse_taken(self, resource: Resource) -> None:
        """Refuse where somebody else has the address of a guest that is to be started."""
        seen = self._seen.get(resource.rid)
        if (
            isinstance(resource, Ip)
            and resource.is_inside_guest
            and not resource.disable
            and seen is not None
            and seen.phase is Phase.CONTESTED
        ):
            self._refuse(
                "refused.address-taken",
                seen.state,
                section=resource.rid,
                hint="find out who has it, since the guest may run there; where it may answer: `check_ping = false`",
            )

    def stop(self, resource: Resource, seen: Observation | None) -> None:
        judgement = self._judgement(Verb.STOP, resource, seen)
        if judgement is None:
            return
        if judgement.ruling in (Ruling.DO, Ruling.UNHEARD):
            kill_only = self._consent.kill or judgement.ruling is Ruling.UNHEARD
            if judgement.ruling is Ruling.UNHEARD and not self._consent.kill:
                self._note(
                    "note.by-force",
                    f"{resource.rid} is {judgement.why}: it cannot hear a request, so it is stopped by force; "
                    "what it has in memory is lost",
                )
            # Where the disks show nothing of this node, nothing is taken from whoever may be using them.
            is_over = isinstance(resource, Reserved) and seen is not None and seen.phase is Phase.INAPPLICABLE
            needs = () if is_over else needs_of(Verb.STOP, resource, self._service)
            self._refuse_unmet("stop", resource, needs)
            stopping = _stopping(resource, kill_only=kill_only, why=judgement.why, needs=needs)
            self.steps += _around(resource, Verb.STOP, stopping, resource.rid)
        elif judgement.ruling is Ruling.NEEDLESS:
            self._keep(resource, judgement.why, in_place=True)
        elif judgement.ruling is Ruling.UNKNOWN and self._ends_with_guest(resource):
            self._keep(resource, f"{judgement.why}; it ends with its guest")
            if isinstance(resource, App):
                self._notes.append(not_stopped_before(resource, judgement.why))
        else:  # optional or not: a stop that leaves something running must not look like one that did its work
            self._refuse_to("stop", resource, judgement)

    def _warn_of_disks(self, disks: Reserved, seen: Observation) -> None:
        """The service asks for a protection that there will not be. A guest that is not here has no disks here, yet."""
        self._notes.extend(warning_of(disks, warning) for warning in seen.warnings)
        if seen.phase is not Phase.INAPPLICABLE:
            return
        guest = self._seen.get(disks.container_id) if isinstance(disks, Vmdg) else None
        if guest is None or guest.phase is not Phase.ABSENT:
            self._notes.append(nothing_to_reserve(disks, seen.evidence.detail))

    def _ends_with_guest(self, resource: Resource) -> bool:
        """Whether a resource is inside a guest that the action may stop, too."""
        return self._service.is_inside_guest(resource) and not self._only

    def _has_waiting_users(self, disks: Resource) -> bool:
        """Whether something is to be started that writes to these disks."""
        for user in self._service.resources:
            is_meant = not self._only or user.rid in self._only
            if is_meant and any(need.rid == disks.rid for need in needs_of(Verb.START, user, self._service)):
                seen = self._seen.get(user.rid)
                judgement = judge(Verb.START, user, seen, self._consent.despite_unknown)
                if judgement.ruling is not Ruling.NEEDLESS or user.rid in self.stopped:
                    return True
        return False

    def _refuse_unmet(self, verb: str, resource: Resource, needs: tuple[Need, ...]) -> None:
        """Refuse what needs another resource elsewhere than it is, unless the plan brings it there before."""
        known = {each.rid for each in self._service.resources}
        for need in needs:
            if need.rid not in known:  # its section is gone, and whatever it was may go on
                self._refuse_to(verb, resource, _unseen(need, self._node.reservations_dir(self._service.name)))
            elif need.rid in self._seen and not any(step.rid == need.rid for step in self.steps):
                unmet = judge_need(need, self._seen[need.rid], self._consent.despite_unknown)
                if unmet is not None:
                    self._refuse_to(verb, resource, unmet)

    def _judgement(self, verb: Verb, resource: Resource, seen: Observation | None) -> Judgement | None:
        """The ruling on a verb; ``None`` for a resource to which it cannot be done, whatever is seen of it."""
        if self._is_left_alone(resource):
            pass
        elif not resource.budgets_s:
            self._keep(resource, "nothing to do here" if seen is None else f"{seen.status}: {seen.evidence.detail}")
        elif (Verb.START if verb in STARTING else verb) not in resource.budgets_s:
            self._keep(resource, "it has no command for that")
        else:
            return judge(verb, resource, seen, self._consent.despite_unknown)
        return None

    def _is_left_alone(self, resource: Resource) -> bool:
        """Whether no action touches a resource, whatever is seen of it."""
        if resource.disable:
            self._keep(resource, "disabled")
        elif NO_ACTION in resource.tags:
            self._keep(resource, f"tagged {NO_ACTION}")
        else:
            return False
        return True

    def _refuse_to(self, verb: str, resource: Resource, judgement: Judgement) -> None:
        code = "undetermined.status" if judgement.ruling is Ruling.UNKNOWN else f"refused.not-to-{verb}"
        self._refuse(code, judgement.why, section=resource.rid, hint=judgement.hint)
        self._keep(resource, judgement.why)

    def _keep(self, resource: Resource, why: str, *, in_place: bool = False) -> None:
        self._kept.append(Kept(rid=resource.rid, why=why, in_place=in_place))

    def _note(self, code: str, message: str) -> None:
        self._notes.append(Problem(code=code, message=message, severity=Severity.NOTE))

    def _refuse(self, code: str, message: str, *, section: str = "", hint: str = "") -> None:
        self._refusals.append(
            Problem(code=code, message=message, hint=hint, file=str(self._service.file), section=section)
        )

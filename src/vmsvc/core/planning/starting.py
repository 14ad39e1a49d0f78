"""What becomes of a resource in a start: what it waits for, what it needs, and what forbids it. Pure."""

from __future__ import annotations

from collections.abc import Collection

from attrs import evolve, frozen

from vmsvc.core.host_mode import why_not_on
from vmsvc.core.kinds import App, Ip, Reserved, Vmdg
from vmsvc.core.planning.around import around
from vmsvc.core.planning.draft import Draft
from vmsvc.core.planning.needs import needs_of, nothing_to_reserve, warning_of
from vmsvc.core.planning.plan import Step
from vmsvc.core.planning.rules import Ruling, judge
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.status import AT_REST, Evidence, Observation, Phase
from vmsvc.core.verb import BRINGING_UP, Verb

#: What a restart will find where it has stopped something.
_STOPPED_BEFORE = Observation(
    phase=Phase.STOPPED, state="it was stopped before", evidence=Evidence(probe="plan", at=0.0)
)


@frozen(kw_only=True)
class Starting:
    """A start, or the second half of a restart, as it is planned.

    Attributes:
        draft: The plan in the making.
        stopped: The rids of what the same plan stops before.
    """

    draft: Draft
    stopped: Collection[str] = ()

    def rules(self, freeze: str) -> None:
        """What forbids a start as a whole.

        Args:
            freeze: Of a service that is frozen: since when and why.
        """
        service, node = self.draft.service, self.draft.node
        if freeze and not self.draft.consent.despite_frozen:
            self.draft.refuse(
                "refused.frozen",
                f"{service.name} is {freeze}",
                hint=f"`vmsvc thaw {service.name}` lets it start; for this once, say so: --despite-frozen",
            )
        if service.place_of(node) == "drpnodes" and not self.draft.consent.drp:
            self.draft.refuse(
                "refused.drp",
                f"{node.name} is a disaster recovery node of {service.name}",
                hint="if this is the disaster (or its rehearsal), say so: --drp",
            )
        for resource in service.resources:
            self._refuse_taken(resource)
            self._refuse_stale_memory(resource)
        self.draft.refusals.extend(node.problems)  # its host mode is not known, so nor is what may start here
        if problem := why_not_on(node.name, node.mode, service):
            self.draft.refusals.append(problem)

    def start(self, resource: Resource, seen: Observation | None, verb: Verb) -> None:
        """Decide how a resource is started.

        Args:
            resource: The resource.
            seen: What was seen of it; ``None`` where nobody looked.
            verb: The whole start, or one half of it.
        """
        will_be_down = self._goes_down(resource)
        if isinstance(resource, Ip) and resource.is_inside_guest and (verb is Verb.WAIT or not resource.is_plumbed):
            self._wait_for(resource, seen, will_be_down=will_be_down)
            return
        if verb is Verb.BOOT and self._is_begun(resource):
            self._bring_up(resource, verb, "it is prepared then")
            return
        bears_no_verbs = seen is not None and seen.bears_no_verbs  # whether it is down or not
        judgement = self.draft.judgement(
            verb, resource, _STOPPED_BEFORE if will_be_down and not bears_no_verbs else seen
        )
        if judgement is None or (verb is Verb.PREPARE and judgement.ruling is Ruling.NEEDLESS):
            return  # what becomes of it is told of its second half
        if isinstance(resource, Reserved) and seen is not None:
            self._warn_of_disks(resource, seen)
        if judgement.ruling is Ruling.NEEDLESS and resource.proves_itself and self._has_waiting_users(resource):
            # What a look has shown is no promise, and it cannot tell everything: taken again, it is made sure of.
            judgement = evolve(judgement, ruling=Ruling.DO, why=f"{judgement.why}; made sure of before it is used")
        if judgement.ruling is Ruling.DO:
            if self.draft.service.is_inside_guest(resource) and not isinstance(resource, Ip):
                guest = self.draft.service.guest_of(resource)
                self._wait_for_way_into(guest, f"{resource.rid} is started inside it")
                self._wait_for_launchers(resource, guest, seen, will_be_down=will_be_down)
            self._bring_up(resource, verb, judgement.why)
        elif judgement.ruling is Ruling.NEEDLESS:
            self.draft.keep(resource, judgement.why, in_place=True)
        elif resource.optional:
            self.draft.keep(resource, f"{judgement.why}; it is optional")
        else:
            self.draft.refuse_to("start", resource, judgement)

    def _goes_down(self, resource: Resource) -> bool:
        """Whether a resource is down once others have been stopped: what is inside a guest goes down with it."""
        service = self.draft.service
        is_gone_with_guest = service.is_inside_guest(resource) and service.guest_of(resource).rid in self.stopped
        return resource.rid in self.stopped or is_gone_with_guest

    def _bring_up(self, resource: Resource, verb: Verb, why: str) -> None:
        """Add a start, or one half of it, with what runs around the whole."""
        needs = needs_of(verb, resource, self.draft.service)
        self.draft.refuse_unmet("start", resource, needs)
        within = resource.rid if self._is_begun(resource) else ""
        budget_s = resource.budgets_s[Verb.START]
        step = Step(rid=resource.rid, verb=verb, budget_s=budget_s, why=why, within=within, needs=needs)
        taken = around(resource, Verb.START, [step], resource.rid)
        first = 0 if not within else taken.index(step)
        last = len(taken) if verb in BRINGING_UP else taken.index(step) + 1
        self.draft.steps += taken[first:last]
        if verb in BRINGING_UP and isinstance(resource, Guest) and resource.ready == "way-in":
            self._wait_for_way_into(resource, "`ready = way-in`")

    def _is_begun(self, resource: Resource) -> bool:
        """Whether the first half of its start is planned."""
        return any(step.rid == resource.rid and step.verb is Verb.PREPARE for step in self.draft.steps)

    def _refuse_stale_memory(self, guest: Resource) -> None:
        """Refuse to let a guest go on from its saved memory on disks that another node may have written to since."""
        seen = self.draft.seen.get(guest.rid)
        if self.draft.consent.despite_lost_keys or guest.disable or seen is None or seen.phase is not Phase.SAVED:
            return
        for need in needs_of(Verb.START, guest, self.draft.service):
            disks = self.draft.seen.get(need.rid)
            if disks is not None and disks.phase in AT_REST:
                self.draft.refuse(
                    "refused.stale-memory",
                    f"its memory was saved, and {need.rid} has not been this node's since: what it knows is old",
                    section=guest.rid,
                    hint="discard its saved memory with the hypervisor's own tool; or, if you know that nobody has "
                    "written to its disks: --despite-lost-keys",
                )

    def _wait_for_way_into(self, guest: Guest, why: str) -> None:
        """Wait, once, until commands can be run inside a guest that is started."""
        is_waited_for = any(step.rid == guest.rid and step.verb is Verb.WAIT for step in self.draft.steps)
        if self._is_started(guest) and not is_waited_for and guest.ready != "up" and guest.way_in != "none":
            self._wait(guest, guest, why)

    def _wait_for_launchers(
        self, resource: Resource, guest: Guest, seen: Observation | None, *, will_be_down: bool
    ) -> None:
        """Wait until a guest that is started shows its launchers: their directory may be mounted late."""
        if not isinstance(resource, App) or not resource.has_launchers or not self._is_started(guest):
            return
        has_none = seen is not None and seen.phase is Phase.INAPPLICABLE and not will_be_down
        is_vouched_for = resource.rid in self.draft.consent.despite_unknown
        if not has_none and not is_vouched_for and guest.way_in != "none":
            self._wait(resource, guest, "its launchers are there, and their checks tell something")

    def _wait_for(self, address: Ip, seen: Observation | None, *, will_be_down: bool) -> None:
        """Wait until an address is there that the guest brings up by itself, or answers that it was given before."""
        guest = self.draft.service.guest_of(address)
        if self.draft.is_left_alone(address):
            return
        if address.is_plumbed:
            is_given = self._is_in_steps(address) or (seen is not None and seen.phase is Phase.RUNNING)
            if is_given and address.wait and address.check_ping and self._is_started(guest):
                self._wait(address, guest, "the guest answers by it")
            return
        if not address.wait:
            self.draft.keep(address, "nothing waits for it")
            return
        if not self._is_started(guest) and not will_be_down:
            judgement = judge(Verb.WAIT, address, seen, self.draft.consent.despite_unknown)
            if judgement.ruling is Ruling.NEEDLESS:
                self.draft.keep(address, judgement.why, in_place=True)
                return
            if judgement.ruling is not Ruling.DO:
                if address.optional:
                    self.draft.keep(address, f"{judgement.why}; it is optional")
                else:
                    self.draft.refuse_to("start", address, judgement)
                return
            self.draft.refuse_unmet("start", address, needs_of(Verb.WAIT, address, self.draft.service))
        self._wait(address, guest, "the guest brings it up")

    def _wait(self, resource: Resource, guest: Guest, why: str) -> None:
        self.draft.steps.append(
            Step(
                rid=resource.rid,
                verb=Verb.WAIT,
                budget_s=guest.start_timeout,
                within=guest.rid,
                why=why,
                needs=needs_of(Verb.WAIT, resource, self.draft.service),
            )
        )

    def _is_in_steps(self, resource: Resource) -> bool:
        return any(step.rid == resource.rid for step in self.draft.steps)

    def _is_started(self, guest: Guest) -> bool:
        return any(step.rid == guest.rid and step.verb in BRINGING_UP for step in self.draft.steps)

    def _refuse_taken(self, resource: Resource) -> None:
        """Refuse where somebody else has the address of a guest that is to be started."""
        seen = self.draft.seen.get(resource.rid)
        if (
            isinstance(resource, Ip)
            and resource.is_inside_guest
            and not resource.disable
            and seen is not None
            and seen.phase is Phase.CONTESTED
        ):
            self.draft.refuse(
                "refused.address-taken",
                seen.state,
                section=resource.rid,
                hint="find out who has it, since the guest may run there; where it may answer: `check_ping = false`",
            )

    def _warn_of_disks(self, disks: Reserved, seen: Observation) -> None:
        """The service asks for a protection that there will not be. A guest that is not here has no disks here, yet."""
        self.draft.notes.extend(warning_of(disks, warning) for warning in seen.warnings)
        if seen.phase is not Phase.INAPPLICABLE:
            return
        guest = self.draft.seen.get(disks.container_id) if isinstance(disks, Vmdg) else None
        if guest is None or guest.phase is not Phase.ABSENT:
            self.draft.notes.append(nothing_to_reserve(disks, seen.evidence.detail))

    def _has_waiting_users(self, disks: Resource) -> bool:
        """Whether something is to be started that writes to these disks."""
        for user in self.draft.service.resources:
            is_meant = not self.draft.only or user.rid in self.draft.only
            if is_meant and any(need.rid == disks.rid for need in needs_of(Verb.START, user, self.draft.service)):
                seen = self.draft.seen.get(user.rid)
                judgement = judge(Verb.START, user, seen, self.draft.consent.despite_unknown)
                if judgement.ruling is not Ruling.NEEDLESS or user.rid in self.stopped:
                    return True
        return False

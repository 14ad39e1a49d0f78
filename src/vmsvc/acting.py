"""Acting on services: runs what was planned, under the service's lock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from attrs import evolve

from vmsvc.core.errors import Problem, Refused, VmsvcError
from vmsvc.core.execution.lock import service_lock
from vmsvc.core.plugins import PluginHost
from vmsvc.core.service import Service
from vmsvc.core.verb import BRINGING_UP, Verb
from vmsvc.planning import STARTING_ACTIONS, Planning

# Every session can act, and most only look: what that takes is imported when it begins.
if TYPE_CHECKING:
    from vmsvc.core.disks.ledger import Ledger
    from vmsvc.core.execution.moving import Journey
    from vmsvc.core.execution.report import Progress, Report
    from vmsvc.core.peers.arrivals import Arrivals
    from vmsvc.core.peers.interlock import Interlock
    from vmsvc.core.planning.plan import Plan, Step
    from vmsvc.core.planning.rules import Consent
    from vmsvc.core.resource import Guest
    from vmsvc.core.status import Observation

_log = logging.getLogger(__name__)


#: Actions of which other nodes rely on hearing: they bring guests up, here or there.
_HEARD_OF = (*STARTING_ACTIONS, Verb.MIGRATE.value)


class Acting(Planning):
    """What a session does to services."""

    def run(
        self,
        plan: Plan,
        *,
        progress: Callable[[Progress], None] = lambda _: None,
        cancelled: threading.Event | None = None,
    ) -> Report:
        """Run a plan, if it still is what would be planned now.

        Args:
            plan: The plan.
            progress: Called as each step begins and ends, in the calling thread.
            cancelled: Set it from elsewhere to break off; what was started is then stopped again.

        Returns:
            What was done.

        Raises:
            Busy: Another action holds the service's lock.
            Refused: A safety rule forbids it, or the plan is out of date.
            Undetermined: A status is unknown, or a step's outcome could not be established.
            ActionFailed: A step failed, and what was started has been stopped again.
        """

        def check(fresh: Plan) -> None:
            if fresh.steps != plan.steps:
                raise Refused(
                    f"the plan to {plan.action} {plan.service.name} is out of date: things have changed since",
                    code="refused.stale-plan",
                    hint="make a new plan",
                )

        return self._act(
            plan.action,
            plan.service,
            plan.consent,
            plan.only,
            to=plan.to,
            check=check,
            progress=progress,
            cancelled=cancelled,
        )

    def act(
        self,
        action: str,
        service: Service,
        *,
        consent: Consent | None = None,
        only: Collection[str] = (),
        to: str = "",
        planned: Callable[[Plan], None] = lambda _: None,
        progress: Callable[[Progress], None] = lambda _: None,
        waiting: Callable[[str], None] = lambda _: None,
        cancelled: threading.Event | None = None,
    ) -> Report:
        """Plan an action and run it, under the service's lock.

        Args:
            action: ``start``, ``stop``, ``restart``, ``boot`` or ``migrate``.
            service: The service.
            consent: What the operator has agreed to; no boot asks for that.
            only: The rids of the resources to limit the action to; empty for all.
            to: The node to which a migration goes; of no other action.
            planned: Called with the plan before it runs, unless it is refused.
            progress: Called as each step begins and ends, in the calling thread.
            waiting: Called with what is waited for, such as ``an answer of n2``, where that takes long.
            cancelled: Set it from elsewhere to break off; what was started is then stopped again.

        Returns:
            What was done; nothing, where the service was in the wanted state already.

        Raises:
            UsageError: There is no such action, no such resource, or no such other node.
            Busy: Another action holds the service's lock.
            Refused: A safety rule forbids it.
            Undetermined: A status is unknown, or a step's outcome could not be established.
            ActionFailed: A step failed, and what was started has been stopped again.
        """
        return self._act(
            action,
            service,
            consent,
            only,
            to=to,
            check=planned,
            progress=progress,
            waiting=waiting,
            cancelled=cancelled,
        )

    def start(self, service: Service) -> Report:
        """Start a service; see :meth:`act`.

        Args:
            service: The service.

        Returns:
            What was done.

        Raises:
            VmsvcError: As :meth:`act` does.
        """
        return self.act("start", service)

    def stop(self, service: Service) -> Report:
        """Stop a service; see :meth:`act`.

        Args:
            service: The service.

        Returns:
            What was done.

        Raises:
            VmsvcError: As :meth:`act` does.
        """
        return self.act("stop", service)

    def restart(self, service: Service) -> Report:
        """Stop a service and start it again; see :meth:`act`.

        Args:
            service: The service.

        Returns:
            What was done.

        Raises:
            VmsvcError: As :meth:`act` does.
        """
        return self.act("restart", service)

    def migrate(self, service: Service, to: str) -> Report:
        """Move the guests of a service to another node while they run; see :meth:`act`.

        What is up there afterwards, and no longer here, was seen by both nodes.

        Args:
            service: The service.
            to: The name of the other node, one of the service's ``nodes``.

        Returns:
            What was done; nothing, where they run there already.

        Raises:
            VmsvcError: As :meth:`act` does. After an :class:`~vmsvc.core.errors.ActionFailed` the guest runs here as
                before, unless its words tell otherwise; after an :class:`~vmsvc.core.errors.Undetermined` nobody knows
                where it runs, and its words tell what each node has seen.
        """
        return self.act("migrate", service, to=to)

    def boot(self, service: Service) -> Report:
        """Do what a node does once after it has booted: give up disks that a crash has left registered for it.

        Nothing is started; what may be in use, and what is another node's, stays as it is. An action that a crash has
        cut short is told by the plan's notes, and no longer by the service's status.

        Args:
            service: The service.

        Returns:
            What was done.

        Raises:
            VmsvcError: As :meth:`act` does.
        """
        return self.act("boot", service)

    def forgotten(self) -> tuple[Problem, ...]:
        """What a boot cannot give up, since it was reserved for services that have no file any more.

        Returns:
            An error for each of these services.

        Raises:
            Undetermined: What this node has reserved is not known.
            ConfigError: The directory of services cannot be read.
        """
        from vmsvc.core.disks.ledger import Ledger  # noqa: PLC0415

        ledger, known = Ledger(self.node), set(self.services())
        return tuple(
            Problem(
                message=f"{name} has no file any more, and disks are reserved for it: {_disks_of(ledger, name)}",
                code="undetermined.left-over",
                hint=f"put its file back, then `vmsvc boot {name}`; or, where nothing of this node is left on them, "
                f"`vmsvc pr stop {name}` forgets them",
                file=str(self.node.reservations_dir(name)),
            )
            for name in ledger.services()
            if name not in known
        )

    def freeze(self, service: Service, reason: str = "") -> bool:
        """Let nothing start a service on this node, until it is thawed; what runs goes on, and may be stopped.

        Args:
            service: The service.
            reason: Why, for those who find it frozen.

        Returns:
            Whether that is new; a freeze that was there stays as it was, its reason too.

        Raises:
            VmsvcError: It cannot be recorded; the service is not frozen.
        """
        from vmsvc.core.keeping.freezer import freeze  # noqa: PLC0415

        return freeze(self.node, service.name, reason) is not None

    def thaw(self, service: Service) -> bool:
        """Let a service that is frozen start again.

        Args:
            service: The service.

        Returns:
            Whether it was frozen.

        Raises:
            ActionFailed: The record of it cannot be removed; the service is still frozen.
        """
        from vmsvc.core.keeping.freezer import thaw  # noqa: PLC0415

        return thaw(self.node, service.name)

    def _act(
        self,
        action: str,
        service: Service,
        consent: Consent | None,
        only: Collection[str],
        *,
        to: str = "",
        check: Callable[[Plan], None],
        progress: Callable[[Progress], None],
        waiting: Callable[[str], None] = lambda _: None,
        cancelled: threading.Event | None,
        is_upkeep: bool = False,
    ) -> Report:
        from vmsvc.core.execution.executor import Executor  # noqa: PLC0415
        from vmsvc.core.execution.report import Report  # noqa: PLC0415
        from vmsvc.core.execution.triggering import TriggerCaller  # noqa: PLC0415
        from vmsvc.core.keeping.charge import give_up_charge, take_charge  # noqa: PLC0415

        cancelled = cancelled or threading.Event()
        with service_lock(
            self.node,
            service.name,
            action,
            timeout_s=service.lock_timeout,
            cancelled=cancelled,
            must_tell=action in _HEARD_OF and bool(service.peers_of(self.node)),
        ):
            arrivals = interlock = None
            if action == Verb.MIGRATE.value:
                arrivals = self._arrivals(service, to, consent, waiting=waiting, cancelled=cancelled)
                made = self._migration_plan(service, arrivals, consent, only)
            else:
                interlock = self._interlock(action, service, consent, waiting=waiting, cancelled=cancelled)
                made = self._made(action, service, consent, only, interlock)
            made.raise_if_refused()
            check(made)
            told: list[str] = []
            losses: list[str] = []
            journal = self._journal(service)
            executor = Executor(
                driver_of=self._finder([service], consent, told.append, cancelled),
                told=told,
                journal=journal,
                hooks=_PluginHooks(self._plugin_host),
                run_trigger=TriggerCaller(
                    host=lambda: self._host, service=service.name, action=action, node=self.node.name
                ),
                progress=progress,
                cancelled=cancelled,
                reach=self._reach,
                forget=self._forget,
                confirm=_last_word(arrivals, interlock),
                renew=self._renew,
                journey=self._journey(service, arrivals, losses) if arrivals else None,
            )
            if action in ("stop", "restart"):
                losses += _losses_of(lambda: give_up_charge(self.node, service.name, only))
            # Where there is nothing to do there is nothing to record, unless it closes what a crash has cut short.
            report = executor.run(made) if made.steps or journal.unfinished() else Report(plan=made)
            if action == Verb.MIGRATE.value:  # all of it is there, and nothing is to start it again here
                losses += _losses_of(lambda: give_up_charge(self.node, service.name, ()))
            if action in STARTING_ACTIONS and not is_upkeep:
                losses += _losses_of(lambda: take_charge(self.node, service.name, _brought_up(report)))
            return evolve(report, losses=(*report.losses, *losses))

    def _journey(self, service: Service, arrivals: Arrivals, losses: list[str]) -> Journey:
        """The way of a service's guests to another node, on which this one answers for them no longer."""
        from vmsvc.core.execution.moving import Journey  # noqa: PLC0415
        from vmsvc.core.keeping.charge import charge_of, give_up_charge, take_charge  # noqa: PLC0415
        from vmsvc.core.roles import Destination  # noqa: PLC0415

        node, held = self.node, charge_of(self.node, service.name)

        def destination_of(guest: Guest) -> Destination[Guest]:
            theirs = arrivals.counterpart(guest)
            assert theirs is not None  # the plan, which goes by the same reading of the file, would have refused it
            return Destination(node=arrivals.to, guest=theirs)

        def leave(guest: Guest) -> None:
            losses.extend(_losses_of(lambda: give_up_charge(node, service.name, _with_what_is_inside(guest, service))))

        def stay(guest: Guest) -> None:
            kept_up = [rid for rid in _with_what_is_inside(guest, service) if rid in held]
            losses.extend(_losses_of(lambda: take_charge(node, service.name, kept_up)))

        return Journey(destination_of=destination_of, look=arrivals.look, leave=leave, stay=stay)


def _last_word(arrivals: Arrivals | None, interlock: Interlock | None) -> Callable[[str, Observation], None]:
    """What is asked just before a guest is moved, or started."""
    if arrivals is not None:
        return lambda rid, _seen: arrivals.confirm(rid)
    return interlock.confirm if interlock is not None else lambda _rid, _seen: None


def _with_what_is_inside(guest: Guest, service: Service) -> list[str]:
    """The rids of a guest and of what goes with it."""
    inside = [each for each in service.resources if service.is_inside_guest(each) and service.guest_of(each) == guest]
    return [guest.rid, *(each.rid for each in inside)]


def _disks_of(ledger: Ledger, service: str) -> str:
    records = ledger.of_service(service)
    return "; ".join(record.fault or ", ".join(entry.name for entry in record.entries) for record in records)


def _losses_of(record: Callable[[], None]) -> list[str]:
    """What could not be recorded of what is to be kept up; the action goes on."""
    try:
        record()
    except VmsvcError as error:
        return [str(error)]
    return []


def _brought_up(report: Report) -> set[str]:
    """The resources that a start has left up."""
    started = {result.step.rid for result in report.results if result.step.verb in BRINGING_UP and not result.failure}
    return started | {kept.rid for kept in report.plan.kept if kept.in_place}


class _PluginHooks:
    """Calls the plugins' hooks around each step."""

    def __init__(self, plugins: PluginHost) -> None:
        self._hook = plugins.hook

    def before_step(self, step: Step, service: Service) -> None:
        self._hook.vmsvc_before_step(step=step, service=service)

    def after_step(self, step: Step, service: Service, error: str) -> None:
        try:
            self._hook.vmsvc_after_step(step=step, service=service, error=error)
        except Exception as failure:  # noqa: BLE001 - the step has happened, whatever a plugin thinks of it
            _log.warning("a plugin failed after %s of %s: %s", step, service.name, failure)

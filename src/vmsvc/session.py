"""The session: where plugins, files, hosts and the core come together for one node.

Everything that the command line does, a session does: `vmsvc` is thin over this file.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from attrs import evolve

from vmsvc import hookspecs
from vmsvc.core import schema
from vmsvc.core.collecting import Collector
from vmsvc.core.config import (
    Catalog,
    load_service,
    parse_service,
    read_node,
    service_file,
    service_names,
)
from vmsvc.core.contract import Capability
from vmsvc.core.drivers import Drivers
from vmsvc.core.errors import Problem, Refused, Severity, UsageError, VmsvcError
from vmsvc.core.executor import Executor
from vmsvc.core.instance import Instance, ServiceStatus, instance_of
from vmsvc.core.inventory import GuestFacts, ask, facts_of
from vmsvc.core.journal import Journal
from vmsvc.core.lock import holder_of, service_lock
from vmsvc.core.node import Node
from vmsvc.core.observe import STATUS_DEADLINE_S, DriverFinder, observe
from vmsvc.core.plan import Plan, Step, plan
from vmsvc.core.plugins import PluginHost, PluginReport, load_plugins
from vmsvc.core.publishing import Publishers
from vmsvc.core.records import Record, history
from vmsvc.core.report import Progress, Report
from vmsvc.core.resource import Reserved
from vmsvc.core.rules import Consent
from vmsvc.core.service import Service
from vmsvc.core.store import Store
from vmsvc.core.transport.local import LocalHost

if TYPE_CHECKING:
    from typing_extensions import Self

    from vmsvc.core.adoption import Adoption
    from vmsvc.core.reservations import DiskReport, ReservationDriver

_log = logging.getLogger(__name__)


class Session:
    """Services of one node: load them, look at them, plan for them, act on them.

    Nothing is read and nothing is connected to before it is needed. A session may be used from several threads, as
    long as each acts on another service.

    Args:
        environment: Where ``VMSVC_ROOT``, ``VMSVC_NODENAME`` and the plugins' switches are looked up; the process's
            own environment when not given.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment

    def __enter__(self) -> Self:
        """Use the session in a ``with`` statement, which closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the session."""
        self.close()

    def close(self) -> None:
        """Give up connections and the helper process that ran commands. Waits for nobody who hangs."""
        if "_drivers" in self.__dict__:
            self._drivers.close()
        if "_host" in self.__dict__:
            self._host.close()

    # --- what there is ------------------------------------------------------------------------------------------

    @cached_property
    def node(self) -> Node:
        """This node: its name, root, host mode, and the ``problems`` of its own file.

        Raises:
            ConfigError: The node's name cannot be used.
        """
        return read_node(self._environment)

    @property
    def plugins(self) -> tuple[PluginReport, ...]:
        """Every plugin that is installed, with what became of it."""
        return self._plugin_host.reports

    @property
    def catalog(self) -> Catalog:
        """The types of resource that installed drivers serve, and the options of each."""
        drivers = self._plugin_host.drivers
        return Catalog(
            classes={key: driver.options for key, driver in drivers.items()},
            refused=self._plugin_host.refused_types,
            capabilities={key: {str(each.value) for each in driver.capabilities} for key, driver in drivers.items()},
        )

    def services(self) -> list[str]:
        """The names of the node's services, sorted.

        Raises:
            ConfigError: The directory of services cannot be read.
        """
        return service_names(self.node)

    def load(self, service: str | Path) -> Service:
        """Read a service.

        Args:
            service: Its name, or the path of a file.

        Returns:
            The service as this node sees it; warnings and notes are in its ``problems``.

        Raises:
            UsageError: There is no such service.
            ConfigError: Its file is wrong; all its problems are in the error.
        """
        path = service if isinstance(service, Path) else service_file(self.node, service)
        return load_service(path, self.node, self.catalog)

    def examine(self, service: str | Path) -> tuple[Service | None, tuple[Problem, ...]]:
        """Read a service and tell everything that is wrong, odd or worth knowing. Touches no hypervisor.

        Args:
            service: Its name, or the path of a file.

        Returns:
            The service, unless its file is wrong; and all problems, in the order of the file.

        Raises:
            UsageError: There is no such service.
            ConfigError: Two files claim its name.
        """
        path = service if isinstance(service, Path) else service_file(self.node, service)
        return parse_service(path, self.node, self.catalog)

    # --- looking -------------------------------------------------------------------------------------------------

    def status(self, service: Service) -> ServiceStatus:
        """Look at one service. Changes nothing, and answers within ten seconds whatever hangs.

        Args:
            service: The service.

        Returns:
            Its status, with evidence for each resource.
        """
        (status,) = self.statuses([service])
        return status

    def statuses(self, services: Iterable[Service]) -> list[ServiceStatus]:
        """Look at many services, with one query for each technology.

        Args:
            services: The services.

        Returns:
            Their statuses, in the same order.

        Raises:
            UsageError: Two of them have the same name.
        """
        asked = list(services)
        if twice := [name for name, count in Counter(service.name for service in asked).items() if count > 1]:
            raise UsageError(f"two services have the same name: {', '.join(twice)}", code="usage.same-name")
        wanted = [resource for service in asked for resource in service.resources if not resource.disable]
        seen = observe(wanted, self._finder(asked))

        def instance(service: Service) -> Instance:
            own = {rid: observation for (name, rid), observation in seen.items() if name == service.name}
            return instance_of(service, self.node.name, own, notes=self._goings_on(service))

        return [ServiceStatus(service=service, instances=(instance(service),)) for service in asked]

    def facts(self, service: Service) -> tuple[GuestFacts, ...]:
        """Ask the drivers what they know of a service's guests: disks, sizes, definitions.

        Args:
            service: The service.

        Returns:
            The facts of each guest, gaps included.

        Raises:
            Undetermined: There is no working driver for a guest.
        """
        return tuple(facts_of(guest, self._drivers.of_guest(guest)) for guest in service.guests)

    def adoption(self, guests: Collection[str] = (), *, settings: Mapping[str, str] | None = None) -> Adoption:
        """Find the guests that are there already, and make up a service file for each that has none. Changes nothing.

        Args:
            guests: Names and patterns of guests; all guests when not given.
            settings: What every file is to say beyond that, by address: ``nodes``, ``container#1.uri`` …

        Returns:
            The files that could be, each with its ``write``; the guests that have a service; and what nobody could see.

        Raises:
            UsageError: No driver can tell, or a setting is each guest's own.
            ConfigError: A setting is wrong, or the directory of services cannot be read.
        """
        from vmsvc.core import adoption  # noqa: PLC0415 - nothing that is done daily pays for it
        from vmsvc.core.discovery import discover  # noqa: PLC0415

        drivers = self._plugin_host.drivers
        types = sorted(type_ for (_, type_), each in drivers.items() if Capability.DISCOVER in each.capabilities)
        places = adoption.places(self.node, self.catalog, types, settings or {})
        return adoption.propose(
            self.node,
            self.catalog,
            adoption.Estate.of(self.node, self.catalog),
            discover(places, self._drivers.of_guest),
            settings=settings or {},
            is_wanted=adoption.is_named(guests),
        )

    def disks(self, services: Iterable[Service]) -> list[dict[str, DiskReport | VmsvcError]]:
        """Name the disks of services and read who has reserved them, each path once. Changes nothing.

        Args:
            services: The services.

        Returns:
            For each service what was found of its ``vmdg`` and ``disk`` resources, by rid; or why that could not be.
        """
        asked = list(services)
        wanted = [
            resource
            for service in asked
            for resource in service.resources
            if isinstance(resource, Reserved) and not resource.disable
        ]
        reports = self._reserving(asked).examine(wanted, budget_s=STATUS_DEADLINE_S) if wanted else []
        found: dict[str, dict[str, DiskReport | VmsvcError]] = {service.name: {} for service in asked}
        for resource, report in zip(wanted, reports, strict=True):
            found[resource.service][resource.rid] = report
        return [found[service.name] for service in asked]

    # --- acting --------------------------------------------------------------------------------------------------

    def plan(
        self, action: str, service: Service, *, consent: Consent | None = None, only: Collection[str] = ()
    ) -> Plan:
        """Look at a service and decide what an action would do. Changes nothing.

        Args:
            action: ``start``, ``stop`` or ``restart``.
            service: The service.
            consent: What the operator has agreed to.
            only: The rids of the resources to limit the action to; empty for all.

        Returns:
            The plan; its ``refusals`` say why it may not run, if so.

        Raises:
            UsageError: There is no such action, or no such resource.
        """
        for rid in only:
            service.resource(rid)
        seen = observe([item for item in service.resources if not item.disable], self._finder([service]))
        by_rid = {rid: observation for (_, rid), observation in seen.items()}
        made = plan(action, service, self.node, by_rid, consent, only=only)
        notes = tuple(
            Problem(message=note, code="note.goings-on", severity=Severity.NOTE) for note in self._goings_on(service)
        )
        return evolve(made, notes=(*made.notes, *notes))

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
            plan.action, plan.service, plan.consent, plan.only, check=check, progress=progress, cancelled=cancelled
        )

    def act(
        self,
        action: str,
        service: Service,
        *,
        consent: Consent | None = None,
        only: Collection[str] = (),
        planned: Callable[[Plan], None] = lambda _: None,
        progress: Callable[[Progress], None] = lambda _: None,
        cancelled: threading.Event | None = None,
    ) -> Report:
        """Plan an action and run it, under the service's lock.

        Args:
            action: ``start``, ``stop`` or ``restart``.
            service: The service.
            consent: What the operator has agreed to.
            only: The rids of the resources to limit the action to; empty for all.
            planned: Called with the plan before it runs, unless it is refused.
            progress: Called as each step begins and ends, in the calling thread.
            cancelled: Set it from elsewhere to break off; what was started is then stopped again.

        Returns:
            What was done; nothing, where the service was in the wanted state already.

        Raises:
            UsageError: There is no such action, or no such resource.
            Busy: Another action holds the service's lock.
            Refused: A safety rule forbids it.
            Undetermined: A status is unknown, or a step's outcome could not be established.
            ActionFailed: A step failed, and what was started has been stopped again.
        """
        return self._act(action, service, consent, only, check=planned, progress=progress, cancelled=cancelled)

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

    def _act(
        self,
        action: str,
        service: Service,
        consent: Consent | None,
        only: Collection[str],
        *,
        check: Callable[[Plan], None],
        progress: Callable[[Progress], None],
        cancelled: threading.Event | None,
    ) -> Report:
        cancelled = cancelled or threading.Event()
        with service_lock(self.node, service.name, action, timeout_s=service.lock_timeout, cancelled=cancelled):
            made = self.plan(action, service, consent=consent, only=only)
            made.raise_if_refused()
            check(made)
            told: list[str] = []
            executor = Executor(
                driver_of=self._finder([service], consent, told.append),
                told=told,
                journal=self._journal(service),
                hooks=_PluginHooks(self._plugin_host),
                progress=progress,
                cancelled=cancelled,
            )
            return executor.run(made)

    # --- inventory -----------------------------------------------------------------------------------------------

    def push(self, service: Service) -> Record:
        """Put a service's configuration, status and guest facts into the node's own store, and publish them.

        Also keeps each guest's definition, so that a start can define a guest that the node has lost.

        Args:
            service: The service.

        Returns:
            What was collected, what has changed, and what could not be stored or published.
        """
        return self._collector.push(service, self.status(service), self.facts(service))

    def diskupdate(self, service: Service) -> Record:
        """Put the disks of a service's guests into the node's own store, and publish them.

        Args:
            service: The service.

        Returns:
            What was collected, what has changed, and what could not be stored or published.

        Raises:
            DriverError: A guest is not known on this node, so its disks are not known either.
            Undetermined: A hypervisor did not answer.
        """
        rows: list[schema.Data] = []
        for guest in service.guests:
            try:
                rows += schema.disks(guest, ask(guest, self._drivers.of_guest(guest), Capability.DISKS))
            except VmsvcError as error:
                raise type(error)(problems=[error.within(section=guest.rid, file=str(service.file))]) from error
        return self._collector.record(service.name, "disks", rows)

    def history(self, service: str, topic: str) -> tuple[Record, ...]:
        """What the node's own store has of a service; a service that is no more has its history still.

        Args:
            service: The service's name.
            topic: ``push`` or ``disks``.

        Returns:
            The records, the newest first, with what changed at each; one that was confirmed counts once.

        Raises:
            ActionFailed: The store cannot be read.
        """
        return history(self._store.history(service, topic))

    # --- parts ---------------------------------------------------------------------------------------------------

    @cached_property
    def _plugin_host(self) -> PluginHost:
        return load_plugins(hookspecs, environment=self._environment)

    @cached_property
    def _host(self) -> LocalHost:
        return LocalHost(self.node.name)

    @cached_property
    def _drivers(self) -> Drivers:
        return Drivers(self.node, lambda: self._host, self._plugin_host.drivers)

    @cached_property
    def _collector(self) -> Collector:
        publishers = Publishers(self._plugin_host.hook.vmsvc_publishers, self.node)
        return Collector(self.node, self._store, publishers.publish)

    @cached_property
    def _store(self) -> Store:
        return Store(self.node.state_dir / "store.sqlite")

    def _finder(
        self, services: Sequence[Service], consent: Consent | None = None, tell: Callable[[str], None] = lambda _: None
    ) -> DriverFinder:
        """How drivers are found. Disks are reserved with what one action's operator has agreed to."""
        reserves = any(isinstance(resource, Reserved) for service in services for resource in service.resources)
        reserving = self._reserving(services, consent, tell) if reserves else None
        return self._drivers.finder(services, reserving=reserving)

    def _reserving(
        self, services: Sequence[Service], consent: Consent | None = None, tell: Callable[[str], None] = lambda _: None
    ) -> ReservationDriver:
        from vmsvc.core.reservations import ReservationDriver  # noqa: PLC0415 - only who reserves pays for it
        from vmsvc.core.surroundings import Surroundings  # noqa: PLC0415

        surroundings = Surroundings(
            self.node, self.catalog, self._drivers, services, others=self._readable, host=lambda: self._host
        )
        return ReservationDriver(surroundings, force=consent.force if consent else (), tell=tell)

    def _readable(self) -> Iterator[Service]:
        """Every service of the node that can be read."""
        for name in self.services():
            service, _ = self.examine(name)
            if service is not None:
                yield service

    def _journal(self, service: Service) -> Journal:
        return Journal(self.node.state_dir / "journal" / f"{service.name}.jsonl")

    def _goings_on(self, service: Service) -> tuple[str, ...]:
        """Another action that is going on, or one that was cut short."""
        holder = holder_of(self.node, service.name)
        if holder:
            return (f"going on: {holder}",)
        unfinished = self._journal(service).unfinished()
        return (str(unfinished),) if unfinished and unfinished.pid != os.getpid() else ()


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

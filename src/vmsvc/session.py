"""The session: where plugins, files, hosts and the core come together for one node.

Everything that the command line does, a session does: `vmsvc` is thin over this file, and over what it is made of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve

from vmsvc.core.contract import Capability
from vmsvc.core.errors import Problem, UsageError, VmsvcError
from vmsvc.core.kinds import App, Reserved
from vmsvc.core.observe import STATUS_DEADLINE_S, observe
from vmsvc.core.service import Service
from vmsvc.monitoring import Monitoring

if TYPE_CHECKING:
    from vmsvc.core.disks.sets import DiskReport
    from vmsvc.core.disks.usage import Usage
    from vmsvc.core.disks.validating import Validation
    from vmsvc.core.disks.watch import Watched
    from vmsvc.core.guests.adoption import Adoption
    from vmsvc.core.guests.definitions import Drift
    from vmsvc.core.guests.inventory import GuestFacts
    from vmsvc.core.inside.launching import Told
    from vmsvc.core.instance import ServiceStatus
    from vmsvc.core.planning.limits import Limits
    from vmsvc.core.records.record import Record
    from vmsvc.core.trust.guest import GuestTrust
    from vmsvc.core.trust.own_key import OwnKey
    from vmsvc.core.trust.peers import PeerTrust
    from vmsvc.core.trust.trusting import Trusting


class Session(Monitoring):
    """Services of one node: load them, look at them, plan for them, act on them.

    Nothing is read and nothing is connected to before it is needed. A session may be used from several threads, as
    long as each acts on another service.

    Args:
        environment: Where ``VMSVC_ROOT``, ``VMSVC_NODENAME`` and the plugins' switches are looked up; the process's
            own environment when not given.
    """

    def facts(self, service: Service) -> tuple[GuestFacts, ...]:
        """Ask the drivers what they know of a service's guests: disks, sizes, definitions.

        Args:
            service: The service.

        Returns:
            The facts of each guest, gaps included.

        Raises:
            Undetermined: There is no working driver for a guest.
        """
        from vmsvc.core.guests.inventory import facts_of  # noqa: PLC0415

        return tuple(facts_of(guest, self._drivers.of_guest(guest)) for guest in service.guests)

    def drift(self, service: Service) -> tuple[Drift, ...]:
        """Compare the definitions of a service's guests: live, persistent, and kept by ``push``. Changes nothing.

        Args:
            service: The service.

        Returns:
            What differs, guest by guest; what could not be read is among its errors.

        Raises:
            Undetermined: There is no working driver for a guest.
        """
        from vmsvc.core.guests.definitions import drift  # noqa: PLC0415

        return tuple(drift(self.node, guest, self._drivers.of_guest(guest)) for guest in service.guests)

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
        from vmsvc.core.estate import Estate  # noqa: PLC0415
        from vmsvc.core.guests import adoption  # noqa: PLC0415 - nothing that is done daily pays for it
        from vmsvc.core.guests.discovery import discover  # noqa: PLC0415

        drivers = self._plugin_host.drivers
        types = sorted(type_ for (_, type_), each in drivers.items() if Capability.DISCOVER in each.capabilities)
        places = adoption.places(self.node, self.catalog, types, settings or {})
        return adoption.propose(
            self.node,
            self.catalog,
            Estate.of(self.node, self.catalog),
            discover(places, self._drivers.of_guest),
            settings=settings or {},
            is_wanted=adoption.is_named(guests),
        )

    def disks(
        self, services: Iterable[Service], *, limits: Limits | None = None
    ) -> list[dict[str, DiskReport | VmsvcError]]:
        """Name the disks of services and read who has reserved them, each path once. Changes nothing.

        Args:
            services: The services.
            limits: Which of their resources to look at; all when not given.

        Returns:
            For each service what was found of its ``vmdg`` and ``disk`` resources, by rid; or why that could not be.
        """
        asked = list(services)
        wanted = [
            resource
            for service in asked
            for resource in service.resources
            if isinstance(resource, Reserved) and not resource.disable
            if not limits or resource.rid in limits.rids_of(service)
        ]
        reports = self._reserving(asked).examine(wanted, budget_s=STATUS_DEADLINE_S) if wanted else []
        found: dict[str, dict[str, DiskReport | VmsvcError]] = {service.name: {} for service in asked}
        for resource, report in zip(wanted, reports, strict=True):
            found[resource.service][resource.rid] = report
        return [found[service.name] for service in asked]

    def left_behind(self) -> list[Service]:
        """The services that this node does not have any more, and has reserved disks for.

        Returns:
            Each with nothing but these disks.

        Raises:
            VmsvcError: The directory of services, or of records, cannot be read.
        """
        from vmsvc.core.disks.ledger import Ledger  # noqa: PLC0415 - only who asks for all disks pays for it

        return Ledger(self.node).left_behind(self.services())

    def app_info(self, service: Service, rid: str) -> Told:
        """Have the launchers of an application tell about it.

        Args:
            service: The service.
            rid: The application.

        Returns:
            What they tell, or why there are none.

        Raises:
            UsageError: The service has no such application.
            Undetermined: Its guest could not be asked.
        """
        app = service.resource(rid)
        if not isinstance(app, App):
            raise UsageError(f"{rid} of {service.name} is no application", code="usage.no-such-resource")
        return self._apps([service]).info(app, budget_s=app.start_timeout)

    def watch(self, services: Iterable[Service]) -> list[Watched]:
        """Look whether guests still have the disks that are reserved for them. Changes nothing.

        Args:
            services: The services.

        Returns:
            An entry for each resource whose disks are to be reserved, or were.
        """
        from vmsvc.core.disks.watch import users_of, watched, watched_over  # noqa: PLC0415 - only who watches pays for it

        asked = list(services)
        found = self.disks(asked)
        users = [each for service in asked for each in service.resources if each.rid in users_of(service)]
        seen = observe(users, self._finder(asked))
        return [
            watched(
                resource,
                reports[resource.rid],
                {rid: seen.get((service.name, rid)) for rid in users_of(service, resource)},
            )
            for service, reports in zip(asked, found, strict=True)
            for resource in watched_over(service)
        ]

    def validate_disks(self, service: Service, *, scratch: Collection[str] = ()) -> list[Validation]:
        """Check whether the disks of a service do what exclusive disks need of them.

        Without ``scratch`` nothing is changed, and disks may be in use. With it, everything is tried on those disks,
        with throw-away keys: for some seconds, nobody else can write to them.

        Args:
            service: The service.
            scratch: The disks on which everything is tried, as the service names them.

        Returns:
            What was checked, by resource.

        Raises:
            UsageError: The service has no disks, or none of that name.
            Refused: A disk that was named is in use, or somebody is registered on it.
            VmsvcError: The disks could not be named, or what was registered could not be removed.
        """
        from vmsvc.core.disks.validating import trials_of, validate_in_use, validate_scratch  # noqa: PLC0415
        from vmsvc.core.execution.lock import service_lock  # noqa: PLC0415 - only who validates pays for it

        resources = [
            each
            for each in service.resources
            if isinstance(each, Reserved) and not each.disable and not each.is_left_over
        ]
        if not resources:
            raise UsageError(
                f"{service.name} has neither a [vmdg] nor a [disk#…] section",
                code="usage.no-disks",
                hint=f"`vmsvc set {service.name} vmdg.scsireserv=true` has the disks of its guest reserved",
            )
        around, record = self._surroundings([service]), self.node.state_dir / "validating" / f"{service.name}.json"
        if not scratch:
            return [validate_in_use(around, each, record=record) for each in resources]
        with service_lock(self.node, service.name, "validate-disks", timeout_s=service.lock_timeout):
            return [
                validate_scratch(around, each, names, record=record)
                for each, names in trials_of(around, resources, scratch)
            ]

    def disk_problems(self, service: Service) -> tuple[Problem, ...]:
        """What is wrong with the disks that a service reserves: another service that names them, above all.

        Asks the drivers of guests for the names of disks, and reads no disk.

        Args:
            service: The service.
        """
        reserved = [each for each in service.resources if isinstance(each, Reserved) and each.may_be_held]
        if not reserved:
            return ()
        driver = self._reserving([service])
        return tuple(
            evolve(problem, file=str(service.file))
            for resource in reserved
            if not resource.disable
            for problem in driver.problems_of(resource)
        )

    def own_key(self, *, for_peers: bool = False) -> OwnKey:
        """The ssh key of vmsvc's own on this node, made now where there is none.

        Args:
            for_peers: Whether it is that for peers; else that for guests.

        Raises:
            ConfigError: Its file holds no key.
        """
        from vmsvc.core.trust.own_key import own_key  # noqa: PLC0415 - only who sets up trust pays for it

        return own_key(self._own_key_file(for_peers=for_peers))

    def trust_of_guests(
        self, service: Service, *, install: bool = False, dry_run: bool = False, test: bool = False
    ) -> tuple[GuestTrust, ...]:
        """What a service's guests are to have so that vmsvc's own ssh key permits vmsvc's verbs, and nothing else.

        Makes the key where there is none. Without options, connects to nothing.

        Args:
            service: The service.
            install: Whether to put it there, by the admin's own access.
            dry_run: Whether only to find out what that would change.
            test: Whether to try out that the verbs work, and that nothing else does.

        Returns:
            An entry for each guest; what failed is its ``error``.

        Raises:
            ConfigError: The file of the key holds none.
            Undetermined: A guest's driver cannot be made.
        """
        from vmsvc.core.trust.guest import trust_of  # noqa: PLC0415 - only who sets up trust pays for it

        trusting, all_of_them = self._trusting(), list(self._readable())
        found = [
            trust_of(trusting, service, guest, self._ways.way_into(guest), all_of_them) for guest in service.guests
        ]
        return tuple(trusting.set_up(each, install=install, dry_run=dry_run, test=test) for each in found)

    def trust_of_peers(
        self, services: Iterable[Service], *, install: bool = False, dry_run: bool = False, test: bool = False
    ) -> tuple[PeerTrust, ...]:
        """What the other nodes of services are to have so that vmsvc's own ssh key permits vmsvc's questions alone.

        Makes the key where there is none. Without options, connects to nothing.

        Args:
            services: The services.
            install: Whether to put it there, by the admin's own access.
            dry_run: Whether only to find out what that would change.
            test: Whether to try out that the verbs work, and that nothing else does.

        Returns:
            An entry for each node; what failed is its ``error``.

        Raises:
            ConfigError: The file of the key holds none.
        """
        from vmsvc.core.trust.peers import asked, trusts_of  # noqa: PLC0415 - only who sets up trust pays for it

        trusting, of = self._trusting(for_peers=True), list(services)
        wanted = trusts_of(trusting, of, self.node)
        found = [trusting.set_up(each, install=install, dry_run=dry_run, test=test) for each in wanted]
        if test:
            starting = [each.name for each in of if each.guests]
            reached = [each for each in found if each.error is None]
            questions = {each.peer: [name for name in each.services if name in starting] for each in reached}
            answers = self._peers.ask("guests", questions)
            found = [asked(each, of, answers, self.node) for each in found]
        return tuple(found)

    def _trusting(self, *, for_peers: bool = False) -> Trusting:
        from vmsvc.core.trust.trusting import Trusting  # noqa: PLC0415

        key = self.own_key(for_peers=for_peers)
        return Trusting(node=self.node.name, key=key, ssh=partial(self._ssh, for_peers=for_peers))

    # --- inventory -----------------------------------------------------------------------------------------------

    def push(self, service: Service, status: ServiceStatus | None = None, *, dry_run: bool = False) -> Record:
        """Put a service's configuration, status and guest facts into the node's own store, and publish them.

        Also keeps each guest's definition, so that a start can define a guest that the node has lost.

        Args:
            service: The service.
            status: Its status, where that is known already; who pushes many services looks at all of them at once.
            dry_run: Whether it is only to be collected and compared; nothing is kept or published.

        Returns:
            What was collected, what has changed, and what could not be stored or published.
        """
        return self._collector.push(service, status or self.status(service), self.facts(service), dry_run=dry_run)

    def disk_usage(self) -> Usage:
        """Find out who uses which disk of this node: guests, of services or not, and services themselves.

        Returns:
            The uses; why there may be others is among its ``gaps``.

        Raises:
            ConfigError: The directory of services cannot be read.
        """
        from vmsvc.core.disks.usage import usage_of  # noqa: PLC0415

        return usage_of(self._readable(), self._drivers.of_guest)

    def diskupdate(self, service: Service, usage: Usage | None = None, *, dry_run: bool = False) -> Record:
        """Put the disks of a service's guests into the node's own store, and publish them.

        Args:
            service: The service.
            usage: Who uses which disk of this node, where that is known already; who updates many services finds it
                out once.
            dry_run: Whether they are only to be collected and compared; nothing is kept or published.

        Returns:
            What was collected, what has changed, and what could not be stored or published.

        Raises:
            DriverError: A guest is not known on this node, so its disks are not known either.
            Undetermined: A hypervisor did not answer.
        """
        from vmsvc.core.documents import envelope, inventories  # noqa: PLC0415
        from vmsvc.core.guests.inventory import ask  # noqa: PLC0415

        usage = usage or self.disk_usage()
        rows: list[envelope.Data] = []
        for guest in service.guests:
            try:
                found = ask(guest, self._drivers.of_guest(guest), Capability.DISKS)
            except VmsvcError as error:
                raise type(error)(problems=[error.within(section=guest.rid, file=str(service.file))]) from error
            rows += inventories.used_disks(guest, found, usage)
        return self._collector.record(service.name, "disks", rows, usage.problems, dry_run=dry_run)

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
        from vmsvc.core.records.record import history  # noqa: PLC0415

        return history(self._store.history(service, topic))

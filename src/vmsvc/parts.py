"""What a session is made of: its node, plugins, services, drivers and files, each made when it is first needed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from attrs import frozen

from vmsvc import hookspecs
from vmsvc.core.config import (
    Catalog,
    load_service,
    parse_service,
    read_node,
    service_file,
    service_files,
    service_names,
)
from vmsvc.core.drivers import Drivers
from vmsvc.core.errors import ConfigError, Problem
from vmsvc.core.execution.journal import SUFFIX, Journal, with_journals
from vmsvc.core.execution.lock import holder_of, with_holders
from vmsvc.core.kinds import App, Reserved
from vmsvc.core.lazily import Lazily
from vmsvc.core.node import Node
from vmsvc.core.observe import DriverFinder
from vmsvc.core.plugins import PluginHost, PluginReport, load_plugins
from vmsvc.core.service import Service

# A look is what is asked for most often, and start-up is most of what it costs: what only others need is imported where
# it is made.
if TYPE_CHECKING:
    from typing_extensions import Self

    from vmsvc.core.apps import AppDriver
    from vmsvc.core.collecting import Collector
    from vmsvc.core.contract import Driver
    from vmsvc.core.disks.reservations import ReservationDriver
    from vmsvc.core.disks.surroundings import Surroundings
    from vmsvc.core.guests.inventory import GuestFacts
    from vmsvc.core.inside.place import Places
    from vmsvc.core.inside.ways import Ways
    from vmsvc.core.peers.asking import Peers
    from vmsvc.core.peers.elsewhere import Elsewhere
    from vmsvc.core.planning.rules import Consent
    from vmsvc.core.records.store import Store
    from vmsvc.core.resource import Guest
    from vmsvc.core.transport.local import LocalHost
    from vmsvc.core.transport.ssh import SshHost


T = TypeVar("T")


class made_once(cached_property[T]):  # noqa: N801 - it is used as a decorator
    """A cached property that is made once, also where several threads are the first to ask for it.

    From Python 3.12 on, :class:`functools.cached_property` alone would make one for each of them.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        super().__init__(make)
        self._making = threading.RLock()

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> T: ...
    def __get__(self, instance: object, owner: type[Any] | None = None) -> Any:
        """What it is for an instance; by the second time, Python looks it up without asking here."""
        with self._making:
            return super().__get__(instance, owner)


@frozen(kw_only=True)
class Going:
    """What other processes do, or did, to a service.

    Attributes:
        action: Which action is going on; empty for none.
        cut_short: Which one was cut short; empty for none.
    """

    action: str = ""
    cut_short: str = ""


class Parts:
    """The parts of a session, and their end.

    Args:
        environment: Where ``VMSVC_ROOT``, ``VMSVC_NODENAME`` and the plugins' switches are looked up; the process's
            own environment when not given.

    Attributes:
        asks_peers: Whether looks may ask other nodes where something here speaks for it; starts always do.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self.asks_peers = True

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
        if "_ways" in self.__dict__:
            self._ways.close()
        if "_peers" in self.__dict__:
            self._peers.close()
        if "_host" in self.__dict__:
            self._host.close()

    @made_once
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

    @made_once
    def catalog(self) -> Catalog:
        """The types of resource that installed drivers serve, and the options of each."""
        drivers = self._plugin_host.drivers
        return Catalog(
            classes=Lazily(lambda key: drivers[key].options, drivers.keys),
            refused=self._plugin_host.refused_types,
            capabilities=Lazily(lambda key: {str(each.value) for each in drivers[key].capabilities}, drivers.keys),
        )

    def services(self) -> list[str]:
        """The names of the node's services, sorted.

        Raises:
            ConfigError: The directory of services cannot be read.
        """
        return service_names(self.node)

    def files(self) -> dict[str, list[Path]]:
        """The files of the node's services, by the services' names: to read many of them, each by its path.

        More than one for a name is a mistake, of which :meth:`load` tells when it is given the name.

        Raises:
            ConfigError: The directory of services cannot be read.
        """
        return service_files(self.node)

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
        return self._with_left_over(load_service(path, self.node, self.catalog))

    def _with_left_over(self, service: Service) -> Service:
        """A service, with what it does not want reserved any more, and this node has reserved."""
        if not self.node.reservations_dir(service.name).exists():
            return service
        from vmsvc.core.disks.ledger import Ledger  # noqa: PLC0415 - only who has reserved pays for it

        return Ledger(self.node).with_left_over(service)

    def with_applications(self, service: Service) -> Service:
        """A service with the applications that its guests may have without a section: there may be launchers in them.

        Args:
            service: The service.

        Returns:
            The same, where its file has applications or no guest.

        Raises:
            ConfigError: Its file has changed meanwhile, and is wrong.
        """
        if not service.guests or any(isinstance(resource, App) for resource in service.resources):
            return service
        found, problems = parse_service(
            service.file, self.node, self.catalog, name=service.name, with_applications=True
        )
        if found is None:
            raise ConfigError(problems=problems)
        return self._with_left_over(found)

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

    # --- what does the work --------------------------------------------------------------------------------------

    @made_once
    def _plugin_host(self) -> PluginHost:
        return load_plugins(hookspecs, environment=self._environment)

    @made_once
    def _host(self) -> LocalHost:
        from vmsvc.core.transport.local import LocalHost  # noqa: PLC0415

        return LocalHost(self.node.name)

    @made_once
    def _drivers(self) -> Drivers:
        return Drivers(self.node, lambda: self._host, self._plugin_host.drivers, self._located)

    @made_once
    def _collector(self) -> Collector:
        from vmsvc.core.collecting import Collector  # noqa: PLC0415
        from vmsvc.core.records.publishing import Publishers  # noqa: PLC0415

        publishers = Publishers(self._plugin_host.hook.vmsvc_publishers, self.node)
        return Collector(self.node, self._store, publishers.publish, self._keep)

    def _keep(self, facts: GuestFacts) -> tuple[Problem, ...]:
        from vmsvc.core.guests import definitions  # noqa: PLC0415

        return definitions.keep(self.node, facts, self._drivers.of_guest(facts.guest))

    @made_once
    def _store(self) -> Store:
        from vmsvc.core.records.store import Store  # noqa: PLC0415

        return Store(self.node.state_dir / "store.sqlite")

    def _finder(
        self,
        services: Sequence[Service],
        consent: Consent | None = None,
        tell: Callable[[str], None] = lambda _: None,
        cancelled: threading.Event | None = None,
    ) -> DriverFinder:
        """How drivers are found. Disks are reserved with what one action's operator has agreed to."""
        disks = [each for service in services for each in service.resources if isinstance(each, Reserved)]
        reserving = self._reserving(services, consent, tell, cancelled) if disks else None
        return self._drivers.finder(services, reserving=reserving, tell=tell, cancelled=cancelled)

    def _located(
        self, services: Sequence[Service], tell: Callable[[str], None], cancelled: threading.Event | None
    ) -> dict[str, Driver[Any]]:
        """The drivers of what may be inside guests, by kind; only who has such resources pays for them."""
        found: dict[str, Driver[Any]] = {}
        kinds = {each.kind for service in services for each in service.resources}
        if "ip" in kinds:
            from vmsvc.core.ips.driver import IpDriver  # noqa: PLC0415
            from vmsvc.core.ips.ledger import Ledger  # noqa: PLC0415

            found["ip"] = IpDriver(self._places(services), Ledger(self.node), self._elsewhere(services))
        if "app" in kinds:
            found["app"] = self._apps(services, tell, cancelled)
        return found

    def _elsewhere(self, services: Sequence[Service]) -> Callable[[Guest, float], tuple[str, str]] | None:
        """How other nodes are asked where guests are; ``None`` where there are none, or they are not to be asked."""
        if not self.asks_peers or not any(service.peers_of(self.node) for service in services):
            return None

        @cache
        def elsewhere() -> Elsewhere:
            from vmsvc.core.peers.elsewhere import Elsewhere  # noqa: PLC0415 - only who asks peers pays for it

            return Elsewhere(lambda: self._peers, {service.name: service for service in services}, self.node)

        return lambda guest, budget_s: elsewhere().of(guest, budget_s)

    def _apps(
        self,
        services: Sequence[Service],
        tell: Callable[[str], None] = lambda _: None,
        cancelled: threading.Event | None = None,
    ) -> AppDriver:
        from vmsvc.core.apps import AppDriver  # noqa: PLC0415
        from vmsvc.core.inside.outputs import keep_output  # noqa: PLC0415

        return AppDriver(self._places(services), tell, partial(keep_output, self.node), cancelled)

    def _places(self, services: Sequence[Service]) -> Places:
        """Where the addresses and applications of some services are."""
        from vmsvc.core.inside.place import Places  # noqa: PLC0415

        return Places(
            services={service.name: service for service in services},
            ways=self._ways,
            node=lambda: self._host,
            driver_of=self._drivers.of_guest,
        )

    @made_once
    def _ways(self) -> Ways:
        from vmsvc.core.inside.ways import Ways  # noqa: PLC0415 - only who goes inside pays for it

        return Ways(self._drivers.of_guest, self._ssh)

    def _reach(self, guest: Guest, budget_s: float) -> None:
        """Run nothing inside a guest: whether there is a way in."""
        from vmsvc.core.inside import verbs  # noqa: PLC0415
        from vmsvc.core.inside.ways import Way  # noqa: PLC0415

        if self._ways.way_into(guest) is Way.NONE:
            return
        self._ways.forget(guest)
        inside = self._ways.into(guest)
        if guest.has_shell:
            verbs.greet(inside, budget_s=budget_s)
        else:
            inside.run(("hostname",), budget_s=budget_s)

    def _forget(self, guest: Guest) -> None:
        """Have the next look inside a guest not trust in an earlier one that was in vain."""
        if "_ways" in self.__dict__:
            self._ways.forget(guest)

    def _renew(self, guest: Guest) -> None:
        """Have the next look inside a guest that was started go by a new connection."""
        if "_ways" in self.__dict__:
            self._ways.renew(guest)

    @made_once
    def _peers(self) -> Peers:
        from vmsvc.core.peers.asking import Peers  # noqa: PLC0415 - only who asks peers pays for it

        return Peers(partial(self._ssh, for_peers=True))

    def _ssh(self, target: str, *, for_peers: bool = False, is_own: bool = True) -> SshHost:
        """A guest or a peer by ssh: with vmsvc's own key where it is taken, or with the admin's keys alone."""
        from vmsvc.core.transport.ssh import SshHost  # noqa: PLC0415

        own_key = self._own_key_file(for_peers=for_peers) if is_own else None
        return SshHost(target, known_hosts=self.node.state_dir / "ssh" / "known_hosts", own_key=own_key)

    def _own_key_file(self, *, for_peers: bool) -> Path:
        """One key for each role: a host may be both, and a line of ``authorized_keys`` runs one script for a key."""
        return self.node.state_dir / "ssh" / ("id_ed25519_peers" if for_peers else "id_ed25519")

    def _reserving(
        self,
        services: Sequence[Service],
        consent: Consent | None = None,
        tell: Callable[[str], None] = lambda _: None,
        cancelled: threading.Event | None = None,
    ) -> ReservationDriver:
        from vmsvc.core.disks.reservations import ReservationDriver  # noqa: PLC0415 - only who reserves pays for it

        force = consent.force if consent else ()
        despite = consent is not None and consent.despite_lost_keys
        return ReservationDriver(
            self._surroundings(services), force=force, despite_lost_keys=despite, tell=tell, cancelled=cancelled
        )

    def _surroundings(self, services: Sequence[Service]) -> Surroundings:
        from vmsvc.core.disks.surroundings import Surroundings, quirks_of  # noqa: PLC0415
        from vmsvc.core.estate import Estate  # noqa: PLC0415

        return Surroundings(
            self.node,
            self.catalog,
            self._drivers,
            services,
            estate=lambda: Estate.of(self.node, self.catalog),
            host=lambda: self._host,
            quirks=lambda: quirks_of(self._plugin_host.hook.vmsvc_disk_quirks),
        )

    def _readable(self) -> Iterator[Service]:
        """Every service of the node that can be read."""
        for name in self.services():
            service, _ = self.examine(name)
            if service is not None:
                yield service

    @property
    def _journals(self) -> Path:
        return self.node.state_dir / "journal"

    def _journal(self, service: Service) -> Journal:
        return Journal(self._journals / f"{service.name}{SUFFIX}")

    def _goings_on(self, services: Iterable[Service]) -> dict[str, Going]:
        """For each service, another action that is going on, or one that was cut short."""
        # In this order: an action takes its lock before it writes its journal, and lets it go after.
        asked = list(services)
        held = with_holders(self.node, [service.name for service in asked])
        acted_on = with_journals(self._journals)
        found: dict[str, Going] = {}
        for service in asked:
            holder = holder_of(self.node, service.name) if service.name in held else ""
            unfinished = self._journal(service).unfinished() if service.name in acted_on else None
            is_cut_short = not holder and unfinished is not None and unfinished.pid != os.getpid()
            found[service.name] = Going(action=holder, cut_short=str(unfinished) if is_cut_short else "")
        return found

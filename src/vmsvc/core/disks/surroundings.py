"""What reserving disks has to know of services, guests and peers, put together for one look or action."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from vmsvc.core.answers import GuestDisk
from vmsvc.core.config import Catalog, as_seen_by
from vmsvc.core.contract import Capability
from vmsvc.core.disks.keyring import Keyring
from vmsvc.core.disks.ledger import Ledger
from vmsvc.core.disks.rivals import Rivals, rivals_of
from vmsvc.core.disks.usage import Usage, usage_of
from vmsvc.core.drivers import Drivers
from vmsvc.core.errors import Undetermined, told
from vmsvc.core.estate import Estate
from vmsvc.core.guests.inventory import ask
from vmsvc.core.kinds import Disk, Reserved, Vmdg
from vmsvc.core.lane import call_within
from vmsvc.core.node import Node
from vmsvc.core.observe import observe
from vmsvc.core.planning.needs import needs_of
from vmsvc.core.planning.rules import judge_need
from vmsvc.core.resource import Guest
from vmsvc.core.service import Service
from vmsvc.core.transport import Host
from vmsvc.core.verb import Verb
from vmsvc.core.vmdg.keys import parse_key
from vmsvc.core.vmdg.quirks import KNOWN, Quirks
from vmsvc.core.vmdg.seen import OtherDisk, ScsiDisk
from vmsvc.core.vmdg.tool import Tool
from vmsvc.core.vmdg.tools import DiskFinder, new_tool
from vmsvc.core.vmdg.tools.capacity import restore_capacity
from vmsvc.core.vmdg.tools.holding import use_of

_log = logging.getLogger(__name__)

#: By which codes a driver says positively that a guest is not known on this node.
ABSENT = ("driver.absent", "driver.no-guest")

#: How long all hypervisors of the node have to name the disks of their guests, in seconds.
_NAMING_S = 8.0

#: How long one request to a device may take, in seconds: of an action, and of a look, which has a status' time.
_ACTING_S, _LOOKING_S = 15.0, 3.0
#: How long a plugin may take to name quirks, in seconds.
_ASK_S = 3.0


class Surroundings:
    """Services, guests, peers and devices, as reservations need to know them.

    Args:
        node: The node.
        catalog: What the drivers declare, to read services as their peers see them.
        drivers: The drivers of guests.
        services: The services that are looked at, or acted on.
        estate: Reads every service of the node; called only where it matters who else has a disk.
        host: The host whose disks they are, when it is first needed.
        quirks: What plugins know of arrays, when it is first needed.
    """

    def __init__(
        self,
        node: Node,
        catalog: Catalog,
        drivers: Drivers,
        services: Iterable[Service],
        *,
        estate: Callable[[], Estate],
        host: Callable[[], Host],
        quirks: Callable[[], Iterable[Quirks]] = tuple,
    ) -> None:
        self.keyring = Keyring(node)
        self.ledger = Ledger(node)
        self._node = node
        self._catalog = catalog
        self._drivers = drivers
        self._services = {service.name: service for service in services}
        self._seen_by: dict[tuple[str, str], Service | None] = {}
        self._read_estate = estate
        self._host = host
        self._quirks = quirks

    @cached_property
    def tool(self) -> Tool:
        """What asks devices, and is waited for: what was asked for must not happen later."""
        return new_tool(self._host(), budget_s=_ACTING_S)

    @cached_property
    def looking(self) -> Tool:
        """What asks devices for a status, within a status' time."""
        return new_tool(self._host(), budget_s=_LOOKING_S)

    def devices(self, names: Sequence[str]) -> Sequence[ScsiDisk | OtherDisk]:
        """What is behind the names of disks, each logical unit once.

        Args:
            names: As guests' definitions and service files give them.
        """
        return self._finder.find(names)

    def units(self, units: Sequence[tuple[str, str]]) -> Sequence[ScsiDisk | OtherDisk]:
        """The disks that have World Wide IDs, whatever they are called now.

        Args:
            units: The World Wide ID of each, and what it was called once.
        """
        return self._finder.find_units(units)

    @cached_property
    def _finder(self) -> DiskFinder:
        scsi_hosts = [str(number) for number in self._node.scsi_hosts]
        return DiskFinder(self._host(), scsi_hosts=scsi_hosts, quirks=(*self._quirks(), *KNOWN))

    def restore_capacity(self, paths: Sequence[str]) -> Sequence[str]:
        """Have the kernel ask disks for their capacity again, where it takes them for empty since another had them.

        Args:
            paths: Block devices.

        Returns:
            Those that it still takes for empty.
        """
        return restore_capacity(paths)

    def listed_beside(self, resource: Reserved) -> frozenset[str]:
        """The World Wide IDs of the disks that the other resources of a service list, and reserve.

        Args:
            resource: The resource that is not meant.
        """
        lists = [
            each
            for each in self._services[resource.service].resources
            if isinstance(each, Disk) and each.scsireserv and not each.disable and each.rid != resource.rid
        ]
        found = self.devices([name for each in lists for name in each.devices])
        return frozenset(disk.wwid for disk in found if isinstance(disk, ScsiDisk))

    def guest_disks(self, group: Vmdg) -> Sequence[GuestDisk]:
        """The disks of a group's guest, as its driver names them.

        Args:
            group: The group.

        Raises:
            DriverError: The guest is not known on this node.
            Undetermined: They could not be named.
        """
        return self._disks_of(self._services[group.service], group)

    def peer_keys(self, disks: Reserved) -> Mapping[str, int]:
        """The keys by which the other nodes are known on a resource's disks, by node.

        What a service's file gives a peer by ``prkey@node`` counts before what the node was told.

        Args:
            disks: The resource.
        """
        service = self._services[disks.service]
        found = dict(self.keyring.peers())
        for peer in service.peers_of(self._node):
            as_seen = self._as_seen_by(peer, service)
            theirs = next((each for each in as_seen.resources if each.rid == disks.rid), None) if as_seen else None
            if isinstance(theirs, Reserved) and theirs.prkey:
                found[peer.casefold()] = parse_key(theirs.prkey)
        return found

    def _as_seen_by(self, peer: str, service: Service) -> Service | None:
        """A service as another node reads its file; read once, since each of its disks and each key asks for it."""
        if (service.name, peer) not in self._seen_by:
            self._seen_by[service.name, peer] = as_seen_by(peer, service, self._node, self._catalog)
        return self._seen_by[service.name, peer]

    def keys_of_peers(self, disks: Reserved) -> Mapping[str, int | None]:
        """The key of each other node of a resource's service; ``None`` where it is not known here.

        Args:
            disks: The resource.
        """
        known = self.peer_keys(disks)
        peers = self._services[disks.service].peers_of(self._node)
        return {peer: known.get(peer.casefold()) for peer in peers}

    def use_of(self, disk: ScsiDisk) -> str:
        """What this node's kernel uses a disk for, in words; empty where it does not.

        Args:
            disk: The disk.
        """
        return use_of(disk)

    def is_in_use(self, disks: Reserved) -> bool:
        """Whether something of the service may be writing to a resource's disks: it is not positively down.

        Args:
            disks: The resource.
        """
        service = self._services[disks.service]
        needs = needs_of(Verb.STOP, disks, service)
        if {need.rid for need in needs} - {each.rid for each in service.resources}:
            return True  # what used them has left the file, and nobody sees what it does
        seen = observe([service.resource(need.rid) for need in needs], self._drivers.finder([service]))
        return any(judge_need(need, seen[service.name, need.rid], ()) for need in needs)

    def guests_of(self, disks: Reserved) -> tuple[Guest, ...]:
        """The guests that use a resource's disks.

        Args:
            disks: The resource.
        """
        guests = self._services[disks.service].guests
        return tuple(each for each in guests if not isinstance(disks, Vmdg) or each.rid == disks.container_id)

    def rivals(self, disks: Reserved) -> Rivals:
        """Who else of this node may write to the disks of a resource.

        Args:
            disks: The resource.

        Raises:
            VmsvcError: The services of the node, or its records, cannot be read.
        """
        return rivals_of(disks, self._usage, self._estate, self.ledger.others(disks), self.devices)

    @cached_property
    def _estate(self) -> Estate:
        """The services of the node, those that are acted on as they are known here."""
        found = self._read_estate()
        return Estate(
            services=tuple({**{each.name: each for each in found.services}, **self._services}.values()),
            unread=tuple(each for each in found.unread if each.name not in self._services),
        )

    @cached_property
    def _usage(self) -> Usage:
        return usage_of(self._estate.services, self._drivers.of_guest, budget_s=_NAMING_S)

    def _disks_of(self, service: Service, group: Vmdg) -> Sequence[GuestDisk]:
        guest = service.resource(group.container_id)
        assert isinstance(guest, Guest)
        disks: Sequence[GuestDisk] | None = ask(guest, self._drivers.of_guest(guest), Capability.DISKS)
        if disks is None:
            raise Undetermined(f"the driver of type {guest.type} cannot name a guest's disks")
        return disks


def quirks_of(hook: Any) -> tuple[Quirks, ...]:
    """What plugins know of arrays; a plugin that fails is logged, and the others count.

    Args:
        hook: The hook ``vmsvc_disk_quirks``, of the plugins in use.
    """
    found: list[Quirks] = []
    for implementation in reversed(hook.get_hookimpls()):
        plugin = implementation.plugin_name
        try:
            rows: list[object] = call_within(f"the plugin {plugin}", implementation.function, budget_s=_ASK_S)
            if not all(isinstance(row, Quirks) for row in rows):
                raise TypeError(f"{rows!r} are no quirks")
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises, disks are read as usual
            _log.warning("the plugin %s could not tell the quirks of disks: %s", plugin, told(error))
        else:
            found += [row for row in rows if isinstance(row, Quirks)]
    return tuple(found)

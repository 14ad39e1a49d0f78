"""What a server tells of all its guests and hosts, in one request for each thousand of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from vmsvc.driver import DriverError, Undetermined
from vmsvc_esx import faults, machines
from vmsvc_esx.machines import Machine, pick
from vmsvc_esx.options import EsxGuest
from vmsvc_esx.session import Place

#: How many guests come in one answer: of more, the server is asked for the rest.
PAGE = 1000
# Roles of every server that let their user see nothing of what an object is: View, Anonymous and No access
# (vSphere Web Services API, AuthorizationManager, system roles).
_BLIND_ROLES = frozenset({-3, -4, -5})
_ROLES = "effectiveRole"  # of a ManagedEntity: what the session's user may do with it
_WHOLE_INVENTORY = "give it a role on the whole inventory (read-only is enough to look)"


@frozen(kw_only=True)
class Survey:
    """What a server has told.

    Attributes:
        server: Its address.
        told: The guests, each with its properties by their names.
        hosts: What each of its hosts is acted upon by, by their names.
        is_whole: Whether the user sees the whole inventory, and not a part of it.
    """

    server: str
    told: Mapping[Machine, Mapping[str, Any]]
    hosts: Mapping[str, str]
    is_whole: bool

    def find(self, guest: EsxGuest, around: Sequence[Machine] | None = None) -> Machine | None:
        """The guest that a service means; ``None`` where the server positively has none such.

        Args:
            guest: The guest, as the service describes it.
            around: All guests that it may be, where somebody knows; else all that there are.

        Raises:
            Undetermined: That cannot be told; or the server has no such host as the service names.
        """
        if guest.host:
            self.host(guest.host)
        found = pick(guest, list(self.told) if around is None else around)
        # A user whose role is on a part of the inventory sees that part alone.
        if found is None and not self.is_whole:
            raise Undetermined(
                f"{self.server} shows this user a part of its inventory: guests may be there that are not shown",
                code="undetermined.blind",
                hint=_WHOLE_INVENTORY,
            )
        return found

    def described(self, guest: EsxGuest) -> Machine:
        """The guest that a service means, and that must be there.

        Args:
            guest: The guest, as the service describes it.

        Raises:
            DriverError: There is no such guest.
            Undetermined: That cannot be told.
        """
        found = self.find(guest)
        if found is None:
            raise DriverError(f"{guest.server} has no guest named {guest.name!r}", code=faults.ABSENT)
        return found

    def __contains__(self, host: str) -> bool:
        """Whether the server shows a host of a name."""
        return host.lower() in (known.lower() for known in self.hosts)

    def host(self, name: str) -> str:
        """What a host is acted upon by.

        Args:
            name: Its name; upper and lower case are the same, as in the DNS.

        Raises:
            Undetermined: The server shows no such host: which host is meant is not known.
        """
        for known, identity in self.hosts.items():
            if known.lower() == name.lower():
                return identity
        listed = ", ".join(sorted(self.hosts)) or "none"
        raise Undetermined(
            f"{self.server} shows no host {name!r} to this user; it shows: {listed}",
            code="undetermined.no-such-host",
            hint="set `host` to the host's name in the inventory",
        )


def take(server: str, place: Place, more: Sequence[str]) -> Survey:
    """Ask a server for all its guests and hosts.

    Args:
        server: Its address.
        place: The session.
        more: Further properties of guests to ask for.

    Raises:
        Undetermined: It shows nothing.
    """
    from vmsvc_esx.soap import vim  # noqa: PLC0415 - loaded by now

    told: dict[str, dict[str, Any]] = {}
    hosts: dict[str, str] = {}
    autostarts = []
    roles: Sequence[int] = ()
    for one in _answers(place, [*machines.PROPERTIES, *more]):
        found = {each.name: each.val for each in one.propSet}
        identity = str(one.obj._moId)  # noqa: SLF001 - pyvmomi has no other name for it
        if isinstance(one.obj, vim.VirtualMachine):
            told[identity] = found
        elif isinstance(one.obj, vim.Folder):
            roles = found.get(_ROLES, ())
        else:
            hosts[str(found.get("name", ""))] = identity
            autostarts.append(found.get(machines.AUTOSTART))
    if not told and not autostarts:
        raise Undetermined(
            f"{server} shows neither guests nor hosts to this user", code="undetermined.blind", hint=_WHOLE_INVENTORY
        )
    names = {identity: name for name, identity in hosts.items()}
    read = machines.started_by_hosts([machines.read(*each, names) for each in told.items()], autostarts)
    return Survey(
        server=server,
        told={machine: told[machine.id] for machine in read},
        hosts=hosts,
        is_whole=bool(frozenset(roles) - _BLIND_ROLES),
    )


def _answers(place: Place, paths: Sequence[str]) -> list[Any]:
    """What the server tells of guests, of hosts, and of what the user may see: one answer for each page."""
    from vmsvc_esx.soap import vim, vmodl  # noqa: PLC0415 - loaded by now

    query = vmodl.query.PropertyCollector
    each = query.TraversalSpec(type=vim.view.ContainerView, path="view", skip=False)
    spec = query.FilterSpec(
        objectSet=[
            query.ObjectSpec(obj=place.view, skip=True, selectSet=[each]),
            query.ObjectSpec(obj=place.content.rootFolder),
        ],
        propSet=[
            query.PropertySpec(type=vim.Folder, pathSet=[_ROLES]),
            query.PropertySpec(type=vim.VirtualMachine, pathSet=list(paths)),
            query.PropertySpec(type=vim.HostSystem, pathSet=list(machines.HOST_PROPERTIES)),
        ],
    )
    collector = place.content.propertyCollector
    answer = collector.RetrievePropertiesEx([spec], query.RetrieveOptions(maxObjects=PAGE))
    objects: list[Any] = []
    while answer is not None:
        objects += answer.objects
        answer = collector.ContinueRetrievePropertiesEx(answer.token) if answer.token else None
    return objects

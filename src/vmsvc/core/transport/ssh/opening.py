"""Opening a connection: by jump hosts or a proxy command, with pinned host keys, and words for what goes wrong."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import paramiko
from attrs import define, field
from fabric import Connection

from vmsvc.core.errors import NoWayIn
from vmsvc.core.transport.ssh import configuration, wire
from vmsvc.core.transport.ssh.known_hosts import HostKey, KnownHosts, server_name
from vmsvc.core.transport.ssh.proxy import ProxyCommand
from vmsvc.core.transport.ssh.refusals import Place, refusal

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # else Python prints its complaints


@define
class Way:
    """How to get somewhere, and how far that has come.

    Attributes:
        target: The host, alias or address.
        user: Who logs in, unless the target or the admin's configuration says so.
        known_hosts: The pinned host keys.
        own_key: The file of vmsvc's own key.
        config: A file to read instead of the admin's configuration.
        doing: What is being done now, for a message about how long it takes.
        let_in_by_own_key: Whether vmsvc's own key was taken, once the way is open.
    """

    target: str
    user: str
    known_hosts: KnownHosts
    own_key: Path | None = None
    config: Path | None = None
    doing: str = "reading the ssh configuration"
    let_in_by_own_key: bool = False
    _opened: list[Any] = field(factory=list, init=False)
    _is_closed: bool = field(default=False, init=False)

    def open(self) -> wire.Transport:
        """Open it.

        Returns:
            The connection to the target, somebody logged in.

        Raises:
            NoWayIn: It cannot be opened; nothing was run anywhere.
        """
        before: Connection | None = None
        for connection in self._route():
            self._open(connection, before)
            before = connection
        assert before is not None
        transport: wire.Transport = before.transport
        return transport

    def pinned(self) -> list[HostKey]:
        """The keys that are pinned for the host where it leads. Opens nothing.

        Raises:
            NoWayIn: The configuration, or the file of pinned keys, cannot be read.
        """
        return self.known_hosts.keys(_name_of(self._route()[-1]))

    def close(self) -> None:
        """Close all that has been opened on the way, from any thread, and without waiting."""
        self._is_closed = True
        for each in [*self._opened]:  # the one nearest to us first: what is behind it has nobody to say goodbye to then
            wire.close(each)

    def _route(self) -> list[Connection]:
        return configuration.route(self.target, configuration.load(self.config), user=self.user, own_key=self.own_key)

    def _open(self, connection: Connection, before: Connection | None) -> None:
        place = Place(connection.user, connection.host, connection.port)
        name = _name_of(connection)

        def transport(link: Any, **options: Any) -> wire.Transport:
            made = wire.Transport(link, **options)
            made.prefer(self.known_hosts.types(name))
            self._keep(made)
            return made

        def check(key: HostKey) -> None:
            self.known_hosts.check(name, key)
            self.doing = f"logging in as {place.user} on {place}"

        proxy: ProxyCommand | None = None
        try:
            proxy = self._proxy(connection, before, place)
            link = proxy.link if proxy else self._link(connection, before, place)
            self.doing = f"waiting for the ssh server on {place}"
            connection.client.set_missing_host_key_policy(_Pinning(check))
            connection.connect_kwargs.update(
                sock=link,
                banner_timeout=configuration.LOGIN_S,
                auth_timeout=configuration.LOGIN_S,
                transport_factory=transport,
            )
            offered = connection.open()
            self.let_in_by_own_key = offered[-1].source.is_own
        except NoWayIn:
            raise
        except Exception as error:  # noqa: BLE001 - paramiko raises what it meets, too
            raise refusal(error, place, proxy.end if proxy else "") from None

    def _proxy(self, connection: Connection, before: Connection | None, place: Place) -> ProxyCommand | None:
        line = connection.ssh_config.get("proxycommand")
        if before is not None or not line:
            return None
        self.doing = f"waiting for the ProxyCommand to {place}"
        proxy: ProxyCommand = self._keep(ProxyCommand(line))
        return proxy

    def _link(self, connection: Connection, before: Connection | None, place: Place) -> Any:
        limit_s = configuration.connect_s(connection)
        if before is not None:
            self.doing = f"asking {before.host} to connect to {place}"
            return self._keep(wire.jumped(before.transport, place.host, place.port, limit_s))
        self.doing = f"connecting to {place}"
        return self._keep(wire.connected(place.host, place.port, limit_s))

    def _keep(self, opened: Any) -> Any:
        self._opened.append(opened)
        if self._is_closed:
            wire.close(opened)
        return opened


def _name_of(connection: Connection) -> str:
    """How the server is called where keys are pinned."""
    name: str = connection.ssh_config.get("hostkeyalias") or server_name(connection.host, connection.port)
    return name


class _Pinning(paramiko.MissingHostKeyPolicy):
    """Compares host keys by vmsvc's own file; fabric would take any."""

    def __init__(self, check: Any) -> None:
        self._check = check

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        del client, hostname
        self._check(HostKey(key.get_name(), key.asbytes()))

"""All services of a node, those whose files cannot be read among them: what is not known is no "no"."""

from __future__ import annotations

from pathlib import Path

from attrs import field, frozen

from vmsvc.core import config
from vmsvc.core.answers import FoundGuest
from vmsvc.core.config import Catalog, Claims, identity
from vmsvc.core.errors import VmsvcError
from vmsvc.core.node import Node
from vmsvc.core.resource import Guest
from vmsvc.core.service import Service


@frozen(kw_only=True)
class Unread:
    """A service whose file cannot be read.

    Attributes:
        name: The service's name.
        file: The file; the name where not even that is certain.
        text: Its text; ``None`` where that is not to be had either.
    """

    name: str
    file: str
    text: str | None = None


@frozen(kw_only=True)
class Estate:
    """The services that a node has.

    Attributes:
        services: Those that can be read.
        unread: Those that cannot.
        claims: Which guests the services mean.
    """

    services: tuple[Service, ...] = ()
    unread: tuple[Unread, ...] = ()
    claims: Claims = field(init=False, repr=False)

    @claims.default
    def _claims(self) -> Claims:
        return Claims.of(self.services)

    @classmethod
    def of(cls, node: Node, catalog: Catalog) -> Estate:
        """Read a node's services.

        Args:
            node: The node.
            catalog: What the drivers declare.

        Raises:
            ConfigError: The directory of services cannot be read.
        """
        services: list[Service] = []
        unread: list[Unread] = []
        for name in config.service_names(node):
            path: Path | None = None
            try:
                path = config.service_file(node, name)
                services.append(config.load_service(path, node, catalog))
            except VmsvcError:
                unread.append(Unread(name=name, file=str(path or name), text=_text_of(path)))
        return cls(services=tuple(services), unread=tuple(unread))

    @property
    def names(self) -> frozenset[str]:
        """The names of all services."""
        return frozenset([*(each.name for each in self.services), *(each.name for each in self.unread)])

    def owner_of(self, guest: Guest) -> str:
        """The service that means a guest.

        Args:
            guest: The guest.

        Returns:
            Its name; empty where none does.
        """
        return next((service.name for service, _ in self.claims.by_guest.get(identity(guest), ())), "")

    def suspect_of(self, guest: FoundGuest) -> str:
        """A service whose file cannot be read, and which may mean a guest.

        Args:
            guest: The guest.

        Returns:
            Its name; empty where none can.
        """
        for each in self.unread:
            # A reference may make up any name.
            if each.text is None or guest.name == each.name or guest.name in each.text or "{" in each.text:
                return each.name
        return ""


def _text_of(path: Path | None) -> str | None:
    try:
        return None if path is None else config.read_text(path)
    except VmsvcError:
        return None

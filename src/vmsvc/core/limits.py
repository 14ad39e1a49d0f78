"""What an operator limits an action or a look to: some resources of a service. Pure."""

from __future__ import annotations

from attrs import frozen

from vmsvc.core.errors import UsageError
from vmsvc.core.resource import Reserved
from vmsvc.core.service import Service


@frozen(kw_only=True)
class Limits:
    """Which resources are meant. No words at all mean every one.

    Attributes:
        rids: Rids, or kinds for all resources of a kind: ``container#1``, ``container``.
        reserved: Whether only disks that are to be reserved are meant.
    """

    rids: tuple[str, ...] = ()
    reserved: bool = False

    def rids_of(self, service: Service) -> frozenset[str]:
        """The rids of the resources that are meant.

        Args:
            service: The service whose resources are looked at.

        Returns:
            Their rids; empty where nothing is limited, which means all.

        Raises:
            UsageError: A word means no resource of the service: a slip of the pen must not look like work done.
        """
        found: set[str] = set()
        for word in self.rids:
            of_word = {resource.rid for resource in service.resources if word in (resource.rid, resource.kind)}
            found |= of_word or {service.resource(word).rid}
        if not self.reserved:
            return frozenset(found)
        disks = {each.rid for each in service.resources if isinstance(each, Reserved) and each.scsireserv}
        if not disks:
            raise UsageError(
                f"{service.name} reserves no disks",
                code="usage.no-disks",
                hint="`scsireserv = true` in its [vmdg] or [disk#…] section has them reserved",
            )
        return frozenset(disks & found if found else disks)

"""What an operator limits an action or a look to: some resources of a service. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from vmsvc.core.errors import UsageError
from vmsvc.core.kinds import App, Reserved
from vmsvc.core.resource import Resource
from vmsvc.core.service import Service


@frozen(kw_only=True)
class Limits:
    """Which resources are meant: those that satisfy each sort of words that is given. No words at all mean every one.

    Attributes:
        rids: Rids, or kinds for all resources of a kind: ``container#1``, ``container``. One of them must fit.
        tags: Tags, or several joined by ``+`` that must all be there: ``web+front``. One of them must fit.
        subsets: Names of subsets. One of them must fit.
        reserved: Whether only disks that are to be reserved are meant.
        applications: Whether only applications are meant.
    """

    rids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    subsets: tuple[str, ...] = ()
    reserved: bool = False
    applications: bool = False

    def __bool__(self) -> bool:
        """Whether anything is limited."""
        return bool(self.rids or self.tags or self.subsets or self.reserved or self.applications)

    def rids_of(self, service: Service) -> frozenset[str]:
        """The rids of the resources that are meant.

        Args:
            service: The service whose resources are looked at.

        Returns:
            Their rids; empty where nothing is limited, which means all.

        Raises:
            UsageError: A word means no resource of the service, or no resource satisfies all of them: a slip of the pen
                must not look like work done.
        """
        if not self:
            return frozenset()
        found = {resource.rid for resource in service.resources}
        for sort, words in (("rid", self.rids), ("tag", self.tags), ("subset", self.subsets)):
            if words:
                found &= {rid for word in words for rid in _meant(sort, word, service)}
        if self.reserved:
            found &= _reserved(service)
        if self.applications:
            found &= _applications(service)
        if not found:
            raise UsageError(
                f"no resource of {service.name} is all of this: {self}",
                code="usage.no-such-resource",
                hint="each of --rid, --tags and --subset narrows what the others leave",
            )
        return frozenset(found)

    def __str__(self) -> str:
        """Read as on the command line: ``--rid container --tags front``."""
        sorts = (("--rid", self.rids), ("--tags", self.tags), ("--subset", self.subsets))
        written = [f"{option} {','.join(words)}" for option, words in sorts if words]
        kinds = (("reserved disks", self.reserved), ("applications", self.applications))
        return " ".join([*written, *(kind for kind, is_meant in kinds if is_meant)])


def _reserved(service: Service) -> set[str]:
    disks = {each.rid for each in service.resources if isinstance(each, Reserved) and each.may_be_held}
    if not disks:
        raise UsageError(
            f"{service.name} reserves no disks",
            code="usage.no-disks",
            hint="`scsireserv = true` in its [vmdg] or [disk#…] section has them reserved",
        )
    return disks


def _applications(service: Service) -> set[str]:
    found = {each.rid for each in service.resources if isinstance(each, App)}
    if not found:
        raise UsageError(
            f"{service.name} has neither an application nor a guest that could have one",
            code="usage.no-applications",
            hint="an [app#1] section has `start`, `stop` and `check`",
        )
    return found


def _meant(sort: str, word: str, service: Service) -> set[str]:
    """The rids of the resources that one word means; at least one."""
    if found := {resource.rid for resource in service.resources if _fits(sort, word, resource)}:
        return found
    if sort == "rid":
        return {service.resource(word).rid}  # which tells what there is
    known = {name for resource in service.resources for name in _names(sort, resource)}
    raise UsageError(
        f"{service.name} has no resource of {sort} {word}",
        code="usage.no-such-resource",
        hint=f"its {sort}s: {', '.join(sorted(known)) or 'none'}",
    )


def _fits(sort: str, word: str, resource: Resource) -> bool:
    wanted = word.split("+") if sort == "tag" else [word]
    return set(wanted) <= set(_names(sort, resource))


def _names(sort: str, resource: Resource) -> Iterable[str]:
    if sort == "rid":
        return (resource.rid, resource.kind)
    return resource.tags if sort == "tag" else filter(None, [resource.subset])

"""Where other resources have to be before a verb may be done: no guest without its disks. Pure."""

from __future__ import annotations

from vmsvc.core.errors import Problem, Severity
from vmsvc.core.kinds import App, Ip, Reserved, Vmdg
from vmsvc.core.planning.rules import Need
from vmsvc.core.resource import Resource
from vmsvc.core.service import Service
from vmsvc.core.verb import STARTING, Verb

#: What takes a resource away from who uses it.
_GIVING_UP = (Verb.STOP, Verb.KILL)


def needs_of(verb: Verb, resource: Resource, service: Service) -> tuple[Need, ...]:
    """Where other resources have to be for a verb: nothing runs without its disks, and no disk is given up under it.

    That a resource is optional changes nothing here: a guest on disks that somebody else may write to is never wanted.

    Args:
        verb: The verb.
        resource: The resource to which it is done.
        service: Its service.
    """
    if verb in STARTING and not isinstance(resource, Reserved):
        disks = tuple(Need(rid=disks.rid, up=True) for disks in service.resources if _must_be_up(disks, resource))
        return disks + _needs_of_insides(resource, service)
    if verb is Verb.WAIT:
        return _needs_of_insides(resource, service)
    if verb in _GIVING_UP and isinstance(resource, Reserved):
        return tuple(Need(rid=rid, up=False) for rid in dict.fromkeys(_users(resource, service)))
    return ()


def not_stopped_before(app: App, why: str) -> Problem:
    """A warning of an application that its guest takes down with it.

    Args:
        app: The application.
        why: Why it cannot be stopped first.
    """
    return Problem(
        message=f"{app.rid} is not stopped before its guest, and goes down with it: {why}",
        code="warning.not-stopped-before",
        section=app.rid,
        severity=Severity.WARNING,
    )


def nothing_to_reserve(disks: Reserved, why: str) -> Problem:
    """A warning of disks that are to be reserved, and of which none can be.

    Args:
        disks: The disks.
        why: Why not, of each.
    """
    return Problem(
        message=f"scsireserv is true, and there is nothing to reserve: {why}",
        code="warning.nothing-to-reserve",
        hint="nothing but you keeps other nodes from these disks; `scsireserv = false` says that this is meant",
        section=disks.rid,
        severity=Severity.WARNING,
    )


def warning_of(disks: Reserved, warning: str) -> Problem:
    """A warning of disks that are to be reserved, where something is not as one would think.

    Args:
        disks: The disks.
        warning: What it is.
    """
    return Problem(
        message=warning,
        code="warning.disks",
        hint=f"`vmsvc disks {disks.service}` shows all of them",
        section=disks.rid,
        severity=Severity.WARNING,
    )


def _needs_of_insides(resource: Resource, service: Service) -> tuple[Need, ...]:
    """Nothing is inside a guest that does not run; and who waits for what is inside need not wait for the dead."""
    if not service.is_inside_guest(resource):
        return ()
    is_plumbed = isinstance(resource, Ip) and resource.is_plumbed
    return (Need(rid=service.guest_of(resource).rid, up=True, or_prepared=is_plumbed),)


def _must_be_up(disks: Resource, user: Resource) -> bool:
    """Whether a resource reserves disks that another one writes to, as far as a service's file tells."""
    if not isinstance(disks, Reserved) or not disks.scsireserv or disks.disable or isinstance(user, Reserved):
        return False
    if isinstance(disks, Vmdg):
        return user.rid == disks.container_id
    return bool(user.budgets_s)


def _users(disks: Reserved, service: Service) -> tuple[str, ...]:
    """What may be writing to disks, whether they are reserved or not; a guest also where its section is gone."""
    if isinstance(disks, Vmdg):
        return (disks.container_id, *disks.former_users)
    users = [
        user.rid
        for user in service.resources
        if user.budgets_s and not isinstance(user, Reserved) and not service.is_inside_guest(user)
    ]
    return (*users, *disks.former_users)

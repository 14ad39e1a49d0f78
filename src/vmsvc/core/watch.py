"""Keys that are lost under a running guest: what a look at disks and guests means for who watches over them. Pure.

Whoever evicts a node makes its writes fail, and cannot stop its guests: a guest that goes on without its disks must be
noticed where it runs.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from attrs import frozen

from vmsvc.core.disk_sets import DiskReport
from vmsvc.core.errors import VmsvcError
from vmsvc.core.needs import needs_of
from vmsvc.core.resource import Reserved
from vmsvc.core.rules import DOWN
from vmsvc.core.service import Service
from vmsvc.core.status import Observation, Phase
from vmsvc.core.verb import Verb


class Concern(enum.Enum):
    """What a watcher has to say of the disks of one resource.

    Attributes:
        NONE: They are reserved, or nothing runs that could write to them.
        CARE: They are reserved, and something is wrong.
        UNKNOWN: They could not be read.
        LOST: Something may be writing to them, and this node's keys are gone from one of them: others may write, too.
    """

    NONE = "none"
    CARE = "care"
    UNKNOWN = "unknown"
    LOST = "lost"


@frozen(kw_only=True)
class Watched:
    """The disks of one resource, as a watcher sees them.

    Attributes:
        resource: The resource.
        concern: What there is to say.
        text: The same in words.
        hint: What to do next.
        users: The rids of what may be writing to the disks now.
    """

    resource: Reserved
    concern: Concern
    text: str
    hint: str = ""
    users: tuple[str, ...] = ()


@frozen(kw_only=True)
class Noticed:
    """What was noticed about one resource, and what came of it.

    Attributes:
        watched: What was seen.
        stopped: The rids of what was stopped by force, as the service wants it.
        error: Why that failed.
    """

    watched: Watched
    stopped: tuple[str, ...] = ()
    error: VmsvcError | None = None


def users_of(service: Service, disks: Reserved | None = None) -> tuple[str, ...]:
    """The rids of what may write to a service's reserved disks.

    Args:
        service: The service.
        disks: The resource whose disks are meant; all of them when not given.
    """
    meant = [disks] if disks else [each for each in service.resources if isinstance(each, Reserved)]
    return tuple(dict.fromkeys(need.rid for each in meant for need in needs_of(Verb.STOP, each, service)))


def watched(resource: Reserved, found: DiskReport | VmsvcError, users: Mapping[str, Observation]) -> Watched:
    """What a look at disks means.

    Args:
        resource: The resource; its disks are to be reserved.
        found: What the disks showed, or why they could not be named.
        users: What was seen of everything that may write to them, by rid.
    """
    running = tuple(rid for rid, seen in users.items() if seen.phase not in {*DOWN, Phase.INAPPLICABLE})
    if isinstance(found, VmsvcError):
        return Watched(resource=resource, concern=Concern.UNKNOWN, text=found.message, hint=found.hint, users=running)
    whole = found.whole
    if not running:
        text = f"nothing runs here that could write to them: {whole.state}"
        return Watched(resource=resource, concern=Concern.NONE, text=text)
    if whole.is_lost:
        text = f"this node's keys are lost under {', '.join(running)}: {whole.detail}"
        return Watched(resource=resource, concern=Concern.LOST, text=text, hint=_LOST_HINT, users=running)
    concern = _CONCERNS.get(whole.phase, Concern.CARE)
    return Watched(resource=resource, concern=concern, text=whole.detail, hint=whole.hint, users=running)


_LOST_HINT = "stop it; only if nobody else writes to the disks: `vmsvc pr start` reserves them again"
_CONCERNS = {Phase.RUNNING: Concern.NONE, Phase.INAPPLICABLE: Concern.NONE, Phase.UNKNOWN: Concern.UNKNOWN}

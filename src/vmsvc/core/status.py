"""Status words, the phases they come from, and how they merge. Pure.

Three laws live here, so that no driver can break them:

* *Down needs evidence.* A driver names the :class:`Phase` it saw; what it could not see is :attr:`Phase.UNKNOWN`.
* *Paused, crashed, migrating and the like are neither up nor down*: they are ``warn``, with the technology's own word.
* *Merging is a lattice join* (commutative, associative, idempotent), so the order of resources never shows.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Iterable
from functools import reduce

from attrs import field, frozen
from attrs.validators import deep_iterable, instance_of, optional


class Status(str, enum.Enum):
    """The five words of status.

    Their order as a lattice: ``n/a`` is below ``up`` and ``down``, which have no order between them and join to
    ``warn``; ``unknown`` is above all.
    """

    NA = "n/a"
    UP = "up"
    DOWN = "down"
    WARN = "warn"
    UNKNOWN = "unknown"

    def __str__(self) -> str:
        """The word itself, on every Python."""
        return self.value

    def joined_with(self, other: Status) -> Status:
        """The least status that is not below either one.

        Args:
            other: The status to merge with.

        Returns:
            ``self`` where both are the same; ``unknown`` where either is; ``warn`` for up with down.
        """
        if self is other or other is Status.NA:
            return self
        if self is Status.NA:
            return other
        return Status.UNKNOWN if Status.UNKNOWN in (self, other) else Status.WARN


def merge(statuses: Iterable[Status]) -> Status:
    """Join any number of statuses.

    Args:
        statuses: Projected statuses, in any order.

    Returns:
        Their join; ``n/a`` for none.
    """
    return reduce(Status.joined_with, statuses, Status.NA)


class Phase(enum.Enum):
    """Where a resource stands in its life, in words that all technologies share.

    The status of a phase is fixed here: a driver that sees a paused guest cannot call it up. What is *degraded* works,
    with less than it should have; what is *contested* is claimed by somebody else as well; what is *incapable* will
    never be what it is to be; what has *moved* is down here because it has gone to another node. What is *prepared* has
    what it needs around it, and nothing runs in it yet.
    """

    RUNNING = "running"
    STOPPED = "stopped"
    SAVED = "saved"
    ABSENT = "absent"
    MOVED = "moved"
    PREPARED = "prepared"
    STARTING = "starting"
    STOPPING = "stopping"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    CRASHED = "crashed"
    STUCK = "stuck"
    MIGRATING = "migrating"
    DEGRADED = "degraded"
    CONTESTED = "contested"
    INAPPLICABLE = "n/a"
    INCAPABLE = "incapable"
    UNKNOWN = "unknown"

    @property
    def status(self) -> Status:
        """The status word that this phase means."""
        return _STATUS_OF.get(self, Status.WARN)


_STATUS_OF = {
    Phase.RUNNING: Status.UP,
    Phase.STOPPED: Status.DOWN,
    Phase.SAVED: Status.DOWN,
    Phase.ABSENT: Status.DOWN,
    Phase.MOVED: Status.DOWN,
    Phase.INAPPLICABLE: Status.NA,
    Phase.INCAPABLE: Status.NA,
    Phase.UNKNOWN: Status.UNKNOWN,
}


#: Where nothing runs, nor is about to, as has been positively seen: there is nothing to stop.
AT_REST = frozenset({Phase.STOPPED, Phase.SAVED, Phase.ABSENT, Phase.MOVED})
#: What a start is to bring about.
AWAKE = frozenset({Phase.RUNNING, Phase.DEGRADED, Phase.STARTING})
#: What a request to stop is to bring about.
GOING_DOWN = AT_REST | {Phase.STOPPING}


@frozen(kw_only=True)
class Evidence:
    """What a status rests on.

    Attributes:
        probe: What was asked, such as ``virConnectGetAllDomainStats qemu:///system``.
        detail: What it answered, in the technology's words; of a failure, the reason.
        at: When it answered, in seconds since the epoch.
        duration_s: How long it took, in seconds.
    """

    probe: str = field(validator=instance_of(str))
    detail: str = field(default="", validator=instance_of(str))
    at: float = field(factory=time.time, validator=instance_of((int, float)))
    duration_s: float = field(default=0.0, validator=instance_of((int, float)))


@frozen(kw_only=True)
class Objection:
    """What speaks against a start, though nothing has been tried yet.

    Attributes:
        why: The reason, for people.
        hint: What to do next.
    """

    why: str
    hint: str = ""


@frozen(kw_only=True)
class Observation:
    """A status with its evidence; what ``observe`` returns.

    Its fields are checked when it is made, so that a driver's mistake shows in the driver, and not in who reads them.

    Attributes:
        phase: Where the resource stands; its status follows from it.
        state: The technology's own word, such as ``paused (ioerror)``.
        evidence: What was asked and answered.
        warnings: Things worth telling that change no phase, such as an autostart that would fight the service.
        objection: Why it must not be started as it is, whatever its phase; ``None`` where nothing speaks against it.
        bears_no_verbs: Of what is n/a: whether nothing can be done to it, either, so that nothing is tried.
    """

    phase: Phase = field(validator=instance_of(Phase))
    state: str = field(validator=instance_of(str))
    evidence: Evidence = field(validator=instance_of(Evidence))
    warnings: tuple[str, ...] = field(default=(), validator=deep_iterable(instance_of(str), instance_of(tuple)))
    objection: Objection | None = field(default=None, validator=optional(instance_of(Objection)))
    bears_no_verbs: bool = field(default=False, validator=instance_of(bool))

    @property
    def status(self) -> Status:
        """The status word of the phase."""
        return self.phase.status


def unknown(probe: str, reason: object, *, duration_s: float = 0.0) -> Observation:
    """The observation of a query that told nothing.

    Args:
        probe: What was asked.
        reason: Why there is no answer; an exception's text will do.
        duration_s: How long it took, in seconds.

    Returns:
        An observation of :attr:`Phase.UNKNOWN`.
    """
    evidence = Evidence(probe=probe, detail=str(reason), duration_s=duration_s)
    return Observation(phase=Phase.UNKNOWN, state="unknown", evidence=evidence)


def inapplicable(probe: str, reason: str, *, bears_no_verbs: bool = False) -> Observation:
    """The observation of a resource that has no status here, and why.

    Args:
        probe: What was looked at.
        reason: Why there is no status.
        bears_no_verbs: Whether nothing can be done to it, either.

    Returns:
        An observation of :attr:`Phase.INAPPLICABLE`.
    """
    evidence = Evidence(probe=probe, detail=reason)
    return Observation(phase=Phase.INAPPLICABLE, state="n/a", evidence=evidence, bears_no_verbs=bears_no_verbs)

"""Records: snapshots of a service beside those before them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import frozen

from vmsvc.core.errors import Problem, Severity
from vmsvc.core.records.changes import Change, changes, completed, is_complete


@frozen(kw_only=True)
class Snapshot:
    """What was collected about a service at one time.

    Attributes:
        service: The service's name.
        topic: ``push`` or ``disks``.
        node: The node that collected it.
        at: When, in seconds since the epoch; of several that say the same, the first time.
        content: What was collected: plain data, as in JSON.
        confirmed: When it was last found to be so, in seconds since the epoch.
    """

    service: str
    topic: str
    node: str
    at: float
    content: Any
    confirmed: float


@frozen(kw_only=True)
class Record:
    """What was collected of a service at one time, and what became of it.

    Attributes:
        snapshot: What was collected.
        since: When the record that it is compared with was last confirmed, in seconds since the epoch; ``None`` for
            the first one, and where the store could not be read.
        changes: What has changed since.
        losses: What could not be kept or stored (errors) or published (warnings), and why; what was replaced (notes).
        is_dry: Whether nothing of it was to be kept or published.
    """

    snapshot: Snapshot
    since: float | None = None
    changes: tuple[Change, ...] = ()
    losses: tuple[Problem, ...] = ()
    is_dry: bool = False

    @property
    def has_failed(self) -> bool:
        """Whether something is lost that was to be kept."""
        return any(loss.severity is Severity.ERROR for loss in self.losses)

    @property
    def is_stored(self) -> bool:
        """Whether everything that was collected has been kept."""
        return not self.is_dry and not self.has_failed


def compared(snapshot: Snapshot, past: tuple[Snapshot, ...]) -> Record:
    """A snapshot beside what was known before, whichever of the earlier ones knew it.

    Args:
        snapshot: The snapshot.
        past: All before it, the newest first.

    Returns:
        A record without losses.
    """
    if not past:
        return Record(snapshot=snapshot)
    known = past[0].content
    for older in past[1:]:
        if is_complete(known):
            break
        known = completed(known, older.content)
    return Record(snapshot=snapshot, since=past[0].confirmed, changes=changes(known, snapshot.content))


def history(snapshots: Iterable[Snapshot]) -> tuple[Record, ...]:
    """The snapshots of a service and a topic with what changed at each.

    Args:
        snapshots: All that there are, the newest first.

    Returns:
        A record for each, in the same order.
    """
    all_of_them = tuple(snapshots)
    return tuple(compared(snapshot, all_of_them[number:]) for number, snapshot in enumerate(all_of_them, 1))

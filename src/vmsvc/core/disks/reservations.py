"""Disks that are reserved for this node, as resources: what ``vmdg`` and ``disk`` sections do.

The driver here names the disks, knows the keys and says in words what came of it. What a device is belongs to
:mod:`vmsvc.core.vmdg.tools`; what is done to it, to :mod:`vmsvc.core.vmdg.attempt`.
"""

from __future__ import annotations

import builtins
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import ClassVar

from vmsvc.core.contract import API, Capability
from vmsvc.core.deadline import left_until
from vmsvc.core.disks.examining import MEND, ONE_OWNER, SEE, TO_TAKE, DiskLooker, candidates, names_of, unclear
from vmsvc.core.disks.keyring import check_distinct
from vmsvc.core.disks.ledger import Record
from vmsvc.core.disks.releasing import release_of
from vmsvc.core.disks.rivals import Rivals
from vmsvc.core.disks.sets import DiskSet, disk_set
from vmsvc.core.disks.surroundings import Surroundings
from vmsvc.core.errors import (
    TIMED_OUT,
    ActionFailed,
    DriverError,
    Refused,
    Undetermined,
    VmsvcError,
)
from vmsvc.core.kinds import Reserved
from vmsvc.core.resource import Resource
from vmsvc.core.vmdg import attempt, words
from vmsvc.core.vmdg.attempt import Attempt, Outcome, Result
from vmsvc.core.vmdg.keys import key_text, parse_key
from vmsvc.core.vmdg.migration import Window, prepare
from vmsvc.core.vmdg.seen import ScsiDisk
from vmsvc.core.vmdg.sequences import carry_out
from vmsvc.core.vmdg.turn import Standing


class ReservationDriver(DiskLooker):
    """Reserves disks and releases them, and tells how they stand.

    A driver of the core's own: it is made for one action, with what its operator has agreed to.

    Args:
        surroundings: Services, guests and devices.
        force: Holders whom the operator has named, by node or key: their disks may be taken.
        despite_lost_keys: Whether disks may be reserved again under what went on writing without its keys.
        tell: Told of what was done beyond what was asked, such as whose keys were removed.
        cancelled: When set, disks that are being taken are given back. A release goes on: an interrupt wants nothing
            else.
    """

    type: ClassVar[str] = ""
    kind: ClassVar[str] = "vmdg"
    api: ClassVar[frozenset[int]] = frozenset({API})
    options: ClassVar[builtins.type[Resource]] = Reserved
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.BULK})

    def __init__(
        self,
        surroundings: Surroundings,
        *,
        force: Collection[str] = (),
        despite_lost_keys: bool = False,
        tell: Callable[[str], None] = lambda _: None,
        cancelled: threading.Event | None = None,
    ) -> None:
        super().__init__(surroundings, force=force)
        self._despite_lost_keys = despite_lost_keys
        self._tell = tell
        self._cancelled = cancelled

    # --- acting -------------------------------------------------------------------------------------------------------

    def start(self, resource: Reserved, *, budget_s: float) -> bool:
        """Reserve the disks: all of them, or none.

        Args:
            resource: The resource.
            budget_s: How long it may take, in seconds: naming the disks, taking them, and taking that back.

        Returns:
            Whether any of them was not ours before.

        Raises:
            Refused: Somebody else has a disk, and was not named; or this node's keys are lost under what may be
                writing. Nothing was done. Or somebody was faster.
            ActionFailed: A disk does not do as it is told, or seems empty; what was done was taken back.
            Undetermined: A disk could not be read, or time was too short.
        """
        deadline = time.monotonic() + budget_s
        found = disk_set(resource, self._around)
        self._check_whole(found)
        self._check_rivals(found)
        if not found.disks:
            return False
        key = self._own_key(resource)
        in_use = self._around.is_in_use(resource)
        taking = attempt.acquire(
            found.disks,
            key,
            authority=self.authority(resource),
            in_use=in_use,
            spares_holder=in_use and not self._despite_lost_keys,
        )
        result = self._written_down(resource, taking, found.disks, key=key, budget_s=_left(deadline))
        useless = self._without_capacity(resource, found.disks)
        if useless and not in_use:  # what runs on it already is not stopped for that
            given_back = None if result.was_held else self._given_back(resource, found.disks, key, deadline)
            raise self._no_capacity(resource, useless, result, given_back)
        return not result.was_held

    def join(self, resource: Reserved, disks: Sequence[ScsiDisk], window: Window, *, budget_s: float) -> None:
        """Register beside the source of a live migration, at its destination, before the guest is moved here.

        If the guest stays, a stop gives back what has been written down here: no definition of the guest names it.

        Args:
            resource: The resource.
            disks: The guest's disks, as this node finds them; it does not know the guest yet.
            window: The window, which has been recorded.
            budget_s: How long it may take, in seconds.

        Raises:
            Refused: The source does not hold each disk, alone; nothing was done. Or that has changed meanwhile.
            ActionFailed: A disk does not do as it is told; what was done was taken back.
            Undetermined: A disk could not be read, or time was too short.
        """
        joining = prepare(disks, window)
        self._written_down(resource, joining, disks, key=window.destination, budget_s=budget_s)

    def stop(self, resource: Reserved, *, budget_s: float) -> None:
        """Release the disks: remove what is ours, and nothing else.

        Args:
            resource: The resource.
            budget_s: How long it may take, in seconds.

        Raises:
            ActionFailed: A disk does not do as it is told.
            Undetermined: A disk could not be read; the others have been released. Or time was too short.
        """
        deadline = time.monotonic() + budget_s
        found = disk_set(resource, self._around)
        release = release_of(found, self._rivals_at_release(found), self._around.peer_keys(resource))
        record, failures = found.record, list[VmsvcError]()
        for note in release.notes:
            self._tell(f"{resource.rid}: {note}")
        for key, disks in release.due.items():
            releasing = attempt.release(disks, key, doubts=dict(release.doubts.get(key, ())))
            result = carry_out(releasing, self._around.tool, budget_s=_left(deadline))
            self._tell_evicted(resource, result)
            record = record.without(key, _released(result))
            if result.outcome is not Outcome.RELEASED:
                failures.append(self._failure(resource, result))
        for key, wwids in release.passed_on.items():
            record = record.without(key, wwids)
        self._put_down(record)
        if failures:
            raise failures[0]
        if release.unclear:
            hint = SEE.format(service=resource.service)
            raise Undetermined("; ".join(release.unclear), code="undetermined.left-over", hint=hint)
        if found.key is not None or found.record.entries or found.record.fault:
            self._check_whole(found)

    def _written_down(
        self, resource: Reserved, taking: Attempt, disks: Sequence[ScsiDisk], *, key: int, budget_s: float
    ) -> Result:
        """Carry out an attempt at disks that are written down first; after one in vain, only what is left is."""
        before = self._around.ledger.read(resource)
        written = before.with_disks(disks, key, self._around.guests_of(resource))
        self._around.ledger.write(written)
        result = carry_out(
            taking,
            self._around.tool,
            looking=self._around.looking,
            budget_s=budget_s,
            cancelled=self._cancelled,
        )
        self._tell_evicted(resource, result)
        if result.outcome not in (Outcome.HELD, Outcome.JOINED):
            self._put_down(_still_reserved(before, written, key, result))
            raise self._failure(resource, result)
        return result

    def _rivals_at_release(self, found: DiskSet) -> Rivals:
        """Who else has the disks: asked only where this node has reserved any of them for another resource, too."""
        ours = {disk.wwid for disk in found.every}
        try:
            others = [*self._around.ledger.others(found.resource)]
            if any(each.fault or ours & each.wwids for each in others):
                return self._around.rivals(found.resource)
        except VmsvcError as error:
            return Rivals(doubtful=dict.fromkeys(ours, error.message))
        return Rivals()

    def _put_down(self, record: Record) -> None:
        """Write down what is still reserved. Where that fails, what is too much in the record is struck out later."""
        try:
            if not record.fault:
                self._around.ledger.write(record)
        except Refused as error:
            self._tell(f"{record.rid}: {error.message}; it is put right by the next release")

    def kill(self, resource: Reserved, *, budget_s: float) -> None:  # noqa: ARG002 - there is no force to use
        """Refuse: what is ours is released, or cannot be.

        Args:
            resource: The resource.
            budget_s: Not used.

        Raises:
            DriverError: Always.
        """
        raise DriverError(f"the disks of {resource.rid} cannot be released by force", code="driver.no-force")

    def close(self) -> None:
        """Do nothing: the host is the session's."""

    # --- rules --------------------------------------------------------------------------------------------------------

    def _check_whole(self, found: DiskSet) -> None:
        """Refuse to go on where a disk might be one that ought to be reserved."""
        if found.doubtful:
            raise Undetermined(
                "; ".join(f"{disk.name}: {disk.why}" for disk in found.doubtful),
                code="undetermined.disk",
                hint=f"`vmsvc disks {found.resource.service}` shows all of them",
            )

    def _check_rivals(self, found: DiskSet) -> None:
        """Refuse disks that somebody else of this node has: a key belongs to a node, and tells its guests not apart."""
        rivals, disks = self._around.rivals(found.resource), candidates(found)
        if clashes := rivals.claims_on(disks):
            raise Refused("; ".join(clashes), code="refused.same-disk", hint=ONE_OWNER)
        if doubts := rivals.doubts_on(disks):
            raise Undetermined("; ".join(doubts), code="undetermined.same-disk", hint=MEND)
        for gap in (
            *rivals.silent,
            *rivals.unrelated,
        ):  # what nothing connects with these disks keeps nobody from starting
            self._tell(f"{found.resource.rid}: {unclear(gap)}")

    def _without_capacity(self, resource: Reserved, disks: Sequence[ScsiDisk]) -> list[str]:
        """Have disks be as large as they are; the names of those that seem empty: nothing could be read from them.

        A single path is only told, since others are there.
        """
        empty = set(self._around.restore_capacity([path for disk in disks for path in disk.paths]))
        for path in sorted(empty):
            self._tell(f"{resource.rid}: {path} has a size of 0 here, and guests would read nothing from it")
        return [disk.name for disk in disks if empty.issuperset(disk.paths)]

    def _given_back(self, resource: Reserved, disks: Sequence[ScsiDisk], key: int, deadline: float) -> Result:
        """Release disks that this start has taken and cannot use. An interrupt does not end it, as with any release."""
        left = left_until(deadline)
        record = self._around.ledger.read(resource)
        taken = [disk for disk in disks if record.has(disk.wwid, key)]
        result = carry_out(attempt.release(taken, key), self._around.tool, budget_s=left)
        self._put_down(record.without(key, _released(result)))
        return result

    # --- keys ---------------------------------------------------------------------------------------------------------

    def _own_key(self, resource: Reserved) -> int:
        key = parse_key(resource.prkey) if resource.prkey else self._around.keyring.own_or_new()
        for peer, theirs in self._around.peer_keys(resource).items():
            check_distinct(key, peer, theirs)
        return key

    # --- words --------------------------------------------------------------------------------------------------------

    def _tell_evicted(self, resource: Reserved, result: Result) -> None:
        for disk, keys in self._evicted(resource, result):
            self._tell(f"{resource.rid}: {disk}: removed the registrations of {keys}")
        for note in result.notes:
            self._tell(f"{resource.rid}: {note}")

    def _evicted(self, resource: Reserved, result: Result) -> list[tuple[str, str]]:
        """The disks that lost keys of others, and whose."""
        names = names_of(resource, self._around) if result.evicted else {}
        return [(each.disk, ", ".join(words.named(key, names) for key in each.keys)) for each in result.evicted]

    def _no_capacity(
        self, resource: Reserved, useless: Sequence[str], taken: Result, given_back: Result | None
    ) -> VmsvcError:
        """That disks seem empty, and what has become of the set: who was evicted from it does not have it back."""
        text = f"{', '.join(useless)}: it has a size of 0 here, through every path"
        gone = [
            f"{disk}: the reservation of {keys} is gone, and is not put back"
            for disk, keys in self._evicted(resource, taken)
        ]
        if given_back is None:
            fate = "the disks were reserved for this node before, and still are"
        elif given_back.outcome is Outcome.RELEASED:
            fate = "the disks have been released again"
        else:
            failure = self._failure(resource, given_back)
            text = "; ".join((text, f"the disks could not be released again: {failure.message}", *gone))
            return type(failure)(text, code=failure.code, hint=failure.hint)
        return ActionFailed(
            "; ".join((text, fate, *gone)),
            code="action.no-capacity",
            hint="have the kernel look again, `echo 1 > /sys/block/sdX/device/rescan`; then start it once more",
        )

    def _failure(self, resource: Reserved, result: Result) -> VmsvcError:
        names = names_of(resource, self._around)
        text = "; ".join(map(str, result.reasons)) or result.outcome.value
        for key, name in names.items():
            text = text.replace(key_text(key), f"{name} ({key_text(key)})")
        has_lost_keys = any(standing is Standing.KEYLESS for _, standing in result.standings)
        kind, code, hint = _LOST_KEYS if has_lost_keys else _FAILURES[result.outcome]
        return kind(text, code=code, hint=hint.format(service=resource.service))


_LOST_KEYS: tuple[type[VmsvcError], str, str] = (
    Refused,
    "refused.lost-keys",
    "stop {service}, then start it; if you know that no other node has written to the disks since: --despite-lost-keys",
)
_FAILURES: Mapping[Outcome, tuple[type[VmsvcError], str, str]] = {
    Outcome.REFUSED: (Refused, "refused.disks", TO_TAKE),
    Outcome.LOST: (Refused, "refused.disks", f"{SEE}; another node was faster, and has them"),
    Outcome.FAILED: (ActionFailed, "action.disks", SEE),
    Outcome.UNDETERMINED: (Undetermined, "undetermined.disk", f"{SEE}, and which paths are dead"),
}


def _released(result: Result) -> list[str]:
    """The World Wide IDs of the disks that were read, or cannot be reserved, and have nothing of ours on them."""
    return [wwid for wwid, standing in result.standings if standing in (Standing.LEFT, Standing.INCAPABLE)]


def _still_reserved(before: Record, written: Record, key: int, result: Result) -> Record:
    """What is to be remembered of disks that were written down for an attempt in vain.

    A disk that it has not touched is remembered only if it was before: what is written down counts as this node's own.
    """
    if not result.touched:
        return before
    untouched = [wwid for wwid in written.wwids - result.touched if not before.has(wwid, key)]
    return written.without(key, [*_released(result), *untouched])


def _left(deadline: float) -> float:
    """What naming the disks has left of a budget: nobody waits for requests that are made after it."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise Undetermined(
            "naming its disks took all of the time; they have been left as they are",
            code=TIMED_OUT,
            hint="see `reserve_timeout`",
        )
    return left

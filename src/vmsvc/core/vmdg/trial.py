"""Tries on spare disks what exclusive disks need of them: two nodes, played by the paths of one.

Some paths act for this node, the others for a peer. To a target these are different I_T nexuses, and a registration
belongs to a nexus; so what one may not do to the other is what two nodes may not. What is tried is what vmsvc does:
the attempts of :mod:`vmsvc.core.vmdg.attempt`, and the single requests that they rely on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from attrs import evolve, frozen

from vmsvc.core.errors import ActionFailed, Undetermined
from vmsvc.core.vmdg import laws, validation
from vmsvc.core.vmdg.attempt import Attempt, Outcome, Result, acquire, release
from vmsvc.core.vmdg.decide import REPEATS
from vmsvc.core.vmdg.keys import key_text
from vmsvc.core.vmdg.seen import Act, Answer, Capabilities, Operation, Performed, Reading, ScsiDisk
from vmsvc.core.vmdg.sequences import PAUSE_S, carry_out
from vmsvc.core.vmdg.tool import NO_DEADLINE, Deadline, Tool
from vmsvc.core.vmdg.validation import Check, Verdict

#: How long one attempt of a trial may take, in seconds.
ATTEMPT_S = 60.0
#: How often the two nodes of a trial race for all of its disks.
RACES = 3
#: The checks of one disk's trial, in their order; what comes after one that has not passed is not tried.
_TRIED = ("take", "told apart", "conflict", "refusal", "takeover", "evicted", "bystander", "give back")


class Timed:
    """A tool that notes how long each request takes. Threads may share it.

    Args:
        tool: What asks.
    """

    def __init__(self, tool: Tool) -> None:
        self._tool = tool
        self.seconds: list[tuple[str, float]] = []

    def read(self, disk: ScsiDisk, path: str, *, deadline: Deadline = NO_DEADLINE) -> Reading:
        """Read through one path."""
        began = time.monotonic()
        reading = self._tool.read(disk, path, deadline=deadline)
        self.seconds.append((disk.wwid, time.monotonic() - began))
        return reading

    def perform(self, disk: ScsiDisk, operation: Operation, *, deadline: Deadline = NO_DEADLINE) -> Performed:
        """Do something, once."""
        began = time.monotonic()
        performed = self._tool.perform(disk, operation, deadline=deadline)
        self.seconds.append((disk.wwid, time.monotonic() - began))
        return performed

    def capabilities(self, disk: ScsiDisk, path: str) -> Capabilities:
        """Ask what the disk can do."""
        return self._tool.capabilities(disk, path)

    def of(self, disk: ScsiDisk) -> tuple[float, ...]:
        """How long the requests to one disk took, in seconds."""
        return tuple(seconds for wwid, seconds in self.seconds if wwid == disk.wwid)


@frozen(kw_only=True)
class Trial:
    """Two nodes, played by the paths of one, and spare disks.

    Attributes:
        disks: The disks; nobody is registered on them.
        tool: What asks them.
        keys: The throw-away keys of the two nodes.
    """

    disks: tuple[ScsiDisk, ...]
    tool: Timed
    keys: tuple[int, int]

    def of(self, disk: ScsiDisk) -> list[Check]:
        """Every check of one disk."""
        checks: list[Check] = []
        for check in self._steps(*halves(disk)):
            checks.append(check)
            if check.verdict is not Verdict.PASSED:
                break
        made = {check.name for check in checks}
        bad = [check.name for check in checks if check.verdict is not Verdict.PASSED]
        why = f"not tried after “{bad[0]}”" if bad else _ONE_PATH
        checks += [validation.skipped(name, why) for name in _TRIED if name not in made]
        clean(self.tool, [disk], self.keys)
        return [evolve(check, disk=disk.name) for check in checks]

    def race(self) -> Check:
        """Both nodes try to take all disks at once, several times."""
        ours, theirs = zip(*(halves(disk) for disk in self.disks), strict=True)
        rivals = [each for each in theirs if each is not None]
        if len(rivals) < len(self.disks):
            return validation.skipped("race", _ONE_PATH)
        return validation.check_race([self._race(ours, rivals) for _ in range(RACES)])

    def _race(self, ours: Sequence[ScsiDisk], theirs: Sequence[ScsiDisk]) -> tuple[Result, Result]:
        line = threading.Barrier(2)

        def take(disks: Sequence[ScsiDisk], key: int) -> Result:
            line.wait(ATTEMPT_S)
            return self._carried_out(acquire(disks, key))

        with ThreadPoolExecutor(2) as threads:
            first, second = threads.map(take, (ours, theirs), self.keys)
        clean(self.tool, self.disks, self.keys)
        return first, second

    def _steps(self, ours: ScsiDisk, theirs: ScsiDisk | None) -> Iterator[Check]:
        one, other = self.keys
        mine = self._carried_out(acquire([ours], one))
        yield validation.check_outcome("take", mine, {Outcome.HELD}, "registered, reserved, and read back")
        if theirs is None:
            return
        here, there = ours.paths[0], theirs.paths[0]
        told = self._done(theirs, Operation(act=Act.CONFIRM, path=there, key=one))
        text = "a path that is not registered says so, which is how missing ones are found under a guest"
        yield validation.check_answer("told apart", told, Answer.CONFLICT, text)
        self._done(theirs, Operation(act=Act.REGISTER, path=there, key=other))
        told = self._done(theirs, Operation(act=Act.RESERVE, path=there, key=other))
        self._done(theirs, Operation(act=Act.UNREGISTER, path=there, key=other))
        yield validation.check_answer(
            "conflict", told, Answer.CONFLICT, "a reserved disk cannot be reserved by another"
        )
        refused = self._carried_out(acquire([theirs], other))
        text = "without authority the other is refused"
        yield validation.check_outcome("refusal", refused, {Outcome.REFUSED}, text)
        taken = self._carried_out(acquire([theirs], other, authority=frozenset({one})))
        text = "with authority it takes over, in one request: reservation, eviction, abort"
        yield self._evicted(validation.check_outcome("takeover", taken, {Outcome.HELD}, text), taken)
        told = self._done(ours, Operation(act=Act.CONFIRM, path=here, key=one))
        yield validation.check_answer("evicted", told, Answer.CONFLICT, "the evicted path is not registered any more")
        self._done(ours, Operation(act=Act.REGISTER, path=here, key=one))
        taken = self._carried_out(acquire([theirs], other, authority=frozenset({one})))
        text = "who is registered without holding is evicted too"
        yield self._evicted(validation.check_outcome("bystander", taken, {Outcome.HELD}, text), taken)
        given = self._carried_out(release([theirs], other))
        text = "removing the registrations ends the reservation; read back"
        yield validation.check_outcome("give back", given, {Outcome.RELEASED}, text)

    def _evicted(self, check: Check, result: Result) -> Check:
        """The same, failed where the evicted key was not among those that were removed."""
        if check.verdict is Verdict.PASSED and self.keys[0] not in {key for one in result.evicted for key in one.keys}:
            return validation.failed(check.name, "the other key is registered as before")
        return check

    def _carried_out(self, attempt: Attempt) -> Result:
        return carry_out(attempt, self.tool, budget_s=ATTEMPT_S)

    def _done(self, disk: ScsiDisk, operation: Operation) -> Answer:
        """How one request is answered, past unit attentions."""
        for tries in range(REPEATS + 1):
            time.sleep(PAUSE_S * tries)
            answer = self.tool.perform(disk, operation).answer
            if answer not in laws.AGAIN:
                break
        return answer


_ONE_PATH = "a second path is needed to play the peer: this disk has one"


def clean(tool: Tool, disks: Iterable[ScsiDisk], keys: Iterable[int]) -> None:
    """Remove what is registered with throw-away keys, and nothing else.

    Args:
        tool: What asks the disks.
        disks: The disks; one that comes twice is cleaned once.
        keys: The keys.

    Raises:
        ActionFailed: A disk does not do as it is told.
        Undetermined: A disk could not be read.
    """
    spare = {disk.wwid: disk for disk in disks}.values()
    for key in keys:
        if not spare:
            break
        result = carry_out(release(spare, key), tool, budget_s=ATTEMPT_S)
        if result.outcome is not Outcome.RELEASED:
            kind = Undetermined if result.outcome is Outcome.UNDETERMINED else ActionFailed
            why = "; ".join(map(str, result.reasons))
            raise kind(
                f"registrations of the throw-away key {key_text(key)} may be left: {why}",
                hint="run it again with the same disks: it begins by removing them",
            )


def halves(disk: ScsiDisk) -> tuple[ScsiDisk, ScsiDisk | None]:
    """A disk as two nodes see it: by SCSI hosts, where it is reached through several, else by paths.

    Args:
        disk: The disk, with all of its paths.

    Returns:
        This node's part, and the peer's; ``None`` where there is nothing to be shared out.
    """
    hosts = disk.hosts or disk.paths
    if len(set(hosts)) == 1 and not disk.quirks.per_initiator:
        hosts = disk.paths
    several = list(dict.fromkeys(hosts))
    if len(several) == 1:
        return disk, None
    first = set(several[: (len(several) + 1) // 2])

    def part(*, is_first: bool) -> ScsiDisk:
        kept = [(path, host) for path, host in zip(disk.paths, hosts, strict=True) if (host in first) == is_first]
        named = tuple(host for _, host in kept) if disk.hosts and hosts is disk.hosts else ()
        return evolve(disk, paths=tuple(path for path, _ in kept), hosts=named)

    return part(is_first=True), part(is_first=False)

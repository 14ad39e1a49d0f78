"""Whether disks do what exclusive disks need of them: checks and their verdicts, from what was read and tried. Pure.

What is read and tried, and in which order, is told in :mod:`vmsvc.core.disks.validating`.
"""

from __future__ import annotations

import enum
import re
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence

from attrs import evolve, frozen

from vmsvc.core.vmdg import laws, words
from vmsvc.core.vmdg.attempt import Outcome, Result
from vmsvc.core.vmdg.seen import OURS, Answer, Capabilities, OtherDisk, Reading, ScsiDisk

#: How long a request may take, in seconds. A status waits no longer for it, and says "unknown" then.
SLOW_S = 3.0

#: Names that the kernel gives anew at each boot, in the order in which it finds disks.
_UNSTABLE = re.compile(r"/dev/(sd[a-z]+|dm-\d+)")


class Verdict(str, enum.Enum):
    """What a check has found.

    Attributes:
        PASSED: It is as exclusive disks need it.
        FAILED: It positively is not.
        SKIPPED: It could not matter, or was not to be tried; the text says why.
        UNKNOWN: It could not be found out.
    """

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"

    def __str__(self) -> str:
        """The word itself, on every Python."""
        return self.value


@frozen(kw_only=True)
class Check:
    """One check, and what it has found.

    Attributes:
        name: What is checked, in a word; the same in every report.
        disk: The disk, as it was named; empty where it is about all of them.
        verdict: What was found.
        text: Why, for people.
    """

    name: str
    disk: str = ""
    verdict: Verdict
    text: str


def passed(name: str, text: str) -> Check:
    """A check that has passed.

    Args:
        name: Its name.
        text: What was found.
    """
    return Check(name=name, verdict=Verdict.PASSED, text=text)


def failed(name: str, text: str) -> Check:
    """A check that has failed.

    Args:
        name: Its name.
        text: Why.
    """
    return Check(name=name, verdict=Verdict.FAILED, text=text)


def skipped(name: str, text: str) -> Check:
    """A check that was not made.

    Args:
        name: Its name.
        text: Why.
    """
    return Check(name=name, verdict=Verdict.SKIPPED, text=text)


def undetermined(name: str, text: str) -> Check:
    """A check that told nothing.

    Args:
        name: Its name.
        text: Why.
    """
    return Check(name=name, verdict=Verdict.UNKNOWN, text=text)


# --- the node -----------------------------------------------------------------------------------------------------


def check_keys_of_nodes(own: int | None, peers: Mapping[str, int | None]) -> tuple[Check, ...]:
    """Whether this node and its peers have keys, no two the same (I10).

    Args:
        own: This node's key; ``None`` where it has none yet.
        peers: The keys of the service's other nodes, by name; ``None`` where one is not known here.
    """
    same = [name for name, key in peers.items() if key is not None and key == own]
    unknown = [name for name, key in peers.items() if key is None]
    if own is None:
        mine = failed("own key", "this node has no key yet: `vmsvc node prkey` makes one")
    elif same:
        mine = failed("own key", f"{', '.join(same)} is known by this node's key, {words.named(own, {})}")
    else:
        mine = passed("own key", words.named(own, {}))
    if unknown:
        hint = "`vmsvc node peer add NODE --prkey KEY` tells it"
        return mine, failed("peers' keys", f"the key of {', '.join(unknown)} is not known here: {hint}")
    if not peers:
        return mine, skipped("peers' keys", "the service has no other node")
    return mine, passed("peers' keys", f"known of {', '.join(peers)}")


# --- safe for disks in use: from readings -------------------------------------------------------------------------


@frozen(kw_only=True)
class Looked:
    """What was read of one disk.

    Attributes:
        disk: The disk.
        readings: What its paths showed, one reading each; a path without one did not answer.
        capabilities: What it says that it can do.
        key: Our key; 0 where there is none yet.
        names: The names of nodes by their keys.
        trial_keys: Throw-away keys of an earlier validation that has not cleaned up.
        seconds: How long each reading took, in seconds.
    """

    disk: ScsiDisk
    readings: tuple[Reading, ...]
    capabilities: Capabilities
    key: int
    names: Mapping[int, str]
    trial_keys: Collection[int] = ()
    seconds: tuple[float, ...] = ()

    @property
    def live(self) -> tuple[Reading, ...]:
        """What can be believed."""
        return tuple(each for each in self.readings if laws.is_credible(each, has_counted=False))


def check_other(disk: OtherDisk) -> Check:
    """What becomes of a disk that cannot be reserved.

    Args:
        disk: The disk.
    """
    check = skipped("kind", disk.why) if disk.is_known else undetermined("kind", disk.why)
    return evolve(check, disk=disk.name)


def check_disk(looked: Looked) -> tuple[Check, ...]:
    """Every check that can be made of a disk without changing anything on it.

    Args:
        looked: What was read of it.
    """
    if looked.readings and {each.answer for each in looked.readings} <= laws.INCAPABLE:
        incapable = failed("reservations", "the disk knows no persistent reservations: a guest on it is not protected")
        checks = [_name(looked.disk), *_capacity(looked.disk), incapable]
    elif not looked.live:
        told = "; ".join(f"{each.path}: {each.detail or each.answer.value}" for each in looked.readings)
        checks = [_name(looked.disk), *_capacity(looked.disk), undetermined("paths", f"no path answers: {told}")]
    else:
        checks = [
            _name(looked.disk),
            *_capacity(looked.disk),
            _paths(looked),
            _one_unit(looked),
            _type(looked.capabilities),
            _persistence(looked),
            _full_status(looked),
            _abort(looked.disk),
            _registrants(looked),
            check_latency(looked.seconds),
        ]
    return tuple(evolve(check, disk=looked.disk.name) for check in checks)


def _name(disk: ScsiDisk) -> Check:
    if _UNSTABLE.fullmatch(disk.name):
        return failed("name", "this name is given anew at each boot: use a link in /dev/disk/by-id, or a map's name")
    return passed("name", f"leads to {disk.wwid}")


def _capacity(disk: ScsiDisk) -> tuple[Check, Check]:
    if disk.size_bytes is None:
        size = undetermined("size", "it could not be read")
    elif not disk.size_bytes:
        size = failed("size", "the kernel takes it for empty: probed under somebody's exclusive access, or not ready")
    else:
        size = passed("size", f"{disk.size_bytes} bytes")
    writable = (
        failed("writable", "this node sees it as read-only: nothing is reserved on it")
        if disk.readonly
        else passed("writable", "this node does not see it as read-only")
    )
    return size, writable


def _paths(looked: Looked) -> Check:
    disk, alive = looked.disk, {each.path for each in looked.live}
    shown = {each.path: each for each in looked.readings}
    dead = [
        f"{path} ({shown[path].detail or shown[path].answer.value})" if path in shown else f"{path} (not read in time)"
        for path in disk.paths
        if path not in alive
    ]
    if dead:
        return failed("paths", f"{len(dead)} of {len(disk.paths)} do not answer: {', '.join(dead)}")
    if len(disk.paths) == 1:
        return passed("paths", "its one path answers; if it fails, nothing of the disk can be read")
    hosts = f", through {len(set(disk.hosts))} SCSI hosts" if disk.hosts else ""
    return passed("paths", f"all {len(disk.paths)} answer{hosts}")


def _one_unit(looked: Looked) -> Check:
    """Paths to one logical unit show the same registrations, reservation and generation (SPC-4, 5.12.1)."""
    shown = {(each.generation, tuple(sorted(each.keys)), each.reservation) for each in looked.live}
    if len(looked.live) == 1:
        return skipped("one unit", "there is only one path to compare")
    if len(shown) > 1:
        return undetermined("one unit", "paths show different reservations: somebody changes them, or they lead to two")
    return passed("one unit", "all paths show the same registrations, reservation and generation")


def _type(capabilities: Capabilities) -> Check:
    if capabilities.answer is not Answer.DONE:
        why = capabilities.detail or capabilities.answer.value
        return undetermined("type", f"REPORT CAPABILITIES: {why}")
    if capabilities.types is None:
        return skipped("type", "the disk does not tell which types of reservation it knows")
    known = int(OURS) in capabilities.types
    return (passed if known else failed)("type", f"it {'knows' if known else 'does not know'} {words.type_words(OURS)}")


def _persistence(looked: Looked) -> Check:
    capabilities = looked.capabilities
    if capabilities.answer is not Answer.DONE:
        return undetermined("power loss", "REPORT CAPABILITIES was not answered")
    if not looked.disk.quirks.aptpl or not capabilities.can_persist:
        return failed("power loss", "registrations do not survive a restart of the target: then everybody may write")
    if laws.own_count(looked.live[0], looked.key) and not capabilities.is_persistent:
        return failed("power loss", "it can keep registrations through a restart, and these were made without")
    return passed("power loss", "registrations can survive a restart of the target (APTPL)")


def _full_status(looked: Looked) -> Check:
    if all(each.calls == 1 for each in looked.live):
        return passed("full status", "one request tells registrations, holder and type of one moment")
    return passed("full status", "keys and reservation are read one after the other; a look takes two requests")


def _abort(disk: ScsiDisk) -> Check:
    if not disk.quirks.abort:
        why = "its make has PREEMPT alone: writes that are under way when a node is evicted may still land"
        return failed("abort", f"{why} ({disk.quirks.why})" if disk.quirks.why else why)
    return skipped("abort", "nothing is known against PREEMPT AND ABORT on this make; only --scratch tries it")


def _registrants(looked: Looked) -> Check:
    reading = looked.live[0]
    left = sorted(key for key in looked.trial_keys if key in reading.keys)
    if left:
        keys = ", ".join(words.named(key, {}) for key in left)
        return failed("registrants", f"left by a validation that was ended: {keys}; `--scratch` again removes them")
    strangers = sorted(laws.foreign_keys(reading, looked.key) - looked.names.keys())
    told = words.told(reading, looked.key, looked.names)
    if strangers:
        return failed("registrants", f"keys that belong to no known node ({told})")
    return passed("registrants", told)


def check_latency(seconds: Sequence[float]) -> Check:
    """Whether requests are answered in the time that a status has.

    Args:
        seconds: How long each took, in seconds.
    """
    if not seconds:
        return skipped("latency", "nothing was asked")
    middle, slowest = statistics.median(seconds), max(seconds)
    text = f"{len(seconds)} requests: {1000 * middle:.0f} ms, {1000 * slowest:.0f} ms at most"
    if slowest > SLOW_S:
        return failed("latency", f"{text}; a status waits {SLOW_S:g} s, and says unknown then")
    return passed("latency", text)


# --- on scratch disks: from what was tried ------------------------------------------------------------------------


def check_outcome(name: str, result: Result, wanted: Collection[Outcome], text: str) -> Check:
    """Whether an attempt ended as it must.

    Args:
        name: The check's name.
        result: How it ended.
        wanted: How it must.
        text: What that shows.
    """
    if result.outcome in wanted:
        return passed(name, text)
    why = "; ".join(map(str, result.reasons))
    told = f"{result.outcome.value} instead of {' or '.join(each.value for each in wanted)}"
    verdict = undetermined if result.outcome is Outcome.UNDETERMINED else failed
    return verdict(name, f"{told}: {why}" if why else told)


def check_answer(name: str, answer: Answer, wanted: Answer, text: str) -> Check:
    """Whether a request was answered as it must be.

    Args:
        name: The check's name.
        answer: How it was.
        wanted: How it must be.
        text: What that shows.
    """
    if answer is wanted:
        return passed(name, text)
    told = f"answered with “{answer.value}” instead of “{wanted.value}”"
    return undetermined(name, told) if answer in _NO_EVIDENCE else failed(name, told)


_NO_EVIDENCE = frozenset({Answer.SILENT, Answer.GONE, Answer.BUSY, Answer.DENIED})


def check_race(outcomes: Iterable[tuple[Result, Result]]) -> Check:
    """Whether of two racers one ended with everything, and the other with nothing, each time.

    Args:
        outcomes: How each race ended, for both.
    """
    races = list(outcomes)
    for number, race in enumerate(races, start=1):
        ends = [result.outcome for result in race]
        told = f"race {number} of {len(races)} ended with “{ends[0].value}” and “{ends[1].value}”"
        if Outcome.UNDETERMINED in ends:
            return undetermined("race", told)
        if ends.count(Outcome.HELD) != 1:
            return failed("race", told)
    return passed("race", f"{len(races)} times, one of the two got all disks, and the other none")

"""How the disks of resources stand: all of them named and read at once, each path once. Changes nothing."""

from __future__ import annotations

import itertools
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

from attrs import evolve

from vmsvc.core.disks.sets import DiskReport, DiskSet, disk_set
from vmsvc.core.disks.surroundings import ABSENT, Surroundings
from vmsvc.core.errors import TIMED_OUT, DriverError, Problem, Severity, Undetermined, UsageError, VmsvcError
from vmsvc.core.kinds import Reserved
from vmsvc.core.lane import call_each
from vmsvc.core.planning.needs import nothing_to_reserve, warning_of
from vmsvc.core.status import Evidence, Objection, Observation, inapplicable, unknown
from vmsvc.core.vmdg import judge, words
from vmsvc.core.vmdg.judge import Judged
from vmsvc.core.vmdg.keys import parse_key
from vmsvc.core.vmdg.laws import clones_of
from vmsvc.core.vmdg.seen import OtherDisk, Reading, ScsiDisk
from vmsvc.core.vmdg.sequences import carry_out
from vmsvc.core.vmdg.survey import survey

#: How many guests are asked for their disks at once.
_PARALLEL = 16
_PROBE = "PERSISTENT RESERVE IN"
_NOT_WANTED = "scsireserv is false: the disks are not to be reserved"

SEE = "`vmsvc disks {service}` shows who holds what"
TO_TAKE = f"{SEE}; if the holder is gone for certain: --force NODE, or --force 0xKEY"
ONE_OWNER = "a disk belongs to one resource: take it out of the other"
MEND = "mend that first; `vmsvc validate` tells what is wrong with a file"


class DiskLooker:
    """Tells how disks stand, and who else of this node has them. Changes nothing.

    Args:
        surroundings: Services, guests and devices.
        force: Holders whom the operator has named, by node or key: their disks may be taken.
    """

    def __init__(self, surroundings: Surroundings, *, force: Collection[str] = ()) -> None:
        self._around = surroundings
        self._force = force

    def observe(self, resource: Reserved, *, budget_s: float) -> Observation:
        """Read the disks of one resource, through every path.

        Args:
            resource: The resource.
            budget_s: How long it may take, in seconds.
        """
        return self.observe_all([resource], budget_s=budget_s)[resource.service, resource.rid]

    def observe_all(self, resources: Sequence[Reserved], *, budget_s: float) -> Mapping[tuple[str, str], Observation]:
        """Read the disks of many resources at once, each path once.

        Args:
            resources: The resources.
            budget_s: How long it may take, in seconds.
        """
        wanted = [resource for resource in resources if resource.may_be_held]
        seen = {(each.service, each.rid): inapplicable("configuration", _NOT_WANTED) for each in resources}
        for resource, report in zip(wanted, self.examine(wanted, budget_s=budget_s), strict=True):
            seen[resource.service, resource.rid] = self._observation(report)
        return seen

    def _observation(self, report: DiskReport | VmsvcError) -> Observation:
        if isinstance(report, DriverError) and report.code in ABSENT:
            # The guest is not known on this node, so it has no disks here, and cannot be started either.
            return inapplicable(_PROBE, f"its disks cannot be named: {report.message}")
        if isinstance(report, VmsvcError):
            return unknown(_PROBE, report)
        whole = report.whole
        detail = f"{whole.detail} ({whole.hint})" if whole.hint else whole.detail
        return Observation(
            phase=whole.phase,
            state=whole.state,
            evidence=Evidence(probe=_PROBE, detail=detail, duration_s=report.duration_s),
            warnings=whole.warnings,
            objection=self._objection(report),
        )

    def _objection(self, report: DiskReport) -> Objection | None:
        """Whose the disks are that this node would not take: known before anything of a start is done."""
        found = report.found
        authority = self.authority(found.resource, itertools.chain(*report.readings))
        former = {each.entry.key: words.EARLIER for each in found.left_over}
        names = {**former, **report.names}
        why = [
            f"{disk.name}: {objection}"
            for disk, readings in zip(found.disks, report.readings, strict=True)
            if (objection := judge.objection_to(disk, readings, report.key or 0, authority, names))
        ]
        hint = TO_TAKE.format(service=found.resource.service)
        return Objection(why="; ".join(why), hint=hint) if why else None

    def examine(self, resources: Sequence[Reserved], *, budget_s: float) -> list[DiskReport | VmsvcError]:
        """Name the disks of resources and read them, each path once, whether or not they are to be reserved.

        Args:
            resources: The resources.
            budget_s: How long it may take, in seconds.

        Returns:
            For each resource what was found, or why its disks could not be named.
        """
        return examine(resources, self._around, budget_s=budget_s)

    def problems_of(self, resource: Reserved) -> list[Problem]:
        """What is wrong with the disks of a resource, as far as can be told without reading them.

        Args:
            resource: The resource.

        Returns:
            An error where somebody else of this node has a disk of it; a warning where that cannot be told, where none
            of its disks can be reserved, or where some are still reserved that it does not name.
        """
        try:
            found = disk_set(resource, self._around)
        except VmsvcError:
            return self.rivals_of(resource)  # which tells why
        left_over = [
            Problem(
                message=f"{each.disk.name} is not among its disks any more, and may still be reserved",
                code="config.left-over",
                hint=f"`vmsvc disks {resource.service}` tells; a stop of the service releases it",
                section=resource.rid,
                severity=Severity.WARNING,
            )
            for each in found.left_over
        ]
        if not found.disks and not found.doubtful and not found.left_over:
            return [nothing_to_reserve(resource, judge.judge_set(map(judge.judge_other, found.others)).detail)]
        unprotected = [warning_of(resource, words.unprotected(each.name, each.why)) for each in found.unprotected]
        return [*self.rivals_of(resource), *unprotected, *left_over]

    def rivals_of(self, resource: Reserved) -> list[Problem]:
        """Who else of this node has the disks of a resource.

        Args:
            resource: The resource.

        Returns:
            An error for each disk that somebody else has, a warning where that cannot be told.
        """
        try:
            disks = candidates(disk_set(resource, self._around))
            rivals = self._around.rivals(resource)
        except VmsvcError as error:
            if error.code in ABSENT:
                return []  # a guest that is not here has no disks here
            warning = error.within(section=resource.rid).as_warning()
            return [evolve(warning, message=unclear(warning.message))]
        problem = partial(Problem, section=resource.rid)
        return [
            *(problem(message=each, code="config.same-disk", hint=ONE_OWNER) for each in rivals.claims_on(disks)),
            *(
                problem(message=unclear(each), code="config.same-disk-unclear", hint=MEND, severity=Severity.WARNING)
                for each in (*rivals.doubts_on(disks), *rivals.silent)
            ),
        ]

    def authority(self, resource: Reserved, readings: Iterable[Reading] | None = None) -> frozenset[int]:
        """The keys of the holders whom the operator has named.

        This node's own key names another node that has it, where one is seen to have it.

        Args:
            resource: The resource whose disks they may hold.
            readings: What the disks show; they are read where that matters, and it is not given.

        Raises:
            UsageError: A word means no holder.
        """
        if not self._force:
            return frozenset()
        node = self._around.keyring.node
        if mine := [word for word in self._force if node.is_called(word)]:
            raise UsageError(f"--force {mine[0]}: {mine[0]} is this node", hint="name the node that holds the disks")
        named = {word: _key_named(word, self._around.peer_keys(resource)) for word in self._force}
        own = known_key(resource, self._around)
        mine = [word for word, key in named.items() if key == own]
        if mine and not self._is_cloned(resource, readings):
            raise UsageError(
                f"--force {mine[0]}: that is this node's own key", hint="name the node that holds the disks"
            )
        return frozenset(named.values())

    def _is_cloned(self, resource: Reserved, readings: Iterable[Reading] | None) -> bool:
        """Whether another node is seen to be registered with this node's own key."""
        if readings is None:
            (report,) = self.examine([resource], budget_s=resource.observe_budget_s)
            readings = itertools.chain(*report.readings) if isinstance(report, DiskReport) else ()
        key = known_key(resource, self._around)
        return key is not None and any(clones_of(reading, key) for reading in readings)


def known_key(resource: Reserved, around: Surroundings) -> int | None:
    """The key by which this node registers on a resource's disks; ``None`` where it has none yet.

    Args:
        resource: The resource.
        around: Services, guests and devices.
    """
    return parse_key(resource.prkey) if resource.prkey else around.keyring.own()


def candidates(found: DiskSet) -> list[ScsiDisk | OtherDisk]:
    """What may be a disk that somebody else has, too.

    Args:
        found: The disks of a resource.
    """
    return [*found.disks, *found.doubtful]


def unclear(why: str) -> str:
    """That nobody knows whether disks belong to one guest alone, in words.

    Args:
        why: Why not.
    """
    return f"whether its disks belong to it alone is not known: {why}"


def _key_named(word: str, peers: Mapping[str, int]) -> int:
    if word.casefold() in peers:
        return peers[word.casefold()]
    if word[:2].casefold() == "0x":
        try:
            return parse_key(word)
        except ValueError as error:
            raise UsageError(f"--force: {error}") from None
    raise UsageError(
        f"--force {word}: the key of {word} is not known here",
        hint=f"name the key that `vmsvc disks` shows (--force 0x…), or `vmsvc node peer add {word} --prkey KEY`",
    )


def examine(resources: Sequence[Reserved], around: Surroundings, *, budget_s: float) -> list[DiskReport | VmsvcError]:
    """Name the disks of resources and read them, each path once, whether or not they are to be reserved.

    Args:
        resources: The resources.
        around: Services, guests and devices.
        budget_s: How long it may take, in seconds.

    Returns:
        For each resource what was found, or why its disks could not be named.
    """
    began = time.monotonic()
    named = call_each(
        lambda resource: _disk_set_or_error(resource, around),
        resources,
        deadline=began + budget_s / 2,  # a guest whose disks nobody names does not hide those of others
        width=_PARALLEL,
        name="vmsvc disks",
    )
    late = Undetermined(f"its disks could not be named within {budget_s / 2:.3g} s", code=TIMED_OUT)
    found = [each or late for each in named]
    disks = {disk: None for each in found if isinstance(each, DiskSet) for disk in each.every}
    shown: dict[ScsiDisk, tuple[Reading, ...]] = {}
    if disks:
        left = max(budget_s - (time.monotonic() - began), 0.1)
        readings = carry_out(survey(disks), around.looking, budget_s=left)
        shown = dict(zip(disks, readings, strict=True))
    return [_report_or_error(each, shown, around, began) if isinstance(each, DiskSet) else each for each in found]


def names_of(resource: Reserved, around: Surroundings) -> Mapping[int, str]:
    """The nodes by the keys by which they are known on a resource's disks.

    Args:
        resource: The resource.
        around: Services, guests and devices.
    """
    return {key: peer for peer, key in around.peer_keys(resource).items()}


def _disk_set_or_error(resource: Reserved, around: Surroundings) -> DiskSet | VmsvcError:
    try:
        return disk_set(resource, around)
    except VmsvcError as error:
        return error


def _report_or_error(
    found: DiskSet, shown: Mapping[ScsiDisk, tuple[Reading, ...]], around: Surroundings, began: float
) -> DiskReport | VmsvcError:
    try:
        names = names_of(found.resource, around)
    except VmsvcError as error:  # a key that cannot be read is no reason not to judge the others
        return error
    key = found.key or 0  # 0 is nobody's: all keys are foreign then
    judged = [
        judge.judge(disk, shown[disk], key, names, recorded=found.record.keys_of(disk.wwid)) for disk in found.disks
    ]
    unprotected = found.unprotected
    others = [judge.judge_other(disk, is_unprotected=disk in unprotected) for disk in found.others]
    left_over = [
        judge.judge_left_over(
            judge.judge(
                each.disk, shown[each.disk], each.entry.key, names, recorded=found.record.keys_of(each.entry.wwid)
            )
            if isinstance(each.disk, ScsiDisk)
            else judge.judge_other(each.disk),
            is_used=not found.is_certain,
        )
        for each in found.left_over
    ]
    every: list[Judged] = [*judged, *others, *left_over]
    return DiskReport(
        found=found,
        names=names,
        readings=tuple(shown[disk] for disk in found.disks),
        judged=tuple(judged),
        others=tuple(others),
        left_over=tuple(left_over),
        whole=judge.judge_set(every),
        duration_s=time.monotonic() - began,
    )

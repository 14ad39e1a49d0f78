"""How the disks of resources stand: all of them named and read at once, each path once. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from vmsvc.core.disk_sets import DiskReport, DiskSet, disk_set
from vmsvc.core.errors import Undetermined, VmsvcError
from vmsvc.core.lane import call_each
from vmsvc.core.resource import Reserved
from vmsvc.core.surroundings import Surroundings
from vmsvc.core.vmdg import judge
from vmsvc.core.vmdg.judge import Judged
from vmsvc.core.vmdg.seen import Reading, ScsiDisk
from vmsvc.core.vmdg.sequences import carry_out
from vmsvc.core.vmdg.survey import survey

#: How many guests are asked for their disks at once.
_PARALLEL = 16


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
    late = Undetermined(f"its disks could not be named within {budget_s / 2:.3g} s", code="undetermined.timeout")
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
    judged = [judge.judge(disk, shown[disk], key, names) for disk in found.disks]
    others = [judge.judge_other(disk) for disk in found.others]
    left_over = [
        judge.judge_left_over(
            judge.judge(each.disk, shown[each.disk], each.entry.key, names)
            if isinstance(each.disk, ScsiDisk)
            else judge.judge_other(each.disk)
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

"""Validates disks for exclusive use: reads those that are in use, and tries everything on those that are spare.

A trial's throw-away keys are written down before the first of them is registered: whatever ends a trial, the next one
removes what it has left, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path

from attrs import evolve, frozen

from vmsvc.core.config.atomic import write_atomically
from vmsvc.core.disks.sets import DiskSet, disk_set
from vmsvc.core.disks.surroundings import Surroundings
from vmsvc.core.errors import Refused, Undetermined, UsageError
from vmsvc.core.kinds import Reserved
from vmsvc.core.vmdg import laws, validation, words
from vmsvc.core.vmdg.keys import key_text, new_key, parse_key
from vmsvc.core.vmdg.seen import OtherDisk, Reading, ScsiDisk
from vmsvc.core.vmdg.sequences import carry_out
from vmsvc.core.vmdg.survey import survey
from vmsvc.core.vmdg.trial import ATTEMPT_S, Timed, Trial, clean
from vmsvc.core.vmdg.validation import Check, Looked


@frozen(kw_only=True)
class Validation:
    """What was checked of the disks of one resource.

    Attributes:
        resource: The resource.
        checks: The checks, in the order in which they were made.
    """

    resource: Reserved
    checks: tuple[Check, ...]


@frozen
class Record:
    """The throw-away keys of a trial that may not have cleaned up, and its disks.

    Attributes:
        file: Where they are written down.
        keys: The keys; none where there is no such trial.
        disks: The names of the disks.
    """

    file: Path
    keys: tuple[int, ...] = ()
    disks: tuple[str, ...] = ()

    @classmethod
    def read(cls, file: Path) -> Record:
        """Read what the last trial has written down.

        Args:
            file: Where.

        Raises:
            Undetermined: The file is there, and cannot be read.
        """
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            return cls(file, tuple(map(parse_key, found["keys"])), tuple(map(str, found["disks"])))
        except FileNotFoundError:
            return cls(file)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Undetermined(
                f"{file}: what an earlier validation has left on disks is not known: {error}",
                hint="look at `vmsvc disks`, then remove the file",
            ) from None

    def write(self) -> None:
        """Write it down; or remove the file, where there is nothing left."""
        if not self.keys:
            self.file.unlink(missing_ok=True)
            return
        content = {"keys": [key_text(key) for key in self.keys], "disks": list(self.disks)}
        write_atomically(self.file, json.dumps(content) + "\n")


def validate_in_use(around: Surroundings, resource: Reserved, *, record: Path) -> Validation:
    """Check what can be checked without changing anything: safe under running guests.

    Args:
        around: Services, guests and devices.
        resource: The resource.
        record: Where a trial writes down its keys.

    Raises:
        VmsvcError: Its disks could not be named.
    """
    found = disk_set(resource, around)
    key = parse_key(resource.prkey) if resource.prkey else around.keyring.own()
    names = {theirs: peer for peer, theirs in around.peer_keys(resource).items()}
    left, tool = Record.read(record), Timed(around.tool)
    shown = carry_out(survey(found.disks), tool, budget_s=ATTEMPT_S) if found.disks else ()
    checks = [*validation.check_keys_of_nodes(key, around.keys_of_peers(resource))]
    for disk, readings in zip(found.disks, shown, strict=True):
        live = next((each.path for each in readings if each.is_live), disk.paths[0])
        looked = Looked(
            disk=disk,
            readings=readings,
            capabilities=tool.capabilities(disk, live),
            key=key or 0,
            names=names,
            trial_keys=left.keys,
            seconds=tool.of(disk),
        )
        checks += validation.check_disk(looked)
    return Validation(resource=resource, checks=(*checks, *map(validation.check_other, found.others)))


def validate_scratch(around: Surroundings, resource: Reserved, names: Collection[str], *, record: Path) -> Validation:
    """Try everything on disks that nobody uses; their data is neither read nor written.

    Args:
        around: Services, guests and devices.
        resource: The resource.
        names: The disks: as the resource names them, so that none is tried by mistake.
        record: Where the keys are written down before any of them is registered.

    Raises:
        Refused: A disk is in use, or somebody is registered on it.
        Undetermined: Whether that is so could not be found out, or what a trial left could not be removed.
    """
    disks = _chosen(disk_set(resource, around), names)
    left = Record.read(record)
    if left.keys:
        clean(around.tool, _left(around, left), left.keys)
        Record(record).write()
    _check_spare(around, resource, disks)
    keys = (new_key(), new_key())
    trial = Trial(disks=disks, tool=Timed(around.tool), keys=keys)
    Record(record, keys, tuple(disk.name for disk in disks)).write()
    try:
        checks = [check for disk in disks for check in trial.of(disk)]
        checks.append(trial.race())
        checks += [evolve(validation.check_latency(trial.tool.of(disk)), disk=disk.name) for disk in disks]
    finally:
        clean(around.tool, disks, keys)
        Record(record).write()
    checks.append(validation.passed("cleaned up", "nothing is left of either key, read back"))
    return Validation(resource=resource, checks=tuple(checks))


def trials_of(
    around: Surroundings, resources: Iterable[Reserved], names: Collection[str]
) -> list[tuple[Reserved, tuple[str, ...]]]:
    """Which resource each disk that was named belongs to.

    Args:
        around: Services, guests and devices.
        resources: The resources of a service.
        names: The disks.

    Returns:
        The resources that have any of them, with their names.

    Raises:
        UsageError: A name is no disk of any of them.
        VmsvcError: Disks could not be named.
    """
    found = [disk_set(each, around) for each in resources]
    known = [disk.name for each in found for disk in each.disks]
    if unknown := [name for name in names if name not in known]:
        raise UsageError(
            f"{', '.join(unknown)}: no disk of the service that can be reserved",
            code="usage.no-such-disk",
            hint=f"name it as the service does: {', '.join(known) or 'it has none'}",
        )
    wanted = [(each.resource, tuple(disk.name for disk in each.disks if disk.name in names)) for each in found]
    return [(resource, chosen) for resource, chosen in wanted if chosen]


# --- which disks, and whether they are spare ----------------------------------------------------------------------


def _chosen(found: DiskSet, names: Collection[str]) -> tuple[ScsiDisk, ...]:
    """The disks of these names, each path by itself: multipathd must not learn a key that is thrown away."""
    return tuple(evolve(disk, is_managed=False) for disk in found.disks if disk.name in names)


def _left(around: Surroundings, left: Record) -> tuple[ScsiDisk, ...]:
    """The disks that a trial has not cleaned; all of them, or none is taken for clean."""
    found = around.devices(left.disks)
    disks = tuple(evolve(disk, is_managed=False) for disk in found if isinstance(disk, ScsiDisk))
    if lost := [f"{disk.name}: {disk.why}" for disk in found if isinstance(disk, OtherDisk)]:
        raise Undetermined(
            f"an earlier validation has left registrations on disks that are not to be found: {'; '.join(lost)}",
            hint=f"once they are back, run it again; its keys are in {left.file}",
        )
    return disks


def _check_spare(around: Surroundings, resource: Reserved, disks: tuple[ScsiDisk, ...]) -> None:
    """Refuse disks that anybody may be using: nobody else could write to them while they are tried."""
    rivals = around.rivals(resource)
    reasons = rivals.claims_on(disks)
    reasons += [f"{disk.name} is read-only here" for disk in disks if disk.readonly]
    if around.is_in_use(resource):
        reasons.append(f"a guest of {resource.service} may be using its disks: it is not positively down")
    reasons += [f"{disk.name} {why}" for disk in disks if (why := around.use_of(disk))]
    if not reasons:
        shown = carry_out(survey(disks), around.tool, budget_s=ATTEMPT_S)
        reasons = [why for disk, readings in zip(disks, shown, strict=True) if (why := _registered(disk, readings))]
    if reasons:
        raise Refused(
            "; ".join(reasons),
            code="refused.not-spare",
            hint="only disks that nobody uses are tried; without --scratch, disks in use are checked",
        )
    if doubts := [*rivals.doubts_on(disks), *rivals.silent, *rivals.unrelated]:
        raise Undetermined(
            f"whether anybody uses the disks is not known: {'; '.join(doubts)}",
            code="undetermined.not-spare",
            hint="mend that first: a disk is tried only where it is certain that nobody uses it",
        )


def _registered(disk: ScsiDisk, readings: Iterable[Reading]) -> str:
    readings = tuple(readings)
    live = [each for each in readings if laws.is_credible(each, has_counted=False)]
    if not live:
        told = "; ".join(f"{each.path}: {each.detail or each.answer.value}" for each in readings)
        raise Undetermined(f"{disk.name}: whether anybody is registered on it is not known: {told}")
    taken = next((each for each in live if each.keys or each.reservation), None)
    return f"{disk.name} is not free: {words.told(taken, 0)}" if taken else ""

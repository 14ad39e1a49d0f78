"""What this node has reserved, and for which resource: written down before anything is registered.

A disk may leave its guest's definition while the guest runs, and a service's file may change: without a record, nobody
would know then what is still registered. There is one file for each resource. A disk is struck out of it when it has
been read and shows nothing of ours; a record that cannot be read stands for disks that nobody knows.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from attrs import evolve, field, frozen

from vmsvc.core.config import identity
from vmsvc.core.config.atomic import write_atomically
from vmsvc.core.errors import Problem, Refused, Severity, Undetermined, VmsvcError, told
from vmsvc.core.kinds import Disk, Reserved, Vmdg
from vmsvc.core.node import Node
from vmsvc.core.planning.needs import needs_of
from vmsvc.core.resource import Guest, kind_of
from vmsvc.core.service import Service
from vmsvc.core.verb import Verb
from vmsvc.core.vmdg.keys import key_text, parse_key
from vmsvc.core.vmdg.seen import ScsiDisk

_SUFFIX = ".json"


@frozen(kw_only=True)
class Entry:
    """One disk that this node may have registered on.

    Attributes:
        wwid: The World Wide ID of its logical unit: names are given anew at each boot.
        key: The key that was registered.
        name: What it was called then.
    """

    wwid: str
    key: int
    name: str


@frozen(kw_only=True)
class Record:
    """What this node has reserved for one resource.

    Attributes:
        service: The service's name.
        rid: The resource's id.
        file: Where it is written down.
        entries: The disks.
        guests: The guests for which they were reserved: the name of each, by its identity.
        fault: Why it cannot be read, so that nobody knows which disks there are; empty where it can.
    """

    service: str
    rid: str
    file: Path
    entries: tuple[Entry, ...] = ()
    guests: Mapping[str, str] = field(factory=dict)
    fault: str = ""

    @property
    def wwids(self) -> frozenset[str]:
        """The World Wide IDs of the disks."""
        return frozenset(entry.wwid for entry in self.entries)

    def keys_of(self, wwid: str) -> frozenset[int]:
        """The keys by which a disk was reserved: several, where the key was changed meanwhile.

        Args:
            wwid: Its World Wide ID.
        """
        return frozenset(entry.key for entry in self.entries if entry.wwid == wwid)

    def has(self, wwid: str, key: int) -> bool:
        """Whether a disk was reserved with a key.

        Args:
            wwid: Its World Wide ID.
            key: The key.
        """
        return any((entry.wwid, entry.key) == (wwid, key) for entry in self.entries)

    def with_disks(self, disks: Iterable[ScsiDisk], key: int, guests: Iterable[Guest]) -> Record:
        """The same, with disks that are about to be reserved.

        Args:
            disks: The disks; those that this node cannot write to are left as they are, and not registered on.
            key: The key.
            guests: The guests that use them.
        """
        added = [Entry(wwid=disk.wwid, key=key, name=disk.name) for disk in disks if not disk.readonly]
        entries = {(entry.wwid, entry.key): entry for entry in (*self.entries, *added)}
        known = {**self.guests, **{identity(guest): guest.name for guest in guests}}
        return evolve(self, entries=tuple(entries.values()), guests=known)

    def without(self, key: int, wwids: Iterable[str]) -> Record:
        """The same, without disks on which nothing of a key is left.

        Args:
            key: The key.
            wwids: Their World Wide IDs.
        """
        gone = {(wwid, key) for wwid in wwids}
        return evolve(self, entries=tuple(entry for entry in self.entries if (entry.wwid, entry.key) not in gone))


@frozen
class Ledger:
    """The records of a node.

    Args:
        node: The node.
    """

    node: Node

    def read(self, resource: Reserved) -> Record:
        """What this node has reserved for a resource; a record without disks where that is nothing.

        Args:
            resource: The resource.
        """
        return self._read(resource.service, resource.rid)

    def write(self, record: Record) -> None:
        """Write a record down; or remove it, where there is nothing left in it.

        Args:
            record: The record.

        Raises:
            Refused: It could not be written, or would replace what cannot be read: nothing may be registered then.
        """
        try:
            present = self._read(record.service, record.rid)
            if present.fault:
                raise Undetermined(present.fault)
            if (present.entries, present.guests) == (record.entries, record.guests):
                return
            if not record.entries:
                record.file.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # others of the service are still there
                    record.file.parent.rmdir()
                return
            write_atomically(record.file, _text_of(record), mode=0o644)
        except (OSError, VmsvcError) as error:
            reason = error.message if isinstance(error, VmsvcError) else told(error)
            raise Refused(
                f"what is reserved on its disks cannot be written down: {reason}",
                code="refused.not-recorded",
                hint=f"make room, or mend the permissions, in {record.file.parent}",
            ) from None

    def others(self, resource: Reserved) -> Iterator[Record]:
        """What this node has reserved for every other resource.

        Args:
            resource: The resource that is not meant.

        Raises:
            Undetermined: Which records there are cannot be told.
        """
        for directory in _entries_of(self.node.reservations_dir("")):
            for file in _entries_of(directory):
                service, rid = directory.name, file.name.removesuffix(_SUFFIX)
                if _is_record(file) and (service, rid) != (resource.service, resource.rid):
                    yield self._read(service, rid)

    def of_service(self, name: str) -> tuple[Record, ...]:
        """What this node has reserved for a service.

        Args:
            name: The service's name.

        Returns:
            Its records. Where nobody can tell which there are, one with that fault stands for all of them.
        """
        directory = self.node.reservations_dir(name)
        try:
            files = _entries_of(directory)
        except Undetermined as error:
            return (Record(service=name, rid="vmdg", file=directory, fault=error.message),)
        return tuple(self._read(name, file.name.removesuffix(_SUFFIX)) for file in files if _is_record(file))

    def services(self) -> tuple[str, ...]:
        """The services for which this node has reserved anything, whether or not they have a file.

        Raises:
            Undetermined: Which records there are cannot be told.
        """
        names = [directory.name for directory in _entries_of(self.node.reservations_dir(""))]
        return tuple(name for name in names if self.of_service(name))

    def left_behind(self, services: Collection[str]) -> list[Service]:
        """The services that this node does not have any more, and has reserved disks for.

        Args:
            services: The names of those that it has.

        Returns:
            Each with nothing but these disks. What it ran may still run, and nobody can look. One of which the records
            cannot be read hides no other.

        Raises:
            Undetermined: Which records there are cannot be told.
        """
        return [self._left_behind(name) for name in self.services() if name not in services]

    def _left_behind(self, name: str) -> Service:
        place = self.node.reservations_dir(name)
        reserved = [_as_recorded(record, None, _users(record, {}), ()) for record in self.of_service(name)]
        found = Service(name=name, file=place, nodes=(self.node.name,), resources=tuple(reserved))
        resources = [
            each if needs_of(Verb.STOP, each, found) else evolve(each, former_users=("what it ran",))
            for each in reserved
        ]
        return evolve(found, resources=tuple(resources))

    def with_left_over(self, service: Service) -> Service:
        """A service, with what it does not want reserved any more and this node has written down.

        Args:
            service: The service, as its file describes it.

        Returns:
            The service. A resource whose ``scsireserv`` was switched off, or that was disabled, can be released again;
            and so can one whose section is gone. A record that bears the name of what has no disks to reserve is told
            as a problem, and takes the place of nothing.

        Raises:
            Undetermined: Which records there are cannot be told.
        """
        resources = {resource.rid: resource for resource in service.resources}
        rids = {identity(guest): guest.rid for guest in service.guests}
        problems = list(service.problems)
        for file in _entries_of(self.node.reservations_dir(service.name)):
            if _is_record(file):
                record = self._read(service.name, file.name.removesuffix(_SUFFIX))
                wanted = resources.get(record.rid)
                if wanted is not None and not isinstance(wanted, Reserved):
                    problems.append(_misnamed(record))
                    continue
                users = _users(record, rids)
                resources[record.rid] = _as_recorded(record, wanted, users, {*rids.values()})
        return evolve(service, resources=tuple(resources.values()), problems=tuple(problems))

    def _read(self, service: str, rid: str) -> Record:
        file = self.node.reservations_dir(service) / f"{rid}{_SUFFIX}"
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            entries = [
                Entry(wwid=_word(each["wwid"]), key=parse_key(each["prkey"]), name=_word(each["name"]))
                for each in found["disks"]
            ]
            guests = {str(each["identity"]): _word(each["name"]) for each in found["guests"]}
            return Record(service=service, rid=rid, file=file, entries=tuple(entries), guests=guests)
        except (FileNotFoundError, NotADirectoryError):
            return Record(service=service, rid=rid, file=file)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            fault = f"what this node has reserved for [{rid}] of {service} cannot be read ({told(error)}); {_MEND}"
            return Record(service=service, rid=rid, file=file, fault=fault)


_MEND = "look at the disks that it has had, remove what is left there of this node's key, and then the file"


def _users(record: Record, rids: Mapping[str, str]) -> tuple[str, ...]:
    """Who used what was reserved: its rid, where it is among those, by identity; otherwise words."""
    return tuple(rids.get(each, f"the guest {name}") for each, name in record.guests.items())


def _misnamed(record: Record) -> Problem:
    message = f"what this node is said to have reserved for [{record.rid}] is not known: no disks are reserved for that"
    return Problem(
        message=message, code="undetermined.record", hint=_MEND, file=str(record.file), severity=Severity.WARNING
    )


def _as_recorded(record: Record, wanted: Reserved | None, users: tuple[str, ...], guests: Collection[str]) -> Reserved:
    """A resource that something was written down for: as its file says, with those who used its disks then."""
    if wanted is not None:
        present = (wanted.container_id,) if isinstance(wanted, Vmdg) else guests  # a list is for all of them
        is_wanted = wanted.scsireserv and not wanted.disable
        kept = wanted if is_wanted else evolve(wanted, scsireserv=False, disable=False, is_left_over=True)
        return evolve(kept, former_users=tuple(user for user in users if user not in present))
    made = partial(Vmdg, container_id=users[0]) if users and kind_of(record.rid) == "vmdg" else Disk
    # Without guests in the record, all that the service runs may be using them.
    return made(
        service=record.service,
        rid=record.rid,
        kind=kind_of(record.rid),
        is_left_over=True,
        former_users=users[1:] if made is not Disk else users,
    )


def _text_of(record: Record) -> str:
    disks = [{"wwid": each.wwid, "prkey": key_text(each.key), "name": each.name} for each in record.entries]
    guests = [{"name": name, "identity": each} for each, name in record.guests.items()]
    return json.dumps({"guests": guests, "disks": disks}, indent=1) + "\n"


def _word(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no name")
    return value


def _is_record(file: Path) -> bool:
    """What is being written, or what an editor leaves, is none."""
    return file.suffix == _SUFFIX and not file.name.startswith(".")


def _entries_of(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise Undetermined(
            f"what this node has reserved is not known: {told(error)}",
            code="undetermined.record",
            hint=f"mend {directory}; as root, if need be",
        ) from None

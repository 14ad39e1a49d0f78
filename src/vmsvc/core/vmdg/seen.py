"""What devices show of reservations, and what can be done to them: plain records. Pure.

A *disk* is one logical unit. It is reached by *paths*: block devices of this node, each with an I_T nexus of its own.
Registrations belong to a nexus, so each path is registered by itself; a reservation belongs to the disk. What one path
reads is true of the whole disk (SPC-4, 5.12.1), as long as the path is alive: a dead one must not pass for a disk
without keys.
"""

from __future__ import annotations

import enum

from attrs import evolve, field, frozen
from attrs.validators import and_, ge, instance_of, le

from vmsvc.core.vmdg.keys import LARGEST
from vmsvc.core.vmdg.quirks import NONE, Quirks


class ReservationType(enum.IntEnum):
    """The types of persistent reservation, by their code (SPC-4, table 65)."""

    WRITE_EXCLUSIVE = 1
    EXCLUSIVE_ACCESS = 3
    WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 5
    EXCLUSIVE_ACCESS_REGISTRANTS_ONLY = 6
    WRITE_EXCLUSIVE_ALL_REGISTRANTS = 7
    EXCLUSIVE_ACCESS_ALL_REGISTRANTS = 8


#: The types that every registrant holds; READ RESERVATION then shows key 0 (SPC-4, 5.12.10).
HELD_BY_ALL = frozenset(
    {ReservationType.WRITE_EXCLUSIVE_ALL_REGISTRANTS, ReservationType.EXCLUSIVE_ACCESS_ALL_REGISTRANTS}
)
#: The type that vmsvc reserves with: every path of its node may write, nobody else, and others may read.
OURS = ReservationType.WRITE_EXCLUSIVE_REGISTRANTS_ONLY


class Answer(enum.Enum):
    """How a device answered one request, whatever tool asked it.

    Attributes:
        DONE: It says that it was done. That is no proof: what counts is what is read back.
        ATTENTION: Unit attention: the request was *not* carried out, and may be made again (SAM-5, 5.14).
        CONFLICT: Reservation conflict: another nexus has moved, or an argument is wrong.
        NOT_READY: The logical unit is not ready.
        BUSY: Busy, or its task set is full: try later.
        UNSUPPORTED: It does not know the command or the service action.
        INVALID: It rejects a field of the request.
        GONE: There is no such device, it is offline, or its transport is dead.
        DENIED: The operating system did not let us ask.
        FOREIGN: It is no SCSI device.
        SILENT: No answer came in time; whether the request was carried out is not known.
        GARBLED: An answer that cannot be read; whether the request was carried out is not known.
    """

    DONE = "done"
    ATTENTION = "unit attention"
    CONFLICT = "reservation conflict"
    NOT_READY = "not ready"
    BUSY = "busy"
    UNSUPPORTED = "not supported"
    INVALID = "invalid request"
    GONE = "gone"
    DENIED = "permission denied"
    FOREIGN = "not a SCSI device"
    SILENT = "no answer"
    GARBLED = "unreadable answer"


def initiator(transport: str, name: str) -> str:
    """The name of an initiator in one way of writing, so that equal texts mean the same.

    Args:
        transport: ``iscsi``, ``fc`` or ``sas``.
        name: An iSCSI name, which has no case (RFC 3722); or a World Wide Name or SAS address, in hexadecimal digits.

    >>> initiator("fc", "0x21000024FF31A2B3") == initiator("fc", "21 00 00 24 ff 31 a2 b3")
    True
    """
    name = name.lower()
    if transport != "iscsi":
        name = name.replace(" ", "").removeprefix("0x").zfill(16)
    return f"{transport} {name}"


@frozen(kw_only=True)
class Registration:
    """One I_T nexus that is registered.

    Attributes:
        key: Its key; several nexuses of one node bear the same.
        holds: Whether it holds the reservation; known from READ FULL STATUS only.
        nexus: Who it is, in the target's words: the initiator's name and the target port; empty where the target did
            not tell.
        initiator: The initiator's name alone, as :func:`initiator` writes it; empty where it is not known.
        is_alien: Whether that is positively none of this node's initiators.
    """

    key: int = field(validator=instance_of(int))
    holds: bool = False
    nexus: str = ""
    initiator: str = ""
    is_alien: bool = False


@frozen(kw_only=True)
class Reservation:
    """The one reservation that a disk may have.

    Attributes:
        key: The holder's key; 0 where all registrants hold it.
        type: Its type; one that SPC-4 does not know stays a number.
    """

    key: int
    type: int


@frozen(kw_only=True)
class Reading:
    """What one path showed when it was read.

    Attributes:
        path: The path, such as ``/dev/sda``.
        answer: How it answered; only with ``DONE`` the rest means anything.
        generation: The disk's count of changes (PRGENERATION); a 32-bit counter that wraps, and starts anew when a
            target without APTPL loses power.
        registrations: Every registered nexus, in the target's order.
        reservation: The reservation; ``None`` where the disk is not reserved.
        detail: What the tool said, in its words; of a failure, the reason.
        calls: How many commands it took.
    """

    path: str
    answer: Answer
    generation: int = 0
    registrations: tuple[Registration, ...] = ()
    reservation: Reservation | None = None
    detail: str = ""
    calls: int = 1

    @property
    def is_live(self) -> bool:
        """Whether the path answered, so that what it showed is true of the disk."""
        return self.answer is Answer.DONE

    def known_to(self, initiators: frozenset[str]) -> Reading:
        """The same, with registrations marked whose initiators are positively not among these.

        Args:
            initiators: This node's initiators, as far as they matter for the disk. Of a transport that none of them is
                of, nothing is concluded.
        """
        transports = {name.partition(" ")[0] for name in initiators}
        return evolve(
            self,
            registrations=tuple(
                evolve(
                    each,
                    is_alien=each.initiator.partition(" ")[0] in transports and each.initiator not in initiators,
                )
                for each in self.registrations
            ),
        )

    @property
    def keys(self) -> tuple[int, ...]:
        """The key of every registered nexus; one key may come several times."""
        return tuple(registration.key for registration in self.registrations)


@frozen(kw_only=True)
class Capabilities:
    """What a disk says that it can do with reservations (REPORT CAPABILITIES; SPC-4, 6.15.4).

    Attributes:
        answer: How the path answered; only with ``DONE`` the rest means anything.
        can_persist: Whether registrations can survive a loss of its power (PTPL_C).
        is_persistent: Whether those that are there now will (PTPL_A).
        types: The types of reservation that it knows, by their codes; ``None`` where it does not tell.
        detail: What the tool said, in its words; of a failure, the reason.
    """

    answer: Answer
    can_persist: bool = False
    is_persistent: bool = False
    types: frozenset[int] | None = None
    detail: str = ""


class Act(str, enum.Enum):
    """What is done to a disk; the service actions of PERSISTENT RESERVE OUT (SPC-4, table 225) that vmsvc uses.

    CLEAR is not among them: it would remove everybody's keys.

    Attributes:
        REGISTER: Register the path's nexus with our key, whatever key it had (REGISTER AND IGNORE EXISTING KEY).
        CONFIRM: Register the path's nexus with our key if it bears it already (REGISTER with our key, for our key). It
            changes nothing, and conflicts where the nexus is not registered: the one way to know of a single path.
        UNREGISTER: Remove the path's registration if it bears our key (REGISTER with a service action key of 0).
        RESERVE: Reserve the disk through the path's nexus.
        PREEMPT: Remove every nexus with the victim's key, abort its tasks, and take the reservation if it held it
            (PREEMPT AND ABORT; PREEMPT where the target does not know the former).
        RELEASE: Release the reservation, if the path's nexus holds it with this type.
    """

    REGISTER = "register"
    CONFIRM = "confirm"
    UNREGISTER = "unregister"
    RESERVE = "reserve"
    PREEMPT = "preempt"
    RELEASE = "release"

    def __str__(self) -> str:
        """The word itself, on every Python."""
        return self.value


@frozen(kw_only=True)
class Operation:
    """One thing to do to a disk, through one of its paths.

    Attributes:
        act: What is done.
        path: The path, such as ``/dev/sda``; of a managed disk, its map.
        key: Our key.
        victim: Of a preemption, the key that is removed; it may be our own, to be rid of a dead nexus of ours.
        type: The type of reservation; of a registration, not used.
    """

    act: Act = field(validator=instance_of(Act))
    path: str
    key: int = field(validator=and_(instance_of(int), ge(1), le(LARGEST)))
    victim: int = field(default=0, validator=and_(instance_of(int), ge(0), le(LARGEST)))
    type: ReservationType = OURS

    def __attrs_post_init__(self) -> None:
        """Refuse to preempt key 0, which would remove everybody's keys where all registrants hold the reservation."""
        if self.act is Act.PREEMPT and not self.victim:
            raise ValueError("a preemption needs a victim's key")


@frozen(kw_only=True)
class Performed:
    """How an operation was answered.

    Attributes:
        operation: The operation.
        answer: How; not a proof of anything, either way.
        detail: What the tool said, in its words.
        calls: How many commands it took.
    """

    operation: Operation
    answer: Answer
    detail: str = ""
    calls: int = 1


@frozen(kw_only=True)
class ScsiDisk:
    """A disk that can be asked for reservations: one logical unit and this node's paths to it.

    Attributes:
        name: The disk as it was named: by the guest's definition, or in the service's file.
        wwid: The logical unit's World Wide ID, which orders a set of disks and is the same on every node.
        paths: This node's paths, as block devices, sorted: ``/dev/sda``. Paths that are known to be dead are among
            them.
        hosts: The SCSI host (initiator port) of each path, in the order of ``paths``; empty where it is not known.
        map: The multipath map that joins them, such as ``/dev/mapper/mpatha``; empty where there is none.
        is_managed: Whether multipathd keeps the registrations of the map's paths (``reservation_key file``): operations
            then name the map, not a path, and register or unregister all of its paths at once.
        vendor: The vendor, as INQUIRY tells it, without the blanks at its end.
        product: The product, alike.
        size_bytes: Its capacity in bytes, ``None`` where it could not be read.
        readonly: Whether the node sees it as write-protected.
        quirks: What its make does differently.
        initiators: The names by which it may know this node, as :func:`initiator` writes them; none where they are not
            known, or where its make is not to be believed.
    """

    name: str
    wwid: str
    paths: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    map: str = ""
    is_managed: bool = False
    vendor: str = ""
    product: str = ""
    size_bytes: int | None = None
    readonly: bool = False
    quirks: Quirks = NONE
    initiators: frozenset[str] = frozenset()


@frozen(kw_only=True)
class OtherDisk:
    """A disk that cannot be reserved, and why: a file, a network disk, a loop device, say.

    Attributes:
        name: The disk as it was named.
        why: What it is, for people: ``a file``, ``a virtio-blk device, which passes no reservations on``.
        is_known: Whether that is certain. A device that is gone, or of which nothing can be read, might be reservable:
            its status is unknown, and a start that needs it refuses.
        is_shared: Whether other nodes may reach what it is made of.
        below: The World Wide IDs of the disks that it is made of, as far as other nodes may reach them.
    """

    name: str
    why: str
    is_known: bool = True
    is_shared: bool = False
    below: frozenset[str] = frozenset()

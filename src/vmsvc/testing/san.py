"""Nodes, paths and disks in memory: a `Tool` for each node, over one target, with faults where a test wants them.

san = San(nodes="ab", disks=2)
tool, disk = san.tool("a"), san.disks("a")[0]
san.give(disk.paths[1], Fault.DEAD)
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable
from itertools import product

from attrs import frozen

from vmsvc.core.vmdg.seen import (
    Act,
    Answer,
    Capabilities,
    Operation,
    Performed,
    Reading,
    Registration,
    Reservation,
    ReservationType,
    ScsiDisk,
)
from vmsvc.core.vmdg.tool import NO_DEADLINE, Deadline
from vmsvc.testing.target import Action, Attention, Request, Unit, answer, lose_power, may_write


class Fault(enum.Enum):
    """What goes wrong with one path.

    Attributes:
        DEAD: The path leads nowhere: it answers ``GONE`` until it is restored, and nothing is carried out.
        LOST_REQUEST: The next request never arrives: ``SILENT``.
        LOST_REPLY: The next request is carried out, and its answer never arrives: ``SILENT``.
        FAILED_REPLY: The next request is carried out, and is answered with ``NOT_READY``. Linux' target does that
            where it cannot save registrations.
        FALSE_REPLY: The next request is not carried out, and is answered with ``DONE``.
        ATTENTION: A unit attention is pending, of which the target's state knows nothing: a reset by somebody else.
        BUSY: The next request is answered with ``BUSY``, and not carried out.
    """

    DEAD = "dead"
    LOST_REQUEST = "lost request"
    LOST_REPLY = "lost reply"
    FAILED_REPLY = "failed reply"
    FALSE_REPLY = "false reply"
    ATTENTION = "attention"
    BUSY = "busy"


@frozen
class Asked:
    """One request that reached the SAN, or would have.

    Attributes:
        node: Who asked.
        path: Through which path.
        operation: What; ``None`` of a reading.
    """

    node: str
    path: str
    operation: Operation | None = None


class San:
    """Disks that several nodes reach. A node's name is a letter; its paths to disk 0 are ``/dev/a1d0``, ``/dev/a2d0``.

    Attributes:
        units: Each disk's logical unit, by its World Wide ID.
        asked: Every request, in the order of arrival.
        before: Called with each request before it is carried out, in the thread of the asker: what others do just then.
        delay_s: How long each request takes, in seconds.
        tells_full_status: Whether the target knows READ FULL STATUS. If not, nobody is told who bears which key.
    """

    def __init__(
        self, nodes: str = "ab", disks: int = 1, paths: int = 2, *, delay_s: float = 0.0, tells_full_status: bool = True
    ) -> None:
        self._nexuses = {
            f"/dev/{node}{path}d{disk}": (f"{node}{path}", _wwid(disk))
            for node, path, disk in product(nodes, range(1, paths + 1), range(disks))
        }
        self.units = {_wwid(disk): Unit() for disk in range(disks)}
        self.asked: list[Asked] = []
        self.before: Callable[[Asked], None] = lambda _: None
        self.delay_s = delay_s
        self.tells_full_status = tells_full_status
        self._faults: dict[str, list[Fault]] = {}
        self._lock = threading.RLock()

    def disks(self, node: str) -> tuple[ScsiDisk, ...]:
        """The disks as a node sees them, in the order of their World Wide IDs.

        It does not know by which initiator the target knows it, unless a test gives a disk ``initiators={"san NODE"}``.
        """
        return tuple(
            ScsiDisk(
                name=f"disk{number}",
                wwid=wwid,
                paths=tuple(path for path, (nexus, its) in self._nexuses.items() if its == wwid and nexus[0] == node),
                vendor="LIO-ORG",
                product="in memory",
                size_bytes=1 << 30,
            )
            for number, wwid in enumerate(self.units)
        )

    def nexus_of(self, path: str) -> tuple[str, str]:
        """The nexus that a path is, and the World Wide ID of the disk that it leads to."""
        return self._nexuses[path]

    def tool(self, node: str) -> SanTool:
        """A node's tool."""
        return SanTool(self, node)

    def writers(self, wwid: str) -> frozenset[str]:
        """Each node that can write to a disk through at least one path."""
        return frozenset(
            nexus[0] for nexus, its in self._nexuses.values() if its == wwid and may_write(self.units[wwid], nexus)
        )

    def give(self, path: str, fault: Fault) -> None:
        """Let something go wrong with a path; faults of the next request queue up, ``DEAD`` stays."""
        self._faults.setdefault(path, []).append(fault)

    def restore(self, path: str) -> None:
        """A path without faults."""
        self._faults.pop(path, None)

    def ask(self, path: str, request: Request) -> Answer:
        """Send a command through a path, past all faults: what somebody else's software does."""
        nexus, wwid = self._nexuses[path]
        with self._lock:
            self.units[wwid], told = answer(self.units[wwid], nexus, request)
        return told

    def shown(self, path: str) -> Reading:
        """What a path shows, past all faults and attentions; nobody is asked anything."""
        _, wwid = self._nexuses[path]
        return reading_of(path, self.units[wwid], tells_full_status=self.tells_full_status)

    def lose_power(self) -> None:
        """The target restarts and has forgotten every registration."""
        with self._lock:
            for wwid in self.units:
                self.units[wwid] = lose_power(nexus for nexus, its in self._nexuses.values() if its == wwid)

    def read(self, asked: Asked) -> Reading:
        """A node reads through a path."""
        self._arrive(asked)
        with self._lock:
            told, detail = self._answered(asked, Request(Action.READ))
            if told is not Answer.DONE:
                return Reading(path=asked.path, answer=told, detail=detail)
            _, wwid = self.nexus_of(asked.path)
            return reading_of(asked.path, self.units[wwid], tells_full_status=self.tells_full_status)

    def perform(self, asked: Asked, operation: Operation) -> Performed:
        """A node does something through a path."""
        self._arrive(asked)
        with self._lock:
            told, detail = self._answered(asked, request_of(operation))
            return Performed(operation=operation, answer=told, detail=detail)

    def _arrive(self, asked: Asked) -> None:
        if self.delay_s:
            time.sleep(self.delay_s)
        self.before(asked)
        self.asked.append(asked)

    def _answered(self, asked: Asked, request: Request) -> tuple[Answer, str]:
        if asked.path not in self._nexuses:
            return Answer.GONE, "no such device"
        queue = self._faults.get(asked.path, [])
        fault = queue[0] if queue else None
        if fault is not Fault.DEAD and queue:
            queue.pop(0)
        if fault in _NOT_CARRIED_OUT:
            return _NOT_CARRIED_OUT[fault]
        nexus, wwid = self._nexuses[asked.path]
        pending = dict(self.units[wwid].attentions).get(nexus)
        told = self.ask(asked.path, request)
        if fault in _CARRIED_OUT:
            return _CARRIED_OUT[fault]
        return told, str(pending) if told is Answer.ATTENTION else ""


_NOT_CARRIED_OUT = {
    Fault.DEAD: (Answer.GONE, "transport: Host_status=0x01 [DID_NO_CONNECT]"),
    Fault.LOST_REQUEST: (Answer.SILENT, "the request is lost"),
    Fault.FALSE_REPLY: (Answer.DONE, ""),
    Fault.ATTENTION: (Answer.ATTENTION, str(Attention.POWER_ON)),
    Fault.BUSY: (Answer.BUSY, "busy"),
}
_CARRIED_OUT = {
    Fault.LOST_REPLY: (Answer.SILENT, "the reply is lost"),
    Fault.FAILED_REPLY: (Answer.NOT_READY, "not ready"),
}


@frozen
class SanTool:
    """A node's `vmsvc.core.vmdg.tool.Tool` over a SAN in memory."""

    san: San
    node: str

    def read(self, disk: ScsiDisk, path: str, *, deadline: Deadline = NO_DEADLINE) -> Reading:
        """What a path shows."""
        del deadline  # to ask a target in memory is no command
        return self.san.read(Asked(self.node, path)).known_to(disk.initiators)

    def perform(self, disk: ScsiDisk, operation: Operation, *, deadline: Deadline = NO_DEADLINE) -> Performed:
        """Do something through a path."""
        del disk, deadline
        return self.san.perform(Asked(self.node, operation.path, operation), operation)

    def capabilities(self, disk: ScsiDisk, path: str) -> Capabilities:
        """What the target in memory can do: all of it."""
        del disk
        reading = self.san.read(Asked(self.node, path))
        if not reading.is_live:
            return Capabilities(answer=reading.answer, detail=reading.detail)
        return Capabilities(
            answer=Answer.DONE, can_persist=True, is_persistent=True, types=frozenset(map(int, ReservationType))
        )


def _wwid(number: int) -> str:
    return f"naa.6001405{number:025x}"


def reading_of(path: str, unit: Unit, *, tells_full_status: bool = True) -> Reading:
    """What a path shows of a unit.

    Args:
        path: The path.
        unit: The unit.
        tells_full_status: Whether READ FULL STATUS is known, which tells who bears which key.
    """
    holder = 0 if unit.is_held_by_all else unit.key_of(unit.holder)
    return Reading(
        path=path,
        answer=Answer.DONE,
        generation=unit.generation,
        registrations=tuple(
            Registration(key=key, holds=unit.is_held_by(nexus), nexus=nexus, initiator=f"san {nexus[0]}")
            if tells_full_status
            else Registration(key=key)
            for nexus, key in unit.registrations
        ),
        reservation=Reservation(key=holder, type=unit.type) if unit.holder else None,
    )


def request_of(operation: Operation) -> Request:
    """What a target is asked when a tool performs an operation."""
    key, type = operation.key, int(operation.type)
    return {
        Act.REGISTER: Request(Action.REGISTER_AND_IGNORE, action_key=key),
        Act.CONFIRM: Request(Action.REGISTER, key=key, action_key=key),
        Act.UNREGISTER: Request(Action.REGISTER, key=key),
        Act.RESERVE: Request(Action.RESERVE, key=key, type=type),
        Act.RELEASE: Request(Action.RELEASE, key=key, type=type),
        Act.PREEMPT: Request(Action.PREEMPT_AND_ABORT, key=key, action_key=operation.victim, type=type),
    }[operation.act]

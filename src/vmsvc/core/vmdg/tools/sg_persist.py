"""Reservations by ``sg_persist`` of the package sg3-utils, one call for each request.

How often it is called: a read is one call (READ FULL STATUS), two where the target does not know that or has very many
registrations. An operation is one call.

Registrations are made to survive a loss of the target's power (APTPL): a target that forgets them lets everybody write.
Each registration and unregistration says so anew, since the last one counts for all of a disk's registrations (SPC-4,
5.12.5). A target that rejects the request with it is asked again without, and that is remembered.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from attrs import evolve, frozen

from vmsvc.core.errors import ActionFailed, Undetermined
from vmsvc.core.transport import Host
from vmsvc.core.vmdg.keys import key_text
from vmsvc.core.vmdg.seen import Act, Answer, Capabilities, Operation, Performed, Reading, ScsiDisk
from vmsvc.core.vmdg.tool import NO_DEADLINE, TOO_LATE, Deadline
from vmsvc.core.vmdg.tools import parse

_READS: dict[str, Callable[[str], parse.Listing]] = {
    "--read-full-status": parse.full_status,
    "--read-keys": parse.keys,
    "--read-reservation": parse.reservation,
}
_READS_IN_TWO = ("--read-keys", "--read-reservation")

#: Whatever REGISTER is used for says anew whether registrations survive a loss of power.
_REGISTRATIONS = frozenset({Act.REGISTER, Act.CONFIRM, Act.UNREGISTER})
#: How many requests a reading in two may take until both have the same generation.
_PATIENCE = 6

#: What READ FULL STATUS is answered with where it is not known.
_NOT_KNOWN = (Answer.UNSUPPORTED, Answer.INVALID)


@frozen(kw_only=True)
class _Asked:
    """What one call brought."""

    answer: Answer
    out: str = ""
    detail: str = ""


class SgPersist:
    """Asks devices by ``sg_persist``. Threads may share it.

    Args:
        host: Where the commands run.
        budget_s: How long one call may take, in seconds.
    """

    def __init__(self, host: Host, *, budget_s: float = 15.0) -> None:
        self._host = host
        self._budget_s = budget_s
        self._guard = threading.Lock()
        # What targets turned out not to know, by WWID; a quirk tells it beforehand.
        self._without_full_status: set[str] = set()
        self._without_aptpl: set[str] = set()
        self._turns: dict[str, threading.Lock] = {}

    def read(self, disk: ScsiDisk, path: str, *, deadline: Deadline = NO_DEADLINE) -> Reading:
        """Read registrations and reservation through one path.

        Args:
            disk: The disk.
            path: One of its paths.
            deadline: Until when commands may run for it.

        Returns:
            What the path showed, at one moment.
        """
        calls = 0
        if disk.quirks.full_status and disk.wwid not in self._without_full_status:
            asked, listing = self._listing(path, "--read-full-status", deadline)
            if asked.answer in _NOT_KNOWN:
                self._without_full_status.add(disk.wwid)
            elif asked.answer is not Answer.GARBLED:
                return _reading(path, asked, listing).known_to(disk.initiators)
            calls = 1  # in vain; many registrations do not fit into it
        reading = self._read_in_two(path, deadline)
        return evolve(reading, calls=reading.calls + calls)

    def perform(self, disk: ScsiDisk, operation: Operation, *, deadline: Deadline = NO_DEADLINE) -> Performed:
        """Do something, once.

        Args:
            disk: The disk.
            operation: What to do, and through which of its paths.
            deadline: Until when commands may run for it.

        Returns:
            How it was answered; no proof of anything.
        """
        with self._turn(disk):
            persists = operation.act in _REGISTRATIONS and self.keeps_registrations(disk)
            asked = self._out(operation, disk, persists=persists, deadline=deadline)
            calls = 1
            if persists and asked.answer is Answer.INVALID:
                asked, calls = self._out(operation, disk, persists=False, deadline=deadline), 2
                if asked.answer is not Answer.INVALID:
                    self._without_aptpl.add(disk.wwid)
        return Performed(operation=operation, answer=asked.answer, detail=asked.detail, calls=calls)

    def capabilities(self, disk: ScsiDisk, path: str) -> Capabilities:
        """Ask through one path what the disk can do with reservations; one call.

        Args:
            disk: The disk.
            path: One of its paths.
        """
        del disk
        asked = self._run("--in", "--readonly", "--report-capabilities", path, deadline=NO_DEADLINE)
        if asked.answer is not Answer.DONE:
            return Capabilities(answer=asked.answer, detail=asked.detail)
        try:
            return parse.capabilities(asked.out)
        except ValueError as error:
            return Capabilities(answer=Answer.GARBLED, detail=f"what sg_persist prints cannot be read: {error}")

    def keeps_registrations(self, disk: ScsiDisk) -> bool:
        """Whether a disk is asked to keep its registrations through a loss of power, as far as is known.

        Args:
            disk: The disk.
        """
        return disk.quirks.aptpl and disk.wwid not in self._without_aptpl

    def _read_in_two(self, path: str, deadline: Deadline) -> Reading:
        """READ KEYS and READ RESERVATION by turns, until two that follow each other belong to the same generation.

        Reserving and releasing do not change the generation, but registering does: at the moment when the reservation
        was read, the keys were those of its generation.
        """
        latest: dict[str, parse.Listing] = {}
        for calls, action in enumerate(itertools.islice(itertools.cycle(_READS_IN_TWO), _PATIENCE), start=1):
            asked, listing = self._listing(path, action, deadline)
            if listing is None:
                return evolve(_reading(path, asked, None), calls=calls)
            latest[action] = listing
            if len({listing.generation for listing in latest.values()}) == 1 and len(latest) == len(_READS_IN_TWO):
                both = evolve(latest["--read-keys"], reservation=latest["--read-reservation"].reservation)
                return evolve(_reading(path, asked, both), calls=calls)
        detail = f"its registrations changed all the time, while they were read {_PATIENCE} times"
        return Reading(path=path, answer=Answer.BUSY, detail=detail, calls=_PATIENCE)

    def _listing(self, path: str, action: str, deadline: Deadline) -> tuple[_Asked, parse.Listing | None]:
        # Read-only: after a device that was open for writing is closed, udev probes it, and that fails under somebody's
        # exclusive access and leaves it with a size of 0.
        asked = self._run("--in", "--readonly", action, path, deadline=deadline)
        if asked.answer is not Answer.DONE:
            return asked, None
        try:
            return asked, _READS[action](asked.out)
        except ValueError as error:
            detail = f"what sg_persist {action} prints cannot be read: {error}"
            return _Asked(answer=Answer.GARBLED, detail=detail), None

    def _out(self, operation: Operation, disk: ScsiDisk, *, persists: bool, deadline: Deadline) -> _Asked:
        return self._run(
            "--out",
            *_arguments(operation, aborts=disk.quirks.abort),
            *(["--param-aptpl"] if persists else []),
            operation.path,
            deadline=deadline,
        )

    def _run(self, *arguments: str, deadline: Deadline) -> _Asked:
        argv = ["sg_persist", "--no-inquiry", *arguments]
        budget_s = deadline.budget_s(self._budget_s)
        if not budget_s:
            return _Asked(answer=Answer.SILENT, detail=TOO_LATE)
        try:
            outcome = self._host.run(argv, budget_s=budget_s, environment={"LC_ALL": "C"})
        except Undetermined as error:
            return _Asked(answer=Answer.SILENT, detail=error.message)
        except ActionFailed as error:
            detail = f"{error.message}; sg_persist comes with the package sg3-utils"
            return _Asked(answer=Answer.DENIED, detail=detail)
        answer = parse.answer_of(outcome.code, outcome.err) if not outcome.truncated else Answer.GARBLED
        return _Asked(answer=answer, out=outcome.out, detail=parse.said(outcome.code, outcome.err))

    def _turn(self, disk: ScsiDisk) -> AbstractContextManager[object]:
        """Waits for one's turn at a disk that stumbles over two changes at once."""
        if not disk.quirks.one_at_a_time:
            return nullcontext()
        with self._guard:
            return self._turns.setdefault(disk.wwid, threading.Lock())


def _reading(path: str, asked: _Asked, listing: parse.Listing | None) -> Reading:
    if listing is None:
        return Reading(path=path, answer=asked.answer, detail=asked.detail)
    return Reading(
        path=path,
        answer=asked.answer,
        generation=listing.generation,
        registrations=listing.registrations,
        reservation=listing.reservation,
        detail=asked.detail,
    )


def _arguments(operation: Operation, *, aborts: bool) -> tuple[str, ...]:
    ours, type_ = f"--param-rk={key_text(operation.key)}", f"--prout-type={int(operation.type)}"
    if operation.act is Act.REGISTER:
        return "--register-ignore", f"--param-sark={key_text(operation.key)}"
    if operation.act is Act.CONFIRM:
        return "--register", ours, f"--param-sark={key_text(operation.key)}"
    if operation.act is Act.UNREGISTER:
        return "--register", ours, "--param-sark=0x0"
    if operation.act is Act.RESERVE:
        return "--reserve", ours, type_
    if operation.act is Act.RELEASE:
        return "--release", ours, type_
    return "--preempt-abort" if aborts else "--preempt", ours, f"--param-sark={key_text(operation.victim)}", type_

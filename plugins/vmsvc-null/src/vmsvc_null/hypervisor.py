"""The simulated hypervisor: what libvirtd or dockerd is to a real driver. It knows nothing of vmsvc.

Its whole state, log included, is one JSON file, replaced atomically under a lock. So machines outlive the process that
started them, any number of processes can use it at once, ``kill -9`` at any point leaves the state before or after a
change and nothing between, and whoever only looks needs no lock and writes nothing. What takes time is a timeline,
written down when it begins and read by whoever looks later; no thread or daemon is at work.

A machine behaves as its *script* says: the caller's, unless told otherwise at run time (:meth:`Hypervisor.set`).
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import evolve, field, frozen

#: What the hypervisor can be asked to do, and can be scripted to fail at.
VERBS = ("observe", "start", "prepare", "boot", "plumb", "unplumb", "stop", "kill", "enter", "migrate", "receive")
#: States in which a machine has nothing around it, and so no addresses either.
_AT_REST = ("stopped", "saved", "absent", "moved")
#: States from which a machine can be started.
_WAYS_UP = ("stopped", "saved", "moved", "crashed")
_POLL_S = 0.02


class ErrorCode(enum.Enum):
    """Why the hypervisor did not do as it was asked; callers decide by it, never by a text."""

    NO_MACHINE = "no-machine"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


class HypervisorError(Exception):
    """The hypervisor did not do as it was asked.

    Attributes:
        code: Why, as a word that does not change.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def _tuple(words: Iterable[str]) -> tuple[str, ...]:
    """JSON knows lists only."""
    return tuple(words)


@frozen(kw_only=True)
class Machine:
    """A machine: where it stands, and how it behaves.

    Attributes:
        name: Its name.
        phase: Its state, as the hypervisor's own word: ``running``, ``stopped``, ``absent`` …
        start_delay: How long its next start takes, in seconds; it is ``starting`` meanwhile.
        stop_delay: How long its next shutdown takes, in seconds; it is ``stopping`` meanwhile.
        dies_after: How long after its next start it stops by itself, in seconds; 0 for never.
        move_delay: How long its next move to another hypervisor takes, in seconds; it is ``migrating`` meanwhile.
        ignore_stop: Whether it ignores a request to shut down.
        fail: Verbs that fail.
        hang: Verbs that do not return.
        autostart: Whether it is to start with its node.
        disks: Paths of the disks that it has, beside those that a caller tells of.
    """

    name: str
    phase: str = "stopped"
    start_delay: float = 0.0
    stop_delay: float = 0.0
    dies_after: float = 0.0
    move_delay: float = 0.0
    ignore_stop: bool = False
    fail: tuple[str, ...] = field(default=(), converter=_tuple)
    hang: tuple[str, ...] = field(default=(), converter=_tuple)
    autostart: bool = False
    disks: tuple[str, ...] = field(default=(), converter=_tuple)


@frozen(kw_only=True)
class LogEntry:
    """A request that reached the hypervisor.

    Attributes:
        at: When, in seconds since the epoch.
        pid: The process that asked.
        machine: The machine's name.
        verb: ``define``, ``start``, ``prepare``, ``boot``, ``plumb``, ``unplumb``, ``stop``, ``kill``,
            ``migrate``, or, at the other end, ``receive``.
        effect: Whether it changed anything; a start without effect found the machine up already.
    """

    at: float
    pid: int
    machine: str
    verb: str
    effect: bool


class Hypervisor:
    """A hypervisor whose state is in a directory. Reading creates nothing there.

    Args:
        directory: Where its state is; created by the first change.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = directory / "hypervisor.json"

    @classmethod
    def of_node(cls, root: Path) -> Hypervisor:
        """The hypervisor of a node.

        Args:
            root: The root of the node's files, as in ``VMSVC_ROOT``.
        """
        return cls(root / "var/lib/vmsvc-null")

    # --- what a driver asks -------------------------------------------------------------------------------------------

    def look(self, script: Machine) -> Machine:
        """Where a machine stands.

        Args:
            script: How the machine behaves, and how it stands if nobody has touched it yet.

        Returns:
            The machine as it stands now.

        Raises:
            HypervisorError: It was scripted to fail.
        """
        self._obey_script("observe", script)
        return self._machine(self._read(), script)

    def look_at_all(self, scripts: Iterable[Machine]) -> dict[str, Machine | HypervisorError]:
        """Where several machines stand, in one query.

        Args:
            scripts: The machines, as for :meth:`look`.

        Returns:
            By name, the machine; or an error for one that does not answer, which holds up none of the others.

        Raises:
            HypervisorError: The hypervisor itself was scripted to fail.
        """
        self._obey_script("observe")
        state = self._read()
        answers: dict[str, Machine | HypervisorError] = {}
        for script in scripts:
            machine = self._machine(state, script)
            silent = "observe" in machine.fail + machine.hang
            answers[script.name] = (
                HypervisorError(ErrorCode.UNREACHABLE, f"{script.name} does not answer") if silent else machine
            )
        return answers

    def machines(self) -> tuple[Machine, ...]:
        """Every machine that somebody has touched, in one query; one that is absent is none.

        Raises:
            HypervisorError: The hypervisor itself was scripted to fail.
        """
        self._obey_script("observe")
        state = self._read()
        known = (self._machine(state, Machine(name=name)) for name in sorted(state["machines"]))
        return tuple(machine for machine in known if machine.phase != "absent")

    def define(self, script: Machine) -> None:
        """Make a machine that is absent known here, stopped."""
        with self._change() as state:
            machine = self._machine(state, script)
            self._settle(state, machine, "define", [(0.0, "stopped")] if machine.phase == "absent" else [])

    def start(self, script: Machine) -> bool:
        """Begin to start a machine, unless it is up or on its way.

        Returns:
            Whether there was anything to do.

        Raises:
            HypervisorError: It was scripted to fail, or the machine is absent or in a state that has no way up.
        """
        self._obey_script("start", script)
        with self._change() as state:
            machine = self._machine(state, script)
            if machine.phase == "absent":
                raise HypervisorError(ErrorCode.NO_MACHINE, f"there is no machine {machine.name}")
            if machine.phase not in (*_WAYS_UP, "prepared", "starting", "running"):
                raise HypervisorError(ErrorCode.REFUSED, f"{machine.name} is {machine.phase} and cannot be started")
            rests = machine.phase not in ("starting", "running")
            self._settle(state, machine, "start", _boot(machine) if rests else [])
        return rests

    def prepare(self, script: Machine) -> bool:
        """Prepare a machine, unless it is prepared, up or on its way.

        Returns:
            Whether there was anything to do.

        Raises:
            HypervisorError: It was scripted to fail, or the machine is absent or in a state that has no way up.
        """
        self._obey_script("prepare", script)
        with self._change() as state:
            machine = self._machine(state, script)
            if machine.phase == "absent":
                raise HypervisorError(ErrorCode.NO_MACHINE, f"there is no machine {machine.name}")
            if machine.phase not in ("stopped", "saved", "prepared", "starting", "running"):
                raise HypervisorError(ErrorCode.REFUSED, f"{machine.name} is {machine.phase} and cannot be prepared")
            rests = machine.phase in _AT_REST
            if rests:
                self._record(state, machine.name)["addresses"] = []
            self._settle(state, machine, "prepare", [(0.0, "prepared")] if rests else [])
        return rests

    def boot(self, script: Machine) -> bool:
        """Begin to start a machine that is prepared, unless it is up or on its way.

        Returns:
            Whether there was anything to do.

        Raises:
            HypervisorError: It was scripted to fail, or the machine is not prepared.
        """
        self._obey_script("boot", script)
        with self._change() as state:
            machine = self._machine(state, script)
            if machine.phase not in ("prepared", "starting", "running"):
                raise HypervisorError(ErrorCode.REFUSED, f"{machine.name} is {machine.phase} and not prepared")
            rests = machine.phase == "prepared"
            self._settle(state, machine, "boot", _boot(machine) if rests else [])
        return rests

    def plumbed(self, script: Machine) -> list[tuple[str, str, int | None]]:
        """The addresses that a machine was given: adapter, address, length of the prefix.

        Raises:
            HypervisorError: It was scripted to fail.
        """
        self._obey_script("observe", script)
        state = self._read()
        if self._machine(state, script).phase in _AT_REST:
            return []
        return [tuple(each) for each in state["machines"].get(script.name, {}).get("addresses", ())]

    def plumb(self, script: Machine, device: str, address: str, prefix: int | None) -> bool:
        """Give a machine an address, unless it has it.

        Returns:
            Whether there was anything to do.

        Raises:
            HypervisorError: It was scripted to fail, or there is no machine that could have an address.
        """
        self._obey_script("plumb", script)
        with self._change() as state:
            machine = self._machine(state, script)
            if machine.phase in _AT_REST:
                raise HypervisorError(ErrorCode.REFUSED, f"{machine.name} is {machine.phase} and not prepared")
            addresses = self._record(state, machine.name).setdefault("addresses", [])
            is_new = not any(each[:2] == [device, address] for each in addresses)
            if is_new:
                addresses.append([device, address, prefix])
            self._note(state, machine, "plumb", effect=is_new)
        return is_new

    def unplumb(self, script: Machine, device: str, address: str) -> None:
        """Take an address away from a machine, if it has it.

        Raises:
            HypervisorError: It was scripted to fail.
        """
        self._obey_script("unplumb", script)
        with self._change() as state:
            machine = self._machine(state, script)
            record = self._record(state, machine.name)
            before = record.get("addresses", [])
            record["addresses"] = [each for each in before if each[:2] != [device, address]]
            self._note(state, machine, "unplumb", effect=record["addresses"] != before)

    def stop(self, script: Machine) -> None:
        """Ask a machine to shut down, unless it is down or on its way; it may ignore that.

        Raises:
            HypervisorError: It was scripted to fail, or the machine is in no state to hear the request.
        """
        self._obey_script("stop", script)
        with self._change() as state:
            machine = self._machine(state, script)
            if machine.phase not in ("running", "starting", "stopping", "prepared", "stopped", "saved", "absent"):
                raise HypervisorError(ErrorCode.REFUSED, f"{machine.name} is {machine.phase} and does not listen")
            heeds = machine.phase in ("running", "starting") and not machine.ignore_stop
            shutdown = [(0.0, "stopping"), (machine.stop_delay, "stopped")]
            if machine.phase == "prepared":  # there is nobody in it to shut down
                shutdown = [(0.0, "stopped")]
            self._settle(state, machine, "stop", shutdown if heeds or machine.phase == "prepared" else [])

    def kill(self, script: Machine) -> None:
        """Take a machine's power away, unless it is down.

        Raises:
            HypervisorError: It was scripted to fail.
        """
        self._obey_script("kill", script)
        with self._change() as state:
            machine = self._machine(state, script)
            down = machine.phase in ("stopped", "saved", "absent")
            self._settle(state, machine, "kill", [] if down else [(0.0, "stopped")])

    def migrate(self, script: Machine, to: Hypervisor) -> None:
        """Move a machine that runs to another hypervisor, and return when it is there.

        Args:
            script: The machine, as for :meth:`look`.
            to: The other hypervisor.

        Raises:
            HypervisorError: It was scripted to fail, here or there; it does not run here, or there is something there.
        """
        self._obey_script("migrate", script)
        to._check_room_for(script)
        with self._change() as state:
            machine = self._machine(state, script)
            if machine.phase != "running":
                raise HypervisorError(ErrorCode.REFUSED, f"{machine.name} is {machine.phase}: it cannot be moved")
            self._settle(state, machine, "migrate", [(0.0, "migrating"), (machine.move_delay, "moved")])
        # A crash right here loses the machine; the other way round it would run twice.
        with to._change() as theirs:
            to._settle(theirs, machine, "receive", [(0.0, "migrating"), (machine.move_delay, "running")])
        self.watch(script, "migrating", machine.move_delay + _POLL_S)

    def _check_room_for(self, script: Machine) -> None:
        if not self._directory.parent.is_dir():
            raise HypervisorError(ErrorCode.REFUSED, f"there is no hypervisor at {self._directory}")
        try:
            self._obey_script("receive", script)
        except HypervisorError as error:  # the machine has not left then
            raise HypervisorError(ErrorCode.REFUSED, str(error)) from None
        there = self._read()["machines"].get(script.name)
        phase = self._machine({"machines": {script.name: there}}, script).phase if there else "absent"
        if phase not in _AT_REST:
            raise HypervisorError(ErrorCode.REFUSED, f"{script.name} is {phase} there")

    def inside(self, script: Machine) -> Path:
        """The directory that is the inside of a machine which runs; it is made when somebody first goes there.

        Raises:
            HypervisorError: It was scripted to fail, or the machine does not run.
        """
        self._obey_script("enter", script)
        machine = self._machine(self._read(), script)
        if machine.phase != "running":
            raise HypervisorError(ErrorCode.REFUSED, f"{machine.name} is {machine.phase}: it has no inside")
        directory = self._directory / "inside" / machine.name.replace("/", "%2f")
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def watch(self, script: Machine, phase: str, timeout_s: float) -> None:
        """Return when a machine's state is another than the given one, or when the time is up.

        Args:
            script: The machine, as for :meth:`look`.
            phase: The state that the caller has seen.
            timeout_s: How long to watch, in seconds.
        """
        deadline = time.monotonic() + timeout_s
        with contextlib.suppress(HypervisorError):  # whoever looks next is told
            while self._machine(self._read(), script).phase == phase and (left := deadline - time.monotonic()) > 0:
                time.sleep(min(_POLL_S, left))

    def close(self) -> None:
        """Give up the connection; a simulated one has nothing to close."""

    # --- what a test asks ---------------------------------------------------------------------------------------------

    def set(self, name: str | None, **changes: object) -> None:
        """Change a machine from outside, or how the hypervisor itself behaves.

        Args:
            name: The machine; ``None`` for the hypervisor itself, which has ``fail`` and ``hang`` only.
            changes: Fields of :class:`Machine`, which from now on win over the caller's script.

        Raises:
            ValueError: There is no such field.
        """
        allowed = {"fail", "hang"} if name is None else {each.name for each in attrs.fields(Machine)} - {"name"}
        if unknown := ", ".join(sorted(set(changes) - allowed)):
            raise ValueError(f"no such setting: {unknown}; there are {', '.join(sorted(allowed))}")
        with self._change() as state:
            if name is None:
                state["hypervisor"].update(changes)
                return
            record = self._record(state, name)
            if "phase" in changes:
                record["timeline"] = [(time.time(), changes.pop("phase"))]
            record["told"].update(changes)

    def machine(self, name: str) -> Machine:
        """Where a machine stands, whatever it was scripted to do; a stopped one if nobody has touched it."""
        return self._machine(self._read(), Machine(name=name))

    def log(self) -> tuple[LogEntry, ...]:
        """Every request that changes something and was not scripted to fail or hang, oldest first."""
        return tuple(LogEntry(**entry) for entry in self._read()["log"])

    def starts(self, name: str) -> int:
        """How many times a machine was really started."""
        booted = [entry for entry in self.log() if entry.machine == name and entry.verb in ("start", "boot")]
        return sum(entry.effect for entry in booted)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _read(self) -> dict[str, Any]:
        try:
            text = self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {"hypervisor": {}, "machines": {}, "log": []}
        try:
            state: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise HypervisorError(ErrorCode.UNREACHABLE, f"{self._file} cannot be read: {error}") from error
        return state

    @contextlib.contextmanager
    def _change(self) -> Iterator[dict[str, Any]]:
        """Change the state: all of it or nothing, one process at a time. The kernel drops a dead process's lock."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = self._read()
            yield state
            fresh = self._file.with_suffix(".new")
            fresh.write_text(json.dumps(state, indent=1), encoding="utf-8")
            fresh.replace(self._file)

    @staticmethod
    def _machine(state: Mapping[str, Any], script: Machine) -> Machine:
        """A machine as it stands now; what it was told at run time wins over its script."""
        record = state["machines"].get(script.name)
        if record is None:
            return script
        past = [phase for at, phase in record["timeline"] if at <= time.time()]
        return evolve(script, phase=past[-1] if past else script.phase, **record["told"])

    @staticmethod
    def _record(state: dict[str, Any], name: str) -> dict[str, Any]:
        record: dict[str, Any] = state["machines"].setdefault(name, {"timeline": [], "told": {}})
        return record

    def _settle(self, state: dict[str, Any], machine: Machine, verb: str, course: list[tuple[float, str]]) -> None:
        """Write down what a request led to: phases and in how many seconds they come; none where nothing changed."""
        now = time.time()
        if course:
            self._record(state, machine.name)["timeline"] = [(now + delay, phase) for delay, phase in course]
        self._note(state, machine, verb, effect=bool(course))

    @staticmethod
    def _note(state: dict[str, Any], machine: Machine, verb: str, *, effect: bool) -> None:
        entry = LogEntry(at=time.time(), pid=os.getpid(), machine=machine.name, verb=verb, effect=effect)
        state["log"].append(attrs.asdict(entry))

    def _obey_script(self, verb: str, script: Machine | None = None) -> None:
        """Fail or hang where that is scripted; a hung call returns when it is told otherwise, as after a SIGCONT."""
        while True:
            state = self._read()
            if verb in state["hypervisor"].get("fail", ()):
                raise HypervisorError(ErrorCode.UNREACHABLE, "the hypervisor refused the connection")
            machine = self._machine(state, script) if script else None
            if machine and verb in machine.fail:
                code = ErrorCode.UNREACHABLE if verb == "observe" else ErrorCode.REFUSED
                raise HypervisorError(code, f"{verb} of {machine.name} failed, as its script says")
            if verb not in state["hypervisor"].get("hang", ()) and not (machine and verb in machine.hang):
                return
            time.sleep(_POLL_S)


def _boot(machine: Machine) -> list[tuple[float, str]]:
    """How a machine comes up."""
    course = [(0.0, "starting"), (machine.start_delay, "running")]
    if machine.dies_after:
        course.append((machine.start_delay + machine.dies_after, "stopped"))
    return course

"""The driver: translates vmsvc's verbs into requests to the hypervisor, and its words into phases."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve, frozen

from vmsvc.driver import (
    Capability,
    Context,
    DefinitionFields,
    Definitions,
    Destination,
    DriverError,
    Evidence,
    FoundGuest,
    Guest,
    GuestAddress,
    GuestDisk,
    Lane,
    NoWayIn,
    Observation,
    Outcome,
    Phase,
    Sizes,
    Undetermined,
    Value,
    VmsvcError,
    boolean,
    choice,
    count,
    option,
    path,
    seconds,
    shown,
    unknown,
    words,
)
from vmsvc_null.hypervisor import VERBS, ErrorCode, Hypervisor, HypervisorError, Machine

T = TypeVar("T")

#: Who was asked, for those who read what was seen.
_PROBE = "simulated hypervisor"
#: The hypervisor's words. A word that is not listed here is one that we do not understand: unknown, never down.
PHASES = {
    "running": Phase.RUNNING,
    "stopped": Phase.STOPPED,
    "saved": Phase.SAVED,
    "absent": Phase.ABSENT,
    "moved": Phase.MOVED,
    "prepared": Phase.PREPARED,
    "starting": Phase.STARTING,
    "stopping": Phase.STOPPING,
    "paused": Phase.PAUSED,
    "suspended": Phase.SUSPENDED,
    "crashed": Phase.CRASHED,
    "stuck": Phase.STUCK,
    "migrating": Phase.MIGRATING,
    "degraded": Phase.DEGRADED,
}


def _verbs(raw: Any) -> tuple[str, ...]:
    found = words.parse(raw)
    if wrong := ", ".join(word for word in found if word not in VERBS):
        raise ValueError(f"no such verb: {wrong}")
    return found


#: A type of value that vmsvc does not have: this is how a driver adds one.
verbs: Value[tuple[str, ...]] = Value(f"words among {', '.join(VERBS)}", _verbs, VERBS)


@frozen(kw_only=True)
class NullGuest(Guest):
    """A simulated guest: what it is given, and how it is to behave."""

    vcpus: int = option(count, default=1, help="Virtual processors.")
    memory_mib: int = option(count, default=256, help="Memory in MiB.")
    disks: tuple[str, ...] = option(words, default=(), help="Paths of the disks that the guest is given.")
    config_files: tuple[str, ...] = option(words, default=(), help="Files that a peer needs to run the guest.")
    initial: str = option(choice(*PHASES), default="stopped", help="Its state until somebody starts or stops it.")
    start_delay: float = option(seconds, default=0.0, help="How long it takes to start.")
    stop_delay: float = option(seconds, default=0.0, help="How long it takes to shut down.")
    dies_after: float = option(seconds, default=0.0, help="How long after a start it stops by itself; 0 for never.")
    ignore_stop: bool = option(boolean, default=False, help="Ignore requests to shut down.")
    move_delay: float = option(seconds, default=0.0, help="How long it takes to move to another node.")
    migrate_root: str = option(
        path,
        default="",
        help="The root of this node's files, as other nodes see it: `vmsvc migrate` moves guests there. With the "
        "node's own scope: `migrate_root@n2`.",
    )
    split_start: bool = option(
        boolean,
        default=False,
        help="Start as a zone does: it is prepared, is given the addresses of the service, and is booted.",
    )
    fail: tuple[str, ...] = option(verbs, default=(), help="Verbs that fail.")
    hang: tuple[str, ...] = option(verbs, default=(), help="Verbs that never return.")

    @property
    def is_split(self) -> bool:
        """Whether it is prepared before it is booted."""
        return self.split_start

    @property
    def is_plumbed(self) -> bool:
        """Whether this node gives it its addresses."""
        return self.split_start

    @property
    def script(self) -> Machine:
        """The guest as the hypervisor's client library describes it."""
        return Machine(
            name=self.name,
            phase=self.initial,
            start_delay=self.start_delay,
            stop_delay=self.stop_delay,
            dies_after=self.dies_after,
            move_delay=self.move_delay,
            ignore_stop=self.ignore_stop,
            fail=self.fail,
            hang=self.hang,
        )


class NullDriver:
    """Guests of the simulated hypervisor of this node."""

    type = "null"
    kind = "container"
    api = frozenset({1})
    options = NullGuest
    # By name, and never frozenset(Capability): a vmsvc that comes to know more must not believe us capable of it.
    capabilities = frozenset(
        {
            Capability.BULK,
            Capability.WAIT,
            Capability.DISKS,
            Capability.DEFINITION,
            Capability.CONFIG_FILES,
            Capability.SIZES,
            Capability.DISCOVER,
            Capability.COMPARE,
            Capability.ENTRY,
            Capability.SPLIT_START,
            Capability.PLUMB,
            Capability.MIGRATE,
        }
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lane = self._new_lane("null hypervisor")

    def _new_lane(self, name: str) -> Lane[Hypervisor]:
        """A client that can block for ever is called through a lane, which gives up on it when the budget is spent.

        It connects when it is first used: making a driver opens nothing.
        """
        root = self._context.node.root
        return Lane(f"{name} of {root}", connect=partial(Hypervisor.of_node, root), disconnect=Hypervisor.close)

    def close(self) -> None:
        """Give up the connection."""
        self._lane.close()

    # --- the required part --------------------------------------------------------------------------------------------

    def observe(self, resource: NullGuest, *, budget_s: float) -> Observation:
        """Ask for one guest."""
        begin = time.monotonic()
        try:
            machine = self._ask(lambda hypervisor: hypervisor.look(resource.script), budget_s)
        except VmsvcError as error:
            return unknown(_PROBE, error, duration_s=time.monotonic() - begin)
        return _observation(_PROBE, machine, time.monotonic() - begin)

    def start(self, resource: NullGuest, *, budget_s: float) -> bool:
        """Start the guest; define it first, where the hypervisor has lost it and the service keeps its definition."""
        return self._begin(resource, Hypervisor.start, budget_s)

    def stop(self, resource: NullGuest, *, budget_s: float) -> None:
        """Ask the guest to shut down."""
        self._act(resource, lambda hypervisor: hypervisor.stop(resource.script), budget_s)

    def kill(self, resource: NullGuest, *, budget_s: float) -> None:
        """Take the guest's power away."""
        self._act(resource, lambda hypervisor: hypervisor.kill(resource.script), budget_s)

    # --- the roles: implement those that the technology has, and declare them as capabilities -------------------------

    def observe_all(self, resources: Sequence[NullGuest], *, budget_s: float) -> Mapping[tuple[str, str], Observation]:
        """Ask for all guests with one query."""
        begin = time.monotonic()
        scripts = [resource.script for resource in resources]
        try:
            answers = self._ask(lambda hypervisor: hypervisor.look_at_all(scripts), budget_s)
        except VmsvcError as error:
            nothing = unknown(_PROBE, error, duration_s=time.monotonic() - begin)
            return {(resource.service, resource.rid): nothing for resource in resources}
        duration_s = time.monotonic() - begin
        return {
            (resource.service, resource.rid): _observation(_PROBE, answers[resource.script.name], duration_s)
            for resource in resources
        }

    def wait(self, resource: NullGuest, until: Callable[[Observation], bool], *, budget_s: float) -> Observation:
        """Look, and look again whenever the hypervisor tells of a change; and often enough to see that nobody waits."""
        deadline = time.monotonic() + budget_s
        # Events come on a connection of their own: waiting for one guest holds up no question about another.
        with contextlib.closing(self._new_lane(f"events of {resource.name}")) as events:
            while True:
                seen = self.observe(resource, budget_s=max(deadline - time.monotonic(), 0.1))
                left = deadline - time.monotonic()
                if left <= 0 or until(seen):
                    return seen
                if seen.phase is Phase.UNKNOWN:
                    time.sleep(min(left, 0.1))
                    continue
                watch = partial(Hypervisor.watch, script=resource.script, phase=seen.state, timeout_s=min(left, 0.5))
                with contextlib.suppress(Undetermined):  # the next look tells
                    events.call(watch, budget_s=left)

    def disks(self, guest: NullGuest, *, budget_s: float) -> Sequence[GuestDisk]:
        """The disks of the guest's options, in their order."""
        machine = self._known(guest, budget_s)
        return _disks(machine, guest.disks)

    def definition(self, guest: NullGuest, *, budget_s: float) -> str:
        """The guest's sizes and disks, as JSON."""
        machine = self._known(guest, budget_s)
        facts = {"name": machine.name, "vcpus": guest.vcpus, "memory_mib": guest.memory_mib, "disks": guest.disks}
        return json.dumps(facts, indent=2)

    def definitions(self, guest: NullGuest, *, budget_s: float) -> Definitions:
        """The same for the guest that runs and for its next start: nothing here changes a machine while it runs."""
        text = self.definition(guest, budget_s=budget_s)
        return Definitions(live=text if self._known(guest, budget_s).phase == "running" else None, persistent=text)

    def fields(self, definition: str) -> DefinitionFields:
        """What such JSON says; each disk is a field of its own."""
        try:
            facts = dict(json.loads(definition))
        except (TypeError, ValueError) as error:
            raise DriverError(f"this is not a definition: {error}", code="driver.definition") from None
        disks = {f"disk[{path}]": "" for path in facts.pop("disks", ())}
        return DefinitionFields(values={**{key: str(value) for key, value in facts.items()}, **disks})

    def config_files(self, guest: NullGuest, *, budget_s: float) -> Sequence[Path]:  # noqa: ARG002 - nothing to ask
        """Those files of the guest's options that exist."""
        return [path for path in map(Path, guest.config_files) if path.is_absolute() and path.exists()]

    def sizes(self, guest: NullGuest, *, budget_s: float) -> Sizes:
        """The sizes of the guest's options."""
        self._known(guest, budget_s)
        return Sizes(vcpus=guest.vcpus, memory_mib=guest.memory_mib)

    def prepare(self, guest: NullGuest, *, budget_s: float) -> bool:
        """Prepare the guest; define it first, as for a start."""
        return self._begin(guest, Hypervisor.prepare, budget_s)

    def boot(self, guest: NullGuest, *, budget_s: float) -> bool:
        """Boot the guest that is prepared."""
        return self._act(guest, lambda hypervisor: hypervisor.boot(guest.script), budget_s)

    def plumbed(self, guest: NullGuest, *, budget_s: float) -> Sequence[GuestAddress]:
        """The addresses that the hypervisor has given to the guest."""
        found = self._ask(lambda hypervisor: hypervisor.plumbed(guest.script), budget_s)
        return [GuestAddress(device=device, address=address, prefix=prefix) for device, address, prefix in found]

    def plumb(self, guest: NullGuest, address: GuestAddress, *, budget_s: float) -> bool:
        """Have the hypervisor give the guest an address; no real adapter is touched."""
        wanted = (address.device, address.address, address.prefix)
        return self._ask(lambda hypervisor: hypervisor.plumb(guest.script, *wanted), budget_s)

    def unplumb(self, guest: NullGuest, address: GuestAddress, *, budget_s: float) -> None:
        """Have the hypervisor take it away again."""
        self._ask(lambda hypervisor: hypervisor.unplumb(guest.script, address.device, address.address), budget_s)

    def migrate(self, guest: NullGuest, destination: Destination[NullGuest], *, budget_s: float) -> None:
        """Move the guest to the hypervisor of the other node, whose files must be on this machine."""
        root = destination.guest.migrate_root
        if not root:
            hint = f"`vmsvc set {guest.service} {guest.rid}.migrate_root@{destination.node}=DIRECTORY` on both nodes"
            raise DriverError(f"where {destination.node} has its files is not known", hint=hint)
        other = Hypervisor.of_node(Path(root))
        # On a connection of its own: it may take long, and holds up no look at another guest.
        with contextlib.closing(self._new_lane(f"migration of {guest.name}")) as lane:
            self._ask(lambda hypervisor: hypervisor.migrate(guest.script, other), budget_s, lane)

    def discover(self, where: NullGuest, *, budget_s: float) -> Sequence[FoundGuest]:  # noqa: ARG002 - a node has one
        """Every machine of the hypervisor, by one query."""
        return [
            FoundGuest(
                name=machine.name,
                phase=PHASES.get(machine.phase, Phase.UNKNOWN),
                state=machine.phase,
                options={"disks": " ".join(machine.disks)} if machine.disks else {},
                autostart=machine.autostart,
                disks=tuple(_disks(machine, machine.disks)),
                warnings=_warnings(machine),
            )
            for machine in self._ask(Hypervisor.machines, budget_s)
        ]

    def enter(
        self, guest: NullGuest, argv: Sequence[str], *, budget_s: float, environment: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run a command on this machine, in the directory that is the guest's inside."""
        deadline = time.monotonic() + budget_s
        try:
            inside = self._ask(lambda hypervisor: hypervisor.inside(guest.script), budget_s)
        except VmsvcError as error:
            raise NoWayIn(error.message) from error
        told = {**(environment or {}), "VMSVC_NULL_GUEST": guest.name}
        within = ["sh", "-c", 'cd "$0" && exec "$@"', str(inside), *argv]
        try:
            done = self._context.host.run(within, budget_s=deadline - time.monotonic(), environment=told)
        except VmsvcError as error:  # it calls the command by the line that goes there
            raise error.reworded(error.message.replace(shown(within), shown(argv))) from None
        return evolve(done, argv=tuple(argv))

    # --- within -------------------------------------------------------------------------------------------------------

    def _begin(self, guest: NullGuest, work: Callable[[Hypervisor, Machine], bool], budget_s: float) -> bool:
        """Begin a start, or its first half; a guest that is absent is defined first, where that can be."""
        kept = self._context.definition_file(guest)

        def begun(hypervisor: Hypervisor) -> bool:
            try:
                return work(hypervisor, guest.script)
            except HypervisorError as error:
                if error.code is not ErrorCode.NO_MACHINE or not kept.exists():
                    raise
                hypervisor.define(guest.script)
                return work(hypervisor, guest.script)

        return self._act(guest, begun, budget_s)

    def _act(self, guest: NullGuest, work: Callable[[Hypervisor], T], budget_s: float) -> T:
        """Change something, once the hypervisor has answered in time: what it is asked while it hangs it does later."""
        deadline = time.monotonic() + budget_s

        def timely(hypervisor: Hypervisor) -> T:
            machine = hypervisor.look(guest.script)
            if machine.phase == "migrating":
                raise Undetermined(f"{machine.name} is migrating: it is left to whoever moves it")
            if time.monotonic() >= deadline:
                raise Undetermined("nobody waits for it any more")
            return work(hypervisor)

        return self._ask(timely, budget_s)

    def _known(self, guest: NullGuest, budget_s: float) -> Machine:
        machine = self._ask(lambda hypervisor: hypervisor.look(guest.script), budget_s)
        if machine.phase == "absent":
            raise DriverError(f"the null hypervisor has no guest {machine.name}", code="driver.no-guest")
        return machine

    def _ask(self, work: Callable[[Hypervisor], T], budget_s: float, lane: Lane[Hypervisor] | None = None) -> T:
        """Call the hypervisor in time. Its error codes decide, never its texts: a clear no, or no answer at all."""
        try:
            return (lane or self._lane).call(work, budget_s=budget_s)
        except HypervisorError as error:
            if error.code is ErrorCode.NO_MACHINE:
                hint = "set initial, or keep a definition for it"
                raise DriverError(str(error), code="driver.no-guest", hint=hint) from error
            if error.code is ErrorCode.REFUSED:
                raise DriverError(str(error)) from error
            raise Undetermined(str(error)) from error


def _disks(machine: Machine, sources: Sequence[str]) -> list[GuestDisk]:
    return [
        GuestDisk(
            target=f"disk{number}",
            kind="block" if source.startswith("/dev/") else "file",
            source=source,
            bus="null",
            live=machine.phase == "running",
            persistent=True,
        )
        for number, source in enumerate(sources)
    ]


def _observation(probe: str, answer: Machine | HypervisorError, duration_s: float) -> Observation:
    if isinstance(answer, HypervisorError):
        return unknown(probe, answer, duration_s=duration_s)
    if answer.phase not in PHASES:
        return unknown(probe, f"the hypervisor says {answer.phase!r}, which we do not know", duration_s=duration_s)
    detail = f"{answer.name} is {answer.phase}"
    evidence = Evidence(probe=probe, detail=detail, duration_s=duration_s)
    return Observation(phase=PHASES[answer.phase], state=answer.phase, evidence=evidence, warnings=_warnings(answer))


def _warnings(machine: Machine) -> tuple[str, ...]:
    return ("the hypervisor starts it with the node",) if machine.autostart else ()

"""The verbs of a libvirt guest."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from attrs import evolve

from vmsvc.driver import (
    AT_REST,
    AWAKE,
    GOING_DOWN,
    TIMED_OUT,
    Capability,
    Context,
    DriverError,
    Lane,
    Observation,
    Outcome,
    Phase,
    Resource,
    Undetermined,
    ask,
    did_you_mean,
)
from vmsvc_kvm import definition
from vmsvc_kvm.client import ABSENT, BY_ACPI, BY_AGENT, BY_DEFAULT, Connection
from vmsvc_kvm.lanes import Lanes
from vmsvc_kvm.observing import Observer, look, may_live, phase_of, virsh
from vmsvc_kvm.options import KvmGuest, driver_of, is_local
from vmsvc_kvm.seen import Described

# What a look at a guest's state does without is imported where it is needed.
if TYPE_CHECKING:
    from vmsvc.driver import DefinitionFields, Definitions, Destination, FoundGuest, GuestAddress, GuestDisk, Sizes
    from vmsvc_kvm.agent import Agent

T = TypeVar("T")

# How long a guest's agent may take before the power button is tried: it answers at once or not at all, but libvirt
# then waits for the guest to be off.
AGENT_PATIENCE_S = 5.0
# How people bring back a guest that somebody has put to sleep.
_WAYS_BACK = {Phase.PAUSED: "resume", Phase.SUSPENDED: "dompmwakeup"}


class KvmDriver:
    """A guest of KVM, or of any other hypervisor that libvirt runs, by its URI.

    Each kind of call has a lane of its own: status calls of one libvirt share one; verbs have theirs for each guest,
    so that a guest that hangs holds up neither another nor its own forced stop.
    """

    type: ClassVar[str] = "kvm"
    kind: ClassVar[str] = "container"
    api: ClassVar[frozenset[int]] = frozenset({1})
    options: ClassVar[builtins.type[Resource]] = KvmGuest
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.BULK,
            Capability.WAIT,
            Capability.DISKS,
            Capability.DEFINITION,
            Capability.CONFIG_FILES,
            Capability.SIZES,
            Capability.DISCOVER,
            Capability.COMPARE,
            Capability.AGENT,
            Capability.ADDRESSES,
            Capability.MIGRATE,
        }
    )

    def __init__(self, context: Context) -> None:
        """Keep the context."""
        self._context = context
        self._lanes = Lanes()
        self._observer = Observer(self._lanes)

    # --- looking -----------------------------------------------------------------------------------------------------

    def observe(self, resource: KvmGuest, *, budget_s: float) -> Observation:
        """Say where the guest stands."""
        return self.observe_all([resource], budget_s=budget_s)[resource.service, resource.rid]

    def observe_all(self, resources: Sequence[KvmGuest], *, budget_s: float) -> Mapping[tuple[str, str], Observation]:
        """Say where the guests stand: one survey of each libvirt, all of them at once."""
        return self._observer.survey(resources, budget_s)

    def wait(self, resource: KvmGuest, until: Callable[[Observation], bool], *, budget_s: float) -> Observation:
        """Watch the guest: look at each of libvirt's lifecycle events, and now and then in case one was lost."""
        return self._observer.watch(resource, until, budget_s)

    def discover(self, where: KvmGuest, *, budget_s: float) -> Sequence[FoundGuest]:
        """Name every guest of the libvirt that a URI means."""
        from vmsvc_kvm import discovery  # noqa: PLC0415 - nothing that is done daily pays for it

        return discovery.discover(self._lanes, where, budget_s)

    # --- changing ----------------------------------------------------------------------------------------------------

    def start(self, resource: KvmGuest, *, budget_s: float) -> bool:
        """Start the guest, from the service's stored definition where libvirt has none."""
        lane = self._lane(resource, "start")
        return ask(lane, lambda connection: self._start(connection, resource), budget_s=budget_s)

    def _start(self, connection: Connection, guest: KvmGuest) -> bool:
        seen = connection.find(guest.name)
        if why := may_live(guest, seen):
            raise Undetermined(
                f"{guest.name} on {guest.uri} is not started: {why}",
                hint="look at that process, and at other libvirts of this machine (`virsh -c qemu:///session list`)",
            )
        if seen is None:
            connection.define(self._stored_definition(guest, connection))
        phase, state = phase_of(seen)
        if phase in AWAKE:
            return False
        if phase is Phase.UNKNOWN:
            raise Undetermined(f"{guest.name} on {guest.uri} is in a state that is not known: {state}")
        if phase is Phase.MIGRATING:
            raise Undetermined(f"{guest.name} on {guest.uri} is on its way between two nodes: {state}")
        if phase not in AT_REST:
            way_back = f"{virsh(guest, _WAYS_BACK[phase])}, or " if phase in _WAYS_BACK else ""
            raise DriverError(
                f"{guest.name} on {guest.uri} cannot be started: it is {state}",
                hint=f"{way_back}stop the service first",
            )
        return _bring(connection, guest, AWAKE, lambda: connection.create(guest.name))

    def _stored_definition(self, guest: KvmGuest, connection: Connection) -> str:
        file = self._context.definition_file(guest)
        try:
            xml = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            near = did_you_mean(guest.name, connection.names()) or "`virsh list --all` tells the names."
            raise DriverError(
                f"{guest.uri} has no guest named {guest.name!r}, and the service keeps no definition of it ({file})",
                code=ABSENT,
                hint=f"is the key `name` right? {near} Else: `vmsvc push {guest.service}` on the node that has the "
                "guest, or `virsh define` it here",
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise DriverError(f"the stored definition of {guest.name} cannot be read: {file}: {error}") from None
        named = definition.read(xml, origin=str(file)).name
        if named != guest.name:
            raise DriverError(
                f"{file} defines a guest named {named!r}, not {guest.name!r}",
                hint=f"`vmsvc push {guest.service}` on the node that has the guest writes it anew",
            )
        return xml

    def stop(self, resource: KvmGuest, *, budget_s: float) -> None:
        """Ask the guest to shut down, in the way that its options say."""
        deadline = time.monotonic() + budget_s
        observation = look(resource, self._lane(resource, "stop"), budget_s)
        phase = observation.phase
        # One that is only starting cannot be asked yet; the core asks again.
        if phase in AT_REST or phase in (Phase.STOPPING, Phase.STARTING):
            return
        if phase in (Phase.UNKNOWN, Phase.MIGRATING):
            detail = observation.evidence.detail
            raise Undetermined(f"{resource.name} on {resource.uri} cannot be asked to shut down: {detail}")
        if phase not in (Phase.RUNNING, Phase.DEGRADED):
            raise DriverError(
                f"{resource.name} on {resource.uri} cannot hear a request to shut down: it is {observation.state}"
            )
        if driver_of(resource.uri) != "qemu":
            self._press(resource, BY_DEFAULT, deadline)
        elif resource.shutdown == "acpi" or not self._asked_agent(resource, deadline):
            self._press(resource, BY_ACPI, deadline)

    def _press(self, guest: KvmGuest, flags: int, deadline: float) -> None:
        def press(connection: Connection) -> None:
            _bring(connection, guest, GOING_DOWN, lambda: connection.shutdown(guest.name, flags))

        ask(self._lane(guest, "stop"), press, budget_s=deadline - time.monotonic())

    def _asked_agent(self, guest: KvmGuest, deadline: float) -> bool:
        """Ask the guest's agent; libvirt does not return before the guest is off, or a minute has passed.

        Returns:
            Whether it was asked. Where it may be asked by the power button as well, that is to be done if not.
        """
        either = guest.shutdown == "both"
        left = deadline - time.monotonic()
        # One request at a time, however often the core asks again: libvirt would only queue them.
        way = self._lane(guest, "agent", max_abandoned=1)

        def ask_agent(connection: Connection) -> None:
            _bring(connection, guest, GOING_DOWN, lambda: connection.shutdown(guest.name, BY_AGENT))

        try:
            ask(way, ask_agent, budget_s=min(left / 2, AGENT_PATIENCE_S) if either else left)
        except Undetermined as silence:
            if silence.code == TIMED_OUT:
                return True  # asked, and not answered yet
            if either:
                return False
            if silence.code != "undetermined.not-answering":  # else the earlier request still stands
                raise
        except DriverError as refusal:
            if either:
                return False
            raise DriverError(
                f"the agent of {guest.name} cannot be asked: {refusal.message}",
                hint="install qemu-guest-agent in the guest and give it its channel, or set shutdown = acpi",
            ) from None
        return True

    def kill(self, resource: KvmGuest, *, budget_s: float) -> None:
        """Stop the guest by force."""

        def kill(connection: Connection) -> None:
            if phase_of(connection.find(resource.name))[0] not in AT_REST:
                _bring(connection, resource, AT_REST, lambda: connection.destroy(resource.name))

        ask(self._lane(resource, "kill"), kill, budget_s=budget_s)

    def migrate(self, guest: KvmGuest, destination: Destination[KvmGuest], *, budget_s: float) -> None:
        """Move the guest to the libvirt of another node, live."""
        from vmsvc_kvm import moving  # noqa: PLC0415 - nothing that is done daily pays for it

        moving.migrate(self._lanes, guest, destination, budget_s)

    # --- what it is made of ------------------------------------------------------------------------------------------

    def disks(self, guest: KvmGuest, *, budget_s: float) -> Sequence[GuestDisk]:
        """The guest's disks, also those of a guest that a start would define or restore.

        Sizes are asked for last: a guest or storage that hangs costs them, and nothing else.
        """
        deadline = time.monotonic() + budget_s
        described = self._ask(guest, lambda connection: self._described(connection, guest), budget_s)
        disks = described.disks
        sizes: dict[str, int | None] = {}

        def measure(connection: Connection) -> None:
            for target in dict.fromkeys(disk.target for disk in disks if disk.source):
                sizes[target] = connection.capacity(guest.name, target)

        way = self._lane(guest, "sizes", max_abandoned=1)
        try:
            ask(way, measure, budget_s=(deadline - time.monotonic()) / 2)
        except (Undetermined, DriverError):
            sizes = dict(sizes)  # what is known by now; the thread that hangs may go on to fill the other
        # libvirt measures what the guest has now, which is the persistent source only where nothing runs.
        return [
            evolve(disk, size_bytes=sizes.get(disk.target)) if disk.live or described.live is None else disk
            for disk in disks
        ]

    def _described(self, connection: Connection, guest: KvmGuest) -> Described:
        """The guest as libvirt knows it; where it does not, as a start would define it."""
        try:
            return connection.describe(guest.name)
        except DriverError as error:
            if error.code != ABSENT:
                raise
        kept = self._stored_definition(guest, connection)
        return Described(live=None, persistent=connection.read(kept, origin=f"the stored definition of {guest.name}"))

    def definition(self, guest: KvmGuest, *, budget_s: float) -> str:
        """The guest's domain XML, complete with its passwords: keep it where only root reads."""
        return self._ask(guest, lambda connection: connection.definition(guest.name), budget_s)

    def definitions(self, guest: KvmGuest, *, budget_s: float) -> Definitions:
        """The guest's live and persistent domain XML, complete with its passwords."""
        found = self._ask(guest, lambda connection: connection.definitions(guest.name), budget_s)
        if found.live is None or found.persistent is None:
            return found
        from vmsvc_kvm import fields  # noqa: PLC0415 - it reads XML, which a look does not need

        return evolve(found, live=fields.with_cpu_as_chosen(found.live, found.persistent))

    def fields(self, definition: str) -> DefinitionFields:
        """What domain XML says, field by field."""
        from vmsvc_kvm import fields  # noqa: PLC0415

        return fields.fields(definition, origin="the definition")

    def config_files(self, guest: KvmGuest, *, budget_s: float) -> Sequence[Path]:
        """Files of a local libvirt: the guest's definition, its NVRAM, and firmware that no package brings."""
        from vmsvc_kvm.files import belonging_to  # noqa: PLC0415 - nothing that is done daily pays for it

        if not is_local(guest.uri):
            return []

        def find(connection: Connection) -> list[Path]:  # in the lane as well: these may be on storage that hangs
            described = connection.describe(guest.name)
            return belonging_to(guest, described.persistent or described.live)

        return self._ask(guest, find, budget_s)

    def sizes(self, guest: KvmGuest, *, budget_s: float) -> Sizes:
        """The guest's virtual processors and memory, current ones where it runs."""
        from vmsvc.driver import Sizes  # noqa: PLC0415

        vcpus, kib = self._ask(guest, lambda connection: connection.sizes(guest.name), budget_s)
        return Sizes(vcpus=vcpus, memory_mib=kib // 1024)

    def _ask(self, guest: KvmGuest, work: Callable[[Connection], T], budget_s: float) -> T:
        return ask(self._lane(guest, "definition"), work, budget_s=budget_s)

    # --- inside of it ------------------------------------------------------------------------------------------------

    def enter(
        self, guest: KvmGuest, argv: Sequence[str], *, budget_s: float, environment: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run a command inside the guest by its agent, which needs no network."""
        return self._agent(guest).run(argv, budget_s=budget_s, environment=environment or {})

    def addresses(self, guest: KvmGuest, *, budget_s: float) -> Sequence[GuestAddress]:
        """The addresses of the guest's adapters, as its agent tells them."""
        return self._agent(guest).addresses(budget_s)

    def _agent(self, guest: KvmGuest) -> Agent:
        from vmsvc_kvm.agent import Agent  # noqa: PLC0415 - a look at the guest itself asks no agent

        return Agent(guest, self._lane(guest, "commands inside"))

    # --- lanes -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let every connection go, and wait for none."""
        self._lanes.close()

    def _lane(self, guest: KvmGuest, purpose: str, *, max_abandoned: int = 3) -> Lane[Connection]:
        return self._lanes.to(guest.uri, f"{purpose} of {guest.name}", max_abandoned=max_abandoned)


def _bring(connection: Connection, guest: KvmGuest, where: Container[Phase], act: Callable[[], None]) -> bool:
    """Act; an error counts only where the guest is not where it was to be brought.

    Others act on the guest, too, and libvirt then complains: the state tells, the error's words do not.

    Returns:
        Whether it was this act that brought it there.
    """
    try:
        act()
    except Exception:
        if phase_of(connection.find(guest.name))[0] not in where:
            raise
        return False
    return True

"""The verbs of a guest of ESX or vCenter."""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import Callable, Container, Mapping, Sequence
from typing import ClassVar, TypeVar

from vmsvc.driver import (
    AT_REST,
    AWAKE,
    GOING_DOWN,
    Capability,
    Context,
    DefinitionFields,
    Definitions,
    Destination,
    DriverError,
    FoundGuest,
    GuestDisk,
    Lane,
    Observation,
    Phase,
    Resource,
    Sizes,
    Undetermined,
    ask,
)
from vmsvc_esx import faults, hints
from vmsvc_esx.client import Client
from vmsvc_esx.lanes import Lanes
from vmsvc_esx.machines import Machine
from vmsvc_esx.observing import Observer
from vmsvc_esx.options import EsxGuest
from vmsvc_esx.states import is_elsewhere, seen_from

T = TypeVar("T")

# What a server says of a guest that it cannot ask to shut down, since nobody in it would hear.
_NO_TOOLS = "driver.ToolsUnavailable"


class EsxDriver:
    """A guest of an ESX host, or of a vCenter, by the vSphere API.

    Each kind of call has a lane of its own: status calls of one server share one; verbs have theirs for each guest, so
    that one that hangs holds up neither another nor its own forced stop.
    """

    type: ClassVar[str] = "esx"
    kind: ClassVar[str] = "container"
    api: ClassVar[frozenset[int]] = frozenset({1})
    options: ClassVar[builtins.type[Resource]] = EsxGuest
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.BULK,
            Capability.DISKS,
            Capability.DEFINITION,
            Capability.SIZES,
            Capability.DISCOVER,
            Capability.COMPARE,
            Capability.MIGRATE,
        }
    )

    def __init__(self, context: Context) -> None:
        """Keep the context."""
        self._context = context
        self._lanes = Lanes(context.node.config_dir, context.state_dir)
        self._observer = Observer(self._lanes)

    # --- looking -----------------------------------------------------------------------------------------------------

    def observe(self, resource: EsxGuest, *, budget_s: float) -> Observation:
        """Say where the guest stands."""
        return self.observe_all([resource], budget_s=budget_s)[resource.service, resource.rid]

    def observe_all(self, resources: Sequence[EsxGuest], *, budget_s: float) -> Mapping[tuple[str, str], Observation]:
        """Say where the guests stand: one question to each server, all of them at once."""
        return self._observer.survey(resources, budget_s)

    def discover(self, where: EsxGuest, *, budget_s: float) -> Sequence[FoundGuest]:
        """Name every guest of the server that an address means."""
        from vmsvc_esx import discovery  # noqa: PLC0415 - nothing that is done daily pays for it

        return discovery.discover(self._lanes, where, budget_s)

    # --- changing ----------------------------------------------------------------------------------------------------

    def start(self, resource: EsxGuest, *, budget_s: float) -> bool:
        """Power the guest on; first register it with a host that does not know it, or bring it to this node's own."""
        return self._ask(resource, "start", lambda client: self._start(client, resource), budget_s)

    def _start(self, client: Client, guest: EsxGuest) -> bool:
        machine = client.find(guest) or client.register(guest, self._place(guest))
        phase, state = seen_from(guest.host, machine)
        if phase in AWAKE:
            return False
        if phase is Phase.UNKNOWN:
            raise Undetermined(f"{guest.name} on {guest.server} is in a state that is not known: {state}")
        if phase not in AT_REST or phase is Phase.MOVED:
            asked = f": {machine.question}" if machine.question else ""
            raise DriverError(
                f"{guest.name} on {guest.server} cannot be started: it is {state}{asked}", hint=hints.way_back(phase)
            )
        if is_elsewhere(guest.host, machine):
            client.move(machine, client.survey_for(guest).host(guest.host))
        return _bring(client, guest, AWAKE, lambda: client.power_on(machine))

    def _place(self, guest: EsxGuest) -> str:
        """Where a datastore has a guest that its host does not know: by the service file, else as the service keeps it.

        Raises:
            DriverError: Neither says.
        """
        if guest.vmx:
            return guest.vmx
        from vmsvc_esx import definition  # noqa: PLC0415 - it reads JSON, which a guest that is there does not need

        file = self._context.definition_file(guest)
        try:
            kept = definition.read(file.read_text(encoding="utf-8"), origin=str(file))
        except FileNotFoundError:
            raise DriverError(
                f"{guest.server} has no guest named {guest.name!r}, and nothing says where its datastores have it",
                code=faults.ABSENT,
                hint=f"is the key `name` right? Else: set `vmx`, or `vmsvc push {guest.service}` on the node whose "
                "host has the guest",
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise DriverError(f"the stored definition of {guest.name} cannot be read: {file}: {error}") from None
        return str(kept["vmx"])

    def stop(self, resource: EsxGuest, *, budget_s: float) -> None:
        """Have the guest's tools shut its operating system down."""

        def stop(client: Client) -> None:
            machine = client.find(resource)
            phase, state = _standing(resource, machine)
            if machine is None or phase in GOING_DOWN:
                return
            where = f"{resource.name} on {resource.server}"
            if phase is Phase.UNKNOWN:
                raise Undetermined(f"{where} is in a state that is not known: {state}")
            if phase not in AWAKE:
                raise DriverError(f"{where} cannot hear a request to shut down: it is {state}")
            try:
                _bring(client, resource, GOING_DOWN, lambda: client.shut_down(machine))
            except DriverError as refusal:
                if refusal.code != _NO_TOOLS:
                    raise
                if client.has_tools(machine):  # it boots, perhaps: it is asked again
                    raise Undetermined(
                        f"{where} cannot be asked to shut down: its VMware Tools do not run", code="undetermined.tools"
                    ) from None
                raise DriverError(
                    f"{where} cannot be asked to shut down: it has no VMware Tools",
                    code=_NO_TOOLS,
                    hint="install open-vm-tools in it",
                ) from None

        self._ask(resource, "stop", stop, budget_s)

    def kill(self, resource: EsxGuest, *, budget_s: float) -> None:
        """Power the guest off."""

        def kill(client: Client) -> None:
            machine = client.find(resource)
            if machine is not None and seen_from(resource.host, machine)[0] not in AT_REST:
                _bring(client, resource, AT_REST, lambda: client.power_off(machine))

        self._ask(resource, "kill", kill, budget_s)

    def migrate(self, guest: EsxGuest, destination: Destination[EsxGuest], *, budget_s: float) -> None:
        """Move the guest, while it runs, to the host of its vCenter that the other node is in charge of."""
        from vmsvc_esx import moving  # noqa: PLC0415 - nothing that is done daily pays for it

        moving.migrate(self._lanes, guest, destination, budget_s)

    # --- what it is made of ------------------------------------------------------------------------------------------

    def disks(self, guest: EsxGuest, *, budget_s: float) -> Sequence[GuestDisk]:
        """The guest's disks, in files of datastores or as LUNs of its host."""
        from vmsvc_esx import disks  # noqa: PLC0415 - a look at the guest itself names no disks

        def name(client: Client) -> Sequence[GuestDisk]:
            machine = client.described(guest)
            is_running = seen_from(guest.host, machine)[0] not in AT_REST
            return disks.of_hardware(client.config(machine).hardware.device, is_running=is_running)

        return self._ask(guest, "definition", name, budget_s)

    def definition(self, guest: EsxGuest, *, budget_s: float) -> str:
        """Where the guest's datastore has it, and what it is made of."""
        return self._defined(guest, budget_s)[1]

    def definitions(self, guest: EsxGuest, *, budget_s: float) -> Definitions:
        """The same for the guest that runs and for its next start: a host keeps one definition."""
        machine, text = self._defined(guest, budget_s)
        return Definitions(live=None if seen_from(guest.host, machine)[0] in AT_REST else text, persistent=text)

    def _defined(self, guest: EsxGuest, budget_s: float) -> tuple[Machine, str]:
        from vmsvc_esx import definition  # noqa: PLC0415 - as above

        def define(client: Client) -> tuple[Machine, str]:
            machine = client.described(guest)
            return machine, definition.of_machine(machine, client.config(machine))

        return self._ask(guest, "definition", define, budget_s)

    def fields(self, definition: str) -> DefinitionFields:
        """What a definition says, field by field."""
        from vmsvc_esx.definition import fields  # noqa: PLC0415 - as above

        return fields(definition)

    def sizes(self, guest: EsxGuest, *, budget_s: float) -> Sizes:
        """The guest's virtual processors and memory."""

        def size(client: Client) -> Sizes:
            hardware = client.config(client.described(guest)).hardware
            return Sizes(vcpus=int(hardware.numCPU), memory_mib=int(hardware.memoryMB))

        return self._ask(guest, "definition", size, budget_s)

    # --- lanes -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Log out where servers answer at once, let every connection go, and wait for none."""
        self._lanes.close()

    def _ask(self, guest: EsxGuest, purpose: str, work: Callable[[Client], T], budget_s: float) -> T:
        way: Lane[Client] = self._lanes.to(guest.access, f"{purpose} of {guest.name}")
        return ask(way, work, budget_s=budget_s)


def _standing(guest: EsxGuest, machine: Machine | None) -> tuple[Phase, str]:
    """What the server's answer about a guest means; ``None`` where it positively knows none."""
    return (Phase.ABSENT, "absent") if machine is None else seen_from(guest.host, machine)


def _bring(client: Client, guest: EsxGuest, where: Container[Phase], act: Callable[[], None]) -> bool:
    """Act; a refusal counts only where the guest is not where it was to be brought.

    Others act on the guest, too, and the server then complains: the state tells, the error's words do not.

    Returns:
        Whether it was this act that brought it there.
    """
    try:
        act()
    except (DriverError, Undetermined):
        with contextlib.suppress(DriverError, Undetermined):  # what was refused is told, not that nobody can look now
            if _standing(guest, client.find(guest))[0] in where:
                return False
        raise
    return True

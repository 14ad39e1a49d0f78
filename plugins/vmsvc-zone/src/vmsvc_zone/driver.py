"""The verbs of a zone."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from vmsvc.driver import (
    AT_REST,
    NO_SUCH_COMMAND,
    ActionFailed,
    Announced,
    Capability,
    Context,
    DriverError,
    FoundGuest,
    GuestAddress,
    GuestDisk,
    NoWayIn,
    Observation,
    Outcome,
    Phase,
    Resource,
    Sizes,
    TimedOut,
    Undetermined,
    refusal,
    said_last,
    settled,
    shown,
)
from vmsvc_zone.options import ZoneGuest
from vmsvc_zone.states import DETACHED

if TYPE_CHECKING:
    from vmsvc_zone.parse import Plumbed, Zone
    from vmsvc_zone.tool import Tool


class ZoneDriver:
    """A zone of Solaris or illumos, by zoneadm, zonecfg, zlogin and ifconfig."""

    type: ClassVar[str] = "zone"
    kind: ClassVar[str] = "container"
    api: ClassVar[frozenset[int]] = frozenset({1})
    options: ClassVar[builtins.type[Resource]] = ZoneGuest
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.BULK,
            Capability.DISKS,
            Capability.DEFINITION,
            Capability.CONFIG_FILES,
            Capability.SIZES,
            Capability.DISCOVER,
            Capability.ENTRY,
            Capability.SPLIT_START,
            Capability.PLUMB,
        }
    )

    def __init__(self, context: Context) -> None:
        """Keep the context."""
        self._context = context

    def close(self) -> None:
        """There is no connection to give up."""

    # --- looking ------------------------------------------------------------------------------------------------------

    def observe(self, resource: ZoneGuest, *, budget_s: float) -> Observation:
        """Say where the zone stands."""
        return self.observe_all([resource], budget_s=budget_s)[resource.service, resource.rid]

    def observe_all(self, resources: Sequence[ZoneGuest], *, budget_s: float) -> Mapping[tuple[str, str], Observation]:
        """Say where the zones stand, by one list of all."""
        if not resources:
            return {}
        from vmsvc_zone import looking  # noqa: PLC0415 - a node without zones does not pay for it

        return looking.survey(self._tool(budget_s), resources)

    def discover(self, where: ZoneGuest, *, budget_s: float) -> Sequence[FoundGuest]:
        """Name every zone of this node."""
        from vmsvc_zone import looking  # noqa: PLC0415 - as above

        del where
        return looking.discover(self._tool(budget_s))

    # --- changing -----------------------------------------------------------------------------------------------------

    def start(self, resource: ZoneGuest, *, budget_s: float) -> bool:
        """Ready the zone and boot it, for whoever has nothing to do in between."""
        tool = self._tool(budget_s)
        self._prepare(tool, resource)
        return _booted(tool, resource.name)

    def prepare(self, guest: ZoneGuest, *, budget_s: float) -> bool:
        """Ready the zone: its file systems are mounted, its devices are there, and no process runs in it."""
        return self._prepare(self._tool(budget_s), guest)

    def boot(self, guest: ZoneGuest, *, budget_s: float) -> bool:
        """Boot the zone that is ready."""
        return _booted(self._tool(budget_s), guest.name)

    def _prepare(self, tool: Tool, guest: ZoneGuest) -> bool:
        name = guest.name
        kept = self._context.definition_file(guest)
        if tool.find(name) is None and kept.exists():
            tool.do("zonecfg", "-z", name, "-f", str(kept))
        zone = tool.known(name)
        if _settled(zone) is Phase.STOPPED and zone.state in DETACHED:
            _attach(tool, name)
        # Just before: `ready` of a zone that runs halts it first (zoneadmd.c).
        zone = tool.known(name)
        if _settled(zone) in (Phase.PREPARED, Phase.RUNNING):
            return False
        if zone.state != "installed":
            raise DriverError(f"{name} cannot be made ready: it is {zone.word}")
        return "already ready" not in tool.do("zoneadm", "-z", name, "ready").err

    def stop(self, resource: ZoneGuest, *, budget_s: float) -> None:
        """Have the zone's init shut it down; one that is merely ready has nobody to ask."""
        tool = self._tool(budget_s)
        zone = tool.find(resource.name)
        if zone is None or _settled(zone) in AT_REST:
            return
        if zone.phase is Phase.PREPARED:
            tool.do("zoneadm", "-z", zone.name, "halt")
        elif zone.phase is Phase.RUNNING:
            done = tool.run("zlogin", zone.name, "/sbin/init", "0")
            now = tool.find(zone.name)
            if done.code and now is not None and now.phase is Phase.RUNNING:
                raise refusal(f"{zone.name} does not shut down", done)
        elif zone.phase is not Phase.STOPPING:
            raise DriverError(f"{zone.name} cannot hear a request to stop: it is {zone.word}")

    def kill(self, resource: ZoneGuest, *, budget_s: float) -> None:
        """Halt the zone."""
        tool = self._tool(budget_s)
        zone = tool.find(resource.name)
        if zone is None or _settled(zone) in AT_REST:
            return
        done = tool.run("zoneadm", "-z", zone.name, "halt")
        now = tool.find(zone.name)
        if done.code and now is not None and now.phase not in AT_REST:
            raise refusal(f"{zone.name} cannot be halted", done)

    # --- addresses ----------------------------------------------------------------------------------------------------

    def plumbed(self, guest: ZoneGuest, *, budget_s: float) -> Sequence[GuestAddress]:
        """The zone's addresses on this node's adapters."""
        return [each.address for each in self._tool(budget_s).plumbed() if each.zone == guest.name]

    def plumb(self, guest: ZoneGuest, address: GuestAddress, *, budget_s: float) -> bool:
        """Add a logical interface to an adapter, and place it in the zone."""
        tool = self._tool(budget_s)
        if ":" in address.device:
            raise DriverError(
                f"{address.device} is a logical interface, and the next free one is taken",
                hint=f"write `ipdev = {address.device.partition(':')[0]}`",
            )
        for each in _having(tool.plumbed(), address):
            if each.zone == guest.name and each.address.is_on(address.device):
                return False
            whose = f"the zone {each.zone}" if each.zone else "the node itself"
            raise DriverError(f"{address.address} is on {each.address.device}, of {whose}", code="driver.elsewhere")
        family = ["inet6"] if ":" in address.address else []
        written = address.address if address.prefix is None else f"{address.address}/{address.prefix}"
        mask = [] if family else [*(["netmask", "+"] if address.prefix is None else []), "broadcast", "+"]
        tool.do("ifconfig", address.device, *family, "addif", written, *mask, "zone", guest.name, "up")
        return True

    def unplumb(self, guest: ZoneGuest, address: GuestAddress, *, budget_s: float) -> None:
        """Remove the zone's logical interface that has the address."""
        tool = self._tool(budget_s)
        family = ["inet6"] if ":" in address.address else []
        for each in _having(tool.plumbed(), address):
            if each.zone == guest.name and each.address.is_on(address.device):
                tool.do("ifconfig", each.address.device.partition(":")[0], *family, "removeif", address.address)

    # --- inside -------------------------------------------------------------------------------------------------------

    def enter(
        self, guest: ZoneGuest, argv: Sequence[str], *, budget_s: float, environment: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run a command by zlogin, which hands it to the shell of the zone's root."""
        announced = Announced(argv)
        host = self._context.host
        try:
            command = ["zlogin", guest.name, announced.line(environment or {})]
            done = host.run(command, budget_s=budget_s, keep=announced.keep)
        except TimedOut as error:
            raise TimedOut(
                f"{shown(argv)} in {guest.name} did not end within {budget_s:.1f} s, and may go on there",
                hint=error.hint,
                stdout=announced.printed(error.stdout) or b"",
                stderr=error.stderr,
                truncated=error.truncated,
            ) from None
        if announced.is_missing(done.stdout):
            raise ActionFailed(
                f"there is no such command in {guest.name}, or it may not be run: {argv[0]}",
                code=NO_SUCH_COMMAND,
            )
        left = announced.left_by_command(done)
        if left is None:
            raise NoWayIn(f"no command can be run in {guest.name}: zlogin exits with {done.code}{_said(done)}")
        return left

    # --- what it is made of -------------------------------------------------------------------------------------------

    def disks(self, guest: ZoneGuest, *, budget_s: float) -> Sequence[GuestDisk]:
        """The zone's own directory, and what its configuration passes to it."""
        from vmsvc_zone import parse  # noqa: PLC0415 - as above

        tool = self._tool(budget_s)
        phase = tool.known(guest.name).phase
        return parse.disks(tool.configuration(guest.name), guest.name, live=phase in (Phase.PREPARED, Phase.RUNNING))

    def definition(self, guest: ZoneGuest, *, budget_s: float) -> str:
        """What ``zonecfg export`` prints, which ``zonecfg -f`` takes."""
        return self._tool(budget_s).exported(guest.name)

    def config_files(self, guest: ZoneGuest, *, budget_s: float) -> Sequence[Path]:
        """The file in which zonecfg keeps the zone's configuration."""
        from vmsvc_zone.tool import file_of  # noqa: PLC0415 - as above

        return [file_of(guest.name)] if self._tool(budget_s).is_kept(guest.name) else []

    def sizes(self, guest: ZoneGuest, *, budget_s: float) -> Sizes:
        """What the zone is limited to."""
        from vmsvc_zone import parse  # noqa: PLC0415 - as above

        vcpus, memory_mib = parse.sizes(self._tool(budget_s).configuration(guest.name))
        if vcpus is None or memory_mib is None:
            what = "processors" if vcpus is None else "memory"
            raise Undetermined(f"{guest.name} has no limit of its own for its {what}: it may have all of the node's")
        return Sizes(vcpus=vcpus, memory_mib=memory_mib)

    def _tool(self, budget_s: float) -> Tool:
        from vmsvc_zone.tool import Tool  # noqa: PLC0415 - as above

        return Tool(self._context.host, budget_s)


def _settled(zone: Zone) -> Phase:
    return settled(zone.phase, zone.name, zone.word)


def _attach(tool: Tool, name: str) -> None:
    """Attach a zone that has come from another node; by force where the node does not find its system as it was."""
    done = tool.run("zoneadm", "-z", name, "attach")
    if done.code and tool.known(name).state in DETACHED:
        forced = tool.run("zoneadm", "-z", name, "attach", "-F")
        if forced.code and tool.known(name).state in DETACHED:
            raise DriverError(
                f"{name} cannot be attached: zoneadm exits with {done.code}{_said(done)}; with -F: {_said(forced)}",
                hint="has its storage been brought here, and has it ever been installed?",
            )


def _booted(tool: Tool, name: str) -> bool:
    zone = tool.known(name)
    if _settled(zone) is Phase.RUNNING:
        return False
    if zone.phase is not Phase.PREPARED:
        raise DriverError(f"{name} is not ready: it is {zone.word}")
    return "already booted" not in tool.do("zoneadm", "-z", name, "boot").err


def _having(plumbed: Sequence[Plumbed], address: GuestAddress) -> list[Plumbed]:
    return [each for each in plumbed if each.address.address == address.address]


def _said(done: Outcome) -> str:
    return said_last(done.stderr, done.stdout)

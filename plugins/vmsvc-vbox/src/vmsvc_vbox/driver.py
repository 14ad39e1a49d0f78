"""The verbs of a guest of VirtualBox."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from vmsvc.driver import (
    AT_REST,
    AWAKE,
    GOING_DOWN,
    Capability,
    Context,
    DriverError,
    FoundGuest,
    GuestDisk,
    Observation,
    Phase,
    Resource,
    Sizes,
    Undetermined,
    refusal,
    settled,
)
from vmsvc_vbox.options import VboxGuest
from vmsvc_vbox.states import phase_of

if TYPE_CHECKING:
    from vmsvc_vbox.parse import Listed
    from vmsvc_vbox.tool import Tool


class VboxDriver:
    """A guest of VirtualBox, by VBoxManage."""

    type: ClassVar[str] = "vbox"
    kind: ClassVar[str] = "container"
    api: ClassVar[frozenset[int]] = frozenset({1})
    options: ClassVar[builtins.type[Resource]] = VboxGuest
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.BULK,
            Capability.DISKS,
            Capability.DEFINITION,
            Capability.CONFIG_FILES,
            Capability.SIZES,
            Capability.DISCOVER,
        }
    )

    def __init__(self, context: Context) -> None:
        """Keep the context."""
        self._context = context

    def close(self) -> None:
        """There is no connection to give up."""

    # --- looking ------------------------------------------------------------------------------------------------------

    def observe(self, resource: VboxGuest, *, budget_s: float) -> Observation:
        """Say where the guest stands."""
        return self.observe_all([resource], budget_s=budget_s)[resource.service, resource.rid]

    def observe_all(self, resources: Sequence[VboxGuest], *, budget_s: float) -> Mapping[tuple[str, str], Observation]:
        """Say where the guests stand, by one survey of all."""
        if not resources:
            return {}
        from vmsvc_vbox import observing  # noqa: PLC0415 - a node without such guests does not pay for it

        return observing.survey(self._tool(budget_s), resources)

    def discover(self, where: VboxGuest, *, budget_s: float) -> Sequence[FoundGuest]:
        """Name every guest that the user who runs vmsvc has."""
        from vmsvc_vbox import observing  # noqa: PLC0415 - as above

        del where
        return observing.discover(self._tool(budget_s))

    # --- changing -----------------------------------------------------------------------------------------------------

    def start(self, resource: VboxGuest, *, budget_s: float) -> bool:
        """Start the guest, or let it go on from where its state was saved; register it first where it is not known."""
        tool = self._tool(budget_s)
        guest = tool.find(resource.name) or self._registered(tool, resource)
        phase = _settled(guest)
        if phase in AWAKE:
            return False
        if phase not in AT_REST:
            raise DriverError(
                f"{guest.name} cannot be started: it is {guest.state}",
                hint=f"`VBoxManage controlvm {guest.uuid} resume`, or stop the service first"
                if phase is Phase.PAUSED
                else "try again when that has ended, or stop the service first",
            )
        done = tool.run("startvm", guest.uuid, "--type", "headless" if resource.headless else "gui")
        if not done.code:
            return True
        if _phase_now(tool, guest) in AWAKE:
            return False  # somebody else was faster
        raise refusal(f"{guest.name} cannot be started", done)

    def _registered(self, tool: Tool, resource: VboxGuest) -> Listed:
        """Let VirtualBox know a guest by its own file.

        Raises:
            DriverError: There is no such file, or it describes another guest.
        """
        if not resource.settings:
            raise DriverError(
                f"VirtualBox knows no guest named {resource.name!r}",
                hint="`VBoxManage list vms` tells the names; with the key `settings`, a start registers the guest's "
                "own file",
            )
        done = tool.run("registervm", resource.settings)
        guest = tool.find(resource.name)
        if guest is None:
            raise refusal(f"{resource.settings} does not make a guest {resource.name!r} known to VirtualBox", done)
        return guest

    def stop(self, resource: VboxGuest, *, budget_s: float) -> None:
        """Press the guest's power button; what it does then is its own business."""
        tool = self._tool(budget_s)
        guest = tool.find(resource.name)
        phase = Phase.ABSENT if guest is None else _settled(guest)
        if guest is None or phase in GOING_DOWN:
            return
        if phase is not Phase.RUNNING:
            raise DriverError(f"{guest.name} cannot hear a request to stop: it is {guest.state}")
        self._control(tool, guest, "acpipowerbutton")

    def kill(self, resource: VboxGuest, *, budget_s: float) -> None:
        """Take the guest's power away."""
        tool = self._tool(budget_s)
        guest = tool.find(resource.name)
        if guest is not None and _settled(guest) not in AT_REST:
            self._control(tool, guest, "poweroff")

    def _control(self, tool: Tool, guest: Listed, how: str) -> None:
        """Ask something of a guest that runs; a refusal counts only where it is not on its way down meanwhile."""
        done = tool.run("controlvm", guest.uuid, how)
        if done.code and _phase_now(tool, guest) not in GOING_DOWN:
            raise refusal(f"{guest.name} does not take {how}", done)

    # --- what it is made of -------------------------------------------------------------------------------------------

    def disks(self, guest: VboxGuest, *, budget_s: float) -> Sequence[GuestDisk]:
        """The guest's media; those that stand for a device of the node are that device."""
        from vmsvc_vbox import disks  # noqa: PLC0415 - as above

        tool = self._tool(budget_s)
        return disks.disks(tool, tool.info(guest.name))

    def definition(self, guest: VboxGuest, *, budget_s: float) -> str:
        """The guest's own file, which ``VBoxManage registervm`` takes."""
        tool = self._tool(budget_s)
        return tool.file(tool.info(guest.name)["CfgFile"], mark="</VirtualBox>")

    def config_files(self, guest: VboxGuest, *, budget_s: float) -> Sequence[Path]:
        """The guest's own file, and what its firmware remembers."""
        tool = self._tool(budget_s)
        values = tool.info(guest.name)
        paths = [values[key] for key in ("CfgFile", "NvramFile") if values.get(key)]
        return [Path(path) for path in tool.there(*paths)]

    def sizes(self, guest: VboxGuest, *, budget_s: float) -> Sizes:
        """What the guest is given."""
        values = self._tool(budget_s).info(guest.name)
        try:
            return Sizes(vcpus=int(values["cpus"]), memory_mib=int(values["memory"]))
        except (KeyError, ValueError) as error:
            raise Undetermined(f"VBoxManage does not tell the sizes of {guest.name}: {error!r}") from None

    def _tool(self, budget_s: float) -> Tool:
        from vmsvc_vbox.tool import Tool  # noqa: PLC0415 - as above

        return Tool(self._context.host, budget_s)


def _settled(guest: Listed) -> Phase:
    from vmsvc_vbox.tool import no_state  # noqa: PLC0415 - as above

    phase = phase_of(guest.state)
    if phase is Phase.UNKNOWN:
        raise no_state(guest)
    return settled(phase, guest.name, guest.state)


def _phase_now(tool: Tool, guest: Listed) -> Phase:
    found = next((one for one in tool.survey() if one.uuid == guest.uuid), None)
    return Phase.ABSENT if found is None else phase_of(found.state)

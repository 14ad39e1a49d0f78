"""The verbs of a container of OpenVZ or Virtuozzo."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from attrs import evolve

from vmsvc.driver import (
    AT_REST,
    AWAKE,
    GOING_DOWN,
    TIMED_OUT,
    Capability,
    Context,
    DriverError,
    Evidence,
    FoundGuest,
    GuestDisk,
    Observation,
    Outcome,
    Phase,
    Resource,
    Sizes,
    Undetermined,
    VmsvcError,
    refusal,
    settled,
    unknown,
)
from vmsvc_vz.options import VzGuest
from vmsvc_vz.states import MOUNTED, phase_of

if TYPE_CHECKING:
    from vmsvc_vz.tools import Listed, Tools

#: Scripts of a container that the tools run around its start and stop, beside its configuration: vzctl(8), ACTION
#: SCRIPTS.
_ENDINGS = ("conf", "premount", "mount", "start", "stop", "umount", "postumount")


class VzDriver:
    """A container, by vzctl and vzlist, or by prlctl."""

    type: ClassVar[str] = "vz"
    kind: ClassVar[str] = "container"
    api: ClassVar[frozenset[int]] = frozenset({1})
    options: ClassVar[builtins.type[Resource]] = VzGuest
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.BULK,
            Capability.DISKS,
            Capability.DEFINITION,
            Capability.CONFIG_FILES,
            Capability.SIZES,
            Capability.DISCOVER,
            Capability.ENTRY,
        }
    )

    def __init__(self, context: Context) -> None:
        """Keep the context."""
        self._host = context.host

    def close(self) -> None:
        """There is no connection to give up."""

    # --- looking ------------------------------------------------------------------------------------------------------

    def observe(self, resource: VzGuest, *, budget_s: float) -> Observation:
        """Say where the container stands."""
        return self.observe_all([resource], budget_s=budget_s)[resource.service, resource.rid]

    def observe_all(self, resources: Sequence[VzGuest], *, budget_s: float) -> Mapping[tuple[str, str], Observation]:
        """Say where the containers stand, by one list."""
        deadline = time.monotonic() + budget_s
        seen: dict[tuple[str, str], Observation] = {}
        for tool in dict.fromkeys(resource.tool for resource in resources):
            of_tool = [resource for resource in resources if resource.tool == tool]
            seen |= self._survey(tool, of_tool, deadline - time.monotonic())
        return seen

    def _survey(self, tool: str, resources: Sequence[VzGuest], budget_s: float) -> dict[tuple[str, str], Observation]:
        from vmsvc_vz.tools import by_word, listed_by  # noqa: PLC0415 - a node without such containers does not pay for it

        began = time.monotonic()
        try:
            tools, containers = listed_by(self._host, tool, budget_s)
        except VmsvcError as error:
            nothing = unknown("vzlist" if tool != "prlctl" else tool, error, duration_s=time.monotonic() - began)
            return {(resource.service, resource.rid): nothing for resource in resources}
        whole = Evidence(
            probe=" ".join(tools.probe), detail=f"{len(containers)} containers", duration_s=time.monotonic() - began
        )
        meant = by_word(containers)
        return {
            (resource.service, resource.rid): _seen(resource, meant.get(resource.name, []), whole)
            for resource in resources
        }

    def discover(self, where: VzGuest, *, budget_s: float) -> Sequence[FoundGuest]:
        """Name every container."""
        from vmsvc_vz.tools import listed_by  # noqa: PLC0415 - as above

        _, containers = listed_by(self._host, where.tool, budget_s)
        return [
            FoundGuest(
                name=each.name or each.id,
                phase=phase_of(each.state),
                state=each.state,
                autostart=bool(each.onboot),
                title=each.title,
                disks=tuple(_disks(each, each.private)),
                warnings=_warnings(each),
            )
            for each in containers
        ]

    # --- changing -----------------------------------------------------------------------------------------------------

    def start(self, resource: VzGuest, *, budget_s: float) -> bool:
        """Start the container, or let it go on from where its state was saved."""
        tools, container = self._there(resource, budget_s)
        phase = _settled(container)
        if phase in AWAKE:
            return False
        if phase not in AT_REST:
            raise DriverError(
                f"{resource.name} cannot be started: it is {container.state}",
                hint="stop the service first" if phase is Phase.PAUSED else "try again when that has ended",
            )
        done = tools.start(container, saved=phase is Phase.SAVED)
        if not done.code:
            return True
        if _phase_now(tools, container) in AWAKE:
            return False  # somebody else was faster
        raise refusal(f"{resource.name} cannot be started", done)

    def stop(self, resource: VzGuest, *, budget_s: float) -> None:
        """Ask the container to stop. The tools wait for that, and kill it after two minutes of their own."""
        self._end(resource, budget_s, lambda tools, container: tools.stop(container), {Phase.RUNNING})

    def kill(self, resource: VzGuest, *, budget_s: float) -> None:
        """Stop the container by force."""
        self._end(resource, budget_s, lambda tools, container: tools.kill(container), set(Phase) - AT_REST)

    def _end(
        self, resource: VzGuest, budget_s: float, act: Callable[[Tools, Listed], Outcome], where: set[Phase]
    ) -> None:
        """Act on a container that runs; a refusal counts only where it does not stop meanwhile."""
        tools, container = self._looked_up(resource, budget_s)
        phase = Phase.ABSENT if container is None else _settled(container)
        if container is None or phase in AT_REST:
            return
        if phase not in where:
            if phase is Phase.STOPPING:
                return
            raise DriverError(f"{resource.name} cannot hear a request to stop: it is {container.state}")
        try:
            done = act(tools, container)
        except Undetermined as silence:
            if silence.code == TIMED_OUT and where == {Phase.RUNNING}:
                return  # asked, and not answered in this time; who waits for the container looks for itself
            raise
        if done.code and _phase_now(tools, container) not in GOING_DOWN:
            raise refusal(f"{resource.name} does not stop", done)

    # --- what it is made of -------------------------------------------------------------------------------------------

    def disks(self, guest: VzGuest, *, budget_s: float) -> Sequence[GuestDisk]:
        """The container's private area: a directory, in which its files or its image are."""
        tools, container = self._there(guest, budget_s)
        private = container.private
        if not private:
            from vmsvc_vz import conf  # noqa: PLC0415 - as above

            given = conf.values(tools.file(_conf(guest, container))).get("VE_PRIVATE", "")
            private = given.replace("${VEID}", container.id).replace("$VEID", container.id)
        if not private.startswith("/"):
            raise Undetermined(f"where the files of {guest.name} are is not told")
        return _disks(container, private)

    def definition(self, guest: VzGuest, *, budget_s: float) -> str:
        """The container's configuration file."""
        tools, container = self._there(guest, budget_s)
        return tools.file(_conf(guest, container))

    def config_files(self, guest: VzGuest, *, budget_s: float) -> Sequence[Path]:
        """The container's configuration file, and the scripts beside it."""
        tools, container = self._there(guest, budget_s)
        paths = [str(Path(guest.config_dir, f"{container.id}.{ending}")) for ending in _ENDINGS]
        return [Path(path) for path in tools.there(*paths)]

    def sizes(self, guest: VzGuest, *, budget_s: float) -> Sizes:
        """What the container is limited to."""
        from vmsvc_vz import conf  # noqa: PLC0415 - as above

        parameters = conf.values(self.definition(guest, budget_s=budget_s))
        vcpus, memory_mib = conf.vcpus(parameters), conf.memory_mib(parameters)
        if vcpus is None or memory_mib is None:
            raise Undetermined(f"{guest.name} has no limit of {'processors' if vcpus is None else 'memory'}")
        return Sizes(vcpus=vcpus, memory_mib=memory_mib)

    # --- inside of it -------------------------------------------------------------------------------------------------

    def enter(
        self, guest: VzGuest, argv: Sequence[str], *, budget_s: float, environment: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run one command inside the container, as root."""
        from vmsvc_vz import entry  # noqa: PLC0415 - as above

        return entry.enter(self._host, guest, argv, environment or {}, budget_s=budget_s)

    # --- all of them --------------------------------------------------------------------------------------------------

    def _looked_up(self, guest: VzGuest, budget_s: float) -> tuple[Tools, Listed | None]:
        from vmsvc_vz.tools import listed_by, the_one  # noqa: PLC0415 - as above

        tools, containers = listed_by(self._host, guest.tool, budget_s)
        return tools, the_one(containers, guest.name)

    def _there(self, guest: VzGuest, budget_s: float) -> tuple[Tools, Listed]:
        tools, container = self._looked_up(guest, budget_s)
        if container is None:
            raise DriverError(
                f"there is no container {guest.name!r} on this node",
                hint=f"`{' '.join(tools.probe[:2])}` tells of them",
            )
        return tools, container


def _seen(resource: VzGuest, meant: Sequence[Listed], whole: Evidence) -> Observation:
    from vmsvc_vz.tools import the_one  # noqa: PLC0415 - as above

    try:
        container = the_one(meant, resource.name)
    except Undetermined as error:
        return unknown(whole.probe, error, duration_s=whole.duration_s)
    if container is None:
        evidence = evolve(whole, detail=f"none of {whole.detail} is {resource.name!r}")
        return Observation(phase=Phase.ABSENT, state="absent", evidence=evidence)
    evidence = evolve(whole, detail=f"{container.id}: {container.state}")
    return Observation(
        phase=phase_of(container.state), state=container.state, evidence=evidence, warnings=_warnings(container)
    )


def _warnings(container: Listed) -> tuple[str, ...]:
    warnings = []
    if container.onboot:
        warnings.append(
            f"{container.id} is started when the node boots, behind the service's back; "
            f"`vzctl set {container.id} --onboot no --save`"
        )
    if container.state == MOUNTED:
        warnings.append(
            f"{container.id} does not run, and its files are mounted on this node; `vzctl umount {container.id}`"
        )
    return tuple(warnings)


def _settled(container: Listed) -> Phase:
    return settled(phase_of(container.state), container.id, container.state)


def _phase_now(tools: Tools, container: Listed) -> Phase:
    now = next((each for each in tools.list() if each.id == container.id), None)
    return Phase.ABSENT if now is None else phase_of(now.state)


def _disks(container: Listed, private: str) -> list[GuestDisk]:
    if not private.startswith("/"):
        return []
    runs = phase_of(container.state) not in AT_REST
    return [GuestDisk(target="/", kind="dir", source=private, live=runs, persistent=True)]


def _conf(guest: VzGuest, container: Listed) -> str:
    return str(Path(guest.config_dir, f"{container.id}.conf"))

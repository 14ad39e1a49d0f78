"""The verbs of a container."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from attrs import evolve

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
    Outcome,
    Phase,
    Resource,
    Sizes,
    Undetermined,
    settled,
)
from vmsvc_lxc import observing
from vmsvc_lxc.observing import Seen
from vmsvc_lxc.options import LxcGuest
from vmsvc_lxc.tools import Tools, by_hand, on, refuse

# What is left of the time of a verb's main command to look what has become of the container, in seconds.
_LOOK_S = 5.0
# What lxc-start says, and succeeds, where somebody else was faster: main in src/lxc/tools/lxc_start.c.
_NOT_BY_US = "Container is already running"


class LxcDriver:
    """A container of LXC, by its commands.

    A container that is started belongs to a process of its own, ``[lxc monitor]``, in a session of its own: it outlives
    the command that has made it, and whoever has run that.
    """

    type: ClassVar[str] = "lxc"
    kind: ClassVar[str] = "container"
    api: ClassVar[frozenset[int]] = frozenset({1})
    options: ClassVar[builtins.type[Resource]] = LxcGuest
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
        self._context = context
        self._host = context.host

    def close(self) -> None:
        """There is no connection to give up."""

    # --- looking -----------------------------------------------------------------------------------------------------

    def observe(self, resource: LxcGuest, *, budget_s: float) -> Observation:
        """Say where the container stands, whatever becomes of others."""
        return observing.look(self._tools(budget_s), resource)

    def observe_all(self, resources: Sequence[LxcGuest], *, budget_s: float) -> Mapping[tuple[str, str], Observation]:
        """Say where the containers stand: one list of each directory."""
        if len(resources) == 1:
            return {(one.service, one.rid): self.observe(one, budget_s=budget_s) for one in resources}
        return observing.survey(self._tools(budget_s), resources)

    def discover(self, where: LxcGuest, *, budget_s: float) -> Sequence[FoundGuest]:
        """Name every container of a directory."""
        tools = self._tools(budget_s)
        found = observing.listing(tools, where.lxcpath)
        if found.complaints and not found.seen:
            raise Undetermined(f"{found.probe}: {found.complaints[-1]}")
        return [self._found(tools, evolve(where, name=name), seen) for name, seen in sorted(found.seen.items())]

    def _found(self, tools: Tools, guest: LxcGuest, seen: Seen) -> FoundGuest:
        from vmsvc_lxc import definition  # noqa: PLC0415 - a look at containers does not need it

        return FoundGuest(
            name=guest.name,
            phase=seen.phase,
            state=seen.state.lower(),
            options={"lxcpath": guest.lxcpath} if guest.lxcpath else {},
            autostart=seen.autostart,
            disks=tuple(definition.disks(tools, guest)),
            warnings=(observing.about_autostart(guest),) if seen.autostart else (),
        )

    # --- changing ----------------------------------------------------------------------------------------------------

    def start(self, resource: LxcGuest, *, budget_s: float) -> bool:
        """Start the container; where LXC has none of its name, define it first as the service keeps it."""
        tools = self._tools(budget_s)
        seen = self._seen(tools, resource)
        if seen.phase in AWAKE:
            return False
        if seen.phase is Phase.ABSENT:
            self._define(tools, resource)
        elif seen.phase is not Phase.STOPPED:
            hint = "it is going down; try again when it has"
            if seen.phase is Phase.PAUSED:
                hint = f"`{by_hand('lxc-unfreeze', resource)}`, or stop the service first"
            raise DriverError(f"{resource.name} cannot be started: it is {seen.state.lower()}", hint=hint)
        log = self._fresh_log(resource)
        words = ("--daemon", f"--logfile={log}", "--logpriority=ERROR")
        done = tools.run_sparing(_LOOK_S, *on("lxc-start", resource, *words))
        if done.code == 0:
            return _NOT_BY_US not in done.err
        if self._seen(tools, resource).phase in AWAKE:
            return False  # somebody else was faster
        raise refuse(done, _reason(log), hint=f"to see all that it says: `{by_hand('lxc-start', resource, '-F')}`")

    def _define(self, tools: Tools, guest: LxcGuest) -> None:
        """Give LXC the config that the service keeps of a container that it does not know."""
        from vmsvc_lxc import definition  # noqa: PLC0415 - as above

        kept = self._context.definition_file(guest)
        if not kept.is_file():
            raise DriverError(
                f"LXC has no container {guest.name!r}, and the service keeps no config of it ({kept})",
                code="lxc.absent",
                hint=f"are the keys `name` and `lxcpath` right, and its file system mounted? "
                f"Else: `vmsvc push {guest.service}` on the node that has the container",
            )
        file = definition.config_file(tools, guest)
        done = tools.run_sparing(_LOOK_S, "install", "-D", "--mode=0640", "--", str(kept), str(file))
        if done.code != 0:
            raise refuse(done)

    def _fresh_log(self, guest: LxcGuest) -> Path:
        """Where LXC is to write why a start fails, of which its command prints nothing."""
        log = self._context.state_dir / f"{guest.service}-{guest.rid}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        return log

    def stop(self, resource: LxcGuest, *, budget_s: float) -> None:
        """Send the container the signal by which its init wants to be stopped, and nothing harder after it."""
        tools = self._tools(budget_s)
        seen = self._seen(tools, resource)
        if seen.phase is Phase.PAUSED:
            raise DriverError(f"{resource.name} cannot hear a request to stop: it is {seen.state.lower()}")
        if seen.phase not in GOING_DOWN:
            self._end(tools, resource, ("--nokill", "--timeout=0"))

    def kill(self, resource: LxcGuest, *, budget_s: float) -> None:
        """Stop the container by force."""
        tools = self._tools(budget_s)
        if self._seen(tools, resource).phase not in AT_REST:
            self._end(tools, resource, ("--kill",))

    def _end(self, tools: Tools, guest: LxcGuest, words: tuple[str, ...]) -> None:
        """Let LXC stop a container; an error of that counts only where the container does not end.

        ``lxc-stop`` says the same of one that has stopped already as of one that is not there, and waits for hooks that
        run when the container is long gone.
        """
        try:
            done = tools.run_sparing(_LOOK_S, *on("lxc-stop", guest, *words))
        except Undetermined:
            if self._seen(tools, guest).phase not in GOING_DOWN:
                raise
            return
        if done.code != 0 and self._seen(tools, guest).phase not in GOING_DOWN:
            raise refuse(done)

    def _seen(self, tools: Tools, guest: LxcGuest) -> Seen:
        """Where the container stands; what nobody knows is no ground to act upon."""
        seen = observing.seen_alone(tools, guest)
        settled(seen.phase, guest.name, seen.state)
        return seen

    def _tools(self, budget_s: float) -> Tools:
        return Tools(self._host, budget_s)

    # --- what it is made of ------------------------------------------------------------------------------------------

    def disks(self, guest: LxcGuest, *, budget_s: float) -> Sequence[GuestDisk]:
        """The container's root file system, its mounts, and the devices that it may open."""
        from vmsvc_lxc import definition  # noqa: PLC0415 - as above

        return definition.disks(self._tools(budget_s), guest)

    def definition(self, guest: LxcGuest, *, budget_s: float) -> str:
        """The container's config file."""
        from vmsvc_lxc import definition  # noqa: PLC0415 - as above

        return definition.text(self._tools(budget_s), guest)

    def config_files(self, guest: LxcGuest, *, budget_s: float) -> Sequence[Path]:
        """The container's config file, and its list of mounts where that is a file of its own."""
        from vmsvc_lxc import definition  # noqa: PLC0415 - as above

        return definition.files(self._tools(budget_s), guest)

    def sizes(self, guest: LxcGuest, *, budget_s: float) -> Sizes:
        """The container's limits; where it has none, what the node has."""
        from vmsvc_lxc import definition  # noqa: PLC0415 - as above

        return definition.sizes(self._tools(budget_s), guest)

    # --- inside of it ------------------------------------------------------------------------------------------------

    def enter(
        self, guest: LxcGuest, argv: Sequence[str], *, budget_s: float, environment: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run one command inside the container, as root; several may run at a time."""
        from vmsvc_lxc import entry  # noqa: PLC0415 - as above

        return entry.enter(self._host, guest, argv, environment or {}, budget_s)


def _reason(log: Path) -> str:
    """The first error that LXC has logged, which is the cause of those that follow: empty where there is none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="backslashreplace").splitlines()
    except OSError:
        return ""
    return lines[0].rpartition(" - ")[2].strip() if lines else ""

"""The verbs of a guest of Xen."""

from __future__ import annotations

import builtins
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from vmsvc.driver import (
    AWAKE,
    TIMED_OUT,
    Capability,
    Context,
    Destination,
    DriverError,
    FoundGuest,
    GuestDisk,
    Observation,
    Phase,
    Resource,
    Sizes,
    Undetermined,
    not_moved,
    refusal,
    settled,
)
from vmsvc_xen.options import XenGuest

if TYPE_CHECKING:
    from vmsvc_xen.parse import Domain
    from vmsvc_xen.tool import Tool

# Where a guest has sizes of its own: none before and after its life.
_ALIVE = frozenset({Phase.RUNNING, Phase.PAUSED})
# What is left of the time of a move to look where that has left the guest, in seconds.
_LOOK_S = 5.0
# How xl is to reach another node: without a question to anybody. A shell reads it, and the host's name behind it.
_SSH = "ssh -o BatchMode=yes --"
_HINTS = {
    Phase.PAUSED: "`xl unpause {0}`, or stop the service first",
    Phase.CRASHED: "its config file says that a crashed guest is kept (on_crash): stop the service first",
}


class XenDriver:
    """A guest of Xen, by xl.

    xl takes a name of digits for a domain's number: once a guest is found by its name, it is called by its number.
    """

    type: ClassVar[str] = "xen"
    kind: ClassVar[str] = "container"
    api: ClassVar[frozenset[int]] = frozenset({1})
    options: ClassVar[builtins.type[Resource]] = XenGuest
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.BULK,
            Capability.DISKS,
            Capability.DEFINITION,
            Capability.CONFIG_FILES,
            Capability.SIZES,
            Capability.DISCOVER,
            Capability.MIGRATE,
        }
    )

    def __init__(self, context: Context) -> None:
        """Keep the context."""
        self._context = context

    def close(self) -> None:
        """There is no connection to give up."""

    # --- looking ------------------------------------------------------------------------------------------------------

    def observe(self, resource: XenGuest, *, budget_s: float) -> Observation:
        """Say where the guest stands."""
        return self.observe_all([resource], budget_s=budget_s)[resource.service, resource.rid]

    def observe_all(self, resources: Sequence[XenGuest], *, budget_s: float) -> Mapping[tuple[str, str], Observation]:
        """Say where the guests stand, by one list of all."""
        if not resources:
            return {}
        from vmsvc_xen import observing  # noqa: PLC0415 - a node without such guests does not pay for it

        return observing.survey(self._tool(budget_s), resources)

    def discover(self, where: XenGuest, *, budget_s: float) -> Sequence[FoundGuest]:
        """Name every guest that Xen has in memory, and those that config files describe."""
        from vmsvc_xen import observing  # noqa: PLC0415 - as above

        return observing.discover(self._tool(budget_s), where)

    # --- changing -----------------------------------------------------------------------------------------------------

    def start(self, resource: XenGuest, *, budget_s: float) -> bool:
        """Make a domain of the guest's config file; where this node has none, bring it the one that is kept first."""
        tool = self._tool(budget_s)
        domain = tool.find(resource.name)
        if domain is not None:
            if _settled(domain) in AWAKE:
                return False
            hint = _HINTS.get(domain.phase, "try again when that has ended, or stop the service first")
            raise DriverError(f"{domain.name} cannot be started: it is {domain.state}", hint=hint.format(domain.id))
        if self._comes_back(tool, resource):
            return False
        self._bring(tool, resource)
        tool.settings(resource)  # it describes this guest, and no other
        done = tool.create(resource)
        if not done.code:
            return True
        now = tool.find(resource.name)
        if now is not None and now.phase in AWAKE:
            return False  # somebody else was faster
        raise refusal(f"{resource.name} cannot be started", done)

    def _comes_back(self, tool: Tool, guest: XenGuest) -> bool:
        """Whether a guest without a domain is merely between two of them, since it reboots."""
        keepers = tool.keepers()
        if keepers.lost:
            raise Undetermined(f"whether an xl makes {guest.name} anew cannot be told: {keepers.lost}")
        return bool(keepers.of(guest.name))

    def _bring(self, tool: Tool, guest: XenGuest) -> None:
        """Give this node the config file that the service keeps, where it has none."""
        kept = self._context.definition_file(guest)
        if guest.file in tool.files(guest.config_dir, guest.file).inodes or not kept.is_file():
            return
        done = tool.run("install", "-D", "--mode=0600", "--", str(kept), guest.file)  # it may have passwords
        if done.code:
            raise refusal(f"{guest.file} cannot be written", done)

    def stop(self, resource: XenGuest, *, budget_s: float) -> None:
        """Ask the guest to shut down; one without Xen's drivers by its power button.

        One that is between two domains, since it reboots, has nobody to ask: it is not made another one.
        """
        tool = self._tool(budget_s)
        domain = tool.find(resource.name)
        if domain is None:
            self._let_go(tool, resource.name)
            return
        if _settled(domain) is Phase.STOPPING:
            return
        if domain.phase is not Phase.RUNNING:
            raise DriverError(f"{domain.name} cannot hear a request to stop: it is {domain.state}")
        try:
            self._end(tool, domain, "does not hear a request to stop", "shutdown", "-F")
        except Undetermined as silence:
            # It was asked, and xl waits a minute for its word: who waits for the guest to end looks for itself.
            if silence.code != TIMED_OUT:
                raise

    def kill(self, resource: XenGuest, *, budget_s: float) -> None:
        """Destroy the guest's domain, and see that xl makes it no other one, as where it reboots just then."""
        tool = self._tool(budget_s)
        domain = tool.find(resource.name)
        if domain is not None:
            _settled(domain)
            self._end(tool, domain, "cannot be destroyed", "destroy")
        self._let_go(tool, resource.name)

    def _let_go(self, tool: Tool, name: str) -> None:
        """End the process of xl that makes a guest without a domain another one, and destroy what it has begun."""
        if tool.release(name) and (begun := tool.find(name)) is not None:
            self._end(tool, begun, "cannot be destroyed", "destroy")

    def _end(self, tool: Tool, domain: Domain, why: str, *words: str) -> None:
        """Act on a domain; a refusal counts only where it is not on its way down meanwhile."""
        done = tool.run("xl", *words, str(domain.id))
        if not done.code:
            return
        now = tool.find(domain.name)
        if now is not None and now.id == domain.id and now.phase is not Phase.STOPPING:
            raise refusal(f"{domain.name} {why}", done)

    def migrate(self, guest: XenGuest, destination: Destination[XenGuest], *, budget_s: float) -> None:
        """Send the guest to the xl of another node, by ssh; it is renamed before it may go on there."""
        tool = self._tool(budget_s)
        domain = tool.find(guest.name)
        if domain is None or _settled(domain) is not Phase.RUNNING:
            state = "not there" if domain is None else domain.state
            raise DriverError(f"{guest.name} cannot be moved: it is {state}")
        host = destination.guest.migrate_host or destination.node
        done = tool.run_sparing(_LOOK_S, "xl", "migrate", "-s", _SSH, str(domain.id), shlex.quote(host))
        if not done.code:
            return
        now = tool.find(guest.name)
        raise not_moved(
            f"{guest.name} has not come to {host}",
            done,
            "gone" if now is None else now.state,
            is_up=now is not None and now.id == domain.id and now.phase is Phase.RUNNING,
            hint=now.broken_off if now is not None and now.phase is Phase.MIGRATING else "",
        )

    # --- what it is made of -------------------------------------------------------------------------------------------

    def disks(self, guest: XenGuest, *, budget_s: float) -> Sequence[GuestDisk]:
        """What Xen has given the guest, and what its config file gives it at its next start."""
        from vmsvc_xen.disks import disks  # noqa: PLC0415 - as above

        tool = self._tool(budget_s)
        domain = tool.find(guest.name)
        live = tool.devices(domain) if domain else []
        is_described = domain is None or bool(tool.there(guest.file))
        persistent = tool.configured(guest) if is_described else []
        return disks(tool, live, persistent)

    def definition(self, guest: XenGuest, *, budget_s: float) -> str:
        """The guest's config file; where Xen does not answer, nothing is told of its guests, files neither."""
        tool = self._tool(budget_s)
        tool.domains()
        return tool.text(guest)

    def config_files(self, guest: XenGuest, *, budget_s: float) -> Sequence[Path]:
        """The guest's config file. Its kernel, where it has one of its own, is as large as a disk may be."""
        return [Path(path) for path in self._tool(budget_s).there(guest.file)]

    def sizes(self, guest: XenGuest, *, budget_s: float) -> Sizes:
        """What the guest has while it runs, else what its config file gives it."""
        from vmsvc_xen import config  # noqa: PLC0415 - as above

        tool = self._tool(budget_s)
        domain = tool.find(guest.name)
        if domain is not None and domain.phase in _ALIVE and domain.vcpus:
            return Sizes(vcpus=domain.vcpus, memory_mib=domain.memory_mib)
        found = tool.settings(guest)
        memory_mib = config.number(found, "memory")
        if memory_mib is None:
            raise Undetermined(f"{guest.file} does not tell the `memory` of {guest.name}")
        return Sizes(vcpus=config.number(found, "vcpus") or 1, memory_mib=memory_mib)

    def _tool(self, budget_s: float) -> Tool:
        from vmsvc_xen.tool import Tool  # noqa: PLC0415 - as above

        return Tool(self._context.host, budget_s)


def _settled(domain: Domain) -> Phase:
    return settled(domain.phase, domain.name, domain.state, hint=domain.broken_off)

"""The verbs of a guest of HP Integrity VM, by its commands."""

from __future__ import annotations

import builtins
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from attrs import evolve, frozen

from vmsvc.driver import (
    AT_REST,
    AWAKE,
    Capability,
    Context,
    Destination,
    DriverError,
    Evidence,
    FoundGuest,
    Guest,
    GuestDisk,
    Objection,
    Observation,
    Phase,
    Resource,
    Sizes,
    Undetermined,
    VmsvcError,
    line,
    not_moved,
    option,
    path,
    refusal,
    settled,
    unknown,
)
from vmsvc_hpvm import parse
from vmsvc_hpvm.parse import Listed
from vmsvc_hpvm.tools import PROBE, Tools

# What is left of the time of a move to look where that has left the guest, in seconds.
_LOOK_S = 5.0
# hpvmstart returns when a start has begun ("Successful start initiation"): how long the table may take to show it, and
# how often it is looked at, in seconds.
_SHOWN_S, _PAUSE_S = 10.0, 0.2
# What a guest is called that has been moved, and what to do about it.
_MOVED = "it must not run here ({}): it was migrated to another node, or somebody has said so"
_MOVED_HINT = (
    "migrate it back from where it is; if it is nowhere else, `hpvmmodify -P {} -x register_status=enabled` lets it run"
)


@frozen(kw_only=True, eq=False, repr=False)  # the base compares and shows all fields
class HpvmGuest(Guest):
    """A guest of HP Integrity VM."""

    directory: str = option(
        path,
        default="/var/opt/hpvm/guests",
        inherited=True,
        help="Where HP Integrity VM has a directory with the files of each guest.",
    )
    migrate_host: str = option(
        line,
        default="",
        inherited=True,
        help="What other nodes call this one, so that `hpvmmigrate` moves guests here; with the node's own scope: "
        "`migrate_host@n2`. The node's name when not given.",
    )


class HpvmDriver:
    """A guest of HP Integrity VM, by hpvmstatus, hpvmstart and hpvmstop."""

    type: ClassVar[str] = "hpvm"
    kind: ClassVar[str] = "container"
    api: ClassVar[frozenset[int]] = frozenset({1})
    options: ClassVar[builtins.type[Resource]] = HpvmGuest
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.BULK,
            Capability.DISKS,
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

    def observe(self, resource: HpvmGuest, *, budget_s: float) -> Observation:
        """Say where the guest stands."""
        return self.observe_all([resource], budget_s=budget_s)[resource.service, resource.rid]

    def observe_all(self, resources: Sequence[HpvmGuest], *, budget_s: float) -> Mapping[tuple[str, str], Observation]:
        """Say where the guests stand, by one table of all; of one alone, warn where the node starts it by itself."""
        if not resources:
            return {}
        tools = self._tools(budget_s)
        seen = _survey(tools, resources)
        if len(resources) > 1:
            return seen
        # The table does not tell that: it is asked for in what time is left, and what comes of it is no evidence.
        return {key: _warned(tools, resources[0], each) for key, each in seen.items()}

    def discover(self, where: HpvmGuest, *, budget_s: float) -> Sequence[FoundGuest]:
        """Name every guest."""
        del where
        return [
            FoundGuest(name=guest.name, phase=guest.phase, state=guest.state) for guest in self._tools(budget_s).table()
        ]

    # --- changing -----------------------------------------------------------------------------------------------------

    def start(self, resource: HpvmGuest, *, budget_s: float) -> bool:
        """Start the guest; what hpvmstart confirms is that it has begun to, and the table shows it a moment later."""
        tools = self._tools(budget_s)
        guest = tools.get(resource.name)
        if guest.phase in AWAKE:
            return False
        if guest.phase is not Phase.STOPPED:
            raise _unready(guest)
        done = tools.run("hpvmstart", "-P", guest.name)
        if not done.code:
            _wait_until_shown(tools, guest.name)
            return True
        if tools.get(guest.name).phase in AWAKE:
            return False  # somebody else was faster
        raise refusal(f"guest {guest.name} cannot be started", done)

    def stop(self, resource: HpvmGuest, *, budget_s: float) -> None:
        """Ask the guest's system to shut down."""
        self._stopped(resource, "-g", budget_s=budget_s)

    def kill(self, resource: HpvmGuest, *, budget_s: float) -> None:
        """Take the guest's power away."""
        self._stopped(resource, budget_s=budget_s)

    def _stopped(self, resource: HpvmGuest, *how: str, budget_s: float) -> None:
        tools = self._tools(budget_s)
        guest = tools.find(resource.name, tools.table())
        if guest is None or guest.phase in AT_REST:
            return
        settled(guest.phase, f"guest {guest.name}", guest.state)
        done = tools.run("hpvmstop", *how, "-F", "-P", guest.name)  # -F: do not ask whether it is meant
        if done.code and tools.get(guest.name).phase not in AT_REST:
            raise refusal(f"guest {guest.name} does not stop", done)

    def migrate(self, guest: HpvmGuest, destination: Destination[HpvmGuest], *, budget_s: float) -> None:
        """Move the guest online (``-o``); it stays here as one that is not runnable: nothing starts it twice."""
        tools = self._tools(budget_s)
        found = tools.get(guest.name)
        if found.phase is not Phase.RUNNING:
            what = f"guest {found.name} cannot be moved: it is {found.state}"
            raise Undetermined(what) if found.phase is Phase.UNKNOWN else DriverError(what)
        host = destination.guest.migrate_host or destination.node
        done = tools.run_sparing(_LOOK_S, "hpvmmigrate", "-o", "-P", found.name, "-h", host)
        if not done.code:
            return
        now = tools.find(found.name, tools.table())
        raise not_moved(
            f"guest {found.name} has not come to {host}",
            done,
            "gone" if now is None else now.state,
            is_up=now is not None and now.phase is Phase.RUNNING,
        )

    # --- what it is made of -------------------------------------------------------------------------------------------

    def disks(self, guest: HpvmGuest, *, budget_s: float) -> Sequence[GuestDisk]:
        """The guest's disks, by what is behind them on the node."""
        tools = self._tools(budget_s)
        tools.get(guest.name)
        return parse.disks(tools.lines("hpvmstatus", "-d", "-P", guest.name))

    def config_files(self, guest: HpvmGuest, *, budget_s: float) -> Sequence[Path]:
        """The files in the guest's directory, which is a link to one that is named by its UUID."""
        place, names = self._tools(budget_s).files(f"{guest.directory}/{guest.name}")
        return [Path(place, name) for name in names]

    def sizes(self, guest: HpvmGuest, *, budget_s: float) -> Sizes:
        """What the guest is given."""
        listed = self._tools(budget_s).get(guest.name)
        return Sizes(vcpus=listed.vcpus, memory_mib=listed.memory_mib)

    def _tools(self, budget_s: float) -> Tools:
        return Tools(self._context.host, budget_s)


def _wait_until_shown(tools: Tools, name: str) -> None:
    until = time.monotonic() + min(_SHOWN_S, tools.left_s)
    while (guest := tools.get(name)).phase in AT_REST:
        if time.monotonic() > until:
            raise Undetermined(
                f"hpvmstart has begun to start guest {name}, and hpvmstatus says that it is {guest.state}"
            )
        time.sleep(_PAUSE_S)


def _survey(tools: Tools, resources: Sequence[HpvmGuest]) -> dict[tuple[str, str], Observation]:
    began = time.monotonic()
    table = tools.table()
    found = {each: _found(tools, each.name, table) for each in resources}
    evidence = Evidence(probe=PROBE, duration_s=time.monotonic() - began)
    return {(each.service, each.rid): _observed(guest, evidence) for each, guest in found.items()}


def _warned(tools: Tools, guest: HpvmGuest, seen: Observation) -> Observation:
    if seen.phase in (Phase.ABSENT, Phase.UNKNOWN) or not tools.is_started_with_the_node(guest.name):
        return seen
    why = f"the node starts it when it boots: `hpvmmodify -P {guest.name} -B manual` ends that"
    return evolve(seen, warnings=(why,))


def _found(tools: Tools, name: str, table: Sequence[Listed]) -> Listed | VmsvcError | None:
    try:
        return tools.find(name, table)
    except VmsvcError as error:
        return error


def _observed(guest: Listed | VmsvcError | None, evidence: Evidence) -> Observation:
    if isinstance(guest, VmsvcError):
        return unknown(evidence.probe, guest, duration_s=evidence.duration_s)
    if guest is None:
        return Observation(phase=Phase.ABSENT, state="absent", evidence=evidence)
    objection = Objection(why=_MOVED.format(guest.state), hint=_MOVED_HINT.format(guest.name))
    return Observation(
        phase=guest.phase,
        state=guest.state,
        evidence=evidence,
        objection=objection if guest.phase is Phase.MOVED else None,
    )


def _unready(guest: Listed) -> Exception:
    if guest.phase is Phase.MOVED:
        return DriverError(_MOVED.format(guest.state), hint=_MOVED_HINT.format(guest.name))
    what = f"guest {guest.name} cannot be started: it is {guest.state}"
    return Undetermined(what) if guest.phase is Phase.UNKNOWN else DriverError(what)

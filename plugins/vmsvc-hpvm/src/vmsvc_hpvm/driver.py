"""The verbs of a guest of HP Integrity VM, by its commands."""

from __future__ import annotations

import builtins
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from attrs import evolve, frozen

from vmsvc.driver import (
    Capability,
    Commands,
    Context,
    Destination,
    DriverError,
    Evidence,
    FoundGuest,
    Guest,
    GuestDisk,
    Observation,
    Outcome,
    Phase,
    Resource,
    Sizes,
    Undetermined,
    line,
    option,
    path,
    said_last,
    unknown,
)
from vmsvc_hpvm import parse
from vmsvc_hpvm.parse import Listed

AWAKE = frozenset({Phase.RUNNING, Phase.STARTING})
DOWN = frozenset({Phase.STOPPED, Phase.MOVED})


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
        """Say where the guest stands, and warn of one that the node starts by itself; the table does not tell that."""
        tools = self._tools(budget_s)
        [seen] = _survey(tools, [resource]).values()
        if seen.phase is Phase.ABSENT:
            return seen
        told = tools.run("hpvmstatus", "-M", "-P", resource.name)
        if told.code or not parse.starts_by_itself(told.out):
            return seen
        why = f"the node starts it when it boots: `hpvmmodify -P {resource.name} -B manual` ends that"
        return evolve(seen, warnings=(why,))

    def observe_all(self, resources: Sequence[HpvmGuest], *, budget_s: float) -> Mapping[tuple[str, str], Observation]:
        """Say where the guests stand, by one table of all."""
        if not resources:
            return {}
        return _survey(self._tools(budget_s), resources)

    def discover(self, where: HpvmGuest, *, budget_s: float) -> Sequence[FoundGuest]:
        """Name every guest."""
        del where
        return [
            FoundGuest(name=guest.name, phase=guest.phase, state=guest.state)
            for guest in self._tools(budget_s).guests().values()
        ]

    # --- changing -----------------------------------------------------------------------------------------------------

    def start(self, resource: HpvmGuest, *, budget_s: float) -> bool:
        """Start the guest; what hpvmstart confirms is that it has begun to."""
        tools = self._tools(budget_s)
        guest = tools.get(resource.name)
        if guest.phase in AWAKE:
            return False
        if guest.phase is not Phase.STOPPED:
            raise _unready(guest)
        done = tools.run("hpvmstart", "-P", guest.name)
        if not done.code:
            return True
        if tools.get(guest.name).phase in AWAKE:
            return False  # somebody else was faster
        raise _refusal(f"guest {guest.name} cannot be started", done)

    def stop(self, resource: HpvmGuest, *, budget_s: float) -> None:
        """Ask the guest's system to shut down."""
        self._stopped(resource, "-g", budget_s=budget_s)

    def kill(self, resource: HpvmGuest, *, budget_s: float) -> None:
        """Take the guest's power away."""
        self._stopped(resource, budget_s=budget_s)

    def _stopped(self, resource: HpvmGuest, *how: str, budget_s: float) -> None:
        tools = self._tools(budget_s)
        guest = tools.guests().get(resource.name)
        if guest is None or guest.phase in DOWN:
            return
        if guest.phase is Phase.UNKNOWN:
            raise Undetermined(f"guest {guest.name} is in a state that is not known: {guest.state}")
        done = tools.run("hpvmstop", *how, "-F", "-P", guest.name)  # -F: do not ask whether it is meant
        if done.code and tools.get(guest.name).phase is not Phase.STOPPED:
            raise _refusal(f"guest {guest.name} does not stop", done)

    def migrate(self, guest: HpvmGuest, destination: Destination[HpvmGuest], *, budget_s: float) -> None:
        """Move the guest online (``-o``); it stays here as one that is not runnable: nothing starts it twice."""
        tools = self._tools(budget_s)
        found = tools.get(guest.name)
        if found.phase is not Phase.RUNNING:
            what = f"guest {found.name} cannot be moved: it is {found.state}"
            raise Undetermined(what) if found.phase is Phase.UNKNOWN else DriverError(what)
        host = destination.guest.migrate_host or destination.node
        done = tools.run("hpvmmigrate", "-o", "-P", found.name, "-h", host)
        if not done.code:
            return
        refusal = _refusal(f"guest {found.name} has not come to {host}", done)
        now = tools.guests().get(found.name)
        if now is not None and now.phase is Phase.RUNNING:
            raise refusal
        raise Undetermined(f"{refusal.message}; here it is {'gone' if now is None else now.state}")

    # --- what it is made of -------------------------------------------------------------------------------------------

    def disks(self, guest: HpvmGuest, *, budget_s: float) -> Sequence[GuestDisk]:
        """The guest's disks, by what is behind them on the node."""
        tools = self._tools(budget_s)
        tools.get(guest.name)
        return parse.disks(tools.told("hpvmstatus", "-d", "-P", guest.name))

    def config_files(self, guest: HpvmGuest, *, budget_s: float) -> Sequence[Path]:
        """The files in the guest's directory, which is a link to one that is named by its UUID."""
        del budget_s
        directory = Path(guest.directory, guest.name)
        if not directory.is_dir():
            return []
        return sorted(file for file in directory.resolve().iterdir() if file.is_file())

    def sizes(self, guest: HpvmGuest, *, budget_s: float) -> Sizes:
        """What the guest is given."""
        listed = self._tools(budget_s).get(guest.name)
        return Sizes(vcpus=listed.vcpus, memory_mib=listed.memory_mib)

    def _tools(self, budget_s: float) -> Tools:
        return Tools(self._context.host, budget_s)


class Tools(Commands):
    """The commands of HP Integrity VM, for the length of one verb."""

    def guests(self) -> dict[str, Listed]:
        """Every guest by its name."""
        return parse.guests(self.told("hpvmstatus"))

    def get(self, name: str) -> Listed:
        """A guest.

        Args:
            name: Its name.

        Raises:
            DriverError: There is positively none of that name.
        """
        guest = self.guests().get(name)
        if guest is None:
            raise DriverError(
                f"HP Integrity VM knows no guest {name!r}",
                hint="`hpvmstatus` tells the names",
            )
        return guest


def _survey(tools: Tools, resources: Sequence[HpvmGuest]) -> dict[tuple[str, str], Observation]:
    began = time.monotonic()
    guests = tools.guests()
    evidence = Evidence(probe="hpvmstatus", duration_s=time.monotonic() - began)
    return {(each.service, each.rid): _observed(each.name, guests, evidence) for each in resources}


def _observed(name: str, guests: Mapping[str, Listed], evidence: Evidence) -> Observation:
    guest = guests.get(name)
    if guest is None and parse.may_be_cut(guests, name):
        return unknown(evidence.probe, f"the table has a guest whose name begins as {name!r} does, and is cut perhaps")
    if guest is None:
        return Observation(phase=Phase.ABSENT, state="absent", evidence=evidence)
    return Observation(phase=guest.phase, state=guest.state, evidence=evidence)


def _unready(guest: Listed) -> Exception:
    what = f"guest {guest.name} cannot be started: it is {guest.state}"
    return Undetermined(what) if guest.phase is Phase.UNKNOWN else DriverError(what)


def _refusal(what: str, done: Outcome) -> DriverError:
    return DriverError(f"{what}: {done.argv[0]} exits with {done.code}{said_last(done.stderr, done.stdout)}")

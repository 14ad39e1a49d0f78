"""vmsvc plugin for bhyve guests of FreeBSD, by vm-bhyve's ``vm``; its outputs are those of its manual, vm(8)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence

from attrs import frozen

from vmsvc.driver import (
    Capability,
    Context,
    DriverError,
    Evidence,
    FoundGuest,
    Guest,
    GuestDisk,
    Observation,
    Phase,
    Undetermined,
    hookimpl,
)

#: The first words of the STATE column. What stands in brackets is a process, or the host that has the guest.
PHASES = {"Stopped": Phase.STOPPED, "Bootloader": Phase.STARTING, "Running": Phase.RUNNING, "Locked": Phase.MOVED}
_HEADER = re.compile(r"NAME +DATASTORE .* STATE")
_ROW = re.compile(r"(?P<name>\S+) .* (?P<state>(?P<word>[A-Z][a-z]+)(?: \([^)]*\))?)")


@frozen(kw_only=True)
class BhyveGuest(Guest):
    """Nothing beyond what every guest has."""


class BhyveDriver:
    """Guests that ``vm list`` names."""

    type = "bhyve"
    kind = "container"
    api = frozenset({1})
    options = BhyveGuest
    capabilities = frozenset({Capability.BULK, Capability.DISCOVER, Capability.DISKS})

    def __init__(self, context: Context) -> None:
        self._host = context.host

    def close(self) -> None:
        """There is no connection."""

    def observe(self, resource: BhyveGuest, *, budget_s: float) -> Observation:
        return self.observe_all([resource], budget_s=budget_s)[resource.service, resource.rid]

    def observe_all(self, resources: Sequence[BhyveGuest], *, budget_s: float) -> Mapping[tuple[str, str], Observation]:
        rows, evidence = self._rows(budget_s), Evidence(probe="vm list")
        absent = (Phase.ABSENT, "absent")
        seen = {(each.service, each.rid): rows.get(each.name, absent) for each in resources}
        return {key: Observation(phase=phase, state=state, evidence=evidence) for key, (phase, state) in seen.items()}

    def discover(self, where: BhyveGuest, *, budget_s: float) -> Sequence[FoundGuest]:
        rows = self._rows(budget_s).items()
        return [FoundGuest(name=name, phase=phase, state=state) for name, (phase, state) in rows]

    def start(self, resource: BhyveGuest, *, budget_s: float) -> bool:
        deadline = time.monotonic() + budget_s
        if self._phase(resource, deadline) in (Phase.RUNNING, Phase.STARTING):
            return False
        self._run(
            "start", resource.name, budget_s=deadline - time.monotonic()
        )  # it starts the guest behind our back: wait until it shows
        while self._phase(resource, deadline) is Phase.STOPPED:
            time.sleep(0.1)
        return True

    def stop(self, resource: BhyveGuest, *, budget_s: float) -> None:
        deadline = time.monotonic() + budget_s
        # In its boot loader, vm would ask whether to kill it; vmsvc asks again.
        if self._phase(resource, deadline) is Phase.RUNNING:
            self._run("stop", resource.name, budget_s=deadline - time.monotonic())

    def kill(self, resource: BhyveGuest, *, budget_s: float) -> None:
        deadline = time.monotonic() + budget_s
        if self._phase(resource, deadline) in (Phase.RUNNING, Phase.STARTING):
            self._run("poweroff", "-f", resource.name, budget_s=deadline - time.monotonic())

    def disks(self, guest: BhyveGuest, *, budget_s: float) -> Sequence[GuestDisk]:
        *lines, rest = self._run("info", guest.name, budget_s=budget_s).split("\n")
        paths = [line.partition(":")[2].strip() for line in lines if line.strip().startswith("system-path:")]
        if rest or f"Virtual Machine: {guest.name}" not in lines or lines.count("  virtual-disk") != len(paths):
            raise DriverError(f"vm knows no guest {guest.name!r}") if not lines else Undetermined("vm info: unreadable")
        kinds = {path: "block" if path.startswith("/dev/") else "file" for path in paths}
        return [GuestDisk(target="", kind=kind, source=path, persistent=True) for path, kind in kinds.items()]

    def _phase(self, guest: BhyveGuest, deadline: float) -> Phase:
        seen = self.observe(guest, budget_s=deadline - time.monotonic())
        if seen.phase is Phase.UNKNOWN:
            raise Undetermined(f"{guest.name} is in a state that is not known: {seen.state}")
        return seen.phase

    def _rows(self, budget_s: float) -> Mapping[str, tuple[Phase, str]]:
        header, *lines, rest = (self._run("list", budget_s=budget_s) or "\n").split("\n")
        rows = [_ROW.fullmatch(line) for line in lines]
        if rest or not _HEADER.fullmatch(header) or None in rows:
            raise Undetermined(f"vm list: this is no list of guests: {header[:80]!r}")
        return {row["name"]: (PHASES.get(row["word"], Phase.UNKNOWN), row["state"]) for row in rows if row}

    def _run(self, *words: str, budget_s: float) -> str:
        done = self._host.run(["vm", *words], budget_s=budget_s, environment={"LC_ALL": "C"})
        if done.truncated:
            raise Undetermined(f"vm {' '.join(words)}: it printed too much")
        if done.code:
            failed = DriverError if words[0] in ("start", "info") else Undetermined
            raise failed(f"vm {' '.join(words)}: exit code {done.code}: {done.err.strip()}")
        return done.out


@hookimpl
def vmsvc_drivers() -> list[type[BhyveDriver]]:
    return [BhyveDriver]

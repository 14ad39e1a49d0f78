"""Where guests stand: surveys of whole libvirts, looks at single guests, and waits that follow events."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache

from attrs import evolve

from vmsvc.driver import (
    AT_REST,
    TIMED_OUT,
    DriverError,
    Evidence,
    Lane,
    Observation,
    Phase,
    Undetermined,
    ask,
    did_you_mean,
    survey_each,
    unknown,
)
from vmsvc_kvm.client import Connection
from vmsvc_kvm.lanes import Lanes
from vmsvc_kvm.living import NOBODY_LIVES, Living
from vmsvc_kvm.options import KvmGuest, driver_of, is_local
from vmsvc_kvm.seen import Seen
from vmsvc_kvm.states import judge

Key = tuple[str, str]

# What a survey may take of its budget; the rest is for looks at single guests, should it hang.
SURVEY_SHARE = 0.6
ONE_LOOK_S = 0.5
# Events tell of changes; this is for those that are lost with a connection.
LOOK_AGAIN_S = 5.0
LOOK_AGAIN_WHEN_UNKNOWN_S = 1.0
ASK_CALLER_S = 0.25
# An answer that took this long may be older than it looks: libvirt was busy with a guest, perhaps with its end.
STALE_S = 1.0


class Observer:
    """Looks at guests and changes nothing; libvirt is asked for read-only connections.

    Args:
        lanes: Where its calls run.
    """

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    def survey(self, guests: Sequence[KvmGuest], budget_s: float) -> dict[Key, Observation]:
        """Look at many guests: each libvirt is asked once, and all libvirts at once.

        Args:
            guests: The guests.
            budget_s: How long it may take, in seconds.

        Returns:
            Observations by service and rid.
        """

        def survey(uri: str, here: Sequence[KvmGuest]) -> dict[Key, Observation]:
            seen = self._survey(uri, here, budget_s)
            return {(guest.service, guest.rid): one for guest, one in zip(here, seen, strict=True)}

        return survey_each(guests, lambda guest: guest.uri, survey)

    def _survey(self, uri: str, guests: Sequence[KvmGuest], budget_s: float) -> list[Observation]:
        began = time.monotonic()
        way = self._lanes.to(uri, "status", readonly=True, max_abandoned=2)
        try:
            call, seen = ask(way, Connection.survey, budget_s=budget_s * SURVEY_SHARE)
        except (Undetermined, DriverError) as error:
            failure = error
        else:
            evidence = Evidence(probe=f"{call} {uri}", duration_s=time.monotonic() - began)
            return _observations(guests, [seen.get(guest.name) for guest in guests], evidence, seen)
        nothing = unknown(f"virConnectGetAllDomainStats {uri}", failure, duration_s=time.monotonic() - began)
        singly: Mapping[str, Observation] = {}
        if failure.code in (TIMED_OUT, "undetermined.not-answering"):
            singly = self._one_by_one(uri, guests, began + budget_s)
        return [singly.get(guest.name, nothing) for guest in guests]

    def _one_by_one(self, uri: str, guests: Sequence[KvmGuest], deadline: float) -> dict[str, Observation]:
        """Look at each guest by itself, when a survey has hung.

        A survey waits for every guest's lock, and libvirt can hold a single one for long: for ten seconds while it
        ends a qemu that does not listen. That must not make unknown what can be known of all others.
        """
        way = self._lanes.to(uri, "status one by one", readonly=True, max_abandoned=2)
        names = list(dict.fromkeys(guest.name for guest in guests))
        tried: set[str] = set()
        found: dict[str, Seen | None] = {}

        def look_at_rest(connection: Connection) -> None:
            for name in names:
                if name not in tried:
                    tried.add(name)
                    found[name] = connection.find(name)

        began = time.monotonic()
        while len(tried) < len(names) and (left := deadline - time.monotonic()) > 0:
            before = len(tried)
            try:
                ask(way, look_at_rest, budget_s=min(left, ONE_LOOK_S))
            except (Undetermined, DriverError):
                if len(tried) == before:  # it is not one guest that hangs
                    break
        evidence = Evidence(probe=f"virDomainGetState {uri}", duration_s=time.monotonic() - began)
        known = {guest.name: guest for guest in guests if guest.name in found}
        seen = _observations(list(known.values()), [found[name] for name in known], evidence)
        return dict(zip(known, seen, strict=True))

    def watch(self, guest: KvmGuest, until: Callable[[Observation], bool], budget_s: float) -> Observation:
        """Watch a guest until a condition holds or the budget is spent.

        Args:
            guest: The guest.
            until: Whether an observation is what the caller waits for.
            budget_s: How long to watch, in seconds.

        Returns:
            The last observation.
        """
        deadline = time.monotonic() + budget_s
        changed = threading.Event()

        def connect() -> Connection:
            connection = Connection(guest.uri, readonly=True)
            connection.on_change(guest.name, changed.set)
            return connection

        way = self._lanes.new(f"libvirt {guest.uri}, waiting for {guest.name}", connect)
        try:
            while True:
                changed.clear()  # before looking: what changes from here on is looked at again
                seen = look(guest, way, min(max(deadline - time.monotonic(), 0.0), LOOK_AGAIN_S))
                pause = LOOK_AGAIN_WHEN_UNKNOWN_S if seen.phase is Phase.UNKNOWN else LOOK_AGAIN_S
                look_again = min(time.monotonic() + pause, deadline)
                while not until(seen):  # asked often: it also tells that the caller no longer waits
                    left = look_again - time.monotonic()
                    if left <= 0 or changed.wait(min(left, ASK_CALLER_S)):
                        break
                else:
                    return seen
                if time.monotonic() >= deadline:
                    return seen
        finally:
            way.close()


def look(guest: KvmGuest, way: Lane[Connection], budget_s: float) -> Observation:
    """Look at one guest only, without a survey of its libvirt.

    Args:
        guest: The guest.
        way: The lane to its libvirt.
        budget_s: How long it may take, in seconds.
    """
    began = time.monotonic()
    probe = f"virDomainGetState {guest.uri}"
    try:
        seen = ask(way, lambda connection: connection.find(guest.name), budget_s=budget_s)
    except (Undetermined, DriverError) as error:
        return unknown(probe, error, duration_s=time.monotonic() - began)
    (observation,) = _observations([guest], [seen], Evidence(probe=probe, duration_s=time.monotonic() - began))
    return observation


def phase_of(seen: Seen | None) -> tuple[Phase, str]:
    """What libvirt's answer about a guest means.

    Args:
        seen: What it knows; ``None`` where it positively knows no such guest.

    Returns:
        The phase, and the words for people.
    """
    if seen is None:
        return Phase.ABSENT, "absent"
    return judge(seen.state, seen.reason, saved=seen.saved)


def may_live(guest: KvmGuest, seen: Seen | None) -> str:
    """Why a guest that libvirt calls down may run all the same.

    Args:
        guest: The guest.
        seen: What libvirt knows of it; ``None`` where it positively knows no such guest.

    Returns:
        The reason; empty where nothing speaks against it, or libvirt does not call it down.
    """
    phase, state = phase_of(seen)
    if phase not in AT_REST or driver_of(guest.uri) != "qemu" or not is_local(guest.uri):
        return ""
    return Living.now(guest.uri).why_not_down(guest, seen, state)


def virsh(guest: KvmGuest, verb: str) -> str:
    """A command for people to type.

    Args:
        guest: The guest it is about.
        verb: What ``virsh`` is to do, with its options.
    """
    return f"`virsh -c {shlex.quote(guest.uri)} {verb} {shlex.quote(guest.name)}`"


def about_autostart(guest: KvmGuest) -> str:
    """What to say of a guest that libvirt starts by itself.

    Args:
        guest: The guest.
    """
    disable = virsh(guest, "autostart --disable")
    return f"libvirt autostart is on for {guest.name}: it would start it behind the service's back; {disable}"


def _observations(
    guests: Sequence[KvmGuest], found: Sequence[Seen | None], evidence: Evidence, names: Collection[str] = ()
) -> list[Observation]:
    """What libvirt's answer means for guests of one URI, corrected by what this machine's processes tell.

    The names are those of all its guests, where they are known: for whoever mistyped one.
    """

    @cache
    def said(detail: str) -> Evidence:
        return evolve(evidence, detail=detail)

    standing = [phase_of(seen) for seen in found]
    uri = guests[0].uri if guests else ""
    shows_processes = driver_of(uri) == "qemu" and is_local(uri)
    living = Living.now(uri) if shows_processes else NOBODY_LIVES
    observations = []
    for guest, seen, (phase, state) in zip(guests, found, standing, strict=True):
        detail = state
        warnings: tuple[str, ...] = ()
        if seen is None:
            detail = "; ".join(filter(None, [f"libvirt has no guest {guest.name!r}", did_you_mean(guest.name, names)]))
        elif phase is Phase.RUNNING and (stopped := living.stopped(seen)):
            why = f"running, but its qemu process (pid {stopped.pid}) is stopped ({stopped.stopped_by})"
            phase, state = Phase.STUCK, why  # noqa: PLW2901
        elif phase is Phase.RUNNING and shows_processes and evidence.duration_s > STALE_S and not living.has(seen):
            phase, state = Phase.UNKNOWN, "unknown"  # noqa: PLW2901
            detail = (
                f"libvirt says running, after {evidence.duration_s:.1f} s; but no qemu process of the guest is there"
            )
        if phase in AT_REST and (why := living.why_not_down(guest, seen, state)):
            phase, state, detail = Phase.UNKNOWN, "unknown", why  # noqa: PLW2901
        if seen is not None and seen.autostart:
            warnings = (about_autostart(guest),)
        observations.append(Observation(phase=phase, state=state, evidence=said(detail), warnings=warnings))
    return observations

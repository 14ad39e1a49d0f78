"""Where containers stand: one list for all of a directory, however many there are; a single one is asked about alone.

``lxc-ls`` asks the monitor of each container that runs, and waits for every answer: one that hangs holds up the whole
list. So a single container is looked at by ``lxc-info``, which waits for its own monitor alone, and where the list does
not come, each container gets a share of the time that is left.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence

from attrs import frozen

from vmsvc.driver import (
    TIMED_OUT,
    Evidence,
    Observation,
    Outcome,
    Phase,
    Undetermined,
    VmsvcError,
    shown,
    unknown,
    whole_lines,
)
from vmsvc_lxc.options import LxcGuest
from vmsvc_lxc.states import ABSENT, phase_of
from vmsvc_lxc.tools import Tools, at, by_hand, on

Key = tuple[str, str]

# A container's name comes last, since it may have blanks in it.
_COLUMNS = ("STATE", "AUTOSTART", "NAME")
_ROW = re.compile(r"(?P<state>[A-Z]+) +(?P<autostart>[01]) +(?P<name>.*)")
# How much of the time a list gets, and a container of a list that did not come, at most.
_LISTS_PART, _ONE_S = 0.5, 1.0


@frozen(kw_only=True)
class Seen:
    """What LXC says of a container.

    Attributes:
        state: Its word for the state, or :data:`~vmsvc_lxc.states.ABSENT`.
        autostart: Whether the container is started when the node boots (``lxc.start.auto``).
    """

    state: str
    autostart: bool = False

    @property
    def phase(self) -> Phase:
        """What the word means."""
        return phase_of(self.state)


@frozen(kw_only=True)
class Listing:
    """All containers of a directory.

    Attributes:
        seen: The containers, by name.
        complaints: What was said beside them: of each container that could not be read.
        probe: The command that told it.
    """

    seen: Mapping[str, Seen]
    complaints: tuple[str, ...]
    probe: str

    def of(self, name: str) -> Seen:
        """What it says of one container.

        Args:
            name: The container's name.

        Raises:
            Undetermined: It is not among them, since it could not be read.
        """
        if name not in self.seen:
            for said in self.complaints:
                if said.endswith((f" {name}", f":{name}")):
                    raise Undetermined(f"lxc-ls leaves out {name}: {said}", hint="look at the container's config file")
        return self.seen.get(name, Seen(state=ABSENT))


def survey(tools: Tools, guests: Sequence[LxcGuest]) -> dict[Key, Observation]:
    """Look at many containers.

    Args:
        tools: The commands of LXC, and how long they may take.
        guests: The containers.

    Returns:
        Observations by service and rid.
    """
    by_path: dict[str, list[LxcGuest]] = {}
    for guest in guests:
        by_path.setdefault(guest.lxcpath, []).append(guest)
    found: dict[Key, Observation] = {}
    for number, (lxcpath, there) in enumerate(by_path.items()):
        found |= _survey(tools.within(tools.left_s / (len(by_path) - number)), lxcpath, there)
    return found


def _survey(tools: Tools, lxcpath: str, guests: Sequence[LxcGuest]) -> dict[Key, Observation]:
    """Look at the containers of one directory."""
    began = time.monotonic()
    try:
        listed = listing(tools.within(tools.left_s * _LISTS_PART), lxcpath)
    except Undetermined as silence:
        if silence.code != TIMED_OUT:
            return {(guest.service, guest.rid): unknown("lxc-ls", silence) for guest in guests}
        return _one_by_one(tools, guests)
    except VmsvcError as error:
        return {(guest.service, guest.rid): unknown("lxc-ls", error) for guest in guests}
    took_s = time.monotonic() - began
    found: dict[Key, Observation] = {}
    for guest in guests:
        try:
            seen = listed.of(guest.name)
            found[guest.service, guest.rid] = observation(guest, seen, listed.probe, took_s)
        except Undetermined as error:
            found[guest.service, guest.rid] = unknown(listed.probe, error, duration_s=took_s)
    return found


def _one_by_one(tools: Tools, guests: Sequence[LxcGuest]) -> dict[Key, Observation]:
    found: dict[Key, Observation] = {}
    for number, guest in enumerate(guests):
        share_s = max(tools.left_s / (len(guests) - number), min(_ONE_S, tools.left_s * _LISTS_PART))
        found[guest.service, guest.rid] = look(tools.within(share_s), guest)
    return found


def look(tools: Tools, guest: LxcGuest) -> Observation:
    """Look at one container.

    Args:
        tools: The commands of LXC, and how long they may take.
        guest: The container.
    """
    began = time.monotonic()
    probe = shown(on("lxc-info", guest))
    try:
        seen = seen_alone(tools, guest)
    except VmsvcError as error:
        return unknown(probe, error, duration_s=time.monotonic() - began)
    return observation(guest, seen, probe, time.monotonic() - began)


def seen_alone(tools: Tools, guest: LxcGuest) -> Seen:
    """What LXC says of one container, whatever becomes of others.

    Args:
        tools: The commands of LXC, and how long they may take.
        guest: The container.

    Raises:
        Undetermined: It was not told.
        ActionFailed: The command could not be run.
    """
    words = ("--state", "--config=lxc.start.auto")
    done = tools.run(*on("lxc-info", guest, *words))
    if done.code != 0:
        # It says the same of what is not there and of what it may not look at; the list does not.
        return listing(tools, guest.lxcpath).of(guest.name)
    told = labelled(done)
    if "State" not in told:
        raise Undetermined(f"{shown(done.argv)}: its answer has no state")
    return Seen(state=told["State"], autostart=told.get("lxc.start.auto") == "1")


def listing(tools: Tools, lxcpath: str) -> Listing:
    """All containers of a directory.

    Args:
        tools: The commands of LXC, and how long they may take.
        lxcpath: The directory; empty for LXC's own.

    Raises:
        Undetermined: They were not told.
        ActionFailed: A command could not be run.
    """
    done = tools.answer("lxc-ls", *at(lxcpath), "-f", "-F", ",".join(_COLUMNS))
    if not done.out.strip():
        _must_be_empty(tools, lxcpath)
        return Listing(seen={}, complaints=tuple(done.err.splitlines()), probe=shown(done.argv))
    header, *rows = whole_lines(done)
    if tuple(header.split()) != _COLUMNS:
        raise Undetermined(f"{shown(done.argv)}: this is no list of containers: {header[:80]!r}")
    seen: dict[str, Seen] = {}
    for row in rows:
        match = _ROW.fullmatch(row)
        name = match["name"].rstrip(" ") if match else ""
        if match is None or name in seen:
            raise Undetermined(f"{shown(done.argv)}: a line of its answer cannot be read: {row[:80]!r}")
        seen[name] = Seen(state=match["state"], autostart=match["autostart"] == "1")
    return Listing(seen=seen, complaints=tuple(done.err.splitlines()), probe=shown(done.argv))


def _must_be_empty(tools: Tools, lxcpath: str) -> None:
    """Tell a directory without containers from one that is not there: ``lxc-ls`` says nothing of both, and succeeds."""
    path = f"{(lxcpath or usual_path(tools)).rstrip('/')}/"
    done = tools.run("find", path, "-maxdepth", "2", "-print0")
    entries = done.out.split("\0")
    if done.code != 0 or path not in entries:
        raise Undetermined(
            f"{path} is no directory that can be read: nobody can tell which containers it has",
            hint="is its file system mounted, and the key `lxcpath` right?",
        )
    if left_out := [entry for entry in entries if entry.endswith("/config")]:
        raise Undetermined(f"lxc-ls tells of no container, and there is {left_out[0]}")


def usual_path(tools: Tools) -> str:
    """Where containers are unless somebody says otherwise.

    Args:
        tools: The commands of LXC, and how long they may take.

    Raises:
        Undetermined: It was not told.
        ActionFailed: The command could not be run.
    """
    done = tools.answer("lxc-config", "lxc.lxcpath")
    path = done.out.strip()
    if not path.startswith("/") or "\n" in path:
        raise Undetermined(f"{shown(done.argv)}: this is no path: {path[:80]!r}")
    return path


def labelled(done: Outcome) -> dict[str, str]:
    r"""What ``lxc-info`` prints: ``State:  RUNNING``, and ``lxc.mount.entry = …`` with one line for each value.

    Args:
        done: What it left behind.

    >>> printed = b"State:          RUNNING\nlxc.mount.entry = a b\nc d\n\nlxc.mount.fstab =\n"
    >>> labelled(Outcome(argv=("lxc-info",), code=0, stdout=printed, stderr=b"", duration_s=0.0))
    {'State': 'RUNNING', 'lxc.mount.entry': 'a b\nc d', 'lxc.mount.fstab': ''}

    Raises:
        Undetermined: It is not whole.
    """
    told: dict[str, str] = {}
    label = ""
    for line in whole_lines(done):
        if match := _LABEL.fullmatch(line):
            label = match["state"] or match["key"]
            told[label] = match["value"]
        elif label:
            told[label] += f"\n{line}"
    return {label: value.strip() for label, value in told.items()}


_LABEL = re.compile(r"(?:(?P<state>State): +|(?P<key>lxc\.[\w.]+) = ?)(?P<value>.*)")


def observation(guest: LxcGuest, seen: Seen, probe: str, took_s: float) -> Observation:
    """What was seen, in the words of vmsvc.

    Args:
        guest: The container.
        seen: What LXC says of it.
        probe: The command that told it.
        took_s: How long that took, in seconds.
    """
    detail = f"LXC has no container {guest.name!r}" if seen.phase is Phase.ABSENT else seen.state
    if seen.phase is Phase.ABSENT and guest.lxcpath:
        detail += f" in {guest.lxcpath}"
    return Observation(
        phase=seen.phase,
        state=seen.state.lower(),
        evidence=Evidence(probe=probe, detail=detail, at=time.time(), duration_s=took_s),
        warnings=(about_autostart(guest),) if seen.autostart else (),
    )


def about_autostart(guest: LxcGuest) -> str:
    """What to say of a container that the node starts by itself.

    Args:
        guest: The container.
    """
    return (
        f"lxc.start.auto is 1 for {guest.name}: the node would start it behind the service's back when it boots; set "
        f"it to 0 in the container's config (`{by_hand('lxc-info', guest, '-c', 'lxc.start.auto')}`)"
    )

"""Makes a recording of a driver on this node: everything that it can be asked without changing anything."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from vmsvc import __version__, hookspecs
from vmsvc.core.answers import FoundGuest
from vmsvc.core.contract import Capability, Context, Driver
from vmsvc.core.errors import UsageError, VmsvcError
from vmsvc.core.guests.adoption import places
from vmsvc.core.nearest import did_you_mean
from vmsvc.core.plugins import load_plugins
from vmsvc.core.resource import Guest
from vmsvc.core.transport.local import LocalHost
from vmsvc.session import Session
from vmsvc.testing.recording import BUDGET_S, answers_of, described, guest_from, replayed
from vmsvc.testing.recording.masking import Masking
from vmsvc.testing.recording.samples import Recording, RecordingHost

#: Of how many guests each is asked about by itself.
MOST_GUESTS = 20


@frozen(kw_only=True)
class Made:
    """A recording that was written.

    Attributes:
        directory: Its directory.
        files: Its files.
        commands: How many commands were recorded.
        guests: How many guests.
        is_faithful: Whether the driver tells the same of the masked answers as it did of the real ones; ``None`` where
            it has run no command that could be replayed.
        knows_names: Whether the driver has named all guests: of others, only those of services are masked.
    """

    directory: Path
    files: tuple[Path, ...]
    commands: int
    guests: int
    is_faithful: bool | None
    knows_names: bool


def record(session: Session, served: str, directory: Path, *, settings: Mapping[str, str] | None = None) -> Made:
    """Ask a driver everything that changes nothing, and write what its commands printed, masked.

    Args:
        session: The session of the node.
        served: The driver's type.
        directory: Where the recording is written; it must not be there yet.
        settings: Where to look for guests, by address: ``container#1.uri`` …

    Returns:
        What was written.

    Raises:
        UsageError: No driver serves the type, or the directory is there already.
        ConfigError: A setting is wrong, or one is missing that tells where guests are.
        VmsvcError: The directory cannot be written.
    """
    if directory.exists():
        raise UsageError(f"{directory} is there already", hint="choose another --directory")
    drivers = load_plugins(hookspecs).drivers
    driver_class = drivers.get(("container", served))
    if driver_class is None:
        types = [each for kind, each in drivers if kind == "container"]
        raise UsageError(
            f"no driver serves the container type {served!r}",
            hint=did_you_mean(served, types, otherwise="`vmsvc drivers` lists what is installed"),
        )
    with contextlib.closing(LocalHost()) as local:
        host = RecordingHost(local)
        state_dir = session.node.state_dir / "drivers" / served
        driver = driver_class(Context(node=session.node, host=host, state_dir=state_dir))
        with contextlib.closing(driver):
            guests, names, knows_names = _guests(session, driver, served, settings or {})
            host.commands.clear()  # what was run to find the guests is run again below
            answers = answers_of(driver, guests)
    recording = Recording(
        type=served,
        versions={"vmsvc": __version__, "driver": _version_of(driver_class)},
        guests=[described(guest) for guest in guests],
        commands=host.commands,
        answers=answers,
    )
    # A service that is called as the technology: the name tells nothing, and is a word of the tool's.
    tell_nothing = {served, *(word for command in recording.commands for word in _words_of(command.argv[0]))}
    masked = recording.masked(Masking(names - tell_nothing, secret=secrets.token_bytes(32)).text)
    is_faithful = _is_faithful(driver_class, masked) if masked.commands else None
    try:
        files = masked.write(directory)
    except OSError as error:
        raise VmsvcError(f"{directory} cannot be written: {error.strerror}", code="file") from error
    return Made(
        directory=directory,
        files=files,
        commands=len(masked.commands),
        guests=len(guests),
        is_faithful=is_faithful,
        knows_names=knows_names,
    )


def _guests(
    session: Session, driver: Driver[Any], served: str, settings: Mapping[str, str]
) -> tuple[list[Guest], set[str], bool]:
    """The guests of services, then those that have none; every name that is to be masked, and whether these are all."""
    services = []
    for name in session.services():
        with contextlib.suppress(VmsvcError):  # one that cannot be read is no reason to record nothing
            services.append(session.load(name))
    own = [guest for service in services for guest in service.guests if guest.type == served]
    names = {*_names_of_node(session), *session.services()}
    for service in services:
        names |= {*service.nodes, *service.drpnodes}
        names |= {word for guest in service.guests for word in (guest.name, guest.hostname)}
    where = own[:1]
    where = places(session.node, session.catalog, [served], settings) if settings or not own else own[:1]
    found = _found(driver, where)
    names |= {each.name for each in found or ()}
    known = {guest.name for guest in own}
    others = [_described_as(where[0], each, served) for each in found or () if each.name not in known]
    # Where there is none, one of no name tells at least why.
    return ([*own, *others] or list(where))[:MOST_GUESTS], names, found is not None


def _found(driver: Any, where: Sequence[Guest]) -> list[FoundGuest] | None:
    """All guests; ``None`` where the driver cannot name them."""
    if where and Capability.DISCOVER in driver.capabilities:
        with contextlib.suppress(Exception):  # asked again below, where what it raises is recorded
            return list(driver.discover(where[0], budget_s=BUDGET_S))
    return None


def _described_as(where: Guest, found: FoundGuest, served: str) -> Guest:
    """A guest without a service, as a service file would describe it."""
    kept = described(where)
    facts = {**kept, **found.options, "name": found.name, "service": found.name, "rid": where.rid}
    try:
        return guest_from(type(where), facts, served)
    except ValueError:  # what discover tells of its options cannot be written to a file; the kit has a clause for that
        return evolve(where, name=found.name, service=found.name)


def _names_of_node(session: Session) -> Iterable[str]:
    whole = os.uname().nodename
    yield from (session.node.name, whole, whole.partition(".")[0], whole.partition(".")[2])
    home = Path.home()
    yield from (os.environ.get("USER", ""), home.name if home.parent.name == "home" else "")


def _words_of(program: str) -> list[str]:
    return re.split(r"\W+", Path(program).name)


def _version_of(driver_class: type) -> str:
    package = driver_class.__module__.partition(".")[0].replace("_", "-")
    try:
        return f"{package} {version(package)}"
    except ModuleNotFoundError:  # importlib.metadata.PackageNotFoundError is one
        return package


def _is_faithful(driver_class: type[Driver[Any]], masked: Recording) -> bool:
    try:
        return replayed(driver_class, masked) == masked.answers
    except (AssertionError, ValueError, VmsvcError):
        return False

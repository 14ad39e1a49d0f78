"""Where guests stand, by one list of what Xen has and one look at config files; and the guests that there are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from vmsvc.driver import Evidence, FoundGuest, Observation, Phase, Undetermined, VmsvcError, unknown
from vmsvc_xen import states
from vmsvc_xen.disks import disks
from vmsvc_xen.options import XenGuest
from vmsvc_xen.parse import Domain, Domains
from vmsvc_xen.tool import SAVED, Files, Keepers, Tool

_PROBE = "xl list"
_MADE = "if no xl is at work on it, it was left so (`xl create -p` does that): `xl unpause {}` lets it go"

Key = tuple[str, str]


def survey(tool: Tool, guests: Sequence[XenGuest]) -> dict[Key, Observation]:
    """Say where guests stand.

    Args:
        tool: Who is asked.
        guests: The guests.

    Returns:
        Observations by service and rid.
    """
    began = time.monotonic()
    try:
        domains = tool.domains(*(guest.name for guest in guests))
        files = _files(tool, guests)
        keepers = _keepers(tool, domains, guests)
    except VmsvcError as error:
        nothing = unknown(_PROBE, error, duration_s=time.monotonic() - began)
        return {(guest.service, guest.rid): nothing for guest in guests}
    took_s = time.monotonic() - began
    return {
        (guest.service, guest.rid): _seen(guest, domains, keepers, files[guest.config_dir], took_s) for guest in guests
    }


def _files(tool: Tool, guests: Sequence[XenGuest]) -> dict[str, Files]:
    """What there is of files, by the directory of config files."""
    directories = dict.fromkeys(guest.config_dir for guest in guests)
    return {
        directory: tool.files(directory, *(guest.file for guest in guests if guest.config_dir == directory))
        for directory in directories
    }


def _keepers(tool: Tool, domains: Domains, guests: Sequence[XenGuest]) -> Keepers:
    """Who may make guests anew; nobody has to be looked for where all guests have their domains."""
    is_one_missing = any(guest.name not in domains.named for guest in guests)
    return tool.keepers() if is_one_missing else Keepers(logs={})


def _seen(guest: XenGuest, domains: Domains, keepers: Keepers, files: Files, took_s: float) -> Observation:
    try:
        domain = domains.of(guest.name)
    except Undetermined as error:
        return unknown(_PROBE, error, duration_s=took_s)
    warnings = list(by_itself(guest, files))
    if domain is not None:
        phase, state, detail = domain.phase, domain.state, f"the domain {domain.id} is {domain.letters}"
        if phase is Phase.STARTING:
            warnings.append(_MADE.format(domain.id))
    elif numbers := keepers.of(guest.name):
        phase, state = Phase.STARTING, states.REBOOTING
        detail = f"it has no domain, and the process {numbers[0]} of xl is there to make it another one"
    elif keepers.lost:
        return unknown(_PROBE, f"whether an xl makes it anew cannot be told: {keepers.lost}", duration_s=took_s)
    else:
        detail = f"none of {len(domains.named)} guests is {guest.name!r}; its config file {guest.file} "
        if guest.file in files.inodes:
            phase, state, detail = Phase.STOPPED, states.STOPPED, f"{detail}is there"
        elif files.lost:
            return unknown(_PROBE, f"{detail}cannot be looked at: {files.lost}", duration_s=took_s)
        else:
            phase, state, detail = Phase.ABSENT, states.ABSENT, f"{detail}is not there"
    return Observation(
        phase=phase,
        state=state,
        evidence=Evidence(probe=_PROBE, detail=detail, duration_s=took_s),
        warnings=tuple(warnings),
    )


def by_itself(guest: XenGuest, files: Files) -> Iterator[str]:
    """What to say of a guest that the node starts or resumes when it boots.

    Args:
        guest: The guest.
        files: What there is of files.
    """
    saved = f"{SAVED}/{guest.name}"
    if saved in files.inodes:
        yield (
            f"{saved} is a state of {guest.name} from which the node would resume it when it boots, behind the "
            "service's back, and with disks that may have changed since; move it away"
        )
    known_as = (files.inodes.get(guest.file, ""), guest.file.rpartition("/")[2], guest.name)
    if entry := next((files.at_boot[key] for key in known_as if key in files.at_boot), ""):
        yield f"{entry} makes the node start {guest.name} when it boots, behind the service's back; remove it"


def discover(tool: Tool, where: XenGuest) -> list[FoundGuest]:
    """Name every guest that Xen has in memory, and every one that a config file describes.

    Args:
        tool: Who is asked.
        where: Whose directory of config files is looked at.
    """
    domains = tool.domains()
    described = {name: file for file in tool.config_files(where.config_dir) if (name := tool.named(file))}
    files = tool.files(where.config_dir, *described.values())
    running = domains.named
    keepers = tool.keepers()
    if keepers.lost:
        raise Undetermined(f"whether an xl makes a guest anew cannot be told: {keepers.lost}")
    return [
        _found(tool, _guest(where, name, described.get(name, "")), running.get(name), files, keepers)
        for name in sorted({*running, *described})
    ]


def _guest(where: XenGuest, name: str, file: str) -> XenGuest:
    from attrs import evolve  # noqa: PLC0415 - a look at guests does not need it

    guest = evolve(where, name=name, config="")
    return guest if file in ("", guest.file) else evolve(guest, config=file)


def _found(tool: Tool, guest: XenGuest, domain: Domain | None, files: Files, keepers: Keepers) -> FoundGuest:
    reboots = bool(keepers.of(guest.name))
    without = (Phase.STARTING, states.REBOOTING) if reboots else (Phase.STOPPED, states.STOPPED)
    phase, state = (domain.phase, domain.state) if domain else without
    starts = tuple(by_itself(guest, files))
    warnings = list(starts)
    is_described = guest.file in files.inodes
    if not is_described:
        warnings.append(f"no config file {guest.file} describes it: what is stopped could not be started again")
    try:
        live = tool.devices(domain) if domain else []
        persistent = tool.configured(guest) if is_described else []
        devices = disks(tool, live, persistent)
    except VmsvcError as error:
        devices = []
        warnings.append(f"its disks are not known: {error.message}")
    options: Mapping[str, str] = {
        key: value
        for key, value, default in (
            ("config_dir", guest.config_dir, "/etc/xen"),
            ("config", guest.config, ""),
        )
        if value != default
    }
    return FoundGuest(
        name=guest.name,
        phase=phase,
        state=state,
        options=options,
        autostart=bool(starts),
        disks=tuple(devices),
        warnings=tuple(warnings),
    )

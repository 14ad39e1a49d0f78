"""What ldm prints for programs (``-p``), as records. Pure.

The format is that of ldm(8), "Machine-Readable Output": a line is ``WORD|key=value|key=value``, and one that begins
with ``|`` belongs to the line above it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import frozen

from vmsvc.driver import GuestDisk, Phase, Undetermined

_VERSION = re.compile(r"VERSION \d+\.\d+")
# ldm(8), "Flag Definitions": six columns, of which the last came with migration.
_FLAGS = re.compile(r"[-s][-ntd][-dr][-c][-v][-ste]?")
_WHOLE_DISK = re.compile(r"/dev/r?dsk/.*d\d+")


@frozen(kw_only=True)
class Domain:
    """A domain, as ``ldm list-domain -p`` tells of it.

    Attributes:
        name: Its name.
        state: ``inactive``, ``bound`` or ``active``.
        flags: Its flags, a column each.
        values: All that was told.
    """

    name: str
    state: str
    flags: str
    values: Mapping[str, str]

    @property
    def word(self) -> str:
        """Its state, and what its flags add to that."""
        return f"{self.state} ({_MEANING[self.phase]})" if self.phase in _MEANING else self.state

    @property
    def phase(self) -> Phase:
        """Where it stands; what is not known is unknown."""
        if self.state not in _STATES or not _FLAGS.fullmatch(self.flags):
            return Phase.UNKNOWN
        flags = self.flags.ljust(6, "-")
        if flags[5] in _MIGRATION:
            return _MIGRATION[flags[5]]
        # On its way, up or down: there is one flag for both, and it comes before the state follows. Or at its firmware.
        if flags[0] == "s" or flags[1] == "t":
            return Phase.STARTING
        return _ACTIVE.get(flags[1], Phase.UNKNOWN) if self.state == "active" else Phase.STOPPED

    @property
    def is_control(self) -> bool:
        """Whether it is the control domain, which runs ldm."""
        return "c" in self.flags[3:4]

    @property
    def is_service(self) -> bool:
        """Whether it serves disks or networks to other domains."""
        return "v" in self.flags[4:5]


_STATES = ("inactive", "bound", "active")
#: What the last column says, whatever the state: it is a source or a target of a migration, or one has failed.
_MIGRATION = {"s": Phase.MIGRATING, "t": Phase.MIGRATING, "e": Phase.STUCK}
_ACTIVE = {"n": Phase.RUNNING, "d": Phase.DEGRADED}
_MEANING = {
    Phase.MIGRATING: "migrating",
    Phase.STUCK: "error",
    Phase.STARTING: "transition",
    Phase.DEGRADED: "degraded",
}


def domains(text: str) -> dict[str, Domain]:
    """Every domain by its name.

    Args:
        text: What ``ldm list-domain -p`` has printed.

    Raises:
        Undetermined: It is not a whole list, or has a domain twice. The control domain is always in it.
    """
    found: dict[str, Domain] = {}
    for word, values in _lines(text):
        if word != "DOMAIN" or not {"name", "state", "flags"} <= values.keys():
            raise Undetermined(f"ldm: this is no line of a list of domains: {word}|{'|'.join(values)}"[:120])
        if values["name"] in found:
            raise Undetermined(f"ldm: the list of domains has {values['name']!r} twice")
        found[values["name"]] = Domain(name=values["name"], state=values["state"], flags=values["flags"], values=values)
    if not any(domain.is_control for domain in found.values()):
        raise Undetermined("ldm: the list of domains is without the control domain, so it is not whole")
    return found


def volumes(text: str) -> dict[str, str]:
    """The device or file behind each volume, by ``VOLUME@SERVICE``.

    Args:
        text: What ``ldm list-services -p`` has printed.
    """
    found: dict[str, str] = {}
    service = ""
    for word, values in _lines(text):
        if word:
            service = values.get("name", "") if word == "VDS" else ""
        elif service and "vol" in values:
            found[f"{values['vol']}@{service}"] = values.get("dev", "")
    return found


def disks(text: str, backing: Mapping[str, str]) -> list[GuestDisk]:
    """The disks of a domain.

    Args:
        text: What ``ldm list-domain -o disk -p NAME`` has printed.
        backing: What :func:`volumes` has found. A volume that is not there is kept as such: nothing is started on it.
    """
    found = []
    for word, values in _lines(text):
        if word != "VDISK":
            continue
        source = _raw(backing.get(values.get("vol", ""), ""))
        kind = "block" if source.startswith("/dev/") else "file" if source.startswith("/") else "volume"
        found.append(
            GuestDisk(
                target=values.get("name", ""),
                kind=kind,
                source=source or values.get("vol", ""),
                bus="vdisk",
                persistent=True,
            )
        )
    return found


def _raw(device: str) -> str:
    """The character device of a disk, and its slice that is the whole disk: what reservations are made on."""
    if _WHOLE_DISK.fullmatch(device):
        device += "s2"
    return device.replace("/dev/dsk/", "/dev/rdsk/", 1)


def _lines(text: str) -> list[tuple[str, dict[str, str]]]:
    first, *rest = text.splitlines() or [""]
    if not _VERSION.match(first):
        raise Undetermined(f"ldm: this is not its output for programs: {first[:80]!r}")
    found = []
    for line in filter(str.strip, rest):
        word, *fields = line.split("|")
        pairs = (each.partition("=") for each in fields)
        found.append((word, {key: value.rstrip() for key, _, value in pairs}))
    return found

"""What ldm prints for programs (``-p``), as records. Pure.

The format is that of ldm(8), "Machine-Readable Output": a line is ``WORD|key=value|key=value``, and one that begins
with ``|`` belongs to the line above it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from attrs import frozen

from vmsvc.driver import GuestDisk, Phase, Undetermined

_VERSION = re.compile(r"VERSION \d+\.\d+")
# ldm(8), "Flag Definitions": six columns, of which the last came with migration. Of a domain in whatever state, "s" in
# the first means that it starts or stops, "t" in the second that it is in transition, and "e" in the last that an error
# occurred in a migration. "d" in the second is a "degraded domain that cannot be started due to missing resources".
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
        meaning = "degraded" if self.is_degraded else _MEANING.get(self.phase, "")
        return f"{self.state} ({meaning})" if meaning else self.state

    @property
    def phase(self) -> Phase:
        """Where it stands; what is not known is unknown."""
        if self.state not in ("inactive", "bound", "active") or not _FLAGS.fullmatch(self.flags):
            return Phase.UNKNOWN
        migration = self.flags[5:6]
        if migration and migration in "st":
            return Phase.MIGRATING
        if migration == "e":
            return Phase.STUCK
        if self.flags[0] == "s" or self.flags[1] == "t":  # up or down: there is one flag for both; or at its firmware
            return Phase.STARTING
        if self.state == "active":
            return Phase.RUNNING if self.flags[1] == "n" else Phase.UNKNOWN
        return Phase.STOPPED

    @property
    def has_begun(self) -> bool:
        """Whether it runs, or is on its way up or down: who is merely bound has processors and memory, and no more."""
        return self.state == "active" or self.flags[0] == "s"

    @property
    def is_degraded(self) -> bool:
        """Whether it is down, and cannot be started since the machine lacks what it needs."""
        return self.phase is Phase.STOPPED and self.flags[1] == "d"

    @property
    def is_control(self) -> bool:
        """Whether it is the control domain, which runs ldm."""
        return "c" in self.flags[3:4]

    @property
    def is_service(self) -> bool:
        """Whether it serves disks or networks to other domains."""
        return "v" in self.flags[4:5]


_MEANING = {
    Phase.MIGRATING: "migrating",
    Phase.STUCK: "error",
    Phase.STARTING: "transition",
}


def domains(lines: Sequence[str]) -> dict[str, Domain]:
    """Every domain by its name. The list has no mark of its end: one that is cut between two lines looks whole.

    Args:
        lines: What ``ldm list-domain -p`` has printed.

    Raises:
        Undetermined: It is not a whole list, or has a domain twice. The control domain is always in it.
    """
    found: dict[str, Domain] = {}
    for word, values in _records(lines):
        if word != "DOMAIN" or not {"name", "state", "flags"} <= values.keys():
            raise Undetermined(f"ldm: this is no line of a list of domains: {word}|{'|'.join(values)}"[:120])
        if values["name"] in found:
            raise Undetermined(f"ldm: the list of domains has {values['name']!r} twice")
        found[values["name"]] = Domain(name=values["name"], state=values["state"], flags=values["flags"], values=values)
    if not any(domain.is_control for domain in found.values()):
        raise Undetermined("ldm: the list of domains is without the control domain, so it is not whole")
    return found


def volumes(lines: Sequence[str]) -> dict[str, str]:
    """The device or file behind each volume, by ``VOLUME@SERVICE``.

    Args:
        lines: What ``ldm list-services -p`` has printed.
    """
    found: dict[str, str] = {}
    service = ""
    for word, values in _records(lines):
        if word:
            service = values.get("name", "") if word == "VDS" else ""
        elif service and "vol" in values:
            found[f"{values['vol']}@{service}"] = values.get("dev", "")
    return found


def disks(lines: Sequence[str], name: str, backing: Mapping[str, str]) -> list[GuestDisk]:
    """The disks of a domain.

    Args:
        lines: What ``ldm list-domain -o disk -p NAME`` has printed.
        name: The domain's name.
        backing: What :func:`volumes` has found. A volume that is not there is kept as such: nothing is started on it.

    Raises:
        Undetermined: It does not tell of that domain.
    """
    records = _records(lines)
    if [values.get("name") for word, values in records if word == "DOMAIN"] != [name]:
        raise Undetermined(f"ldm: it does not tell of the domain {name!r}: {' '.join(lines)[:80]!r}")
    found = []
    for word, values in records:
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


def _records(lines: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    first, *rest = lines or [""]
    if not _VERSION.match(first):
        raise Undetermined(f"ldm: this is not its output for programs: {first[:80]!r}")
    found = []
    for line in filter(str.strip, rest):
        word, *fields = line.split("|")
        pairs = [each.partition("=") for each in fields]
        values = {key: value.rstrip() for key, _, value in pairs}
        if len(values) < len(pairs):
            raise Undetermined(f"ldm: a line tells something twice: {line[:80]!r}")
        found.append((word, values))
    return found


def constraints(lines: Sequence[str]) -> str:
    """The constraints of a domain, as XML.

    Args:
        lines: What ``ldm list-constraints -x NAME`` has printed.

    Raises:
        Undetermined: They are not whole.
    """
    text = "".join(f"{line}\n" for line in lines)
    if not text.rstrip().endswith("</LDM_interface>"):
        raise Undetermined(f"ldm list-constraints -x: the answer is not whole: it ends with {text[-40:]!r}")
    return text

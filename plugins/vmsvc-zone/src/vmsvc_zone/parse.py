"""From what zoneadm, zonecfg and ifconfig print to records. Pure."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator

from attrs import field, frozen

from vmsvc.driver import AT_REST, GuestAddress, GuestDisk, Phase, Undetermined, addresses_of_zones
from vmsvc_zone.states import AUXILIARY, phase_of

#: Fields of a line of ``zoneadm list -p`` that every system has; Solaris 10 prints these, later ones up to eleven.
_FIELDS = 7
_GLOBAL = "global"
#: A pattern of device names, as zonecfg's ``match`` takes them.
_WILD = re.compile(r"[*?\[]")
#: ``set NAME=VALUE``, or ``add NAME VALUE`` within a resource.
_PROPERTY = re.compile(r"([\w-]+)\s*[\s=]\s*(.*)")
# ``add RESOURCE``.
_RESOURCE = re.compile(r"[\w-]+")
# What stands for the zone's own name.
_OWN_NAME = "%{zonename}"
_UNITS = {"": 1 / (1 << 20), "K": 1 / 1024, "M": 1, "G": 1024, "T": 1 << 20}


@frozen(kw_only=True)
class Zone:
    """A zone, as ``zoneadm list`` tells it.

    Attributes:
        name: Its name.
        state: Its state's word.
        path: Where it lies; empty for one that has no place in the node's files.
        ip_type: ``shared`` or ``excl``.
        auxiliary: What Solaris adds to the state of a kernel zone; empty for nothing.
        id: Its number in the kernel; empty where it has none.
    """

    name: str
    state: str
    path: str
    ip_type: str
    auxiliary: str = ""
    id: str = ""

    @property
    def phase(self) -> Phase:
        """Where it stands. The kernel knows none that is down: of one that it does, such a state is old, or wrong."""
        phase = phase_of(self.state, self.auxiliary)
        return Phase.UNKNOWN if self.id and phase in AT_REST else phase

    @property
    def word(self) -> str:
        """Its state, and what Solaris adds to that."""
        if self.phase is Phase.UNKNOWN and self.id:
            return f"{self.state}, and has the number {self.id} in the kernel"
        return f"{self.state} ({self.auxiliary})" if self.auxiliary else self.state


def zones(text: str) -> list[Zone]:
    """The zones of ``zoneadm list -cp``, without the global one.

    Args:
        text: What it printed.

    Raises:
        Undetermined: That is no such list, or it is cut off: who is missing from it may be there.
    """
    if not text.endswith("\n"):
        raise _no_list(text)
    found = [_zone(line) for line in text.splitlines()]
    names = [zone.name for zone in found]
    if names.count(_GLOBAL) != 1:
        raise Undetermined("`zoneadm list` does not tell of the global zone: zones are told of in the global zone only")
    if len(set(names)) < len(names):
        raise Undetermined("`zoneadm list` tells of two zones with one name")
    return [zone for zone in found if zone.name != _GLOBAL]


def _zone(line: str) -> Zone:
    fields = [each.replace("\\:", ":") for each in re.split(r"(?<!\\):", line)]
    if len(fields) < _FIELDS:
        raise _no_list(line)
    number, name, state, path, _uuid, _brand, ip_type = fields[:_FIELDS]
    is_line = re.fullmatch(r"-|\d+", number, re.ASCII) and name and state and (path == "-" or path.startswith("/"))
    if not is_line:
        raise _no_list(line)
    auxiliary = next((word for word in fields[_FIELDS:] if word in AUXILIARY), "")
    return Zone(
        name=name,
        state=state,
        path="" if path == "-" else path,
        ip_type=ip_type,
        auxiliary=auxiliary,
        id="" if number == "-" else number,
    )


def _no_list(text: str) -> Undetermined:
    return Undetermined(f"`zoneadm list -cp` printed no list of zones: {text[:80]!r}")


# --- zonecfg export -------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Part:
    """One resource of a zone's configuration.

    Attributes:
        kind: ``device``, ``fs``, ``capped-memory`` …
        values: Its properties, each with its text as it is written.
    """

    kind: str
    values: dict[str, str] = field(factory=dict)


@frozen(kw_only=True)
class Configuration:
    """A zone's configuration.

    Attributes:
        values: The properties of the zone itself.
        parts: Its resources.
    """

    values: dict[str, str]
    parts: tuple[Part, ...]


def configuration(text: str) -> Configuration:
    """Read what ``zonecfg export`` printed, the commands that would make the zone anew.

    Args:
        text: What it printed.

    Raises:
        Undetermined: That is no configuration, or it is cut off.
    """
    values: dict[str, str] = {}
    parts: list[Part] = []
    inside: list[Part] = []  # Solaris 11.2 and later have resources within resources, as `mac` in `anet`: zonecfg(8)
    for line in text.splitlines():
        verb, _, rest = line.strip().partition(" ")
        if verb == "add" and _RESOURCE.fullmatch(rest.strip()):
            inside.append(Part(kind=rest.strip()))
        elif verb == "end" and inside:
            parts.append(inside.pop())
        elif verb in ("set", "add"):
            written = _PROPERTY.fullmatch(rest.strip())
            if written is None:
                raise _no_configuration(line)
            _put(inside[-1].values if inside else values, written[1], _unquoted(written[2]), adds=verb == "add")
        elif verb not in ("create", "remove", "clear", "select", "verify", "commit", "") and not verb.startswith("#"):
            raise _no_configuration(line)
    if inside or not text.startswith("create") or not text.endswith("\n") or not values:
        raise _no_configuration(text)
    return Configuration(values=values, parts=tuple(parts))


def _put(values: dict[str, str], key: str, value: str, *, adds: bool) -> None:
    """Set a property, or add to it: illumos writes a list as one `add` for each of its items."""
    values[key] = f"{values[key]},{value}" if adds and key in values else value


def _unquoted(text: str) -> str:
    try:
        words = shlex.split(text) if text.startswith('"') else [text]
    except ValueError:
        return text
    return words[0] if len(words) == 1 else text


def _no_configuration(text: str) -> Undetermined:
    return Undetermined(f"`zonecfg export` printed no configuration: {text[:80]!r}")


def disks(found: Configuration, name: str, *, live: bool) -> list[GuestDisk]:
    """Where a zone's data lies. What may be several devices, or a pool of them, keeps zonecfg's word as its kind.

    Args:
        found: The zone's configuration.
        name: The zone's name, for which the configuration may have a token: zonecfg(8), "Tokens".
        live: Whether the zone is ready or runs, so that it has them now.
    """
    listed = list(_disks(found, name))
    return [
        GuestDisk(target=target, kind=kind, source=source, readonly=readonly, live=live, persistent=True)
        for target, kind, source, readonly in listed
    ]


def _disks(found: Configuration, name: str) -> Iterator[tuple[str, str, str, bool]]:
    if path := found.values.get("zonepath", ""):
        yield "/", "dir", path.replace(_OWN_NAME, name), False
    for part in found.parts:
        values = part.values
        if part.kind == "device":
            match = _device((values.get("match") or values.get("storage", "")).replace(_OWN_NAME, name))
            is_one = match.startswith("/dev/") and not _WILD.search(match)
            yield match, "block" if is_one else "device", match, False
        elif part.kind == "fs":
            special = values.get("special", "")
            kind = "block" if special.startswith("/dev/") else "dir" if special.startswith("/") else "fs"
            yield values.get("dir", ""), kind, special, "ro" in re.split(r"[\[\], ]", values.get("options", ""))
        elif part.kind in ("dataset", "rootzpool", "zpool"):
            pool = values.get("name") or part.kind
            yield pool, part.kind, values.get("storage") or pool, False


def _device(text: str) -> str:
    """A device's path: as it is, or of a URI of the node's own devices, ``dev:PATH`` from /dev or the root; suri(7)."""
    if not text.startswith("dev:"):
        return text
    path = re.sub("^/{2,}", "/", text.removeprefix("dev:"))
    return path if path.startswith("/") else f"/dev/{path}"


def sizes(found: Configuration) -> tuple[int | None, int | None]:
    """Processors and memory in MiB, each ``None`` where the zone has all that the node has.

    Args:
        found: The zone's configuration.
    """
    cpus = memory = None
    for part in found.parts:
        if part.kind in ("dedicated-cpu", "capped-cpu", "virtual-cpu") and "ncpus" in part.values:
            cpus = _count(part.values["ncpus"])
        elif part.kind == "rctl" and part.values.get("name") == "zone.cpu-cap" and cpus is None:
            limit = re.search(r"limit=(\d+)", part.values.get("value", ""))
            cpus = _count(str(int(limit[1]) / 100)) if limit else None
        elif part.kind == "capped-memory" and "physical" in part.values:
            memory = _mebibytes(part.values["physical"])
    return cpus, memory


def _count(text: str) -> int | None:
    """Processors of a number, or of the greatest one of a range; a part of one is one."""
    found = re.fullmatch(r"(?:\d+-)?(\d+(?:\.\d+)?)", text, re.ASCII)
    return max(math.ceil(float(found[1])), 1) if found else None


def _mebibytes(text: str) -> int | None:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text.upper(), re.ASCII)
    return max(int(float(found[1]) * _UNITS[found[2]]), 1) if found else None


# --- ifconfig -a ----------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Plumbed:
    """An address of this node's adapters.

    Attributes:
        zone: The zone that has it; empty for the global one.
        address: The address, and the logical interface.
    """

    zone: str
    address: GuestAddress


def plumbed(text: str) -> list[Plumbed]:
    """The addresses of ``ifconfig -a`` in the global zone, which tells those of zones as well; ifconfig(8).

    Args:
        text: What it printed.

    Raises:
        Undetermined: That is no such list, or it is cut off.
    """
    found = [Plumbed(zone=zone, address=address) for zone, address in addresses_of_zones(text)]
    if not any(each.address.is_on("lo0") for each in found):  # every node has it
        raise Undetermined("`ifconfig -a` does not tell of the loopback adapter")
    return found

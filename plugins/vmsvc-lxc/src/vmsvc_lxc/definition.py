"""What a container is made of: its config file, and what LXC reads in that."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from vmsvc.driver import AT_REST, DriverError, GuestDisk, Sizes, Undetermined, shown, whole_lines
from vmsvc_lxc.observing import labelled, seen_alone, usual_path
from vmsvc_lxc.options import LxcGuest
from vmsvc_lxc.states import ABSENT
from vmsvc_lxc.tools import Tools, on

#: What of its config tells disks, and what tells sizes: lxc.container.conf(5), for cgroups of both versions.
_DISKS = (
    "lxc.rootfs.path",
    "lxc.mount.entry",
    "lxc.mount.fstab",
    "lxc.cgroup.devices.allow",
    "lxc.cgroup2.devices.allow",
)
_MEMORY = ("lxc.cgroup2.memory.max", "lxc.cgroup.memory.limit_in_bytes")
_CPUSET = ("lxc.cgroup2.cpuset.cpus", "lxc.cgroup.cpuset.cpus")
_QUOTA = "lxc.cgroup2.cpu.max"
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_MIB = 2**20
_LINE = re.compile(r"\s*(?:#.*|lxc\.[\w.]+\s*=.*)?")
_DEVICE = re.compile(r"b (\d+):(\d+) (\w+)")
_OCTAL = re.compile(r"\\([0-7]{3})")
_FIELDS = 4  # of a line of fstab(5) that count here: source, place, type, options


def config_file(tools: Tools, guest: LxcGuest) -> Path:
    """Where a container's config file is, or would be.

    Args:
        tools: The commands of LXC, and how long they may take.
        guest: The container.
    """
    return Path(guest.lxcpath or usual_path(tools), guest.name, "config")


def text(tools: Tools, guest: LxcGuest) -> str:
    """A container's config file, as it is.

    Args:
        tools: The commands of LXC, and how long they may take.
        guest: The container.

    Raises:
        DriverError: There is no such container.
        Undetermined: It could not be read, or is none.
    """
    _must_be_there(tools, guest)
    file = config_file(tools, guest)
    config = tools.file(str(file))
    if not all(_LINE.fullmatch(line) for line in config.split("\n")):
        raise Undetermined(f"{file} is no config of LXC: a line of it is neither empty, a comment, nor lxc.KEY = VALUE")
    return config


def files(tools: Tools, guest: LxcGuest) -> list[Path]:
    """The files that a peer needs to run a container, beside its root file system.

    Args:
        tools: The commands of LXC, and how long they may take.
        guest: The container.
    """
    told = _told(tools, guest, ("lxc.mount.fstab",))
    named = [config_file(tools, guest), *map(Path, filter(None, [told.get("lxc.mount.fstab", "")]))]
    return [Path(path) for path in tools.there(*map(str, named))]


def disks(tools: Tools, guest: LxcGuest) -> list[GuestDisk]:
    """What a container is handed: its root file system, its mounts, and devices that it may open.

    LXC keeps one config for the container that runs and for its next start.

    Args:
        tools: The commands of LXC, and how long they may take.
        guest: The container.
    """
    is_running = _must_be_there(tools, guest)
    told = _told(tools, guest, _DISKS)
    root = told.get("lxc.rootfs.path", "")
    if not root:
        raise Undetermined(f"LXC does not tell the root file system of {guest.name}")
    handed = [("/", root, False), *_mounts(told.get("lxc.mount.entry", "").split("\n"))]
    if fstab := told.get("lxc.mount.fstab"):
        handed += _mounts(whole_lines(tools.run("cat", "--", fstab)))
    allowed = "\n".join(told.get(key, "") for key in _DISKS[-2:])
    handed += [
        (source, source, "w" not in match[3])
        for match in map(_DEVICE.fullmatch, dict.fromkeys(allowed.split("\n")))
        if match and set(match[3]) != {"m"}
        for source in [f"/dev/block/{match[1]}:{match[2]}"]
    ]
    paths = [source for _, source, _ in handed if source.startswith("/")]
    kinds = tools.kinds(*paths)
    return [
        GuestDisk(
            target=target,
            kind=kinds.get(source) or _kind_of_missing(source),
            source=source,
            readonly=readonly,
            live=is_running,
            persistent=True,
        )
        for target, source, readonly in handed
        if kinds.get(source) != "other"
    ]


def _mounts(lines: list[str]) -> Iterator[tuple[str, str, bool]]:
    """What is mounted from the node: target, source, whether it is read-only. Lines are those of fstab(5)."""
    for line in lines:
        words = [_OCTAL.sub(lambda match: chr(int(match[1], 8)), word) for word in line.split()]
        if len(words) >= _FIELDS and not words[0].startswith("#") and words[0].startswith("/"):
            yield "/" + words[1].lstrip("/"), words[0], "ro" in words[3].split(",")


def _kind_of_missing(source: str) -> str:
    """What is not there may have been a disk; what is no path, such as a pool of ZFS, is LXC's own word."""
    if source.startswith("/dev/"):
        return "block"
    return "dir" if source.startswith("/") and ":" not in source else "storage"


def sizes(tools: Tools, guest: LxcGuest) -> Sizes:
    """A container's limits, by its config; where it has none, what the node has.

    Args:
        tools: The commands of LXC, and how long they may take.
        guest: The container.
    """
    _must_be_there(tools, guest)
    told = _told(tools, guest, (*_MEMORY, *_CPUSET, _QUOTA))
    memory = next(filter(None, (_bytes(told.get(key, "")) for key in _MEMORY)), 0)
    cpus = min(
        filter(None, (*(_length(told.get(key, "")) for key in _CPUSET), _quota(told.get(_QUOTA, "")))), default=0
    )
    if not cpus:
        cpus = _number(tools.answer("nproc").out, r"(\d+)")
    if not memory:
        meminfo = tools.answer("cat", "/proc/meminfo").out
        memory = _number(meminfo, r"MemTotal:\s+(\d+) kB") * _UNITS["k"]
    return Sizes(vcpus=math.ceil(cpus), memory_mib=max(1, memory // _MIB))


def _bytes(value: str) -> int:
    """``64M`` in bytes, of the last line that says something; 0 for what is no limit."""
    match = re.fullmatch(r"(\d+)([kmgt]?)", value.rpartition("\n")[2].strip().lower())
    return int(match[1]) * _UNITS[match[2]] if match else 0


def _length(processors: str) -> int:
    """How many processors ``0-2,5`` names: see cpuset(7), Formats."""
    named = re.findall(r"(\d+)(?:-(\d+))?", processors.rpartition("\n")[2])
    return sum(int(last or first) - int(first) + 1 for first, last in named)


def _quota(value: str) -> float:
    """How many processors ``QUOTA PERIOD`` is, both in microseconds; 0 for what is no limit."""
    match = re.fullmatch(r"(\d+)(?: (\d+))?", value.rpartition("\n")[2].strip())
    return int(match[1]) / int(match[2] or 100_000) if match else 0


def _number(printed: str, pattern: str) -> int:
    match = re.search(pattern, printed)
    if match is None:
        raise Undetermined(f"the node does not tell how much it has: {printed[:80]!r}")
    return int(match[1])


def _must_be_there(tools: Tools, guest: LxcGuest) -> bool:
    """See to it that there is such a container; whether it runs is returned."""
    seen = seen_alone(tools, guest)
    if seen.state == ABSENT:
        raise DriverError(f"LXC has no container {guest.name!r}", code="lxc.absent")
    return seen.phase not in AT_REST


def _told(tools: Tools, guest: LxcGuest, keys: tuple[str, ...]) -> Mapping[str, str]:
    """What a container's config says, includes and defaults too, by LXC's own reading."""
    done = tools.answer(*on("lxc-info", guest, "--state", *(f"--config={key}" for key in keys)))
    told = labelled(done)
    if "State" not in told:
        raise Undetermined(f"{shown(done.argv)}: its answer cannot be read")
    return told

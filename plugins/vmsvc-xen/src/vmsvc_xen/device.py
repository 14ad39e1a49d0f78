"""A guest's disk as Xen is told of it, and the grammar of that: xl-disk-configuration(5). Pure."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from attrs import field, frozen
from attrs.validators import instance_of

#: The four parameters that may go without a name, in their order.
_POSITIONAL = ("target", "format", "vdev", "access")
_FLAGS = frozenset({"direct-io-safe", "discard", "no-discard", "colo", "no-colo", "trusted", "untrusted"})
_READONLY = {"": False, "rw": False, "w": False, "ro": True, "r": True}
# What older versions have before a target, in the place of a format; the first ones name a script.
_PREFIX = re.compile(r"(?:(?P<script>iscsi|e?nbd|drbd)|raw|qcow2?|vhd|tapdisk|tap2?|aio|ioemu|file|phy):")
_TARGET = "target="
_KEYED = re.compile(r"([a-z][-_a-z0-9]*)=(.*)", re.DOTALL)


@frozen(kw_only=True)
class Device:
    """A disk, or a drive.

    Attributes:
        vdev: What it is called in the guest, such as ``xvda``.
        target: What backs it; empty for a drive without a medium.
        script: The program that knows what the target means; empty where that is a path.
        backend: The domain in which the target is; empty for that of xl.
        readonly: Whether the guest may only read.
        cdrom: Whether it is a drive whose medium can be changed.
    """

    vdev: str = field(validator=instance_of(str))
    target: str = field(validator=instance_of(str))
    script: str = field(default="", validator=instance_of(str))
    backend: str = field(default="", validator=instance_of(str))
    readonly: bool = field(default=False, validator=instance_of(bool))
    cdrom: bool = field(default=False, validator=instance_of(bool))

    @property
    def path(self) -> str:
        """The file or device of this node that backs it; empty where none does, or nobody can tell."""
        if not self.target or self.script or self.backend:
            return ""
        return str(PurePosixPath("/dev", self.target))  # a target that is absolute stays what it is


def device(text: str) -> Device:
    """Read a disk of a config file.

    Args:
        text: One item of the list ``disk``.

    Raises:
        ValueError: It cannot be read; the message says why.

    >>> device("phy:vg/root,xvda,w").path
    '/dev/vg/root'
    >>> device("format=raw, vdev=xvdb, access=ro, target=/srv/a,b")
    Device(vdev='xvdb', target='/srv/a,b', script='', backend='', readonly=True, cdrom=False)
    """
    found: dict[str, str] = {}
    left = _without_prefixes(text.lstrip(" \t\n"), found)
    while left:
        if left.startswith(_TARGET):
            _put(found, "target", left.removeprefix(_TARGET))
            break
        part, _, left = left.partition(",")
        left = left.lstrip(" \t\n")
        keyed = _KEYED.fullmatch(part)
        if keyed:
            _put(found, keyed[1], keyed[2])
        elif part == "cdrom":
            found["devtype"] = part
        elif part not in _FLAGS:
            _put_next(found, part)
    return _made(text, found)


def _without_prefixes(text: str, found: dict[str, str]) -> str:
    while prefix := _PREFIX.match(text):
        found["format"] = ""
        if prefix["script"]:
            found["script"] = f"block-{prefix['script']}"
        text = text[prefix.end() :]
    return text


def _put(found: dict[str, str], key: str, value: str) -> None:
    if found.get(key):
        raise ValueError(f"{key} is given twice")
    found[key] = value


def _put_next(found: dict[str, str], part: str) -> None:
    """Give a word without a name to the next parameter that has no value; a drive may say its kind behind its name."""
    name, _, kind = part.rpartition(":")
    has_kind = bool(name) and kind in ("cdrom", "disk")
    if has_kind and found.get("target") == "":
        found.setdefault("format", "")
    key = next((key for key in _POSITIONAL if key not in found), None)
    if key is None:
        raise ValueError(f"nobody knows what {part!r} stands for")
    if key == "vdev" and has_kind:
        found["devtype"], part = kind, name
    found[key] = part


def _made(text: str, found: dict[str, str]) -> Device:
    if not found.get("vdev"):
        raise ValueError(f"it is not told what {text!r} is called in the guest")
    access = found.get("access", "")
    if access not in _READONLY:
        raise ValueError(f"{access!r} is no kind of access")
    is_drive = found.get("devtype") == "cdrom"
    if not found.get("target") and not is_drive:
        raise ValueError(f"it is not told what backs {found['vdev']}")
    return Device(
        vdev=found["vdev"],
        target=found.get("target", ""),
        script=found.get("script", ""),
        backend=found.get("backend", ""),
        readonly=is_drive or _READONLY[access],
        cdrom=is_drive,
    )

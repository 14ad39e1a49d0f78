"""What a service file says about a libvirt guest, and what its URI tells. Pure."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from attrs import frozen

from vmsvc.driver import Guest, Value, choice, line, option

_SCHEME = re.compile(r"[a-z][a-z0-9]*(\+[a-z0-9]+)?://", re.ASCII)
#: A user's name, after the scheme or without one, and the password behind it.
_PASSWORD = re.compile(r"^((?:[^/?#]*//)?[^/:@?#]*):[^/?#]*@")


def _uri(raw: Any) -> str:
    value = line.parse(raw).strip()
    shown = _PASSWORD.sub(r"\1@", value)
    if not _SCHEME.match(value) or any(map(str.isspace, value)):
        raise ValueError(f"{shown!r} is not a libvirt URI such as qemu:///system or qemu+ssh://root@host/system")
    if shown != value:
        raise ValueError(
            f"{shown!r} with a password, which every status would show; libvirt reads it from its auth.conf, "
            "or goes by ssh or by certificates"
        )
    try:
        _ = urlsplit(value).port
    except ValueError:  # whose words may have a password in them that is taken for the port
        raise ValueError("this is not a libvirt URI: its host or its port cannot be read") from None
    return value


uri = Value("a libvirt URI such as qemu:///system", _uri)


def _way_here(raw: Any) -> str:
    if not line.parse(raw).strip():
        return ""
    value = _uri(raw)
    parts = urlsplit(value)
    if not parts.netloc and "socket" not in dict(parse_qsl(parts.query)):
        raise ValueError(f"{value!r} names no host: wherever it is read, it means the libvirt there")
    return value


way_here = Value("a libvirt URI such as qemu+ssh://n2/system", _way_here)


@frozen(kw_only=True, eq=False, repr=False)  # the base compares and shows all fields
class KvmGuest(Guest):
    """A guest that libvirt runs."""

    uri: str = option(
        uri,
        default="qemu:///system",
        inherited=True,
        identifies=True,
        help="Which libvirt runs the guest; any hypervisor of libvirt's.",
    )
    migrate_uri: str = option(
        way_here,
        default="",
        inherited=True,
        help="How the libvirts of other nodes reach this node's, so that a guest can be moved here; with the node's "
        "own scope: `migrate_uri@n2`. When not given, `qemu+ssh://NODE/system`, or `uri` where that is elsewhere.",
    )
    shutdown: str = option(
        choice("acpi", "agent", "both"),
        default="both",
        inherited=True,
        help="How a QEMU guest is asked to shut down: by its power button (acpi), by its guest agent, or by the agent "
        "and, where that does not answer, by the button (both).",
    )

    @property
    def is_local(self) -> bool:
        """Whether its libvirt, and so its disks, are on this machine."""
        return is_local(self.uri)


def driver_of(uri: str) -> str:
    """Which of libvirt's hypervisor drivers a URI means.

    Args:
        uri: A libvirt URI.

    Returns:
        ``qemu``, ``lxc``, ``xen``, ``test`` …
    """
    return urlsplit(uri).scheme.partition("+")[0]


def is_local(uri: str) -> bool:
    """Whether a URI means a libvirt on this machine, so that its processes and files can be looked at.

    Args:
        uri: A libvirt URI.
    """
    parts = urlsplit(uri)
    return not parts.netloc and parts.scheme.partition("+")[2] in ("", "unix")


def reached_by(node: str, guest: KvmGuest) -> str:
    """How the libvirt that a node uses for a guest is reached by that of another node.

    Args:
        node: The node's name.
        guest: The guest, as that node reads the service's file.
    """
    if guest.migrate_uri or not is_local(guest.uri):
        return guest.migrate_uri or guest.uri
    return f"{driver_of(guest.uri)}+ssh://{node}{urlsplit(guest.uri).path}"


def is_session(uri: str) -> bool:
    """Whether a URI means the libvirt of one user rather than the system's.

    Args:
        uri: A libvirt URI.
    """
    return urlsplit(uri).path == "/session"


def unattended(uri: str) -> str:
    """The URI to open, so that ssh never stops to ask a question.

    Args:
        uri: A libvirt URI.

    Returns:
        The same, with libvirt's ``no_tty=1`` where it goes by ssh and says nothing about it.
    """
    parts = urlsplit(uri)
    if parts.scheme.partition("+")[2] != "ssh" or "no_tty" in dict(parse_qsl(parts.query)):
        return uri
    return uri + ("&" if parts.query else "?") + "no_tty=1"

"""Files of this machine that belong to a guest and that another node needs to run it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vmsvc_kvm.definition import Definition
from vmsvc_kvm.options import KvmGuest, driver_of, is_session

# Where libvirt's drivers keep the definitions of the system's guests; below /etc/libvirt, or a user's configuration.
_DIRECTORIES = {"qemu": "qemu", "lxc": "lxc", "xen": "libxl"}


def belonging_to(guest: KvmGuest, described: Definition | None, *, root: Path = Path("/")) -> list[Path]:
    """The files of a guest that exist.

    Args:
        guest: The guest.
        described: Its definition.
        root: What stands before ``etc``; ``/`` except in tests.

    Returns:
        libvirt's own file first, then those that the definition names.
    """
    if described is None:
        return []
    own = [file for file in _definitions(guest, root) if _is_about(file, described.uuid)]
    return [*own, *(file for file in described.files if file.is_file())]


def _definitions(guest: KvmGuest, root: Path) -> Iterator[Path]:
    directory = _DIRECTORIES.get(driver_of(guest.uri))
    if directory is not None:
        home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        base = home / "libvirt" if is_session(guest.uri) else root / "etc/libvirt"
        yield base / directory / f"{guest.name}.xml"


def _is_about(file: Path, uuid: str) -> bool:
    """Whether a file defines this very guest: a libvirt reached by a socket may keep its files in another place."""
    try:
        return f"<uuid>{uuid}</uuid>" in file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False

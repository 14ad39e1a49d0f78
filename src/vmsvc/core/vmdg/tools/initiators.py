"""The names by which targets know this node's SCSI hosts: from ``/sys``, without a command or a request.

Nothing is concluded from names of hosts that are not on a disk's way: a virtual disk leads through a hypervisor, whose
own initiators log in at the target.

Source: drivers/scsi/scsi_transport_fc.c, scsi_transport_iscsi.c, scsi_transport_sas.c of Linux; iscsid(8) on the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from vmsvc.core.vmdg.seen import initiator

_HOST = re.compile(r"host(\d+)")
_SESSION_HOST = re.compile(r"/host(\d+)/session")
#: A port of a host itself is ``phy-HOST:NUMBER``; those of expanders have a third number.
_PHY = re.compile(r"phy-(\d+):\d+")


def initiators_of(
    hosts: Iterable[str], *, sys: Path, file: Path, is_ours: Callable[[str], bool] = lambda _: True
) -> frozenset[str]:
    """The initiators of this node that a disk may know it by.

    Args:
        hosts: The numbers of the SCSI hosts through which the disk is reached.
        sys: Where sysfs is mounted.
        file: Where open-iscsi keeps this node's iSCSI name.
        is_ours: Whether a SCSI host, by its number, is this node's.

    Returns:
        All names that this node has on the transports of these hosts, as :func:`~vmsvc.core.vmdg.seen.initiator` writes
        them; none where the transport of any host is not known.
    """
    named = [(host, name) for host, name in (*_fibre_channel(sys), *_iscsi(sys), *_sas(sys)) if is_ours(host)]
    transports = [{_transport(name) for host, name in named if host == each} for each in hosts]
    if not transports or not all(transports):
        return frozenset()
    wanted = set().union(*transports)
    found = {name for _, name in named if _transport(name) in wanted}
    return frozenset(found | ({*_of_file(file)} if "iscsi" in wanted else set()))


def _transport(name: str) -> str:
    return name.partition(" ")[0]


def _fibre_channel(sys: Path) -> Iterator[tuple[str, str]]:
    for directory in _entries(sys / "class/fc_host"):
        yield from _named("fc", _HOST.fullmatch(directory.name), directory / "port_name")


def _iscsi(sys: Path) -> Iterator[tuple[str, str]]:
    for directory in _entries(sys / "class/iscsi_session"):
        yield from _named("iscsi", _SESSION_HOST.search(str(directory.resolve())), directory / "initiatorname")
    for directory in _entries(sys / "class/iscsi_host"):
        yield from _named("iscsi", _HOST.fullmatch(directory.name), directory / "initiatorname")


def _sas(sys: Path) -> Iterator[tuple[str, str]]:
    for directory in _entries(sys / "class/sas_phy"):
        yield from _named("sas", _PHY.fullmatch(directory.name), directory / "sas_address")


def _named(transport: str, host: re.Match[str] | None, file: Path) -> Iterator[tuple[str, str]]:
    name = _text(file)
    if host is not None and name and name != "(null)":
        yield host[1], initiator(transport, name)


def _of_file(file: Path) -> Iterator[str]:
    for line in _text(file).splitlines():
        key, _, name = line.partition("=")
        if key.strip() == "InitiatorName" and name.strip():
            yield initiator("iscsi", name.strip())


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8", "replace").strip("\0 \n")
    except OSError:
        return ""


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []

"""What a guest's definition says: libvirt's domain XML, read into records. Pure.

Source: https://libvirt.org/formatdomain.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from vmsvc.driver import DriverError

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

    from vmsvc.driver import GuestDisk  # a look at states has no disk

# Firmware below this comes with a package: every node has its own copy.
_PACKAGED = Path("/usr")
#: The kind of a disk that is named by the address of a SCSI unit, until its block device is known.
SCSI_ADDRESS = "scsi-address"
#: The kind of a disk that is named by a storage pool and a volume of it.
VOLUME = "volume"
#: What volumes are on the node, by ``virStorageVolType``: file, block device, directory, network.
VOLUME_KINDS = {0: "file", 1: "block", 2: "dir", 3: "network"}
# Where virt-install and virt-manager note the guest's operating system, and how its identifier begins for Windows:
# https://gitlab.com/libosinfo/osinfo-db
_OS = "metadata/{http://libosinfo.org/xmlns/libvirt/domain/1.0}libosinfo/{http://libosinfo.org/xmlns/libvirt/domain/1.0}os"
_WINDOWS = "://microsoft.com/"


@frozen(kw_only=True)
class Definition:
    """The parts of a definition that concern others than libvirt.

    Attributes:
        name: The guest's name.
        uuid: Its UUID; empty where the definition leaves that to libvirt.
        disks: Its disks, in the order of the definition.
        files: Files beside its disks that belong to this guest alone: NVRAM, and firmware of its own.
        title: What people call it; empty where they have not said.
        is_windows: Whether its metadata tells of a Windows guest.
    """

    name: str
    uuid: str
    disks: tuple[GuestDisk, ...]
    files: tuple[Path, ...]
    title: str = ""
    is_windows: bool = False


def read(xml: str, *, origin: str) -> Definition:
    """Read domain XML.

    Args:
        xml: The definition.
        origin: Where it comes from, for the error.

    Returns:
        What it says.

    Raises:
        DriverError: It is not a domain's definition.
    """
    root = _parsed(xml, origin)
    name = root.findtext("name", "")
    if root.tag != "domain" or not name:
        raise DriverError(
            f"{origin} does not define a libvirt guest: it is a <{root.tag}>, named {name!r}", code="driver.definition"
        )
    return Definition(
        name=name,
        uuid=root.findtext("uuid", "").strip().lower(),
        disks=(
            *(_disk(element) for element in root.iterfind("devices/disk")),
            *(disk for element in root.iterfind("devices/hostdev[@type='scsi']") if (disk := _handed_over(element))),
        ),
        files=tuple(_own_files(root)),
        title=" ".join(root.findtext("title", "").split()),
        is_windows=any(_WINDOWS in element.get("id", "") for element in root.iterfind(_OS)),
    )


def agent_channel(xml: str, *, origin: str) -> str:
    """How the channel to a guest's agent stands.

    Args:
        xml: The guest's domain XML; that of a running guest tells more.
        origin: Where it comes from, for the error.

    Returns:
        ``connected`` where something in the guest has opened it, ``disconnected`` where nothing has, ``closed`` where
        the guest does not run; empty where the guest has no such channel.

    Raises:
        DriverError: It cannot be read.
    """
    for target in _parsed(xml, origin).iterfind("devices/channel/target[@name='org.qemu.guest_agent.0']"):
        return target.get("state", "closed")
    return ""


def _parsed(xml: str, origin: str) -> ET.Element:
    import xml.etree.ElementTree as ET  # noqa: PLC0415 - a look at states reads no definition

    try:
        return ET.fromstring(xml)  # noqa: S314 - the hypervisor's or root's own; expat bounds what entities expand to
    except (ET.ParseError, ValueError) as error:
        raise DriverError(f"{origin} is not readable as XML: {error}", code="driver.definition") from None


def unknown(origin: str) -> GuestDisk:
    """What stands for the disks of a definition that cannot be read.

    Args:
        origin: Where it comes from.
    """
    from vmsvc.driver import GuestDisk  # noqa: PLC0415

    return GuestDisk(target="", kind="save-image", source=origin)


def merge(
    live: Definition | None, persistent: Definition | None, saved: Definition | None = None
) -> tuple[GuestDisk, ...]:
    """Join what the running guest has with what its next start will give it.

    A target whose source differs between the two is two disks: the guest holds one now, and will want the other.

    Args:
        live: The running guest's definition; ``None`` where it does not run.
        persistent: The definition that its next start takes; ``None`` for a guest that vanishes when it stops.
        saved: The definition that its next start takes instead, where it was saved; should the image go, it is the
            other one again.

    Returns:
        The live disks in their order, then the others.
    """
    merged: dict[tuple[str, str, str], GuestDisk] = {}
    for disk in live.disks if live else ():
        merged[disk.target, disk.kind, disk.source] = evolve(disk, live=True)
    for disk in (*(saved.disks if saved else ()), *(persistent.disks if persistent else ())):
        key = (disk.target, disk.kind, disk.source)
        merged[key] = evolve(merged.get(key, disk), persistent=True)
    return tuple(merged.values())


def _disk(element: ET.Element) -> GuestDisk:
    from vmsvc.driver import GuestDisk  # noqa: PLC0415

    target = element.find("target")
    kind = element.get("type", "file")
    return GuestDisk(
        target="" if target is None else target.get("dev", ""),
        kind=kind,
        source=_source(kind, element.find("source")),
        bus="" if target is None else target.get("bus", ""),
        device=element.get("device", "disk"),
        serial=element.findtext("serial", "").strip(),
        wwn=element.findtext("wwn", "").strip(),
        readonly=element.find("readonly") is not None,
        shareable=element.find("shareable") is not None,
    )


def _handed_over(element: ET.Element) -> GuestDisk | None:
    """A SCSI unit of the node that the guest is given as it is; ``None`` where the definition does not say which.

    A local one is named by its address, ``3:0:0:1``; :func:`with_devices` finds its block device.
    """
    from vmsvc.driver import GuestDisk  # noqa: PLC0415

    source = element.find("source")
    if source is None:
        return None
    adapter, address = source.find("adapter"), source.find("address")
    if source.get("protocol"):
        kind, named = "network", _url(source)
    elif adapter is not None and address is not None:
        parts = (adapter.get("name", "").removeprefix("scsi_host"), *map(address.get, ("bus", "target", "unit")))
        kind, named = SCSI_ADDRESS, ":".join(part or "0" for part in parts)
    else:
        return None
    alias = element.find("alias")
    return GuestDisk(
        target="hostdev" if alias is None else alias.get("name", "hostdev"),
        kind=kind,
        source=named,
        bus="scsi",
        device="lun",
        readonly=element.find("readonly") is not None,
        shareable=element.find("shareable") is not None,
    )


def with_devices(disks: Iterable[GuestDisk], *, sys: Path = Path("/sys")) -> tuple[GuestDisk, ...]:
    """Name SCSI units of this node by their block devices.

    Args:
        disks: Disks of a local guest.
        sys: Where sysfs is mounted.

    Returns:
        The disks; a unit that is not there keeps its address for a name, which leads to no device.
    """
    return tuple(_with_device(disk, sys) if disk.kind == SCSI_ADDRESS else disk for disk in disks)


def _with_device(disk: GuestDisk, sys: Path) -> GuestDisk:
    directory = sys / "bus/scsi/devices" / disk.source / "block"
    names = sorted(entry.name for entry in directory.iterdir()) if directory.is_dir() else []
    return evolve(disk, kind="block", source=f"/dev/{names[0]}" if names else f"/dev/scsi/{disk.source}")


def _source(kind: str, source: ET.Element | None) -> str:
    """What backs a disk, in one line; empty for a drive without a medium."""
    if source is None:
        return ""
    if kind == "network":
        return _url(source)
    if kind == VOLUME:
        return f"{source.get('pool', '')}/{source.get('volume', '')}"
    if kind == "nvme":
        address = source.find("address")
        parts = {} if address is None else address.attrib
        numbers = [parts.get(part, "0").removeprefix("0x") for part in ("domain", "bus", "slot", "function")]
        return "{:0>4}:{:0>2}:{:0>2}.{}/{}".format(*numbers, source.get("namespace", "1"))
    # By type, formatdomain.html knows "file", "dev" (block, vhostvdpa), "dir", and "path" (vhostuser).
    return next((source.get(key, "") for key in ("file", "dev", "dir", "path") if source.get(key)), "")


def _url(source: ET.Element) -> str:
    """A network source as a URL; several hosts (a Ceph cluster's monitors) are separated by commas."""
    hosts = source.findall("host")
    transports = {host.get("transport", "tcp") for host in hosts} - {"tcp"}
    sockets = [host.get("socket", "") for host in hosts if host.get("socket")]
    scheme = "+".join((source.get("protocol", "network"), *sorted(transports)))
    url = f"{scheme}://{','.join(_address(host) for host in hosts)}/{source.get('name', '').lstrip('/')}"
    query = source.get("query") or (f"socket={sockets[0]}" if sockets else "")
    return f"{url}?{query.lstrip('?')}" if query else url


def _address(host: ET.Element) -> str:
    name, port = host.get("name", ""), host.get("port", "")
    name = f"[{name}]" if ":" in name else name
    return f"{name}:{port}" if port else name


def _own_files(root: ET.Element) -> Iterator[Path]:
    nvram = root.find("os/nvram")
    if nvram is not None:
        source = nvram.find("source")  # since libvirt 8.5 NVRAM may be spelt as a disk's source
        named = (nvram.text or "").strip() or ("" if source is None else source.get("file", ""))
        yield from _absolute(named)
    for loader in _absolute(root.findtext("os/loader", "").strip()):
        if not loader.is_relative_to(_PACKAGED):
            yield loader


def _absolute(text: str) -> Iterator[Path]:
    if text.startswith("/") and "\0" not in text:
        yield Path(text)

"""The lab's guest as libvirt sees it: its domain description, and what its console says.

`build_image()` makes what is booted; `domain_xml()` describes a machine that boots it.
"""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import LabError
from lab.building import default_cache
from lab.image import GuestImage, build_image

__all__ = ["READY", "Disk", "GuestImage", "build_image", "default_cache", "domain_xml", "wait_for_console"]

READY = "GUEST READY"
QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
# no_timer_check: a slow, emulated machine can miss the timer test of the boot and panic.
# loglevel=6: the kernel's version and its complaints, but not a page for each device.
KERNEL_COMMAND_LINE = "console=ttyS0 panic=-1 no_timer_check loglevel=6"


@dataclass(frozen=True)
class Disk:
    """A disk of the guest: an image file, or a block device of this machine."""

    source: Path
    format: str = "raw"
    block: bool = False
    shareable: bool = False
    readonly: bool = False


def domain_xml(
    name: str,
    *,
    kernel: Path,
    initrd: Path,
    console: Path,
    uuid: str | None = None,
    domain_type: str = "qemu",
    memory_mib: int = 128,
    cmdline: str = "",
    slow_shutdown: float = 0,
    hang: bool = False,
    disks: Sequence[Path | Disk] = (),
    agent: bool = True,
    ssh_port: int | None = None,
    taps: Sequence[str] = (),
    bridges: Sequence[str] = (),
) -> str:
    """Describe a guest for `virsh define`.

    `slow_shutdown` seconds pass between a shutdown request and its effect; with `hang` there is no effect at all.
    `ssh_port` gives the guest a network card whose only way in is ssh, from 127.0.0.1 at that port. `taps` gives it a
    card for each name, whose other end is an adapter of that name: qemu makes it on this machine when the guest starts
    (see `lab.network`); `bridges`, a card on each bridge of this machine, whoever starts it (see `lab.bridge`).
    Whatever the guest's name holds, it is escaped as XML wants; the kernel command line gets a tame form of it as the
    host name.
    """
    domain = ET.Element("domain", type=domain_type)
    _text(domain, "name", name)
    if uuid is not None:
        _text(domain, "uuid", uuid)
    _text(domain, "memory", str(memory_mib), unit="MiB")
    _text(domain, "vcpu", "1")
    system = ET.SubElement(domain, "os")
    _text(system, "type", "hvm", arch="x86_64", machine="pc")
    _text(system, "kernel", str(kernel))
    _text(system, "initrd", str(initrd))
    words = [KERNEL_COMMAND_LINE, f"lab.host={_host_name(name)}"]
    words += [f"lab.slow={slow_shutdown:g}"] if slow_shutdown else []
    words += ["lab.hang=1"] if hang else []
    _text(system, "cmdline", " ".join([*words, cmdline]).strip())
    ET.SubElement(ET.SubElement(domain, "features"), "acpi")
    for event, action in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")):
        _text(domain, event, action)
    devices = ET.SubElement(domain, "devices")
    for number, disk in enumerate(disks):
        _disk(devices, disk if isinstance(disk, Disk) else Disk(disk), f"vd{chr(ord('a') + number)}")
    serial = ET.SubElement(devices, "serial", type="file")
    ET.SubElement(serial, "source", path=str(console))
    if agent:
        channel = ET.SubElement(devices, "channel", type="unix")
        ET.SubElement(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    ET.SubElement(devices, "memballoon", model="none")
    for bridge in bridges:
        card = ET.SubElement(devices, "interface", type="bridge")
        ET.SubElement(card, "source", bridge=bridge)
        ET.SubElement(card, "model", type="virtio")
        ET.SubElement(card, "rom", enabled="no")
    cards: list[str] = []
    if ssh_port is not None:
        cards += _card(0, f"user,restrict=on,hostfwd=tcp:127.0.0.1:{ssh_port}-:22")
    for number, tap in enumerate(taps, 1):
        cards += _card(number, f"tap,ifname={tap},script=no,downscript=no")
    if cards:
        _qemu_arguments(domain, cards)
    return ET.tostring(domain, encoding="unicode")


def wait_for_console(console: Path, pattern: str = READY, timeout: float = 60) -> str:
    """Wait for a line matching a regular expression on a guest's console, and return it."""
    deadline = time.monotonic() + timeout
    while True:
        text = console.read_text(errors="replace") if console.exists() else ""
        for line in text.splitlines():
            if re.search(pattern, line):
                return line.strip()
        if time.monotonic() > deadline:
            tail = "\n".join(text.splitlines()[-10:]) or "(nothing at all)"
            raise LabError(f"no {pattern!r} on {console} within {timeout:g} s; its last lines:\n{tail}")
        time.sleep(0.05)


def _host_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40] or "guest"


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = text


def _disk(devices: ET.Element, disk: Disk, target: str) -> None:
    element = ET.SubElement(devices, "disk", type="block" if disk.block else "file", device="disk")
    ET.SubElement(element, "driver", name="qemu", type=disk.format)
    ET.SubElement(element, "source", {"dev" if disk.block else "file": str(disk.source)})
    ET.SubElement(element, "target", dev=target, bus="virtio")
    if disk.shareable:
        ET.SubElement(element, "shareable")
    if disk.readonly:
        ET.SubElement(element, "readonly")


def _card(number: int, backend: str) -> list[str]:
    """A network card, and what is at its other end."""
    device = f"virtio-net-pci,netdev=lab{number},romfile=,addr={0x1A + number:#x},mac=52:54:00:12:34:{0x56 + number:x}"
    kind, _, options = backend.partition(",")
    return ["-netdev", f"{kind},id=lab{number},{options}", "-device", device]


def _qemu_arguments(domain: ET.Element, arguments: Sequence[str]) -> None:
    """Libvirt 9 has no words for a port of user-mode networking: hand them to qemu as they are."""
    ET.register_namespace("qemu", QEMU_NAMESPACE)
    command = ET.SubElement(domain, f"{{{QEMU_NAMESPACE}}}commandline")
    for value in arguments:
        ET.SubElement(command, f"{{{QEMU_NAMESPACE}}}arg", value=value)

"""Builds what a machine with Xen boots, from Debian packages alone, once: a hypervisor, domain 0, kernels of guests."""

from __future__ import annotations

import gzip
import hashlib
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab import LabError, building, initramfs
from lab.building import built, default_cache, run, stands_for, unpack
from lab.initramfs import Initramfs
from lab.xen import kernel

BUSYBOX = Path("/bin/busybox")
HERE = Path(__file__).parent
LIBGCC = Path("/lib/x86_64-linux-gnu/libgcc_s.so.1")  # loaded when a thread ends, and named nowhere
#: Where the files of guests are in domain 0.
GUESTS = "guests"
# Beside what the meta package of Xen stands for: what its tools load, and the kernels of domain 0 and of guests, of
# which each lacks what the other one needs.
PACKAGES = (
    "xen-utils-common", "xenstore-utils", "libxencall1", "libxendevicemodel1", "libxenevtchn1", "libxenforeignmemory1",
    "libxengnttab1", "libxenhypfs1", "libxenstore4", "libxentoolcore1", "libxentoollog1", "libyajl2", "liblzo2-2",
)  # fmt: skip
KERNEL, GUEST_KERNEL = "linux-image-amd64", "linux-image-cloud-amd64"
MODULES = (
    "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-privcmd", "xenfs", "xen-blkback", "loop",
    "virtio_pci", "virtio_net",
)  # fmt: skip
TOOLS = ("xl", "xenstored", "xenconsoled", "xen-init-dom0", "libxl-save-helper")
PLACES = ("proc", "sys", "dev", "run", "tmp", "root", "var/lib/xen", "var/lib/xenstored", "var/log/xen", "etc/xen/auto")


@dataclass(frozen=True)
class XenImage:
    """What is booted: a hypervisor, which is given a kernel and its initramfs."""

    directory: Path

    @property
    def hypervisor(self) -> Path:
        """Xen itself, as qemu boots it."""
        return self.directory / "xen"

    @property
    def kernel(self) -> Path:
        """The kernel of domain 0."""
        return self.directory / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The root of domain 0."""
        return self.directory / "dom0.cpio"


def build_image(cache: Path | None = None) -> XenImage:
    """The image, from the cache if this recipe has not changed, else built now (some 15 seconds)."""
    return XenImage(built((cache or default_cache()) / f"xen-{_inputs()}", _build))


def _inputs() -> str:
    if platform.machine() != "x86_64":
        raise LabError(f"the lab's Xen exists for x86_64 only; this machine is {platform.machine()}")
    digest = hashlib.sha256()
    for path in (
        *sorted(HERE.glob("*/*")),
        *map(Path, (__file__, kernel.__file__, building.__file__, initramfs.__file__)),
    ):
        digest.update(path.read_bytes() if path.is_file() else b"")
    if not BUSYBOX.exists():
        raise LabError(f"{BUSYBOX} is missing: apt-get install busybox-static")
    return digest.hexdigest()[:16]


def _build(work: Path) -> None:
    """Make work/result."""
    result = work / "result"
    result.mkdir()
    root = unpack(work, _packages, manifest=result / "packages.json")
    (hypervisor,) = (root / "boot").glob("xen-*.gz")
    (result / "xen").write_bytes(gzip.decompress(hypervisor.read_bytes()))
    (guests_kernel,) = (root / "boot").glob("vmlinuz-*cloud*")
    (own_kernel,) = set((root / "boot").glob("vmlinuz-*")) - {guests_kernel}
    shutil.copyfile(own_kernel, result / "vmlinuz")
    release = own_kernel.name.partition("-")[2]
    dom0 = _dom0(root, root / "lib/modules" / release)
    dom0.file(f"{GUESTS}/linux", guests_kernel.read_bytes())
    (result / "dom0.cpio").write_bytes(gzip.decompress(dom0.archive()))  # unpacked where processors are emulated


def _packages() -> list[str]:
    named = [*stands_for("xen-system-amd64"), *PACKAGES, *stands_for(KERNEL), *stands_for(GUEST_KERNEL)]
    version = next((found[1] for name in named if (found := re.fullmatch(r"xen-utils-([\d.]+)", name))), "")
    return [*named, f"libxenmisc{version}"]


def _dom0(unpacked: Path, modules: Path) -> Initramfs:
    root = Initramfs()
    for place in PLACES:
        root.directory(place)
    root.link("var/run", "/run")
    root.program("bin/busybox", BUSYBOX)
    for applet in run([BUSYBOX, "--list"]).split():
        if applet not in ("busybox", "xl"):
            root.link(f"bin/{applet}", "busybox")
    (binaries,) = (unpacked / "usr/lib").glob("xen-4*/bin")
    inside = binaries.relative_to(unpacked)
    for tool in TOOLS:
        root.linked_program(f"{inside}/{tool}", binaries / tool, root=unpacked)
        root.link(f"usr/sbin/{tool}", f"/{inside}/{tool}")
    root.linked_program("usr/bin/xenstore", unpacked / "usr/bin/xenstore", root=unpacked)
    for applet in ("read", "write", "exists", "list", "rm"):
        root.link(f"usr/bin/xenstore-{applet}", "xenstore")
    root.program("lib/x86_64-linux-gnu/libgcc_s.so.1", LIBGCC)
    root.kernel_modules(modules, MODULES)
    root.file("etc/xen/xl.conf", b"")
    root.program("etc/xen/scripts/block", HERE / "dom0/block")
    root.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
    root.file("etc/group", b"root:x:0:\n")
    root.program("init", HERE / "dom0/init")
    root.program("answer", HERE / "dom0/answer")
    root.file(f"{GUESTS}/idle", kernel.idle())
    for reason in kernel.REASONS:
        root.file(f"{GUESTS}/{reason}", kernel.ending(reason))
    root.file(f"{GUESTS}/initrd", _guest().archive())
    return root


def _guest() -> Initramfs:
    root = Initramfs()
    for place in ("proc", "sys", "dev"):
        root.directory(place)
    root.program("bin/busybox", BUSYBOX)
    for applet in ("sh", "mount", "sleep", "cat", "poweroff"):
        root.link(f"bin/{applet}", "busybox")
    root.program("init", HERE / "guest/init")
    root.program("sbin/poweroff", HERE / "guest/poweroff")
    return root

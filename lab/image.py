"""Builds the lab's guest image, a kernel and an initramfs, from Debian packages alone, once.

The kernel and the guest agent are downloaded and only unpacked; busybox and dropbear are those installed here.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab import LabError
from lab.building import built, default_cache, run, stands_for, unpack
from lab.initramfs import Initramfs

BUSYBOX = Path("/bin/busybox")
DROPBEAR = Path("/usr/sbin/dropbear")
DROPBEARKEY = Path("/usr/bin/dropbearkey")
DROPBEARCONVERT = Path("/usr/lib/dropbear/dropbearconvert")
KERNEL_META = "linux-image-cloud-amd64"
AGENT = "qemu-guest-agent"
MODULES = ("virtio_pci", "virtio_net", "virtio_blk", "virtio_console", "button", "evdev", "crc32c_generic", "ext4")
ROOTFS = Path(__file__).parent / "rootfs"
SCRIPTS = {
    "init": "init",
    "word": "bin/word",
    "shutdown": "sbin/shutdown",
    "udhcpc": "etc/udhcpc",
    "power-button": "etc/acpi/PWRF/00000080",
}


@dataclass(frozen=True)
class GuestImage:
    """A built guest: boot `kernel` with `initrd`; root may log in by ssh with `key`."""

    directory: Path

    @property
    def kernel(self) -> Path:
        """The kernel."""
        return self.directory / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The initramfs."""
        return self.directory / "initrd.img"

    @property
    def key(self) -> Path:
        """The private ssh key that the guest's root accepts (OpenSSH's form)."""
        return self.directory / "id_ed25519"

    @property
    def packages(self) -> dict[str, str]:
        """Which packages were downloaded for it: file name to SHA-256."""
        manifest: dict[str, str] = json.loads((self.directory / "packages.json").read_text())
        return manifest


def build_image(cache: Path | None = None, *, refresh: bool = False) -> GuestImage:
    """The guest image, from the cache if its inputs are unchanged, else built now (some 5 to 15 seconds).

    The inputs are this recipe and this machine's busybox and dropbear. A newer kernel in Debian is no reason to
    build again: `refresh=True` is.
    """
    return GuestImage(built((cache or default_cache()) / f"guest-{_inputs()}", _build, refresh=refresh))


def _inputs() -> str:
    if platform.machine() != "x86_64":
        raise LabError(f"the lab's guest exists for x86_64 only; this machine is {platform.machine()}")
    digest = hashlib.sha256()
    beside = Path(__file__).with_name
    recipe = [Path(__file__), beside("building.py"), beside("initramfs.py"), *sorted(ROOTFS.iterdir())]
    for path in (*recipe, BUSYBOX, DROPBEAR):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise LabError(f"{path} is missing: apt-get install busybox-static dropbear-bin") from None
        digest.update(b"%s %d\n" % (path.name.encode(), len(data)) + data)
    return digest.hexdigest()[:16]


def _build(work: Path) -> None:
    """Make work/result."""
    result = work / "result"
    result.mkdir()
    unpacked = unpack(work, lambda: [*stands_for(KERNEL_META), AGENT], manifest=result / "packages.json")
    (kernel,) = (unpacked / "boot").glob("vmlinuz-*")
    shutil.copyfile(kernel, result / "vmlinuz")
    (modules,) = (unpacked / "lib/modules").iterdir()

    root = Initramfs()
    for path in ("dev", "proc", "sys", "run", "mnt", "root", "var"):
        root.directory(path)
    root.directory("tmp", 0o1777)
    root.link("var/run", "/run")
    root.directory("mnt/svc")  # for a guest without a disk
    root.link("svc", "mnt/svc")  # what a service has inside of its guest outlives a boot, where there is a disk
    root.program("bin/busybox", BUSYBOX)
    for applet in run([BUSYBOX, "--list"]).split():
        if applet != "busybox":
            root.link(f"bin/{applet}", "busybox")
    root.linked_program("usr/sbin/dropbear", DROPBEAR)
    root.linked_program("usr/sbin/qemu-ga", unpacked / "usr/sbin/qemu-ga")
    root.kernel_modules(modules, MODULES)
    for name, path in SCRIPTS.items():
        root.program(path, ROOTFS / name)
    root.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    root.file("etc/group", b"root:x:0:\n")
    root.file("etc/shadow", b"root:*:19000:0:99999:7:::\n", 0o600)
    root.file("etc/shells", b"/bin/sh\n")
    _keys(work, result, root)
    (result / "initrd.img").write_bytes(root.archive())


def _keys(work: Path, result: Path, root: Initramfs) -> None:
    """A host key for the guest, and a key pair for its root."""
    host, user = work / "host_key", work / "user_key"
    for key in (host, user):
        run([DROPBEARKEY, "-t", "ed25519", "-f", key])
    public = next(line for line in run([DROPBEARKEY, "-y", "-f", user]).splitlines() if line.startswith("ssh-"))
    run([DROPBEARCONVERT, "dropbear", "openssh", user, result / "id_ed25519"])
    (result / "id_ed25519").chmod(0o600)
    root.file("etc/dropbear/dropbear_ed25519_host_key", host.read_bytes(), 0o600)
    root.directory("root/.ssh", 0o700)
    root.file("root/.ssh/authorized_keys", public.encode() + b"\n", 0o600)

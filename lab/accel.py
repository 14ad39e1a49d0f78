"""Finds out how this machine can run the lab's guest: with KVM, or by emulating it in software.

That /dev/kvm exists proves little: there are machines where it opens, and even starts, but never runs a stock kernel.
So the guest is booted with KVM for a few seconds, and only a line from its userland counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.building import default_cache
from lab.guest import KERNEL_COMMAND_LINE
from lab.image import GuestImage

QEMU = "qemu-system-x86_64"
KVM = Path("/dev/kvm")
PATIENCE = 6.0
PROOF = "GUEST USERLAND"


@dataclass(frozen=True)
class Acceleration:
    """What a domain's type has to be here, "kvm" or "qemu", and why."""

    domain_type: str
    reason: str

    def __str__(self) -> str:
        """One line for people."""
        how = "KVM" if self.domain_type == "kvm" else "software emulation"
        return f"{how}: {self.reason}"


def find_acceleration(image: GuestImage, cache: Path | None = None) -> Acceleration:
    """Find out, once for each boot of this machine and each guest image; takes at most some 8 seconds."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    question = {"boot": boot, "image": image.directory.name, "kvm": KVM.exists()}
    notes = (cache or default_cache()) / "acceleration.json"
    try:
        noted = json.loads(notes.read_text())
        if noted["question"] == question:
            return Acceleration(**noted["answer"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # nothing noted yet, or not in our form: ask again
    answer = probe(image)
    notes.parent.mkdir(parents=True, exist_ok=True)
    new = notes.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps({"question": question, "answer": asdict(answer)}, indent=2) + "\n")
    new.rename(notes)
    return answer


def probe(image: GuestImage, patience: float = PATIENCE) -> Acceleration:
    """Try to boot the guest with KVM, for so many seconds; leaves no process behind, even when killed."""
    if not KVM.exists():
        return Acceleration("qemu", "this machine has no /dev/kvm")
    argv = ["setpriv", "--pdeathsig", "KILL", "--", QEMU, "-accel", "kvm", "-m", "128", "-nodefaults", "-no-reboot"]
    argv += ["-display", "none", "-serial", "stdio", "-kernel", str(image.kernel), "-initrd", str(image.initrd)]
    argv += ["-append", KERNEL_COMMAND_LINE]
    with tempfile.TemporaryFile() as console, tempfile.TemporaryFile() as complaints:
        qemu = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=console, stderr=complaints)
        started = time.monotonic()
        try:
            while time.monotonic() - started < patience:
                ended = qemu.poll() is not None
                if PROOF in _text(console.fileno()):
                    took = time.monotonic() - started
                    return Acceleration("kvm", f"a guest reached its userland under /dev/kvm in {took:.1f} s")
                if ended:
                    last = (_text(complaints.fileno()).strip().splitlines() or ["it said nothing"])[-1]
                    return Acceleration("qemu", f"qemu gives up on /dev/kvm (exit {qemu.returncode}: {last})")
                time.sleep(0.05)
        finally:
            qemu.kill()
            qemu.wait()
        last = (_text(console.fileno()).strip().splitlines() or ["none"])[-1].strip()
        return Acceleration(
            "qemu",
            f"/dev/kvm exists, but a guest under it does not reach its userland in {patience:g} s "
            f"(its last line on the console: {last})",
        )


def _text(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, size, 0).decode(errors="replace")

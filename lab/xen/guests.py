"""Config files of the lab's guests: what runs in them is in domain 0, where `image` has put it."""

from __future__ import annotations

from lab.xen.image import GUESTS


def config(name: str, kernel: str = "idle", *lines: str) -> str:
    """A guest that is idle, or ends for one of `kernel.REASONS`; lines are added at the end, where they count."""
    return _text(name, f'kernel = "/{GUESTS}/{kernel}"', "memory = 4", *lines)


def linux(name: str, *lines: str, words: str = "") -> str:
    """A guest that hears requests, some ten seconds after its start; words are for its kernel: `deaf`, `slow=2`."""
    kernel = (f'kernel = "/{GUESTS}/linux"', f'ramdisk = "/{GUESTS}/initrd"', f'extra = "console=hvc0 quiet {words}"')
    return _text(name, *kernel, "memory = 128", *lines)


def _text(name: str, *lines: str) -> str:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    disk = "disk = [ 'phy:/dev/loop0,xvda,w', 'vdev=xvdb, access=ro, target=/dev/loop1' ]"
    return "\n".join([f'name = "{quoted}"', 'type = "pv"', 'cpus = "1"', disk, *lines, ""])

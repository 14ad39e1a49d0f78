"""The present boot of this machine, by name: what must not outlive it is written down with that."""

from __future__ import annotations

from pathlib import Path

#: random(4). Other systems than Linux have none.
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """What the kernel calls the present boot; empty where it has no name for it.

    There, it is only the emptying of ``/run`` at a boot that keeps earlier ones out.
    """
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""

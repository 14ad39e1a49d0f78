"""Keeps what a libvirtd found out about qemu, for the next one.

A new libvirtd questions qemu for some four seconds before it serves its first guest. It keeps the answers in its cache
directory and checks, when it finds some, that qemu, kernel and processor are still the same. The processor's identity
is that of the core it happens to run on, so libvirtd is bound to one core (its guests are not: libvirtd sees to that).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from lab.building import default_cache

PINNED = ("taskset", "--cpu-list", str(min(os.sched_getaffinity(0))))
PLACE = "qemu/capabilities"


def restore(private: Path) -> None:
    """Put kept answers into the cache directory of a libvirtd that is about to start."""
    kept = default_cache() / "capabilities"
    (private / PLACE).mkdir(parents=True)
    if kept.is_dir():
        shutil.copytree(kept, private / PLACE, dirs_exist_ok=True)


def keep(private: Path) -> None:
    """Keep the answers in a libvirtd's cache directory, each file whole or not at all."""
    kept = default_cache() / "capabilities"
    kept.mkdir(parents=True, exist_ok=True)
    for answer in (private / PLACE).glob("*.xml"):
        data = answer.read_bytes()
        target = kept / answer.name
        if target.exists() and target.read_bytes() == data:
            continue
        with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as new:
            new.write(data)
        Path(new.name).rename(target)

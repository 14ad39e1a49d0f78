"""Whether this node's kernel uses a disk: mounts it, swaps to it, or has made another device of it.

Each of these opens the device for itself alone, and so does this, for a moment: O_EXCL of open(2) on a block device. A
guest's hypervisor does not, and other nodes do not show.
"""

from __future__ import annotations

import contextlib
import errno
import os
from functools import partial

from vmsvc.core.lane import call_within
from vmsvc.core.vmdg.seen import ScsiDisk


def use_of(disk: ScsiDisk, *, budget_s: float = 5.0) -> str:
    """What this node's kernel uses a disk for, in words.

    Args:
        disk: The disk. A multipath map has its paths for itself, so of a map only the map is looked at.
        budget_s: How long each device may take to be opened, in seconds.

    Returns:
        Empty where it is free, or cannot be opened at all.

    Raises:
        Undetermined: Opening it takes too long.
    """
    for device in [disk.map] if disk.map else disk.paths:
        if call_within(f"opening {device}", partial(_is_taken, device), budget_s=budget_s):
            return f"is in use on this node: {device} is mounted, or another device is made of it"
    return ""


def _is_taken(device: str) -> bool:
    try:
        descriptor = os.open(device, os.O_RDONLY | os.O_EXCL | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return error.errno == errno.EBUSY
    with contextlib.suppress(OSError):
        os.close(descriptor)
    return False

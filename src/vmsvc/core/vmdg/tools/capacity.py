"""Disks of size 0: what the kernel makes of a disk that it probed while another node had exclusive access.

Under somebody's reservation of type 3, 6 or 8 a disk refuses READ CAPACITY to nodes that are not registered (SPC-4,
"Persistent reservations", the table of commands that conflict). udev, or whoever reads the partition table anew, makes
the kernel ask. It takes the disk for empty then, and asks no more, not even when the disk has become its own. Writes
end with "no space left", and reads bring nothing and no error; so do those of a guest.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path, PurePosixPath

from vmsvc.core.deadline import left_until
from vmsvc.core.errors import Undetermined
from vmsvc.core.lane import call_within


def restore_capacity(paths: Iterable[str], *, sys: Path = Path("/sys"), budget_s: float = 5.0) -> tuple[str, ...]:
    """Have the kernel ask disks for their capacity again, where it takes them for empty.

    Args:
        paths: Block devices of this node: ``/dev/sda``.
        sys: Where sysfs is mounted.
        budget_s: How long all of it may take, in seconds; a disk that does not answer is left as it is.

    Returns:
        The paths that are still taken for empty.
    """
    deadline = time.monotonic() + budget_s
    devices = {path: sys / "class/block" / PurePosixPath(path).name for path in paths}
    for path, device in devices.items():
        if _is_empty(device):
            rescan = device / "device/rescan"
            with contextlib.suppress(Undetermined, OSError):
                left_s = left_until(deadline)
                call_within(f"the capacity of {path}", partial(rescan.write_text, "1"), budget_s=left_s)
    return tuple(path for path, device in devices.items() if _is_empty(device))


def _is_empty(device: Path) -> bool:
    try:
        return (device / "size").read_text().strip() == "0"
    except OSError:
        return False  # it has gone

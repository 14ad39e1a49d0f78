"""Runs a command in a kernel with real SCSI disks, and exits as it does.

    python -m lab.scsi --hosts 2 --paths 2 -- sh -c 'cat /run/scsi-lab; sg_persist --in -k /dev/sda'

/run/scsi-lab tells what leads where. The command finds this machine's files; what it writes is thrown away, except
below a --writable directory.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from lab import LabError
from lab.scsi.disks import Layout, add_options
from lab.scsi.single import kernel_with_disks

LAB_FAILED = 125  # as of env(1) and timeout(1)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.scsi", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--writable", type=Path, action="append", default=[], help="a directory to be written for real")
    parser.add_argument("--memory", type=int, default=0, help="memory, in MiB (default: what the disks need)")
    parser.add_argument("--time", type=float, default=600, help="end all after so many seconds (default: 600)")
    parser.add_argument("command", nargs="+", help="the command, after --")
    options = vars(parser.parse_args())
    command, writable, memory_mib, budget_s = (options.pop(key) for key in ("command", "writable", "memory", "time"))
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGHUP, _terminated)
    try:
        started = time.monotonic()
        layout = Layout(**options)
        with kernel_with_disks(layout, writable=writable, memory_mib=memory_mib, budget_s=budget_s) as kernel:
            left = budget_s - (time.monotonic() - started)
            done = kernel.run(command, env=os.environ, cwd=Path.cwd(), timeout=left, output=_pass_on)
    except LabError as error:
        print(f"lab.scsi: {error}", file=sys.stderr)
        return LAB_FAILED
    except KeyboardInterrupt:
        print("lab.scsi: interrupted; nothing is left running", file=sys.stderr)
        return 128 + signal.SIGINT
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _pass_on(stream: str, text: str) -> None:
    """Print what the command prints, as it comes, in its bytes."""
    out = sys.stdout.buffer if stream == "stdout" else sys.stderr.buffer
    out.write(text.encode(errors="surrogateescape"))
    out.flush()


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(143)


if __name__ == "__main__":
    sys.exit(main())

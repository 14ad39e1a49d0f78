"""One of two that race for the same disks, inside of its own kernel: starts the service at a given moment, again and again.

Usage: racer.py ROUNDS. For each round, a file ``go-N`` in its directory holds the time to start at, and ``end-N`` ends it.
It prints one JSON object a round.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from vmsvc_null import Hypervisor

import vmsvc
from lab.scsi.initiator import paths
from lab.scsi.passthrough import REGISTER_AND_IGNORE_EXISTING_KEY, reserve_out, test
from tests.lab.scsi.quick import QuickHost
from vmsvc.core import observe
from vmsvc.core.disks import surroundings
from vmsvc.core.kinds import Reserved

ROOT = Path(os.environ["VMSVC_ROOT"])
# A kernel that is a process has one slow processor, and all commands at once take as many times longer.
observe.STATUS_DEADLINE_S = surroundings._ACTING_S = surroundings._LOOKING_S = 120.0
Reserved.observe_budget_s = 120.0


def main(rounds):
    generic = [path.generic for path in paths()]
    hypervisor = Hypervisor.of_node(ROOT)
    with vmsvc.Session() as session:
        session._host = QuickHost()
        session.status(session.load("db"))  # so that nothing is done in a race for the first time
        tell({"ready": True})
        for number in range(rounds):
            time.sleep(max(float(wait_for(f"go-{number}")) - time.time(), 0))
            began = time.time()
            try:
                session.start(session.load("db"))
                code, why = 0, ""
            except vmsvc.VmsvcError as error:
                code, why = int(error.exit_code), str(error)
            log = [entry.verb for entry in hypervisor.log() if entry.at >= began]
            tell({"round": number, "code": code, "why": why, "took_s": time.time() - began, "log": log})
            wait_for(f"end-{number}")
            hypervisor.set("db", phase="stopped")
            for device in generic:
                forget(device)
            tell({"clean": number})


def forget(device):
    """Remove the registration of a path, without any tool and whatever it was."""
    while test(device).is_attention:
        pass
    reserve_out(device, REGISTER_AND_IGNORE_EXISTING_KEY, new_key=0)


def wait_for(name):
    while name not in os.listdir(ROOT):  # noqa: PTH208 - a look at one name would be answered from the kernel's memory
        time.sleep(0.05)
    return (ROOT / name).read_text()


def tell(what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))

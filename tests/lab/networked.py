"""vmsvc on a machine that is a network namespace, with adapters and neighbours of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lab import LabError
from lab.fixtures import required
from lab.network import Network
from tests.lab.shell import Shell


@contextmanager
def machines(*tools: str) -> Iterator[Network]:
    """Machines on a switch, where this machine has the tools that vmsvc is to use there."""
    with required():
        for tool in tools:
            if not shutil.which(tool):
                raise LabError(f"{tool} is not installed")
        made = Network()
        made.__enter__()
    try:
        yield made
    finally:
        made.close()


class Node(Shell):
    """vmsvc on the machine `here`, whose eth0 and eth1 are on the switch."""

    def __init__(self, root, network):
        super().__init__(root)
        self.network = network
        network.plug(network.here, "eth0", "192.0.2.254/24", "2001:db8::fe/64")
        network.plug(network.here, "eth1")

        self.hosts = root / "hosts"

    def name(self, name, *addresses):
        """Have the machine resolve a name to addresses, and nothing else."""
        self.hosts.parent.mkdir(parents=True, exist_ok=True)
        self.hosts.write_text("".join(f"{address} {name}\n" for address in addresses))

    def run(self, *words, timeout=60):
        argv = [sys.executable, "-m", "vmsvc", *words]
        if self.hosts.exists():  # the mounts of such a machine are its own
            argv = ["sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(self.hosts), *argv]
        argv = self.network.entered(self.network.here, *argv)
        return subprocess.run(argv, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False)

    def add(self, ipname, *lines, name="web"):
        text = f"[DEFAULT]\nnodes = n1\n[ip#1]\nipname = {ipname}\nipdev = eth0\n"
        self.file(name, text + "".join(f"{line}\n" for line in lines))

    def ip(self, *words):
        return self.network.run(self.network.here, "ip", *words)

    def addresses(self, adapter="eth0"):
        (link,) = (each for each in json.loads(self.ip("-j", "addr", "show", "dev", adapter)) if each)
        told = {f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"]}
        return {each for each in told if not each.startswith("fe80:")}

    def state(self, name="web", code=0):
        return self.statuses(name, code=code)[name][:2]

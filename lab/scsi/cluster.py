"""Several kernels on a private network: a target, and hypervisors that share its disks.

    with Cluster(disks=2) as cluster:
        one, two = cluster.hypervisors
        one.run(["vmsvc", "start", "web"])
        one.freeze()

Each hypervisor has a root for vmsvc of its own on this machine, which outlives it, as a local disk would.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from lab import LabError
from lab.scsi.initiator import DevicePath
from lab.scsi.keeper import Kept
from lab.scsi.kernel import PATH, Kernel
from lab.scsi.wire import Job, Output

SWITCH = "uml_switch"
# RFC 5737's network for documentation; nothing but these kernels is on it.
PORTALS = ("192.0.2.1", "192.0.2.2")
NETWORK, FIRST_HOST = "192.0.2", 11
STORAGE = "/sys/kernel/config/target/core/fileio_0"
_REGISTRATION = re.compile(r"Node: \S+?:([^:,\s]+),i,\S+ Key: 0x([0-9a-f]+)")


class Hypervisor(Kernel):
    """A kernel that uses the target's disks, and runs vmsvc.

    Args:
        name: Its name: as a host, as an initiator, and as a node of vmsvc.
        root: vmsvc's root on it, a directory of this machine.
        address: The address of its network card.
        switch: What that is plugged into.
        disks: How many disks the target has.
        multipath: Whether udev and multipathd run.
        budget_s: So many seconds after booting it is ended, come what may.
    """

    def __init__(
        self, name: str, root: Path, address: str, switch: Path, *, disks: int, multipath: bool, budget_s: float
    ) -> None:
        super().__init__(
            name, memory_mib=320, writable=[root], switch=switch, address=f"{address}/24", budget_s=budget_s
        )
        self.root = root
        self._attach = ["attach", f"--host={name}", *_PORTAL_WORDS, f"--disks={disks}"]
        self._attach += ["--multipath"] if multipath else []

    def boot(self, timeout: float = 60) -> None:
        """Boot it, and log in to the target."""
        super().boot(timeout)
        try:
            _san(self, *self._attach)
        except BaseException:
            self.kill()
            raise

    def start(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        output: Output | None = None,
    ) -> Job:
        """Start a command as an operator of this node would: vmsvc is in its path, and has its root."""
        node = {
            "PATH": f"{Path(sys.executable).parent}:{PATH}",
            "VMSVC_ROOT": str(self.root),
            "VMSVC_NODENAME": self.name,
        }
        return super().start(argv, env={**node, **(env or {})}, cwd=cwd, output=output)

    def devices(self, disk: int = 0) -> list[str]:
        """The block devices by which it reaches a disk, in the order of the target's portals."""
        lines = self.run(["cat", "/run/scsi-lab"]).check().stdout.splitlines()[1:]
        return [path.device for path in map(DevicePath.parse, lines) if path.disk == disk]


class Cluster:
    """A target and its hypervisors; their network ends with them.

    Args:
        names: The hypervisors' names.
        disks: How many disks the target has.
        multipath: Whether udev and multipathd run on the hypervisors.
        budget_s: So many seconds after booting each kernel is ended, come what may.
    """

    def __init__(
        self, names: Sequence[str] = ("h1", "h2"), *, disks: int = 1, multipath: bool = False, budget_s: float = 900
    ) -> None:
        self._names = names
        self._disks = disks
        self._multipath = multipath
        self._budget_s = budget_s
        self._resources = contextlib.ExitStack()
        self.target: Kernel
        self.hypervisors: list[Hypervisor] = []

    def __enter__(self) -> Cluster:  # noqa: PYI034 - Self is younger than Python 3.10
        """Boot all of it."""
        with contextlib.ExitStack() as resources:
            switch = resources.enter_context(_switch(self._budget_s))
            self.target = Kernel(
                "target", memory_mib=256, switch=switch, address=f"{PORTALS[0]}/24", budget_s=self._budget_s
            )
            self.hypervisors = [self._hypervisor(number, switch) for number in range(len(self._names))]
            for kernel in (self.target, *self.hypervisors):
                resources.callback(kernel.kill)
            self.target.boot()
            self.target.run(["ip", "address", "add", f"{PORTALS[1]}/24", "dev", "eth0"]).check()
            hosts = [f"--host={name}" for name in self._names]
            _san(self.target, "serve", *hosts, *_PORTAL_WORDS, f"--disks={self._disks}")
            with ThreadPoolExecutor() as threads:
                list(threads.map(Hypervisor.boot, self.hypervisors))
            self._resources = resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all of it, whatever state it is in."""
        self._resources.close()

    def _hypervisor(self, number: int, switch: Path) -> Hypervisor:
        root = switch.parent / self._names[number]  # ends with the network, whoever ends it
        root.mkdir()
        return Hypervisor(
            self._names[number],
            root,
            f"{NETWORK}.{FIRST_HOST + number}",
            switch,
            disks=self._disks,
            multipath=self._multipath,
            budget_s=self._budget_s,
        )

    def forget_keys(self) -> None:
        """Restart the target, so to speak: it has kept no keys, and everybody is told that units have changed."""
        _san(self.target, "forget", *_PORTAL_WORDS, f"--disks={self._disks}")

    # --- what the target itself says, without any initiator ----------------------------------------------------------

    def registrations(self, disk: int = 0) -> dict[str, Counter[int]]:
        """Each host's keys, and how many of its nexuses are registered with each."""
        found: dict[str, Counter[int]] = {}
        for host, key in _REGISTRATION.findall(self._shown(disk, "res_pr_registered_i_pts")):
            found.setdefault(host, Counter())[int(key, 16)] += 1
        return found

    def holder(self, disk: int = 0) -> str:
        """The host that holds the reservation, or nothing."""
        found = re.search(r"Initiator: \S+?:([^:,\s]+)", self._shown(disk, "res_holder"))
        return found[1] if found else ""

    def content(self, disk: int = 0, size: int = 16) -> bytes:
        """The first bytes of a disk, as the target keeps them."""
        words = ["od", "-An", "-v", "-tx1", f"-N{size}", f"/run/scsi-images/disk{disk}"]
        return bytes.fromhex(self.target.run(words).check().stdout)

    def _shown(self, disk: int, attribute: str) -> str:
        return self.target.run(["cat", f"{STORAGE}/disk{disk}/pr/{attribute}"]).check().stdout


_PORTAL_WORDS = [f"--address={address}" for address in PORTALS]


def _san(kernel: Kernel, *words: str) -> None:
    """Run `lab.scsi.san` inside."""
    Kernel.run(kernel, [sys.executable, "-m", "lab.scsi.san", *words], timeout=120).check()


@contextlib.contextmanager
def _switch(budget_s: float) -> Iterator[Path]:
    """A switch that network cards are plugged into, by its socket."""
    if shutil.which(SWITCH, path=PATH) is None:
        raise LabError(f"{SWITCH}: missing; ./quickstart installs what the lab needs")
    directory = Path(tempfile.mkdtemp(prefix="san-"))
    socket = directory / "switch"
    # It ends when its input does, and /dev/zero has no end; it does not go on to read it.
    switch = Kept(directory, ["sh", "-c", f'exec {SWITCH} -unix "$0" </dev/zero', str(socket)], budget_s=budget_s)
    try:
        deadline = time.monotonic() + 10
        while not socket.exists():
            if switch.has_ended or time.monotonic() > deadline:
                raise LabError(f"{SWITCH} does not make its socket {socket}")
            time.sleep(0.02)
        yield socket
    finally:
        switch.end()

"""Ways in by ssh: many guests at once, as a whole process, beside OpenSSH with ControlMaster; both connect anew."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from attrs import frozen

from benchmarks.measure import Command, Sample, Unavailable
from benchmarks.run import Run
from benchmarks.table import Row
from lab import LabError
from lab.sshd import PrivateSshd

#: How many guests there are at most.
_GUESTS = 50

_OURS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from vmsvc.core.transport.ssh import SshHost
directory, count = Path(sys.argv[1]), int(sys.argv[2])
def look(number):
    host = SshHost(f"g{number}", known_hosts=directory / "known_hosts", config=directory / "config")
    return host, host.run(["true"], budget_s=60).code
with ThreadPoolExecutor(32) as pool:
    looked = list(pool.map(look, range(count)))
for host, code in looked:
    host.close()
    assert code == 0
"""


def measure(run: Run) -> Iterator[Row]:
    """Compare a connection and a command for each guest with what OpenSSH takes for the same.

    Args:
        run: The run.

    Raises:
        Unavailable: There is no sshd here.
    """
    count = min(_GUESTS, max(run.sizes))
    directory = run.directory / "ssh"
    directory.mkdir()
    with ExitStack() as ending:
        try:
            guests = [ending.enter_context(PrivateSshd()) for _ in range(count)]
        except LabError as error:
            raise Unavailable(str(error)) from error
        (directory / "config").write_text(_configuration(guests))
        ours = run.command(*run.python(_OURS).argv, str(directory), str(count))
        status = _status(run, directory, guests)
        for against, option in (
            ("ssh g… true with ControlMaster, all at once", ""),
            ("the same with the key exchange that we use", "-o KexAlgorithms=curve25519-sha256"),
        ):
            theirs = _Masters(run, directory, count, option)
            yield run.compare("SshHost.run(['true']), all at once", ours, against, theirs, size=count, at_most=2.0)
            yield run.compare("vmsvc status, one address in each", status, against, theirs, size=count, at_most=2.0)


def _status(run: Run, directory: Path, guests: Sequence[PrivateSshd]) -> Command:
    """A status of one service for each guest: the guest runs, and its address is looked for inside, by ssh."""
    home, root = directory / "home", directory / "root"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    (home / ".ssh/config").write_text(_configuration(guests))
    services = root / "etc/vmsvc/services"
    services.mkdir(parents=True)
    for number in range(len(guests)):
        (services / f"g{number}.conf").write_text(
            f"[DEFAULT]\nnodes = n1\n[container#1]\ntype = null\nway_in = ssh\nhostname = g{number}\n"
            "[ip#1]\nipname = 127.0.0.1\nipdev = lo\ncheck_ping = no\ncheck_timeout = 8\n"
        )
    environment = {**run.environment, "HOME": str(home), "VMSVC_ROOT": str(root)}
    environment.pop("SSH_AUTH_SOCK", None)
    start = Command(run.vmsvc("start", "*", "--rid", "container").argv, environment)
    start()
    return Command(run.vmsvc("status").argv, environment)


def _configuration(guests: Sequence[PrivateSshd]) -> str:
    return "".join(
        guest.config.read_text().replace("Host guest", f"Host g{number}") for number, guest in enumerate(guests)
    )


@frozen
class _Masters:
    """OpenSSH's way: for each guest a connection that stays, and a command on it. Their end is not counted."""

    run: Run
    directory: Path
    count: int
    option: str

    def __call__(self) -> Sample:
        """Open the connections, run the commands, and tell how long that took."""
        ssh = f"ssh -F {shlex.quote(str(self.directory / 'config'))} -o ControlPath=/tmp/vmsvc-bench-%C {self.option}"
        connect = f"{ssh} -o ControlMaster=auto -o ControlPersist=60"
        taken = self._each(f"{connect} g$n true 2>/dev/null")()
        self._each(f"{ssh} -O exit g$n 2>/dev/null")()
        return taken

    def _each(self, line: str) -> Command:
        """A command for each guest, all at once; fails where one does."""
        numbers = " ".join(map(str, range(self.count)))
        text = f'for n in {numbers}; do {line} & all="$all $!"; done; for p in $all; do wait $p || exit 1; done'
        return self.run.command("sh", "-c", text)

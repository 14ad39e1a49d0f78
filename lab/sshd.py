"""A real OpenSSH server of one's own, which stands for a guest, with a home, a login shell and keys of its own.

    with PrivateSshd() as sshd:
        sshd.ssh("uname", "-a")             # the client of OpenSSH, for comparison
        (sshd.directory / "config")         # an ssh configuration that leads there, as ``guest``

It listens on the loopback, in a mount namespace where root's home is private. Leaving the block ends it and whatever
was started through it.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from lab import Closing, LabError

SSHD = "/usr/sbin/sshd"

#: Where vmsvc puts what its own key runs.
_INSTALLED = "/usr/local/lib/vmsvc"

#: Everything that is started through the server finds this in its environment, and is found by it.
_MARK = "VMSVC_LAB_SSHD"

# DNS, PAM and the message of the day would cost time and depend on this machine.
_SERVER = """\
ListenAddress {address}:{port}
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/authorized_keys .ssh/authorized_keys
PidFile none
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
UseDNS no
PrintMotd no
PrintLastLog no
Subsystem sftp internal-sftp
SetEnv {mark}={directory} {environment}
{more}
"""
_CLIENT = """\
Host guest
    HostName {address}
    Port {port}
    User root
    IdentityFile {directory}/key
    IdentitiesOnly yes
    UserKnownHostsFile {directory}/known_hosts
    BatchMode yes
"""
# The home is a file system of its own, and small: a test can fill it. So is where vmsvc installs its script.
_START = """\
set -e
{home}
mkdir -p {installed}
mount -t tmpfs -o mode=755,size=1m vmsvc-lab {installed}
{user}
exec {sshd} -D -e -f {directory}/sshd_config
"""


class SshdOptions(TypedDict, total=False):
    """How a private sshd is made: where it listens, what else it is told, and what it gives to commands.

    Further lines of its configuration, root's login shell, variables (`NAME=value …`, as in sshd_config(5)), and a
    directory to be root's home instead of one that hides this machine's. And what a command begins with that runs on
    the machine where it is to listen, such as `ip netns exec NAME`; its port must be given then.
    """

    within: Sequence[str]
    address: str
    port: int
    more: str
    shell: str
    environment: str
    home: Path


class PrivateSshd(Closing):
    """One private sshd; `SshdOptions` are its options."""

    def __init__(
        self,
        *,
        within: Sequence[str] = (),
        address: str = "127.0.0.1",
        port: int = 0,
        more: str = "",
        shell: str = "",
        environment: str = "",
        home: Path | None = None,
    ) -> None:
        for program in (SSHD, "ssh", "ssh-keygen", "unshare", "setpriv"):
            if shutil.which(program) is None:
                raise LabError(f"{program} is missing: ./quickstart installs what the lab needs")
        if os.geteuid() != 0:
            raise LabError("a private sshd needs root")
        self.within = tuple(within)
        self.address = address
        self.port = port or free_port(address)
        self.directory = Path(tempfile.mkdtemp(prefix="sshd-"))
        self.config = self.directory / "config"
        self.key = self.directory / "key"
        self.home = home or Path("~root").expanduser()
        self._hides_home = home is None
        self._more, self._shell, self._environment = more, shell, environment
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PrivateSshd:  # noqa: PYI034 - Self is younger than Python 3.10
        """Make its keys and start it."""
        try:
            self._write_files()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """End the server with all that was started through it, and remove its directory. Twice is harmless."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- the server ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it, with the keys that lie in its directory now, and wait until it answers."""
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it separates its privileges
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.within, "unshare", "--mount", "sh", "-c", self._script()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 10
        while not self._greets():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"sshd does not answer: {self.log()[-600:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it with all that was started through it, as a power cut would."""
        if self._process is None:
            return
        _signal((*self.connections(), *self.started(), self._process.pid), signal.SIGKILL)
        self._process.wait()
        _signal(self.started(), signal.SIGKILL)  # what was being started meanwhile
        self._process = None

    @property
    def pid(self) -> int:
        """The process that listens."""
        assert self._process is not None
        return self._process.pid

    def freeze(self) -> None:
        """Stop it and its connections, so that nobody but the kernel accepts any more (SIGSTOP)."""
        _signal((self.pid, *self.connections()), signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        _signal((*self.connections(), self.pid), signal.SIGCONT)

    def silence(self) -> None:
        """Stop its connections alone: they say nothing any more, as after a power cut, and new ones are taken."""
        _signal(self.connections(), signal.SIGSTOP)

    def cut(self) -> None:
        """End its connections, without a word to anybody."""
        _signal(self.connections(), signal.SIGKILL)

    def connections(self) -> list[int]:
        """The server's processes that serve a connection each, and theirs."""
        parents = {pid: parent for pid, parent, name in _processes() if name == "sshd"}
        found, generation = list[int](), {self.pid}
        while generation := {pid for pid, parent in parents.items() if parent in generation}:
            found += generation
        return found

    def started(self) -> list[int]:
        """What was started through it and lives."""
        mark = f"{_MARK}={self.directory}".encode()
        return [pid for pid, _, _ in _processes() if mark in _environment(pid)]

    def log(self) -> str:
        """What it has said."""
        return (self.directory / "log").read_text(errors="replace")

    # --- what stands there -----------------------------------------------------------------------------------------

    def new_host_key(self) -> None:
        """Give it another key; the next start takes it."""
        (self.directory / "host_key").unlink(missing_ok=True)
        make_key(self.directory / "host_key")

    def authorize(self, public_key: Path, options: str = "") -> None:
        """Let another key in, with options such as ``command="…"``."""
        with (self.directory / "authorized_keys").open("a") as keys:
            keys.write(f"{options} {public_key.read_text().strip()}\n".lstrip())

    def write_home(self, name: str, text: str) -> None:
        """Write a file into root's home there, such as ``.bashrc``."""
        Path(f"/proc/{self.pid}/root{self.home}", name).write_text(text)

    def read(self, path: str) -> str:
        """What a file holds there."""
        return Path(f"/proc/{self.pid}/root{path}").read_text()

    def ssh(self, *argv: str, options: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run a command there with the client of OpenSSH."""
        more = [word for name, value in (options or {}).items() for word in ("-o", f"{name}={value}")]
        return subprocess.run(
            ["ssh", "-F", str(self.config), *more, "guest", shlex.join(argv)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )

    def _write_files(self) -> None:
        directory = self.directory
        for name in ("host_key", "key"):
            make_key(directory / name)
        shutil.copy(directory / "key.pub", directory / "authorized_keys")
        words = {"address": self.address, "port": self.port, "directory": directory}
        (directory / "sshd_config").write_text(
            _SERVER.format(mark=_MARK, more=self._more, environment=self._environment, **words)
        )
        self.config.write_text(_CLIENT.format(**words))
        host_key = (directory / "host_key.pub").read_text()
        (directory / "known_hosts").write_text(f"[{self.address}]:{self.port} {host_key}")

    def _script(self) -> str:
        home = f"mount -t tmpfs -o mode=700,size=8m vmsvc-lab {self.home}" if self._hides_home else ":"
        lines = Path("/etc/passwd").read_text().splitlines()
        (self.directory / "passwd").write_text("".join(f"{self._user(line)}\n" for line in lines))
        user = f"mount --bind {self.directory}/passwd /etc/passwd"
        return _START.format(home=home, installed=_INSTALLED, user=user, sshd=SSHD, directory=self.directory)

    def _user(self, line: str) -> str:
        """A line of passwd(5), root's with its home and shell there."""
        name, *fields, _, shell = line.split(":")
        return ":".join([name, *fields, str(self.home), self._shell or shell]) if name == "root" else line

    def _greets(self) -> bool:
        if self.within:
            asked = [*self.within, "ssh-keyscan", "-T", "1", "-p", str(self.port), self.address]
            return bool(subprocess.run(asked, capture_output=True, check=False).stdout)
        with contextlib.suppress(OSError), socket.create_connection((self.address, self.port), 1) as connection:
            return connection.recv(4) == b"SSH-"
        return False


def free_port(address: str) -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def make_key(path: Path) -> Path:
    """Make a pair of keys, ``path`` and ``path.pub``."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)], check=True)
    return path


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.kill(pid, number)


def _processes() -> Iterator[tuple[int, int, str]]:
    """All living processes: pid, parent and name."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                head, _, rest = (entry / "stat").read_text(errors="replace").rpartition(")")
                if rest.split()[0] not in "ZX":
                    yield int(entry.name), int(rest.split()[1]), head.partition("(")[2]


def _environment(pid: int) -> list[bytes]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return []

"""A real libvirtd of one's own, beside whatever the machine already runs.

    with PrivateLibvirtd() as libvirtd:
        libvirtd.virsh("define", "guest.xml")

It lives in a mount namespace where /run, /etc/libvirt and libvirt's directories below /var are private, and is reached
from outside by the path of its socket. Leaving the block ends its guests and itself and removes what it wrote; being
killed does so too (see `lab.guardian`).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
import xml.etree.ElementTree as ET
from pathlib import Path

from lab import Closing, LabError, capabilities, guardian

LIBVIRTD = "/usr/sbin/libvirtd"
SOCKET = "run/libvirt/libvirt-sock"
UNIX_SOCKET_LIMIT = 107

# Everything as root, and nothing that needs a systemd, a cgroup or a security module.
QEMU_CONF = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"""
# Where guests come in that are moved here: nobody resolves the names of such hosts, and libvirt takes no 127.0.0.1.
MIGRATION_CONF = """\
migration_address = "127.0.0.2"
migration_host = "127.0.0.2"
keepalive_interval = 1
keepalive_count = 3
"""
LIBVIRTD_CONF = """\
auth_unix_ro = "none"
auth_unix_rw = "none"
host_uuid = "{host_uuid}"
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
"""

# Debian's libvirtd will not start without this user, though with our configuration it never uses it.
USER_TABLES = {
    "passwd": "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin",
    "group": "libvirt-qemu:x:64055:",
}


class PrivateLibvirtd(Closing):
    """One private libvirtd and its guests.

    `directory` is where its own, new directory is made (default: the system's place for temporary files). Keep it
    short: the path of a Unix socket has at most 107 bytes.

    With a `hostname` it is on a host of its own, as far as libvirt can tell: by its name, in a UTS namespace, and its
    UUID. Guests can be moved to such a one, and to no other.
    """

    def __init__(self, directory: Path | str | None = None, *, hostname: str = "") -> None:
        for program in (LIBVIRTD, "unshare", "taskset", "mount", "virsh", "qemu-system-x86_64"):
            if shutil.which(program) is None:
                raise LabError(f"{program} is missing: ./quickstart installs what the lab needs")
        if os.geteuid() != 0:
            raise LabError("a private libvirtd needs root")
        parent = Path("/tmp") if directory is None else Path(directory)
        parent.mkdir(parents=True, exist_ok=True)
        self.hostname = hostname
        self.directory = Path(tempfile.mkdtemp(prefix="lv-", dir=parent.resolve()))
        self._guardian: subprocess.Popen[str] | None = None
        self._pid = 0
        self._daemon = -1  # a descriptor of the process: it can't be mistaken for a later one with the same number
        self._namespace = ""
        self._namespace_fd = -1

    # --- the whole of it -------------------------------------------------------------------------------------------

    def __enter__(self) -> PrivateLibvirtd:  # noqa: PYI034 - Self is younger than Python 3.10
        """Make the namespace and start the daemon in it."""
        try:
            if len(os.fsencode(self.socket)) > UNIX_SOCKET_LIMIT:
                raise LabError(f"{self.socket} is too long for a Unix socket ({UNIX_SOCKET_LIMIT} bytes at most)")
            for private in guardian.COVERS:
                (self.directory / private).mkdir()
            (self.directory / "etc/qemu.conf").write_text(QEMU_CONF + (MIGRATION_CONF if self.hostname else ""))
            (self.directory / "etc/libvirtd.conf").write_text(LIBVIRTD_CONF.format(host_uuid=uuid.uuid4()))
            for table, entry in USER_TABLES.items():
                (self.directory / table).write_text(_with_entry(Path("/etc", table), entry))
            (self.directory / "hidden").touch(mode=0o600)
            capabilities.restore(self.directory / "cache")
            self._guard()
            self.start()
            self.virsh("capabilities")  # so that no later call has to wait for libvirtd to question qemu
            capabilities.keep(self.directory / "cache")
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """End guests and daemon in whatever state they are, and remove their directory. Doing it twice is harmless."""
        if self._guardian is not None:
            try:
                self._guardian.communicate(timeout=15)
            except subprocess.TimeoutExpired:
                self._guardian.kill()
                self._guardian.communicate()
        left = guardian.end_all(self._namespace) if self._namespace else []  # should the guardian have been killed
        for descriptor in (self._daemon, self._namespace_fd):
            if descriptor >= 0:
                os.close(descriptor)
        self._guardian, self._daemon, self._namespace, self._namespace_fd = None, -1, "", -1
        shutil.rmtree(self.directory, ignore_errors=True)
        if left:
            raise LabError(f"processes of {self.directory} would not die: {left}")

    # --- the daemon ------------------------------------------------------------------------------------------------

    def start(self, timeout: float = 20) -> None:
        """Start the daemon; after `kill()` or `stop()` it finds its guests again, as after a real restart."""
        if not self._ended(0):
            raise LabError("this libvirtd is already running")
        if self._daemon >= 0:
            os.close(self._daemon)
            self._daemon = -1
        self.socket.unlink(missing_ok=True)
        pid = int(self._ask_guardian(json.dumps([*capabilities.PINNED, LIBVIRTD])))
        self._pid = pid
        try:
            self._daemon = os.pidfd_open(pid)
        except ProcessLookupError:
            raise LabError(f"libvirtd ended at once:\n{self.log()[-3000:]}") from None
        deadline = time.monotonic() + timeout
        while not self.answers:
            if self._ended(0) or time.monotonic() > deadline:
                self.kill()
                raise LabError(f"libvirtd did not start within {timeout:g} s:\n{self.log()[-3000:]}")
            time.sleep(0.02)

    def stop(self, timeout: float = 10) -> None:
        """End the daemon in an orderly way; its guests go on."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        if not self._ended(timeout):
            self.kill()

    def kill(self) -> None:
        """End the daemon with SIGKILL; its guests go on."""
        self._signal(signal.SIGKILL)
        if not self._ended(10):
            raise LabError("libvirtd does not die on SIGKILL")

    def pause(self) -> None:
        """Stop the daemon (SIGSTOP): from now on it accepts connections and never answers."""
        self._signal(signal.SIGSTOP)
        deadline = time.monotonic() + 5
        while not all(state in "TZ" for state in _thread_states(self.pid)):
            if time.monotonic() > deadline:
                raise LabError("libvirtd does not stop on SIGSTOP")
            time.sleep(0.005)

    def resume(self) -> None:
        """Let a paused daemon go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    @property
    def running(self) -> bool:
        """Whether the daemon's process exists, paused or not."""
        return not self._ended(0)

    @property
    def answers(self) -> bool:
        """Whether the daemon serves; it listens before it does, and one that is paused doesn't."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(self.socket))
                self.virsh("uri", timeout=5)
            except (OSError, LabError):
                return False
        return True

    @property
    def pid(self) -> int:
        """The daemon's process."""
        if not self.running:
            raise LabError("this libvirtd is not running")
        return self._pid

    @property
    def socket(self) -> Path:
        """The daemon's socket, as seen from outside of its namespace."""
        return self.directory / SOCKET

    @property
    def uri(self) -> str:
        """What to connect to."""
        return f"qemu:///system?socket={self.socket}"

    def log(self) -> str:
        """What the daemon printed and logged."""
        files = (self.directory / "log/out", self.directory / "log/libvirtd.log")
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    # --- its guests ------------------------------------------------------------------------------------------------

    def virsh(self, *words: str | Path, timeout: float = 60, check: bool = True) -> str:
        """Run `virsh` on this daemon and return what it printed; an exit code other than 0 is an error if `check`."""
        argv = ["virsh", "-c", self.uri, *map(str, words)]
        environment = {**os.environ, "LC_ALL": "C"}
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, timeout=timeout, check=False, env=environment, cwd="/"
            )
        except subprocess.TimeoutExpired:
            raise LabError(f"virsh {' '.join(map(str, words))}: no answer after {timeout:g} s") from None
        if check and done.returncode != 0:
            raise LabError(f"virsh {' '.join(map(str, words))}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()

    def guest_pid(self, name: str) -> int | None:
        """The qemu process of a guest, None if there is none; asks no daemon, and so works with a dead one."""
        status = self.directory / "run/libvirt/qemu" / f"{name}.xml"
        try:
            pid = int(ET.parse(status).getroot().attrib["pid"])
        except (FileNotFoundError, ET.ParseError, KeyError):
            return None
        return pid if guardian.namespace_of(pid) == self._namespace else None

    def processes(self) -> list[int]:
        """Everything that runs in the namespace: guardian, daemon, guests."""
        return guardian.processes_in(self._namespace) if self._namespace else []

    # --- inside ----------------------------------------------------------------------------------------------------

    def _guard(self) -> None:
        """Start the guardian in a new mount namespace, and hold on to that namespace."""
        command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-I", guardian.__file__]
        if self.hostname:
            renamed = ["sh", "-c", 'hostname "$0" && exec "$@"', self.hostname]
            command = ["unshare", "--uts", *renamed, *command]
        with (self.directory / "guardian.log").open("w") as log:
            self._guardian = subprocess.Popen(
                [*command, str(self.directory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd="/",
                start_new_session=True,
            )
        if self._ask_guardian() != "ready":
            self._guardian.wait(timeout=10)
            reason = (self.directory / "guardian.log").read_text().strip()
            raise LabError(f"no mount namespace of one's own to be had here (CAP_SYS_ADMIN is needed): {reason}")
        self._namespace = guardian.namespace_of(self._guardian.pid) or ""
        self._namespace_fd = os.open(f"/proc/{self._guardian.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)

    def _ask_guardian(self, line: str | None = None) -> str:
        if self._guardian is None or self._guardian.stdin is None or self._guardian.stdout is None:
            raise LabError("this libvirtd is only to be had inside of its `with` block")
        if line is not None:
            print(line, file=self._guardian.stdin, flush=True)
        return self._guardian.stdout.readline().strip()

    def _signal(self, number: signal.Signals) -> None:
        if self._daemon >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._daemon, number)

    def _ended(self, timeout: float) -> bool:
        """Whether the daemon ends within a time."""
        if self._daemon < 0:
            return True
        poll = select.poll()
        poll.register(self._daemon, select.POLLIN)
        return bool(poll.poll(timeout * 1000))


def _with_entry(table: Path, entry: str) -> str:
    """A table of users or groups, with one more entry unless it has it."""
    text = table.read_text()
    known = any(line.startswith(entry.partition(":")[0] + ":") for line in text.splitlines())
    return text if known else f"{text.rstrip()}\n{entry}\n"


def _thread_states(pid: int) -> list[str]:
    """The scheduler's letter for each thread of a process."""
    states = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            states.append((task / "stat").read_text().rpartition(")")[2].split()[0])
    return states

"""The standard simulator of the vSphere API (govmomi's), as a server of one's own: an ESX host, or a vCenter.

    with PrivateVcsim() as esx:
        print(esx.address, esx.fingerprint)

The simulator is built once from Debian's packages (half a minute), and kept in the lab's cache. It answers in plain
HTTP; what clients speak to is a :class:`~lab.gateway.Gateway` before it, with TLS, which can make trouble. Inventory
and states are the simulator's own, in its memory: one that is killed and started again has its first guests again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from lab import Closing, LabError
from lab.building import built, default_cache
from lab.gateway import Gateway

SOURCE = Path(__file__).with_name("vcsim.go")
#: Where Debian's packages put the sources of Go libraries.
LIBRARIES = Path("/usr/share/gocode")
NEEDED = (LIBRARIES / "src/github.com/vmware/govmomi/simulator", LIBRARIES / "src/github.com/google/uuid")
USER = "lab"


def build(cache: Path | None = None) -> Path:
    """The simulator's program, from the cache if its inputs are unchanged, else built now."""
    if shutil.which("go") is None or not all(each.is_dir() for each in NEEDED):
        raise LabError("Go and govmomi are missing: ./quickstart installs what the lab needs")
    return built((cache or default_cache()) / f"vcsim-{_inputs()}", _compile)


def _inputs() -> str:
    """What the program is made of, in a word: this recipe, and the version of the library."""
    changelog = Path("/usr/share/doc/golang-github-vmware-govmomi-dev/changelog.Debian.gz")
    inputs = [SOURCE.read_bytes(), changelog.read_bytes() if changelog.exists() else b""]
    return hashlib.sha256(b"\0".join(inputs)).hexdigest()[:16]


def _compile(work: Path) -> None:
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "GOENV": "off",
        "GO111MODULE": "off",
        "GOPROXY": "off",
        "CGO_ENABLED": "0",
        "GOPATH": f"{work}/go:{LIBRARIES}",
        "GOCACHE": f"{work}/cache",
        "GOTMPDIR": str(work),
    }
    argv = ["go", "build", "-ldflags", "-s -w", "-o", str(work / "result"), str(SOURCE)]
    try:
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=600, check=False, cwd=work)
    except subprocess.TimeoutExpired:
        raise LabError("the simulator of vSphere was not built within 600 s") from None
    if done.returncode != 0:
        raise LabError(f"the simulator of vSphere cannot be built: {done.stderr.strip()[-3000:]}")


class PrivateVcsim(Closing):
    """One simulator, and the gateway before it.

    `model` is `esx` or `vpx`; `guests` is how many each resource pool has; each method takes `delay_ms` longer.
    """

    def __init__(self, model: str = "esx", *, guests: int = 2, delay_ms: int = 0, password: str = "a secret") -> None:
        self.password = password
        self.directory = Path(tempfile.mkdtemp(prefix="vs-", dir="/tmp"))
        self._words = [f"-model={model}", f"-guests={guests}", f"-delay={delay_ms}"]
        self._process: subprocess.Popen[str] | None = None
        self._port = 0
        self.gateway = Gateway(self.directory)

    def __enter__(self) -> PrivateVcsim:  # noqa: PYI034 - Self is younger than Python 3.10
        """Start both."""
        try:
            self.start()
            self.gateway.__enter__()
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """End both in whatever state they are. Doing it twice is harmless."""
        self.gateway.close()
        if self._process is not None:
            self.resume()
            try:
                self._process.communicate(timeout=5)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        """Start the simulator, at the port that it had if it ran before."""
        program = build()
        temporary = self.directory / "tmp"  # its datastores
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        with (self.directory / "log").open("a") as log:
            self._process = subprocess.Popen(
                [program, *self._words, f"-port={self._port}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "TMPDIR": str(temporary)},
                text=True,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(self.password, file=self._process.stdin, flush=True)
        told = self._process.stdout.readline().strip()
        if not told:
            raise LabError(f"the simulator of vSphere did not start:\n{self.log()[-3000:]}")
        self._port = int(told)
        self.gateway.target = ("127.0.0.1", self._port)

    def kill(self) -> None:
        """End the simulator with SIGKILL; its guests go with it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def pause(self) -> None:
        """Stop it (SIGSTOP): from now on it accepts connections and never answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{self.pid}/stat")
        while stat.read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.005)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    @property
    def pid(self) -> int:
        """The simulator's process."""
        assert self._process is not None
        return self._process.pid

    @property
    def address(self) -> str:
        """Where clients find it, by TLS."""
        return self.gateway.address

    @property
    def fingerprint(self) -> str:
        """The SHA-256 fingerprint of the certificate that it shows."""
        return self.gateway.fingerprint

    @property
    def behind(self) -> tuple[str, int]:
        """Where the simulator itself answers, in plain HTTP and without any trouble."""
        return ("127.0.0.1", self._port)

    def log(self) -> str:
        """What the simulator printed."""
        file = self.directory / "log"
        return file.read_text(errors="replace") if file.exists() else ""

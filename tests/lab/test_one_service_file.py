"""One service file for all technologies, different in its type and options only: the same commands, words and codes.

Real technologies are met where the lab has them. Every other installed driver is met by the backend that its own
conformance kit brings: whoever installs one more has it held to this, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import tomli

from lab.fixtures import required
from lab.vcsim import PrivateVcsim
from tests.lab.kits import EngineBackend, KvmBackend
from tests.lab.shell import NODE, Shell
from tests.lab.test_esx_kit import VsphereBackend
from tests.lab.test_lxc_kit import LxcBackend
from vmsvc.driver import Phase
from vmsvc.testing import Backend
from vmsvc.testing.kit import service_file
from vmsvc.testing.sdk import kits
from vmsvc.testing.standin import StandInBackend

pytestmark = pytest.mark.timeout(120)

REAL = ("docker", "podman", "lxc", "kvm", "esx")
OTHERS = {kit.serves: kit.cases for kit in kits() if kit.has_backend and kit.serves not in REAL}

#: Commands, and for each its exit code and the lines that it prints to both streams. ACT is what one verb of a start
#: says, as often as this guest's start has verbs; WORD is the technology's own word for a state.
SCRIPT = (
    ("status web", 0, "SERVICE  AVAIL  OVERALL\nweb      down   down"),
    ("start web", 0, "web: up ({acts}, S)\n{begun}"),
    ("start web", 0, "web: up (nothing to do: container#1 already up)"),
    ("status web", 0, "SERVICE  AVAIL  OVERALL\nweb      up     up"),
    ("push web", 0, "web: stored configuration, status, and facts of 1 guest at WHEN; nothing was stored before"),
    ("diskupdate web", 0, "web: stored N at WHEN; nothing was stored before\n  RID  TARGET  KIND …"),
    ("stop web", 0, "web: down (stop container#1, S)\nweb: stop container#1 …\nweb: stop container#1 … done (S)"),
    ("stop web", 0, "web: down (nothing to do: container#1 already down (WORD))"),
    ("restart web", 0, "web: up ({acts}, S)\n{begun}"),
    (
        "stop --kill web",
        0,
        "web: down (kill container#1, S)\nweb: kill container#1 …\nweb: kill container#1 … done (S)",
    ),
)
#: What differs from one run to the next, and what the technology itself says.
VARIED = (
    (r"\d+(\.\d+)? s\b", "S"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "WHEN"),
    (r"\d+ disks?", "N"),
    (r"already down \(([^()]|\([^()]*\))*\)", "already down (WORD)"),
    (r"  RID +TARGET +KIND(.|\n)*", "  RID  TARGET  KIND …"),
)


@pytest.fixture
def backend(request, tmp_path) -> Iterator[Backend]:
    """A technology, as the kits meet it."""
    met = _met(request, tmp_path)
    yield met
    met.close()


def _met(request, directory) -> Backend:
    """The backend of the type that a test is about."""
    served = request.param
    if served in ("docker", "podman"):
        return EngineBackend(directory, request.getfixturevalue({"docker": "dockerd"}.get(served, served)))
    if served == "lxc":
        return LxcBackend(directory, request.getfixturevalue("lxc"))
    if served == "kvm":
        return KvmBackend(directory, request.getfixturevalue("libvirtd"), request.getfixturevalue("make_guest"))
    if served == "esx":
        with required():
            return VsphereBackend(directory, PrivateVcsim(guests=0).__enter__())
    return OTHERS[served].backend(directory)


@pytest.mark.parametrize("backend", [*REAL, *OTHERS], indirect=True)
def test_a_service_of_any_technology_lives_and_is_told_of_alike(backend):
    guest = backend.guest("web")
    text = service_file(guest, nodes=[NODE])
    written = tomli.loads(text)
    assert set(written) == {"DEFAULT", "container#1"}
    assert written["DEFAULT"] == {"nodes": [NODE]}
    shell = Shell(backend.context.node.root)
    if isinstance(backend, StandInBackend):
        shell.environment["PATH"] = backend.standin.path
    (shell.root / "etc/vmsvc/services/web.toml").write_text(text)

    verbs = ("prepare", "boot") if getattr(guest, "is_split", False) else ("start",)
    acts = ", S; ".join(f"{verb} container#1" for verb in verbs)
    begun = "\n".join(f"web: {verb} container#1 …\nweb: {verb} container#1 … done (S)" for verb in verbs)
    for command, code, lines in SCRIPT:
        done = shell.run(*command.split())
        said = "\n".join(filter(None, (done.stdout.rstrip("\n"), done.stderr.rstrip("\n"))))
        for varied, word in VARIED:
            said = re.sub(varied, word, said)
        assert (done.returncode, said) == (code, lines.format(acts=acts, begun=begun)), f"{command}: {done}"
        if backend.truth(guest) is Phase.RUNNING:
            backend.ready(guest)

"""The verbs as peers do them: the script in every shell of POSIX that this machine has, as a forced command."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from vmsvc.core.peers.verbs import NAME, script
from vmsvc.core.transport.asking import encoded

SHELLS = [
    shell for shell in (["dash"], ["busybox", "sh"], ["bash", "--posix"], ["ksh"], ["mksh"]) if shutil.which(shell[0])
]


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def send(request, tmp_path):
    """Sends a request to a peer where vmsvc prints its arguments, each in brackets."""
    installed, tools = tmp_path / "peer.sh", tmp_path / "bin"
    installed.write_text(script().text)
    tools.mkdir()
    vmsvc = tools / "vmsvc"
    vmsvc.write_text(
        "#!/bin/sh\n[ \"$1\" = node ] && echo 'name  n2' && echo 'mode  PRD' && exit\nprintf '[%s]' \"$@\"\n"
    )
    vmsvc.chmod(0o755)

    def sending(line, *, path=str(tools)):
        return subprocess.run(
            [*request.param, str(installed), "permit"],
            env={**os.environ, "PATH": f"{path}:/usr/bin:/bin", "SSH_ORIGINAL_COMMAND": line},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return sending


def test_questions_reach_vmsvc_as_they_are(send):
    assert send(f"{NAME} hello").stdout == "vmsvc-peer 1\n"
    assert send(f"{NAME} mode").stdout == "PRD\n"
    said = send(f"{NAME} status web {encoded('a b;$(id)')}").stdout
    assert said.endswith("[web][a b;$(id)]")
    assert "[--rid][container]" not in said
    assert "[--rid][container][--][web]" in send(f"{NAME} guests web").stdout


@pytest.mark.parametrize(
    "words",
    ["", "status", "guests", "status --help", "status -h", "status %052", "status we%077", "guests %133w%135", "status a/b",
     "status/web", "status/", "guests/1", "start web", "stop web", "status web; id", "status $(id)", "status web\nid", "mounted tmp", "mode PRD"],
)  # fmt: skip
def test_nothing_else_reaches_it(send, words):
    done = send(f"{NAME} {words}")
    assert (done.returncode, done.stdout) == (126, "")
    assert done.stderr.startswith(f"{NAME}: refused: ")


def test_whether_a_file_system_is_mounted_there(send, tmp_path):
    assert send(f"{NAME} mounted /").stdout == "yes\n"
    assert send(f"{NAME} mounted /proc").stdout == "yes\n"
    assert send(f"{NAME} mounted {encoded(str(tmp_path))}").stdout == "no\n"
    (tmp_path / "link").symlink_to("/proc")
    for name in ("/proc/", "//proc", "/proc/.", "/", "//", f"{tmp_path}/link"):
        assert send(f"{NAME} mounted {encoded(name)}").stdout == "yes\n"
    nowhere = send(f"{NAME} mounted {encoded(f'{tmp_path}/;$(id)')}")
    assert (nowhere.returncode, nowhere.stdout) == (125, "")


def test_a_peer_without_vmsvc_says_so(send, tmp_path):
    if shutil.which("vmsvc", path="/usr/bin:/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin"):
        pytest.skip("vmsvc is installed for all of this machine")
    done = send(f"{NAME} status web", path=str(tmp_path))
    assert done.returncode == 125
    assert done.stderr.startswith(f"{NAME}: vmsvc is in no directory of ")

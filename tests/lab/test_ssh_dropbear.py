"""Commands by ssh on a real dropbear, the server of small guests, which does some things otherwise than OpenSSH."""

import contextlib
import random
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import LabError
from lab.fixtures import required
from lab.sshd import free_port, make_key
from vmsvc.core.transport.ssh import SshHost
from vmsvc.testing.commands import CASES, hold, odd_cases

pytestmark = pytest.mark.timeout(180)

# Root's home is a file system of its own there, with the key that is let in.
START = """
set -e
mount -t tmpfs -o mode=700 vmsvc-lab {home}
mkdir -m 700 {home}/.ssh
install -m 600 {directory}/key.pub {home}/.ssh/authorized_keys
exec dropbear -F -E -s -r {directory}/host_key -p 127.0.0.1:{port}
"""
CONFIG = "Host guest\nHostName 127.0.0.1\nPort {port}\nIdentityFile {directory}/key\nIdentitiesOnly yes\n"


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    directory, port = tmp_path_factory.mktemp("dropbear"), free_port("127.0.0.1")
    with required():
        if not (shutil.which("dropbear") and shutil.which("dropbearkey")):
            raise LabError("dropbear is missing: ./quickstart installs what the lab needs")
    make_key(directory / "key")
    subprocess.run(
        ["dropbearkey", "-t", "ed25519", "-f", directory / "host_key"],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    words = {"home": Path("~root").expanduser(), "directory": directory, "port": port}
    (directory / "config").write_text(CONFIG.format(**words))
    server = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "sh", "-c", START.format(**words)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        with contextlib.closing(
            SshHost("guest", known_hosts=directory / "known_hosts", config=directory / "config")
        ) as shared:
            yield shared
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_commands_on_a_dropbear_keep_the_clauses(host, case):
    hold(host.run, case)


def test_odd_commands_of_many_threads_come_back_exactly_from_a_dropbear(host):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - a failed test shows it
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(hold, host.run, case) for case in odd_cases(seed, 300)]:
            done.result()

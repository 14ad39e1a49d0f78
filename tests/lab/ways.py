"""Ways to hosts by ssh, and what tests say about those that do not exist."""

import contextlib
import time

import pytest

from vmsvc.core.errors import NoWayIn
from vmsvc.core.transport.ssh import SshHost

BUDGET_S = 20.0

#: A program for a ProxyCommand: with a host and a port, it passes on what comes, both ways.
RELAY = """
import os, socket, sys, threading
other = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def send():
    while chunk := os.read(0, 65536):
        other.sendall(chunk)
    os._exit(0)
threading.Thread(target=send, daemon=True).start()
while chunk := other.recv(65536):
    os.write(1, chunk)
"""


@pytest.fixture
def known_hosts(tmp_path):
    return tmp_path / "var/known_hosts"


@pytest.fixture
def connect(known_hosts, monkeypatch):
    """Makes hosts that are closed after the test: `connect(server, "guest", own_key=…)`."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with contextlib.ExitStack() as ending:

        def make(server, target="guest", **options):
            host = SshHost(target, known_hosts=known_hosts, config=options.pop("config", server.config), **options)
            return ending.enter_context(contextlib.closing(host))

        yield make


def no_way_in(host, *, budget_s=BUDGET_S):
    """The error of a host that there is no way into, and how long it took to find out."""
    began = time.monotonic()
    with pytest.raises(NoWayIn) as caught:
        host.run(["true"], budget_s=budget_s)
    assert str(caught.value).startswith(f"{host.name}: ")
    assert "\n" not in str(caught.value)
    return caught.value, time.monotonic() - began

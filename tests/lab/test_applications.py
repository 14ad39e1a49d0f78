"""Launchers inside of guests by each real way in: ssh, a key for vmsvc's verbs alone, the agent, and docker's entry."""

from __future__ import annotations

import shlex
import time

import pytest

from lab.engine import IMAGE
from lab.sshd import make_key
from tests.lab.shell import NODE, Shell, ok
from vmsvc.core.inside.verbs import script

pytestmark = pytest.mark.timeout(300)

#: The body of each launcher; the application is a file.
LAUNCHERS = {
    "S10 db": 'echo "$1 db" >>{log}',
    "S20web": 'echo "$1 web for $VMSVC_SERVICE" >>{log}; touch {mark}; (sleep 60; true) &',
    "K10web": 'echo "$1 web" >>{log}; rm -f {mark}; exit 3',
    "C10web": "test -e {mark}",
}
RAN = ["start db", "start web for web"]


def bodies(directory):
    return {name: body.format(log=f"{directory}/log", mark=f"{directory}/mark") for name, body in LAUNCHERS.items()}


class OverSsh(Shell):
    """A service whose guest is the lab's sshd, by ssh; a simulated hypervisor says that it runs."""

    def __init__(self, root, sshd):
        super().__init__(root)
        home = root / "home"
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        (home / ".ssh/config").write_text(sshd.config.read_text())
        self.environment["HOME"] = str(home)
        self.environment.pop("SSH_AUTH_SOCK", None)
        self.directory = root / "init.d"
        self.directory.mkdir()
        for name, body in bodies(root).items():
            (self.directory / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.directory / "S20web").chmod(0o755)  # the others are run by what their first lines name
        self.file(
            "web",
            f"[DEFAULT]\nnodes = {NODE}\n[container#1]\ntype = null\nway_in = ssh\nhostname = guest\n"
            f"[app#1]\nlaunchers = {self.directory}\n",
        )

    @property
    def ran(self):
        log = self.root / "log"
        return log.read_text().splitlines() if log.exists() else []

    def app(self):
        (service,) = self.json("status", "web")["services"]
        return service["instances"][0]["resources"][1]["status"]


def live_a_day(node):
    """Start, look, and stop: with a launcher that fails, and a daemon that keeps its output open."""
    ok(node.run("start", "web"))
    assert (node.ran, node.app()) == (RAN, "up")
    done = node.run("stop", "web")
    assert "K10web exited with 3" in done.stderr
    ok(done)
    assert (node.ran[2:], node.app()) == (["stop web"], "down")


def test_launchers_by_the_administrators_ssh(tmp_path, sshd):
    live_a_day(OverSsh(tmp_path / "root", sshd))


@pytest.fixture
def restricted(tmp_path, make_sshd):
    """The same by vmsvc's own key, for which the guest has a forced command."""
    sshd = make_sshd()
    node = OverSsh(tmp_path / "root", sshd)
    own = node.root / "var/lib/vmsvc/ssh/id_ed25519"
    own.parent.mkdir(parents=True)
    make_key(own)
    installed = tmp_path / "vmsvc-guest.sh"
    installed.write_text(script().text)
    command = f"sh {shlex.quote(str(installed))} permit {shlex.quote(str(node.directory))}"
    sshd.authorize(own.with_suffix(".pub"), f'restrict,command="{command}"')
    node.sshd, node.own = sshd, own
    return node


def test_launchers_by_a_key_that_permits_the_verbs_alone(restricted):
    live_a_day(restricted)


@pytest.mark.parametrize(
    "command", ["", "rm -rf /", "vmsvc-guest hello; touch evil", "vmsvc-guest launchers $(touch evil)", "id\nid", "*"]
)
def test_by_that_key_nothing_else_is_run(restricted, command):
    options = {"IdentityFile": str(restricted.own)}
    restricted.sshd.config.write_text(
        restricted.sshd.config.read_text().replace(str(restricted.sshd.key), str(restricted.own))
    )
    assert restricted.sshd.ssh("vmsvc-guest", "hello").stdout == b"vmsvc-guest 1\n"
    before = sorted(restricted.root.rglob("*"))
    done = restricted.sshd.ssh("sh", "-c", command, options=options)
    assert (done.returncode, done.stdout) == (126, b"")
    assert sorted(restricted.root.rglob("*")) == before


def test_launchers_by_the_agent_of_a_guest_without_a_network(tmp_path, make_guest):
    node, guest = Shell(tmp_path / "root"), make_guest("web")
    node.service("web", guest, "way_in = agent", "ready = way-in")
    ok(node.run("start", "web"))  # there are no launchers yet

    def inside(script):
        node.service("web", guest, "way_in = agent", "[app#1]", f"start = {shlex.join(['sh', '-c', script])}")
        done = ok(node.run("startapp", "web"))
        node.service("web", guest, "way_in = agent", "[app#1]", "check_timeout = 8")
        return done

    files = [
        f"printf '%s\\n' '#!/bin/sh' {shlex.quote(body)} >{shlex.quote(f'/svc/etc/init.d/{name}')}"
        for name, body in bodies("/svc").items()
    ]
    inside("; ".join(["mkdir -p /svc/etc/init.d", *files]))
    ok(node.run("startapp", "web"))
    (service,) = node.json("status", "web")["services"]
    assert [each["status"] for each in service["instances"][0]["resources"]] == ["up", "up"]
    done = node.run("stop", "web")
    assert "K10web exited with 3" in done.stderr
    ok(done)


def test_docker_has_no_use_for_launchers_and_runs_commands(tmp_path, engine):
    node = Shell(tmp_path / "root")
    container = (
        f"[DEFAULT]\nnodes = {NODE}\n[container#1]\ntype = docker\ndocker_host = {engine.endpoint}\nimage = {IMAGE}\n"
        "network = none\n"
    )
    node.file("web", container)
    ok(node.run("start", "web"))
    done = node.run("startapp", "web")
    assert "nothing to do: app#1 n/a: the image of web starts what is to run" in done.stdout
    assert done.stderr == ""
    ok(done)
    node.file("web", container + "[app#1]\nstart = touch /flag\ncheck = test -e /flag\nstop = rm /flag\n")
    began = time.monotonic()
    ok(node.run("startapp", "web"))
    (service,) = node.json("status", "web")["services"]
    assert [each["status"] for each in service["instances"][0]["resources"]] == ["up", "up"]
    assert time.monotonic() - began < 60
    ok(node.run("stop", "web"))

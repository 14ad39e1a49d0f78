"""Guests that are moved while they run, between two real libvirtds, by two nodes that ask each other by ssh.

libvirt takes the two for different hosts: each has a name and a UUID of its own. The guest has no disk, since libvirt
refuses to move one whose disk is a file on what is no shared file system.
"""

import contextlib
import signal
import socket
import time

import pytest

from lab.fixtures import required
from lab.guest import READY
from lab.libvirtd import PrivateLibvirtd
from tests.lab.peer import Peer

pytestmark = pytest.mark.timeout(240)


class Host(Peer):
    """A node with a libvirtd of its own."""

    def __init__(self, make_sshd, directory, name, libvirtd):
        super().__init__(make_sshd, directory, name, driver="kvm")
        self.libvirtd = libvirtd

    def state(self):
        return self.libvirtd.virsh("domstate", "--reason", "web", check=False)

    def migrate(self, to="n2", code=0, timeout_s=60.0):
        """What `vmsvc migrate` does, and what it tells."""
        began = time.monotonic()
        found, answer = self.json("migrate", "web", "--to", to)
        (result,) = answer["results"]
        told = [(each["code"], each["message"]) for each in result["errors"]]
        assert (found, time.monotonic() - began < timeout_s) == (code, True), told
        return result

    def is_moving(self):
        return "Unbounded" in self.libvirtd.virsh("domjobinfo", "web", check=False)


def until(holds, timeout_s=60.0):
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.05)


@pytest.fixture
def pair(make_sshd, tmp_path):
    with required(), PrivateLibvirtd(hostname="n1") as one, PrivateLibvirtd(hostname="n2") as two:
        hosts = [Host(make_sshd, tmp_path, name, daemon) for name, daemon in (("n1", one), ("n2", two))]
        n1, n2 = hosts
        n1.knows(n2)
        n2.knows(n1)
        service(hosts)
        yield n1, n2


def service(hosts, **more):
    """Write the service's file on both nodes; what is given wins over how the nodes reach each other."""
    settings = {f"uri@{each.name}": each.libvirtd.uri for each in hosts}
    settings |= {f"migrate_uri@{each.name}": reached(each) for each in hosts}
    lines = [f"{key} = {value}" for key, value in {**settings, **more}.items()]
    text = "\n".join(["[DEFAULT]", "nodes = n1 n2", "[container#1]", "type = kvm", "ready = up", *lines, ""])
    for each in hosts:
        each.services_dir.joinpath("web.conf").write_text(text)


def reached(host):
    return f"qemu+unix:///system?socket={host.libvirtd.socket}"


@pytest.fixture
def guest(pair, make_guest):
    """A guest that runs on n1, in which everything has come up."""
    n1, _ = pair
    made = make_guest("web", on=n1.libvirtd)
    assert n1.run("start", "web").returncode == 0
    made.wait_ready()
    return made


@pytest.fixture
def slowly(pair, guest):
    """Moves from n1 take minutes, until it is told otherwise."""
    n1, _ = pair

    def speed(mib_s):
        n1.libvirtd.virsh("migrate-setspeed", "web", str(mib_s))

    speed(1)
    return speed


@pytest.mark.keyword("container.kvm.migrate_uri")
def test_a_guest_goes_to_the_other_node_and_comes_back_without_a_boot(pair, guest):
    n1, n2 = pair
    assert n1.run("plan", "migrate", "web", "--to", "n2").returncode == 0
    assert n1.migrate()["steps"][0]["to"] == "n2"
    assert (n1.state(), n2.state()) == ("shut off (migrated)", "running (migrated)")
    assert n1.migrate()["outcome"] == "unchanged"
    for line in ("start web", "stop web"):  # it is n2's by now
        assert n1.run(*line.split()).returncode == (3 if line == "start web" else 0)
    assert n2.run("status", "web").returncode == 0
    n2.migrate("n1")
    assert (n1.state(), n2.state()) == ("running (migrated)", "shut off (migrated)")
    assert guest.console.read_text(errors="replace").count(READY) <= 1, "it has booted once more"
    n1.migrate()
    assert n2.run("stop", "web").returncode == 0
    assert n2.run("start", "web").returncode == 0  # by the definition that came with it
    assert n2.state() == "running (booted)"


def test_a_destination_that_cannot_be_reached_leaves_it_where_it_is(pair, guest, tmp_path):
    n1, n2 = pair
    service(pair, **{"migrate_uri@n2": f"qemu+unix:///system?socket={tmp_path}/nobody"})
    (error, *_) = n1.migrate(code=1)["errors"]
    assert (error["code"], n1.state()) == ("action.not-moved", "running (booted)")
    assert "virsh -c" in error["hint"]
    service(pair)
    n2.libvirtd.kill()
    (error, *_) = n1.migrate(code=3)["errors"]
    assert (error["code"], n1.state()) == ("refused.peer-silent", "running (booted)")


def test_a_guest_that_runs_there_already_is_not_moved(pair, guest, make_guest):
    n1, n2 = pair
    other = make_guest("web", on=n2.libvirtd)
    other.start()
    (error, *_) = n1.migrate(code=3)["errors"]
    assert (error["code"], n1.state(), other.state) == ("refused.runs-on-peer", "running (booted)", "running")
    n2.libvirtd.virsh("destroy", "web")
    (error, *_) = n1.migrate(code=1)["errors"]  # another guest of its name is defined there: libvirt refuses
    assert (error["code"], n1.state()) == ("action.not-moved", "running (booted)")


def test_disks_that_libvirt_does_not_take_for_shared_are_refused(pair, make_guest, tmp_path):
    n1, _ = pair
    disk = tmp_path / "disk.img"
    disk.write_bytes(b"\0" * 2**20)
    make_guest("web", on=n1.libvirtd, disks=[disk]).start()
    (error, *_) = n1.migrate(code=1)["errors"]
    assert (error["code"], n1.state()) == ("action.not-moved", "running (booted)")
    assert "share" in error["hint"]


def test_a_move_that_takes_too_long_is_called_off(pair, slowly):
    n1, _ = pair
    service(pair, migrate_timeout="8s")
    (error, *_) = n1.migrate(code=1, timeout_s=40)["errors"]
    assert (error["code"], "called off" in error["message"]) == ("action.not-moved", True)
    assert n1.state().startswith("running")
    slowly(1000)
    service(pair)
    n1.migrate()


@pytest.mark.parametrize("trouble", ["kill", "pause"])
def test_a_destination_that_dies_or_hangs_half_way_leaves_it_where_it_is(pair, slowly, trouble):
    n1, n2 = pair
    running = n1.begin("migrate", "web", "--to", "n2")
    until(n1.is_moving)
    getattr(n2.libvirtd, trouble)()
    try:
        _, told = running.communicate(timeout=100)
        assert (running.returncode, "it has not moved" in told) == (1, True), told
        assert n1.state().startswith("running")
    finally:
        n2.libvirtd.resume() if trouble == "pause" else n2.libvirtd.start()
    slowly(1000)
    until(
        lambda: not n2.state().startswith("paused")
    )  # what was to receive it is ended by the libvirtd that comes back
    n1.migrate()
    assert n2.state() == "running (migrated)"


def test_a_destination_that_accepts_and_never_answers_is_unknown_and_gets_nothing_later(pair, guest, tmp_path):
    n1, _ = pair
    path = tmp_path / "mute"
    service(pair, **{"migrate_uri@n2": f"qemu+unix:///system?socket={path}", "migrate_timeout": "6s"})
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as mute:
        mute.bind(str(path))
        mute.listen()
        (error, *_) = n1.migrate(code=4, timeout_s=80)["errors"]
        assert (error["code"], "here it is running" in error["message"]) == ("undetermined.migration", True)
    until(lambda: not n1.is_moving())
    assert n1.state() == "running (booted)"
    service(pair)
    n1.migrate()


def test_a_command_that_is_killed_half_way_is_run_again(pair, slowly):
    n1, n2 = pair
    killed = n1.begin("migrate", "web", "--to", "n2")
    until(n1.is_moving)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    (status,) = n1.json("status", "web")[1]["services"]
    assert "migrate container#1 to n2" in " ".join(status["instances"][0]["notes"])
    assert n1.migrate(code=3)["errors"][0]["code"] == "refused.runs-on-peer"  # it is on its way
    assert n2.run("start", "web").returncode in (3, 4)
    slowly(1000)
    until(lambda: n2.state() == "running (migrated)")
    assert n1.migrate()["outcome"] == "unchanged"
    assert n1.state() == "shut off (migrated)"

"""Addresses of a real guest, seen from a node in its network: each way to lose one is told in words of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial

import pytest
from vmsvc_kvm import KvmDriver, KvmGuest

from lab import LabError
from lab.domain import define_guest
from lab.fixtures import required
from lab.network import Network
from tests.lab.shell import Shell, ok
from vmsvc.driver import Context, Node, Undetermined

pytestmark = pytest.mark.timeout(300)

ADDRESS = "192.0.2.7"
SETUP = "ip link set eth0 up; ip link set eth1 up; ip addr add 192.0.2.10/24 dev eth0"


@pytest.fixture(scope="module")
def network():
    with required():
        if not shutil.which("ping"):
            raise LabError("ping is not installed")
        made = Network()
        made.__enter__()
    made.plug(made.here, "eth0", "192.0.2.254/24")
    yield made
    made.close()


@pytest.fixture(scope="module")
def guest(libvirtd, guest_image, network):
    """A guest with two cards on the switch, and 192.0.2.10 on the first."""
    taps = [f"vm{os.getpid() % 100000}-{number}" for number in range(2)]
    made = define_guest(libvirtd, guest_image, "addressed", {"taps": taps})
    made.start()
    for tap in taps:
        network.plug_in(tap)
    made.wait_ready()
    yield made
    made.remove()


@contextmanager
def scripts_of(guest, root):
    """Runs scripts inside a guest, by its agent, once that answers."""
    driver = KvmDriver(Context(node=Node(name="n1", root=root), host=None, state_dir=root / "state"))
    identity = {"service": "svc", "rid": "container#1", "kind": "container", "type": "kvm"}
    enter = partial(driver.enter, KvmGuest(**identity, name=guest.name, uri=guest.libvirtd.uri))

    def run(script):
        deadline = time.monotonic() + 60
        while True:
            try:
                done = enter(["sh", "-c", script], budget_s=10)
            except Undetermined:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                assert done.code == 0, done.err
                return

    try:
        yield run
    finally:
        driver.close()


@pytest.fixture(scope="module")
def inside(guest, tmp_path_factory):
    """Runs a script inside the guest."""
    with scripts_of(guest, tmp_path_factory.mktemp("root")) as run:
        run(SETUP)
        yield run


class NodeInNetwork(Shell):
    """vmsvc on a machine of the guest's network, with the administrator's ssh key for the guest."""

    def __init__(self, root, network, key):
        super().__init__(root)
        self.network = network
        home = root / "home"
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        (home / ".ssh/id_ed25519").write_bytes(key.read_bytes())
        (home / ".ssh/id_ed25519").chmod(0o600)
        self.environment["HOME"] = str(home)

    def entered(self, *words):
        return self.network.entered(self.network.here, sys.executable, "-m", "vmsvc", *words)

    def run(self, *words, timeout=120):
        return subprocess.run(
            self.entered(*words), env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    def popen(self, *words):
        pipe = subprocess.PIPE
        return subprocess.Popen(self.entered(*words), env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def address(self):
        """The address's status and the words for it."""
        (service,) = self.json("status", "web")["services"]
        (told,) = (each for each in service["instances"][0]["resources"] if each["rid"] == "ip#1")
        return told["status"], told["state"]


@pytest.fixture(params=["agent", "ssh"])
def node(request, tmp_path, network, guest, inside, guest_image):
    made = NodeInNetwork(tmp_path / "root", network, guest_image.key)
    ip = f"[ip#1]\nipname = {ADDRESS}\nipdev = eth0\ncheck_timeout = 8"
    made.service("web", guest, f"way_in = {request.param}", "hostname = 192.0.2.10", ip)
    inside(f"ip addr add {ADDRESS}/24 dev eth0")
    yield made
    inside(
        f"echo 0 >/proc/sys/net/ipv4/icmp_echo_ignore_all; for i in 0 1; do ip addr del {ADDRESS}/24 dev eth$i; done; true"
    )


def test_each_way_to_lose_an_address_has_words_of_its_own(node, network, inside):
    status, words = node.address()
    assert (status, words.partition("; ")[2]) == ("up", f"{ADDRESS}/24 is on eth0")
    assert words.startswith("ping answers in ")

    inside(f"ip addr del {ADDRESS}/24 dev eth0; ip addr add {ADDRESS}/24 dev eth1")
    network.run(network.here, "ip", "neigh", "flush", "dev", "eth0")
    status, words = node.address()
    assert (status, words.partition("; ")[2]) == ("warn", f"{ADDRESS}/24 is on eth1 and not on eth0")
    assert "52:54:00:12:34:5" in words

    inside(f"ip addr del {ADDRESS}/24 dev eth1")
    assert node.address() == ("down", f"ping does not answer; {ADDRESS} is on no adapter")

    inside(f"ip addr add {ADDRESS}/24 dev eth0; echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all")
    assert node.address() == ("warn", f"ping does not answer; {ADDRESS}/24 is on eth0")


def test_an_address_that_another_machine_has_while_the_guest_is_down_keeps_it_down(
    tmp_path, network, make_guest, guest_image
):
    node = NodeInNetwork(tmp_path / "root", network, guest_image.key)
    node.service("web", make_guest("web"), "[ip#1]\nipname = 192.0.2.99\nipdev = eth0")
    assert node.address() == ("down", "the guest is shut off (unknown); ping does not answer")
    mac = network.plug(network.there, "eth0", "192.0.2.99/24")
    words = f"192.0.2.99 answers although the guest is shut off (unknown) here: {mac} on eth0 has it"
    assert node.address() == ("warn", words)
    refused = node.run("start", "web")
    assert refused.returncode == 3, refused.stderr
    assert mac in refused.stderr
    network.run(network.there, "ip", "link", "set", "eth0", "down")
    assert node.address()[0] == "down"
    ok(node.run("status", "web"))


def test_a_start_lasts_until_the_address_is_there(tmp_path, network, make_guest, guest_image):
    tap = f"vm{os.getpid() % 100000}-9"
    guest = make_guest("slow", taps=[tap, f"{tap}b"])
    node = NodeInNetwork(tmp_path / "root", network, guest_image.key)
    node.service("slow", guest, "way_in = agent", "[ip#1]\nipname = 192.0.2.77\nipdev = eth0")
    start = node.popen("start", "slow")
    guest.wait_ready()
    network.plug_in(tap)
    with scripts_of(guest, tmp_path) as run:
        run("true")
        time.sleep(3)
        assert start.poll() is None, start.communicate()
        run("ip link set eth0 up; ip addr add 192.0.2.77/24 dev eth0")
    told, complaints = start.communicate(timeout=90)
    assert start.returncode == 0, complaints
    assert "ip#1" in told
    assert node.statuses("slow")["slow"][0] == "up"

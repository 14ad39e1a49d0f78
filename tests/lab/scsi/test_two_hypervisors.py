"""Two hypervisors that share disks: they race, freeze, die and come back, and one guest runs at most."""

from __future__ import annotations

import json
import queue
import shutil
import sys
import time

import pytest
from vmsvc_null import Hypervisor as SimulatedHypervisor

from lab.fixtures import required
from lab.scsi.cluster import Cluster
from vmsvc.core.vmdg.keys import key_text

pytestmark = pytest.mark.timeout(600)
DISKS = 8
KEYS = {"h1": 0xA1A1000000000001, "h2": 0x0B2B000000000002}
WRITE = "yes {mark} | dd of={device} bs=4096 count=1 iflag=fullblock oflag=direct status=none"


@pytest.fixture(scope="module")
def cluster():
    with required(), Cluster(disks=DISKS, budget_s=3600) as cluster:
        yield cluster


@pytest.fixture
def hypervisors(cluster):
    """Both, running, with a service called db, and no keys anywhere, nor a record of any."""
    for host in cluster.hypervisors:
        if not host.is_running:
            host.boot()
        configure(host)
        shutil.rmtree(host.root / "var/lib/vmsvc/reserved", ignore_errors=True)
    cluster.forget_keys()
    return cluster.hypervisors


def configure(host, disks=1):
    """Write the service, with the names that devices have since this boot, and the keys of both nodes.

    Its guest is off, as after a power cut: the simulated hypervisor's state outlives the kernel.
    """
    devices = [device for disk in range(disks) for device in host.devices(disk)[:1]]
    service = ["[DEFAULT]", "nodes = h1 h2", "[container#1]", "type = null", f"disks = {' '.join(devices)}"]
    files = {
        "etc/vmsvc/services/db.conf": "\n".join([*service, "[vmdg]", "scsireserv = true", "on_lost_keys = kill", ""])
    }
    for name, key in KEYS.items():
        place = "var/lib/vmsvc/prkey" if name == host.name else f"var/lib/vmsvc/peers/{name}"
        files[place] = f"{key_text(key)}\n"
    for place, text in files.items():
        (host.root / place).parent.mkdir(parents=True, exist_ok=True)
        (host.root / place).write_text(text)
    SimulatedHypervisor.of_node(host.root).set("db", phase="stopped")


def vmsvc(host, *words):
    """The exit code, and all that was said."""
    done = host.run(["vmsvc", *words], timeout=200)
    return done.returncode, done.stdout + done.stderr


def is_up(host):
    return SimulatedHypervisor.of_node(host.root).machine("db").phase == "running"


def owners(cluster, disks=1):
    """Whose keys each disk shows, and on how many paths."""
    return [cluster.registrations(disk) for disk in range(disks)]


def writes(host):
    """Where a host can write to disk 0, by what its kernel says."""
    done = [host.run(["bash", "-c", WRITE.format(mark=host.name, device=device)]) for device in host.devices()]
    assert all(each.returncode == 0 or "Invalid exchange" in each.stderr for each in done)
    return [each.returncode == 0 for each in done]


class Racer:
    """A hypervisor that starts its service at given moments; see racer.py."""

    def __init__(self, host, rounds):
        self.host, self._heard, self._rest = host, queue.SimpleQueue(), ""
        words = [sys.executable, "-m", "tests.lab.scsi.racer", str(rounds)]
        self.job = host.start(words, output=self._hear)
        assert self.hear() == {"ready": True}

    def say(self, name, text=""):
        new = self.host.root / f".{name}"
        new.write_text(text)
        new.rename(self.host.root / name)

    def hear(self):
        while True:
            try:
                return json.loads(self._heard.get(timeout=1))
            except queue.Empty:
                assert not self.job.is_over, self.job.wait()

    def _hear(self, stream, text):
        *lines, self._rest = (self._rest + text).split("\n") if stream == "stdout" else [self._rest]
        for line in lines:
            self._heard.put(line)


def race(cluster, hypervisors, rounds):
    """Let both start the service at once, so many times; who got what, of each round."""
    for host in hypervisors:
        configure(host, DISKS)
    racers = [Racer(host, rounds) for host in hypervisors]
    for number in range(rounds):
        at = time.time() + 1
        for racer in racers:
            racer.say(f"go-{number}", str(at))
        results = [racer.hear() for racer in racers]
        seen = owners(cluster, DISKS)
        running = [is_up(host) for host in hypervisors]
        for racer in racers:
            racer.say(f"end-{number}")
        yield results, seen, running
        assert [racer.hear() for racer in racers] == [{"clean": number}] * 2
        assert owners(cluster, DISKS) == [{}] * DISKS
    for racer in racers:
        racer.job.wait().check()


@pytest.mark.timeout(9000)  # some six seconds a round, on a machine that has nothing else to do
@pytest.mark.parametrize("rounds", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_of_two_that_race_one_gets_all_and_the_other_none(cluster, hypervisors, rounds):
    for results, seen, running in race(cluster, hypervisors, rounds):
        codes = [result["code"] for result in results]
        assert sorted(codes) == [0, 3], json.dumps(results, indent=1)
        winner = hypervisors[codes.index(0)].name
        assert seen == [{winner: {KEYS[winner]: 2}}] * DISKS, results
        assert running == [code == 0 for code in codes]
        loser = results[codes.index(3)]
        assert loser["log"] == [], "the loser's guest ran, if only for a moment"


def test_a_hypervisor_that_was_frozen_while_its_guest_ran_cannot_write_when_it_thaws(cluster, hypervisors):
    one, two = hypervisors
    assert vmsvc(one, "start", "db")[0] == 0
    loop = WRITE.format(mark="old", device=one.devices()[0])
    writer = one.start(["bash", "-c", f"while {loop}; do touch /run/wrote; done"])
    while one.run(["test", "-e", "/run/wrote"]).returncode != 0:
        assert not writer.is_over
    one.freeze()

    code, said = vmsvc(two, "start", "db")
    assert (code, f"held by h1 ({key_text(KEYS['h1'])})" in said, is_up(two)) == (3, True, False), said
    code, said = vmsvc(two, "start", "db", "--force", "h1")
    assert (code, is_up(two)) == (0, True), said
    assert writes(two) == [True, True]

    one.thaw()
    assert "Invalid exchange" in writer.wait(120).stderr
    assert cluster.content(size=3) == b"h2\n"
    assert writes(one) == [False, False]
    code, said = vmsvc(one, "status", "db")
    assert (code, "warn" in said) == (0, True), said
    code, said = vmsvc(one, "pr", "status", "db")
    assert f"held by h2 ({key_text(KEYS['h2'])})" in said
    code, said = vmsvc(one, "start", "db")
    assert (code, is_up(one)) == (3, True), said
    code, said = vmsvc(one, "pr", "watch", "db", "--once")
    assert (code, "ALARM" in said, is_up(one)) == (1, True, False), said
    assert owners(cluster) == [{"h2": {KEYS["h2"]: 2}}]


def test_a_hypervisor_that_died_takes_its_disks_again_and_not_those_of_others(cluster, hypervisors):
    one, two = hypervisors
    assert vmsvc(one, "start", "db")[0] == 0
    one.kill()
    assert owners(cluster) == [{"h1": {KEYS["h1"]: 2}}]
    assert vmsvc(two, "start", "db")[0] == 3

    one.boot()
    configure(one)
    assert vmsvc(one, "start", "db")[0] == 0
    assert owners(cluster) == [{"h1": {KEYS["h1"]: 2}}]
    assert writes(one) == [True, True]

    one.kill()
    assert vmsvc(two, "start", "db", "--force", "h1")[0] == 0
    one.boot()
    configure(one)
    code, said = vmsvc(one, "start", "db")
    assert (code, is_up(one), writes(one)) == (3, False, [False, False]), said
    assert owners(cluster) == [{"h2": {KEYS["h2"]: 2}}]


def test_a_hypervisor_that_boots_gives_up_what_its_crash_left_and_nothing_of_others(cluster, hypervisors):
    one, two = hypervisors
    assert vmsvc(one, "start", "db")[0] == 0
    one.kill()
    one.boot()
    configure(one)
    code, said = vmsvc(one, "boot")
    assert (code, "left from before: 1 disk reserved" in said, is_up(one)) == (0, True, False), said
    assert owners(cluster) == [{}]
    assert vmsvc(two, "start", "db")[0] == 0, "nobody has to be evicted any more"

    two.kill()
    assert vmsvc(one, "start", "db", "--force", "h2")[0] == 0
    two.boot()
    configure(two)
    code, said = vmsvc(two, "boot")
    assert (code, f"held by h1 ({key_text(KEYS['h1'])})" in said) == (0, True), said
    assert owners(cluster) == [{"h1": {KEYS["h1"]: 2}}]
    assert writes(one) == [True, True]

    code, said = vmsvc(one, "boot")
    assert (code, "container#1 is running" in said, is_up(one)) == (0, True, True), said
    assert owners(cluster) == [{"h1": {KEYS["h1"]: 2}}]

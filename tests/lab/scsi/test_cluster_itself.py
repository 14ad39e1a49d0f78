"""What several kernels show by themselves, with the real tools and without vmsvc: who can write, after whatever."""

import time

import pytest

from lab import LabError
from lab.fixtures import required
from lab.scsi.cluster import Cluster

pytestmark = pytest.mark.timeout(240)
A, B = 0xA1A1000000000001, 0xB2B2000000000002
TYPE = "--prout-type=5"
WRITE = "yes {mark} | dd of={device} bs=4096 count=1 iflag=fullblock oflag=direct status=none"


@pytest.fixture(scope="module")
def cluster():
    with required(), Cluster(multipath=True) as cluster:
        yield cluster


@pytest.fixture
def hypervisors(cluster):
    return cluster.hypervisors


def out(host, *words):
    """PERSISTENT RESERVE OUT through every path, by the tool that takes a multipath map."""
    return host.run(["mpathpersist", "--out", *words, "/dev/mapper/mpatha"])


def writes(host, device="/dev/mapper/mpatha"):
    done = host.run(["bash", "-c", "" + WRITE.format(mark=host.name, device=device)])
    assert done.returncode == 0 or "Invalid exchange" in done.stderr
    return done.returncode == 0


def test_freezes_and_kills_of_hypervisors(cluster, hypervisors):
    one, two = hypervisors
    assert out(one, "--register", f"--param-sark={A:#x}").returncode == 0
    assert out(one, "--reserve", f"--param-rk={A:#x}", TYPE).returncode == 0
    assert (cluster.registrations(), cluster.holder()) == ({"h1": {A: 2}}, "h1")
    assert (writes(one), writes(two)) == (True, False)
    assert cluster.content(size=3) == b"h1\n"

    # Frozen while it writes, taken over, and thawed: not one of its writes gets through.
    loop = WRITE.format(mark="old", device="/dev/mapper/mpatha")
    writer = one.start(["bash", "-c", f"while {loop}; do touch /run/wrote; done"])
    while one.run(["test", "-e", "/run/wrote"]).returncode != 0:
        assert not writer.is_over
    one.freeze()
    assert out(two, "--register", f"--param-sark={B:#x}").returncode == 0
    assert out(two, "--preempt-abort", f"--param-rk={B:#x}", f"--param-sark={A:#x}", TYPE).returncode == 0
    assert writes(two)
    one.thaw()
    assert "Invalid exchange" in writer.wait(60).stderr
    assert (cluster.registrations(), cluster.content(size=3)) == ({"h2": {B: 2}}, b"h2\n")
    assert [writes(one, device) for device in one.devices()] == [False, False]

    # Killed, taken over, and booted again: it is a stranger.
    two.kill()
    assert not two.is_running
    with pytest.raises(LabError, match="is not running"):
        two.run(["true"])
    assert out(one, "--register-ignore", f"--param-sark={A:#x}").returncode == 0
    assert out(one, "--preempt-abort", f"--param-rk={A:#x}", f"--param-sark={B:#x}", TYPE).returncode == 0
    two.boot()
    assert (writes(one), writes(two)) == (True, False)
    assert (cluster.registrations(), cluster.content(size=3)) == ({"h1": {A: 2}}, b"h1\n")


def test_vmsvc_has_a_root_of_its_own_that_outlives_its_hypervisor(hypervisors):
    one, two = hypervisors
    done = one.run(["sh", "-c", "echo $VMSVC_NODENAME > $VMSVC_ROOT/mark; vmsvc --version"]).check()
    assert done.stdout.startswith("vmsvc ")
    assert (one.root / "mark").read_text() == "h1\n"
    assert two.run(["ls", two.root]).stdout == ""


def test_two_kernels_run_at_once(hypervisors):
    started = time.monotonic()
    for job in [host.start(["sleep", "4"]) for host in hypervisors]:
        job.wait().check()
    assert time.monotonic() - started < 7.5

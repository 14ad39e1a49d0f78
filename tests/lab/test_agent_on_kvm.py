"""Commands inside of a real guest by its real agent, in all the trouble that agents and guests can be in.

One guest serves all tests; those that leave it without an agent, or take it down, come last and bring it back.
"""

import random
import threading
import time
from functools import partial

import pytest
from vmsvc_kvm import KvmDriver, KvmGuest

from lab.domain import define_guest
from tests.lab.shell import Shell
from vmsvc.driver import Context, Node, NoWayIn, Phase, Undetermined
from vmsvc.testing.commands import CASES, hold, odd_cases

pytestmark = pytest.mark.timeout(300)

START_AGENT = "qemu-ga --daemonize --statedir=/run --logfile=/run/qemu-ga.log"


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    made = KvmDriver(Context(node=Node(name="n1", root=root), host=None, state_dir=root / "state"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(libvirtd, guest_image):
    """A guest with a network card that leads nowhere but to the node."""
    guest = define_guest(libvirtd, guest_image, "entered", {"ssh_port": 20000 + random.randrange(10000)})
    guest.start()
    guest.wait_ready()
    yield guest
    guest.remove()


@pytest.fixture(scope="module")
def service(running):
    identity = {"service": "svc", "rid": "container#1", "kind": "container", "type": "kvm"}
    return KvmGuest(**identity, name=running.name, uri=running.libvirtd.uri)


@pytest.fixture
def way(driver, service):
    """The way into the guest, once its agent answers."""
    enter = partial(driver.enter, service)
    wait_for(enter)
    return enter


def wait_for(enter, timeout_s=60):
    """An agent comes up a moment after its guest, and libvirt hears of it later still."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return enter(["true"], budget_s=10)
        except Undetermined:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def later(way, script):
    """Have something done in the guest that does not depend on the agent."""
    way(["sh", "-c", f"(sleep 1; {script}) </dev/null >/dev/null 2>&1 &"], budget_s=20)


def until_silent(way):
    """Wait until there is no way in, and say why."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            way(["true"], budget_s=3)
        except NoWayIn as closed:
            return closed
        except Undetermined:
            continue  # caught in the midst of it
    pytest.fail("the agent went on to answer")


# --- a guest that is well -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_command_by_the_agent_keeps_the_clauses(way, case):
    hold(way, case)


def odd_commands(way, count):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - a failed test shows it
    for case in odd_cases(seed, count):
        hold(way, case)


def test_odd_commands_come_back_exactly(way):
    odd_commands(way, 20)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_many_odd_commands_come_back_exactly(way):
    odd_commands(way, 200)


def test_what_is_longer_than_a_program_takes_is_refused_and_costs_nothing_else(way):
    assert len(way(["echo", "x" * 100_000], budget_s=20).stdout) == 100_001


def test_the_guest_is_entered_and_tells_its_addresses_with_its_network_cut(driver, service, way):
    def told():
        return {(one.device, one.address, one.prefix) for one in driver.addresses(service, budget_s=10)}

    assert {("lo", "127.0.0.1", 8), ("lo", "::1", 128), ("eth0", "10.0.2.15", 24)} <= told()
    (card,) = [one for one in driver.addresses(service, budget_s=10) if one.address == "10.0.2.15"]
    assert card.hardware.startswith("52:54:00")
    way(["ip", "addr", "flush", "dev", "eth0"], budget_s=20)
    way(["ip", "link", "set", "eth0", "down"], budget_s=20)
    assert not any(device == "eth0" for device, _address, _prefix in told())
    assert way(["echo", "still here"], budget_s=20).out == "still here\n"


def test_status_tells_where_an_address_is_by_the_agent_alone(tmp_path, running, way):
    """At a shell; without ping, which finds no way through the lab's network."""
    shell = Shell(tmp_path)
    shell.service(
        "web", running, "way_in = agent", "[ip#1]", "ipname = 10.0.2.15", "ipdev = eth0", "check_ping = false"
    )

    def told():
        resources = shell.json("status", "web")["services"][0]["instances"][0]["resources"]
        (ip,) = [one for one in resources if one["rid"] == "ip#1"]
        return ip["status"], ip["evidence"]["detail"]

    def in_guest(script):
        assert way(["sh", "-c", script], budget_s=20).code == 0

    in_guest("ip addr flush dev eth0; ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0")
    assert told()[0] == "up"
    in_guest("ip addr flush dev eth0 && ip addr add 10.0.2.15/32 dev lo")
    status, detail = told()
    assert (status, "on lo and not on eth0" in detail) == ("down", True), detail
    in_guest("ip addr del 10.0.2.15/32 dev lo")
    status, detail = told()
    assert (status, "is on no adapter" in detail) == ("down", True), detail
    in_guest("ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 down")
    status, detail = told()
    assert (status, "on eth0, and of no use: the adapter is down" in detail) == ("down", True), detail


def test_two_commands_at_once_do_not_mix(way):
    found = {}

    def enter(word):
        found[word] = way(["sh", "-c", f"for _ in 1 2 3 4; do echo {word}; sleep 0.2; done"], budget_s=30).out

    threads = [threading.Thread(target=enter, args=(word,)) for word in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {word: f"{word}\n" * 4 for word in ("one", "two", "three")}


# --- an agent that is not ---------------------------------------------------------------------------------------------


def test_a_stopped_agent_is_no_way_in_and_holds_up_no_status(driver, service, way):
    later(way, "killall -STOP qemu-ga; sleep 15; killall -CONT qemu-ga")
    closed = until_silent(way)
    assert "does not answer" in closed.message
    began = time.monotonic()
    with pytest.raises(NoWayIn):
        way(["true"], budget_s=2)
    assert time.monotonic() - began < 4
    began = time.monotonic()
    assert driver.observe(service, budget_s=5).phase is Phase.RUNNING
    assert time.monotonic() - began < 2
    with pytest.raises(NoWayIn):
        driver.addresses(service, budget_s=2)
    assert wait_for(way).code == 0


def test_an_agent_that_ends_tells_no_end_of_its_commands(way):
    later(way, f"killall qemu-ga; sleep 4; {START_AGENT}")
    began = time.monotonic()
    with pytest.raises(Undetermined, match="how it ended is not known") as gone:
        way(["sleep", "100"], budget_s=60)
    assert time.monotonic() - began < 15
    assert gone.value.code == "undetermined.gone"
    assert "none has connected" in until_silent(way).message
    assert wait_for(way).code == 0


def test_an_agent_that_runs_no_commands(way):
    later(
        way,
        f"killall qemu-ga; sleep 1; {START_AGENT} --blacklist=guest-exec,guest-exec-status; sleep 5; killall qemu-ga;"
        f" sleep 1; {START_AGENT}",
    )
    deadline = time.monotonic() + 20
    while "guest-exec is disabled" not in (closed := until_silent(way)).message:
        assert time.monotonic() < deadline, closed
    assert "BLACKLIST_RPC" in closed.hint
    assert wait_for(way).code == 0


# --- a guest that goes down -------------------------------------------------------------------------------------------


def test_a_paused_guest_is_no_way_in(running, way):
    running.libvirtd.virsh("suspend", running.uuid)
    try:
        with pytest.raises(NoWayIn, match=r"paused \(user\)"):
            way(["true"], budget_s=5)
    finally:
        running.libvirtd.virsh("resume", running.uuid)


def test_a_command_that_reboots_the_guest(running, way):
    began = time.monotonic()
    with pytest.raises(Undetermined, match="how it ended is not known") as gone:
        way(["sh", "-c", "reboot -f; sleep 100"], budget_s=60)
    assert time.monotonic() - began < 15
    assert gone.value.code == "undetermined.gone"
    assert wait_for(way).code == 0


def test_a_command_whose_guest_is_killed(running, way):
    threading.Timer(2, running.libvirtd.virsh, ["destroy", running.uuid]).start()
    began = time.monotonic()
    with pytest.raises(Undetermined, match=r"the guest is shut off \(destroyed\)"):
        way(["sleep", "100"], budget_s=60)
    assert time.monotonic() - began < 15
    with pytest.raises(NoWayIn, match="does not run"):
        way(["true"], budget_s=5)

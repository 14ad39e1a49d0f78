"""Two nodes with a service, each behind a real sshd: nothing is started on both, whatever else goes wrong."""

import signal
import sys
import time

import pytest

pytest.importorskip("vmsvc_null")

from lab.fixtures import required
from lab.network import Network
from tests.lab.peer import Peer
from vmsvc.core.peers.interlock import BELIEVED_S

pytestmark = pytest.mark.timeout(240)

NODES = ("nodes = n1 n2",)


@pytest.fixture
def pair(make_sshd, tmp_path):
    one, two = (Peer(make_sshd, tmp_path, name) for name in ("n1", "n2"))
    one.knows(two)
    two.knows(one)
    for node in (one, two):
        node.add("web", "start_delay = 1", default=NODES)
    return one, two


def phase(node):
    return node.hypervisor.machine("web").phase


def start(node, *words):
    code, answer = node.json("start", "web", *words)
    (result,) = answer.get("results") or answer["services"]
    return code, [each["code"] for each in result["errors"]]


def test_what_runs_on_a_peer_is_not_started_here(pair):
    one, two = pair
    assert start(two)[0] == 0
    assert one.json("trust", "peers", "--install")[0] == 0
    for state in ("running", "paused", "saved", "crashed"):
        two.hypervisor.set("web", phase=state)
        assert start(one, "--despite-peer", "n2") == (3, ["refused.runs-on-peer"])
        assert phase(one) == "stopped"
    two.hypervisor.set("web", phase="stopped")
    assert start(one)[0] == 0


@pytest.mark.option("start --despite-peer", "restart --despite-peer", "plan --despite-peer", "svcmgr --despite-peer")
def test_a_peer_that_is_off_must_be_named(pair):
    one, two = pair
    two.server.stop()
    assert start(one) == (3, ["refused.peer-silent"])
    for words in ("plan start web", "start web --dry-run", "restart web"):
        assert one.run(*words.split()).returncode == 3
        assert one.run(*words.split(), "--despite-peer", "n3").returncode == 2
    assert one.run("plan", "start", "web", "--despite-peer", "n2").returncode == 0
    assert one.run("restart", "web", "--despite-peer", "N2").returncode == 0
    assert one.run("restart", "web").returncode == 0  # what runs here does not run there
    assert one.run("stop", "web").returncode == 0
    svcmgr = (sys.executable, "-c", "import sys; from vmsvc.cli.svcmgr import main; sys.exit(main(sys.argv[1:]))")
    assert one.run("-s", "web", "start", "--despite-peer", "n2", program=svcmgr).returncode == 0
    assert phase(one) == "running"


def test_a_peer_that_hangs_keeps_nobody_waiting_for_long(pair):
    one, two = pair
    two.server.freeze()
    began = time.monotonic()
    assert start(one) == (3, ["refused.peer-silent"])
    assert time.monotonic() - began < 25
    two.server.thaw()


def test_a_peer_whose_hypervisor_hangs_or_that_has_no_such_service_cannot_say(pair):
    one, two = pair
    two.hypervisor.set(None, fail=("observe",))
    assert start(one) == (3, ["refused.peer-silent"])
    (two.services_dir / "web.conf").unlink()
    assert start(one) == (3, ["refused.peer-silent"])


def test_of_two_nodes_that_start_it_at_once_one_does(pair):
    one, two = pair
    for _ in range(3):
        racers = [node.begin("start", "web") for node in (one, two)]
        codes = []
        for racer in racers:
            racer.communicate()
            codes.append(racer.returncode)
        assert sorted(codes) == [0, 3]
        assert sorted(map(phase, pair)) == ["running", "stopped"]
        for node in pair:
            assert node.run("stop", "web").returncode == 0


@pytest.mark.option("status --peers", "print --peers", "status --local", "print --local")
def test_a_status_shows_peers_where_that_is_asked_for(pair):
    one, two = pair
    assert start(two)[0] == 0
    code, answer = one.json("status", "web", "--peers")
    (web,) = answer["services"]
    assert (code, web["avail"]) == (0, "up")
    assert [(each["node"], each["avail"]) for each in web["instances"]] == [("n1", "down"), ("n2", "up")]
    assert "n2" in one.run("print", "status", "web", "--peers").stdout
    two.server.stop()
    code, answer = one.json("status", "web", "--peers")
    assert (code, answer["services"][0]["instances"][1]["avail"]) == (4, "unknown")
    for words in (("status", "web"), ("status", "web", "--local"), ("print", "status", "web", "--local")):
        assert one.run(*words).returncode == 0


def test_an_address_that_answers_is_no_alarm_where_the_guest_runs_on_a_peer(pair, tmp_path):
    one, two = pair
    one.pings(tmp_path / "bin", answered=True)
    for node in pair:
        path = node.services_dir / "web.conf"
        path.write_text(path.read_text() + "[ip#1]\nipname = 192.0.2.77\nipdev = lo\nwait = false\n")

    def address(*words):
        _, answer = one.json("status", "web", *words)
        (found,) = [each for each in answer["services"][0]["instances"][0]["resources"] if each["rid"] == "ip#1"]
        return found["phase"], found["state"]

    two.hypervisor.set("web", phase="running")
    assert address()[0] == "stopped"
    assert "running on n2" in address()[1]
    assert address("--local")[0] == "contested"
    two.hypervisor.set("web", phase="stopped")
    assert address()[0] == "contested"
    two.server.stop()
    assert "n2 cannot be asked" in address()[1]


def test_a_service_without_peers_asks_nobody(pair):
    one, _ = pair
    one.add("alone")
    done = one.run("start", "alone", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not {"fabric", "paramiko", "vmsvc.core.transport.ssh"} & loaded, "nothing of what asks others is needed"


def test_a_peer_whose_file_does_not_name_this_node_is_told(pair):
    one, two = pair
    two.add("web", default=("nodes = n2",))
    assert "n2's file of web does not name n1" in one.run("status", "web", "--peers", "--format", "json").stdout
    done = one.run("start", "web")
    assert (done.returncode, "n2's file of web does not name n1" in done.stderr) == (0, True)


def test_a_status_knows_guests_by_name_in_whichever_section_a_peer_has_them(pair):
    one, two = pair
    path = two.services_dir / "web.conf"
    path.write_text(path.read_text().replace("[container#1]", "[container#7]"))
    two.hypervisor.set("web", phase="running")
    code, answer = one.json("status", "web", "--peers")
    assert (code, [each["avail"] for each in answer["services"][0]["instances"]]) == (0, ["down", "up"])


def test_an_interrupt_is_heard_while_a_peer_that_hangs_is_waited_for(pair):
    one, two = pair
    two.server.freeze()
    start = one.begin("start", "web")
    line = start.stderr.readline()
    while "waiting for" not in line:
        assert line, "it ended without a word"
        line = start.stderr.readline()
    assert "web: waiting for: an answer of n2" in line
    began = time.monotonic()
    start.send_signal(signal.SIGINT)
    _, said = start.communicate()
    assert time.monotonic() - began < 5
    assert (start.returncode, "interrupted while it waited for an answer of n2" in said) == (1, True)
    two.server.thaw()


# --- a network that breaks ------------------------------------------------------------------------------------------


@pytest.fixture
def network():
    with required():
        made = Network()
        made.__enter__()
    for machine, address in ((made.here, "192.0.2.1/24"), (made.there, "192.0.2.2/24")):
        made.plug(machine, "eth0", address)
    yield made
    made.close()


@pytest.fixture
def apart(network, make_sshd, tmp_path):
    """Two nodes on machines of their own, n1 and n2, in one network."""
    one, two = (
        Peer(make_sshd, tmp_path, name, within=network.entered(machine), address=address, port=22)
        for name, machine, address in (("n1", network.here, "192.0.2.1"), ("n2", network.there, "192.0.2.2"))
    )
    one.knows(two)
    two.knows(one)
    for node in (one, two):
        node.add("web", default=NODES)
    return one, two


def test_two_nodes_that_are_cut_off_from_each_other_both_start_nothing(apart, network):
    one, two = apart
    assert one.run("status", "web", "--peers").returncode == 0
    network.cut(network.there, "eth0")
    assert start(one) == start(two) == (3, ["refused.peer-silent"])
    assert start(two, "--despite-peer", "n1") == (0, [])
    network.mend(network.there, "eth0")
    assert start(one, "--despite-peer", "n2") == (3, ["refused.runs-on-peer"])
    assert [phase(node) for node in apart] == ["stopped", "running"]


def test_a_start_that_is_cut_off_after_its_peers_have_answered_asks_again_before_it_starts_anything(
    apart, network, tmp_path
):
    one, two = apart
    gates = {name: tmp_path / f"gate-{name}" for name in ("web", "db")}
    for name, gate in gates.items():
        two.add(name, default=NODES)
        one.add(name, f"blocking_pre_start = sh -c 'while ! test -e {gate}; do sleep 0.1; done'", default=NODES)
    starts = {name: one.begin("start", name) for name in gates}
    for process in starts.values():
        while "run blocking_pre_start" not in process.stderr.readline():
            assert process.poll() is None
    network.cut(network.here, "eth0")
    for name in gates:  # before n1 is off: what the documentation tells not to do
        assert two.run("start", name, "--despite-peer", "n1").returncode == 0
    time.sleep(BELIEVED_S)
    gates["web"].touch()
    _, said = starts["web"].communicate()
    assert (starts["web"].returncode, "n2 cannot say whether it runs" in said) == (3, True)
    network.mend(network.here, "eth0")
    gates["db"].touch()
    _, said = starts["db"].communicate()
    assert (starts["db"].returncode, "it is running on n2" in said) == (3, True)
    for name in gates:
        assert [node.hypervisor.machine(name).phase for node in apart] == ["stopped", "running"]


def test_monitor_starts_again_only_what_no_peer_runs_and_every_peer_says_so(pair):
    one, two = pair
    one.add("web", "restart = 1", "restart_delay = 0", default=NODES)
    assert start(one) == (0, [])

    def monitored():
        one.hypervisor.set("web", phase="stopped")
        code, answer = one.json("monitor", "--once")
        (deed,) = answer["services"][0]["deeds"]
        return code, [each["code"] for each in deed["errors"]]

    two.hypervisor.set("web", phase="running")
    assert monitored() == (3, ["refused.runs-on-peer"])
    two.server.stop()
    assert monitored() == (3, ["refused.peer-silent"])
    assert phase(one) == "stopped"
    two.server.start()
    two.hypervisor.set("web", phase="stopped")
    assert monitored() == (0, [])  # what was refused was no attempt
    assert phase(one) == "running"

"""A guest that is prepared, given its addresses, and booted: on the simulated hypervisor, by the command line."""

from __future__ import annotations

import pytest

pytest.importorskip("vmsvc_null")

from tests.e2e.node import Node

GUEST = ("name = g1", "split_start = true")
ADDRESSES = tuple(
    line
    for number in (1, 2)
    for line in (f"[ip#{number}]", f"ipname = 192.0.2.{number}", "ipdev = net0", "check_ping = false")
)


@pytest.fixture
def node(tmp_path):
    made = Node(tmp_path)
    made.add("web", *GUEST, "pre_start = true", "post_start = true", *ADDRESSES)
    return made


def effects(node):
    return [entry.verb for entry in node.hypervisor.log() if entry.effect]


def plumbed(node):
    return [address for _, address, _ in node.hypervisor.plumbed(node.hypervisor.machine("g1"))]


def steps(node, action):
    code, document = node.json("plan", action, "web")
    assert code == 0
    return [f"{step['verb']} {step['rid']}" for step in document["plans"][0]["steps"]]


def test_a_plan_shows_the_halves_and_what_comes_in_between(node):
    assert steps(node, "start") == [
        "run container#1",
        "prepare container#1",
        "start ip#1",
        "start ip#2",
        "boot container#1",
        "run container#1",
    ]
    assert "2. prepare container#1" in node.run("plan", "start", "web").stdout
    assert node.run("start", "web").returncode == 0
    assert effects(node) == ["prepare", "plumb", "plumb", "boot"]
    assert plumbed(node) == ["192.0.2.1", "192.0.2.2"]
    assert steps(node, "stop") == ["stop container#1", "kill container#1", "stop ip#2", "stop ip#1"]


@pytest.mark.keyword("container.null.split_start")
def test_a_service_that_is_started_is_up_and_a_second_start_does_nothing(node):
    assert node.run("start", "web").returncode == 0
    _, document = node.json("status", "web")
    assert document["services"][0]["avail"] == "up"
    assert node.run("start", "web").returncode == 0
    assert node.run("restart", "web").returncode == 0
    assert effects(node) == [*["prepare", "plumb", "plumb", "boot"], "stop", *["prepare", "plumb", "plumb", "boot"]]
    assert node.run("stop", "web").returncode == 0
    assert (node.hypervisor.machine("g1").phase, plumbed(node)) == ("stopped", [])


def test_a_guest_that_is_prepared_is_neither_up_nor_down_and_a_start_goes_on_from_there(node):
    machine = node.hypervisor.machine("g1")
    node.hypervisor.prepare(machine)
    node.hypervisor.plumb(machine, "net0", "192.0.2.1", None)
    _, document = node.json("status", "web")
    told = {
        each["rid"]: (each["status"], each["state"]) for each in document["services"][0]["instances"][0]["resources"]
    }
    assert told["container#1"] == ("warn", "prepared")
    assert (told["ip#1"][0], told["ip#2"][0]) == ("up", "down")
    assert "the guest is prepared" in told["ip#2"][1]
    assert steps(node, "start") == ["start ip#2", "run container#1", "boot container#1", "run container#1"]
    assert node.run("start", "web").returncode == 0
    assert effects(node) == ["prepare", "plumb", "plumb", "boot"]


def test_a_guest_that_is_prepared_is_stopped_at_once(node):
    node.hypervisor.set("g1", ignore_stop=True)
    node.hypervisor.prepare(node.hypervisor.machine("g1"))
    assert node.run("stop", "web").returncode == 0
    assert effects(node) == ["prepare", "stop"]


@pytest.mark.parametrize(
    ("fails", "done"),
    [
        ("prepare", []),
        ("plumb", ["prepare", "stop"]),
        ("boot", ["prepare", "plumb", "plumb", "stop"]),
    ],
)
def test_whatever_half_fails_all_is_taken_back(node, fails, done):
    node.hypervisor.set("g1", fail=[fails])
    failed = node.run("start", "web")
    assert failed.returncode == 1
    assert f"{fails} of g1 failed" in failed.stderr
    assert effects(node) == done
    assert (node.hypervisor.machine("g1").phase, plumbed(node)) == ("stopped", [])


def test_an_address_comes_and_goes_while_the_guest_runs(node):
    assert node.run("start", "web").returncode == 0
    assert node.run("stop", "web", "--rid", "ip#2").returncode == 0
    assert plumbed(node) == ["192.0.2.1"]
    _, document = node.json("status", "web")
    assert document["services"][0]["avail"] == "warn"
    assert node.run("start", "web").returncode == 0
    assert plumbed(node) == ["192.0.2.1", "192.0.2.2"]
    assert node.hypervisor.starts("g1") == 1


def test_an_address_is_not_given_to_a_guest_that_is_down(node):
    refused = node.run("start", "web", "--rid", "ip#1")
    assert refused.returncode == 3
    assert "it needs container#1 prepared, which is stopped" in refused.stderr
    assert effects(node) == []


def test_an_address_that_others_have_is_not_given_to_a_guest(node, tmp_path):
    node.pings(tmp_path / "bin", answered=True)
    node.add("taken", "name = g2", "split_start = true", "[ip#1]", "ipname = 192.0.2.77", "ipdev = net0")
    refused = node.run("start", "taken")
    assert refused.returncode == 3
    assert "192.0.2.77 answers although the guest is stopped here" in refused.stderr
    assert effects(node) == []


SILENT = (
    "start_timeout = 4s",
    "[ip#1]",
    "ipname = 192.0.2.77",
    "ipdev = net0",
    "ping_timeout = 1s",
    "start_timeout = 3s",
)


@pytest.fixture
def silent(node, tmp_path):
    """The node, where no ping is answered."""
    node.pings(tmp_path / "bin", answered=False)
    node.add("web", *GUEST, *SILENT)
    return node


@pytest.mark.keyword("ip.wait")
def test_a_start_whose_guest_does_not_answer_by_its_address_in_time_has_failed(silent):
    assert steps(silent, "start") == ["prepare container#1", "start ip#1", "boot container#1", "wait ip#1"]
    failed = silent.run("start", "web")
    assert failed.returncode == 1
    assert "ping does not answer; 192.0.2.77 is on net0" in failed.stderr
    assert (silent.hypervisor.machine("g1").phase, plumbed(silent)) == ("stopped", [])


def test_where_that_is_not_waited_for_each_start_is_done(silent):
    silent.add("web", *GUEST, *SILENT, "wait = false")
    for _ in range(2):
        assert silent.run("start", "web").returncode == 0
    assert effects(silent) == ["prepare", "plumb", "boot"]


def test_a_guest_that_is_up_and_does_not_answer_by_its_address_is_waited_for_and_left_as_it_is(silent):
    silent.add("web", *GUEST, *SILENT, "wait = false")
    assert silent.run("start", "web").returncode == 0
    silent.add("web", *GUEST, *SILENT)
    failed = silent.run("start", "web")
    assert failed.returncode == 1
    assert "it is not up: ping does not answer" in failed.stderr
    assert effects(silent) == ["prepare", "plumb", "boot"]
    assert (silent.hypervisor.machine("g1").phase, plumbed(silent)) == ("running", ["192.0.2.77"])

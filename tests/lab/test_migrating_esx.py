"""Guests that are moved while they run between two hosts of a simulated vCenter, by two nodes that ask each other by ssh.

Both nodes see the same inventory by the same vCenter; each is in charge of one host. The simulator moves a guest at once:
what takes its time, or fails, its gateway tells.
"""

from __future__ import annotations

import pytest

from lab import gateway
from lab.fixtures import required
from lab.vcsim import USER, PrivateVcsim
from tests.lab.peer import Peer
from tests.lab.vsphere import Inventory

pytestmark = pytest.mark.timeout(240)

CANARY = "c4nary-p4ssw0rd"
HOSTS = {"n1": "DC0_C0_H0", "n2": "DC0_H0"}  # in a cluster, and alone: a move changes the pool, too
FOLLOWED = "Fetch task-0"


class Estate:
    """Two nodes, their vCenter, and one guest of it."""

    def __init__(self, vcenter, inventory, nodes):
        self.vcenter = vcenter
        self.inventory = inventory
        self.n1, self.n2 = self.nodes = nodes

    def write(self, *more, hosts=HOSTS):
        lines = [f"host@{name} = {host}" for name, host in hosts.items()]
        access = [f"server = {self.vcenter.address}", f"thumbprint = {self.vcenter.fingerprint}"]
        text = "\n".join(["[DEFAULT]", "nodes = n1 n2", "[container#1]", "type = esx", *access, *lines, *more, ""])
        for each in self.nodes:
            each.services_dir.joinpath("web.conf").write_text(text)

    def move(self, to, code=0):
        """What `vmsvc migrate` tells; no error of it has the password."""
        node = self.n2 if to == "n1" else self.n1
        found, answer = node.json("migrate", "web", "--to", to)
        (result,) = answer["results"]
        assert CANARY not in str(answer)
        assert found == code, [(each["code"], each["message"]) for each in result["errors"]]
        return result

    def refused(self, to="n2", code=1):
        (error, *_) = self.move(to, code)["errors"]
        return error

    def seen(self, node):
        _, answer = node.json("status", "web")
        (service,) = answer["services"]
        return service["avail"], service["instances"][0]["resources"][0]["state"]

    @property
    def where(self):
        return self.inventory.power("web"), self.inventory.host("web")

    def task(self, *states, begun="RelocateVM_Task"):
        """Have the vCenter tell of a task that stands as it is said, one state after the other, and does nothing."""
        left = list(states)
        self.vcenter.gateway.answers[begun] = lambda _body: gateway.result(begun, "Task", "task-0")
        self.vcenter.gateway.answers[FOLLOWED] = lambda _body: gateway.fetched(
            "TaskInfo", told(left.pop(0) if len(left) > 1 else left[0])
        )


def told(state):
    """A task as a vCenter tells of it (TaskInfo); `state` is a word, or the fault that it has ended with."""
    word = state if state in ("running", "success") else "error"
    words = "The operation failed."
    ended = f'<error><fault xsi:type="{state}"/><localizedMessage>{words}</localizedMessage></error>'
    return (
        '<key>task-0</key><task type="Task">task-0</task><descriptionId>VirtualMachine.relocate</descriptionId>'
        f"<state>{word}</state><cancelled>false</cancelled><cancelable>true</cancelable>"
        f"{ended if word == 'error' else ''}"
        '<reason xsi:type="TaskReasonUser"><userName>lab</userName></reason>'
        "<queueTime>2026-01-01T00:00:00Z</queueTime><eventChainId>0</eventChainId>"
    )


@pytest.fixture
def estate(make_sshd, tmp_path):
    """A guest that runs on n1's host."""
    with required():
        vcenter = PrivateVcsim("vpx", guests=0, password=CANARY).__enter__()
    try:
        inventory = Inventory(vcenter)
        nodes = [Peer(make_sshd, tmp_path, name, driver="esx") for name in HOSTS]
        nodes[0].knows(nodes[1])
        nodes[1].knows(nodes[0])
        for each in nodes:
            file = each.root / "etc/vmsvc/esx.toml"
            file.touch(mode=0o600)
            file.write_text(f'user = "{USER}"\npassword = "{CANARY}"\n')
        inventory.create("web")
        made = Estate(vcenter, inventory, nodes)
        made.write()
        inventory.put("web", HOSTS["n1"])
        inventory.do("web", "PowerOnVM_Task")
        yield made
        inventory.close()
    finally:
        vcenter.close()


@pytest.mark.keyword("container.esx.host")
def test_a_guest_goes_to_the_other_host_of_its_vcenter_and_comes_back_without_a_boot(estate):
    booted = estate.inventory.guest("web").runtime.bootTime
    assert (estate.seen(estate.n1)[0], estate.seen(estate.n2)) == ("up", ("down", "poweredOn on DC0_C0_H0"))
    estate.move("n2")
    assert estate.where == ("poweredOn", "DC0_H0")
    assert (estate.seen(estate.n1), estate.seen(estate.n2)[0]) == (("down", "poweredOn on DC0_H0"), "up")
    for words, code in (("start", 3), ("stop", 0), ("stop --kill", 0)):  # it is n2's by now
        assert estate.n1.run(*words.split(), "web").returncode == code
        assert estate.where == ("poweredOn", "DC0_H0")
    estate.move("n1")
    assert estate.where == ("poweredOn", "DC0_C0_H0")
    assert estate.inventory.guest("web").runtime.bootTime == booted


def test_a_guest_that_is_off_is_started_on_the_host_of_the_node_that_starts_it(estate):
    assert estate.n1.run("stop", "web").returncode == 0
    assert estate.where == ("poweredOff", "DC0_C0_H0")
    assert estate.n2.run("start", "web").returncode == 0
    assert estate.where == ("poweredOn", "DC0_H0")


def test_where_no_host_is_told_nothing_is_moved(estate):
    estate.write(hosts={"n2": HOSTS["n2"]})
    assert "`host@n2`" in estate.refused()["hint"]
    assert estate.where == ("poweredOn", "DC0_C0_H0")
    assert "RelocateVM_Task" not in estate.vcenter.gateway.requests


def test_a_host_that_the_vcenter_does_not_show_is_unknown_and_not_down(estate):
    estate.write(hosts={"n1": "DC0_C0_H9", "n2": HOSTS["n2"]})
    assert estate.seen(estate.n1)[0] == "unknown"
    assert estate.n1.run("stop", "web").returncode == 4
    assert estate.where == ("poweredOn", "DC0_C0_H0")


@pytest.mark.parametrize("fault", ["InsufficientHostCapacityFault", "MigrationFault", "NotSupported", "InvalidState"])
def test_a_move_that_the_vcenter_cannot_do_leaves_the_guest_where_it_is(estate, fault):
    estate.task("running", fault)
    error = estate.refused()
    assert error["code"] == "action.not-moved"
    assert fault in error["message"]
    assert estate.where == ("poweredOn", "DC0_C0_H0")


def test_a_move_that_takes_too_long_is_called_off(estate):
    estate.write("migrate_timeout = 6")
    estate.task("running")

    def cancel(_body):
        estate.task("RequestCanceled")
        return gateway.done("CancelTask")

    estate.vcenter.gateway.answers["CancelTask"] = cancel
    error = estate.refused()
    assert (error["code"], "called off" in error["message"]) == ("action.not-moved", True)
    assert "migrate_timeout" in error["hint"]
    assert estate.seen(estate.n1)[0] == "up"


def test_a_move_that_cannot_be_called_off_is_not_known(estate):
    estate.write("migrate_timeout = 4")
    estate.task("running")
    estate.vcenter.gateway.answers["CancelTask"] = lambda _body: gateway.fault("NotSupported")
    assert estate.refused(code=4)["code"] == "undetermined.migration"


def test_a_move_whose_answer_is_lost_is_told_by_where_the_guest_runs(estate):
    def break_off(_body):
        estate.inventory.put("web", HOSTS["n2"])
        raise ConnectionResetError

    estate.vcenter.gateway.answers["RelocateVM_Task"] = break_off
    estate.move("n2")
    assert estate.where == ("poweredOn", "DC0_H0")


def test_a_server_that_is_gone_for_a_moment_is_asked_again_how_the_move_went(estate):
    asked = []

    def gone_at_first(_body):
        asked.append(True)
        if len(asked) < 3:
            raise ConnectionResetError
        estate.inventory.put("web", HOSTS["n2"])
        return gateway.fetched("TaskInfo", told("success"))

    estate.task("running")
    estate.vcenter.gateway.answers[FOLLOWED] = gone_at_first
    estate.move("n2")
    assert estate.where == ("poweredOn", "DC0_H0")

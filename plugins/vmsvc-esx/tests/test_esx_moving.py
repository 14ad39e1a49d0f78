"""Which host is a node's own, and what a move that failed has left, without a server."""

import time

import pytest
from attrs import evolve
from pyVmomi import vim, vmodl
from vmsvc_esx import EsxGuest, machines, moving
from vmsvc_esx.client import Task
from vmsvc_esx.machines import Machine
from vmsvc_esx.states import is_elsewhere, seen_from
from vmsvc_esx.surveys import Survey

from vmsvc.driver import ConnectionLost, Destination, DriverError, Phase, Undetermined
from vmsvc.testing import identity

HERE = EsxGuest(**identity("esx", "web"), server="vc1", host="esx1")
THERE = evolve(HERE, host="esx2")
WEB = Machine(id="vm-1", name="web", power="poweredOn", connection="connected", host="esx1")


def survey(machine, *, hosts=("esx1", "esx2"), is_whole=True):
    return Survey(server="vc1", told={machine: {}}, hosts={each: each for each in hosts}, is_whole=is_whole)


# --- which host ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "told", "phase"),
    [
        ("", {"host": "esx9"}, Phase.RUNNING),
        ("esx1", {}, Phase.RUNNING),
        ("ESX1", {}, Phase.RUNNING),
        ("esx2", {}, Phase.MOVED),
        ("esx2", {"question": "moved?"}, Phase.MOVED),
        ("esx2", {"heartbeat": "red"}, Phase.MOVED),
        ("esx1", {"host": ""}, Phase.UNKNOWN),
        ("esx2", {"connection": "disconnected"}, Phase.UNKNOWN),
        ("esx2", {"power": "poweredOff"}, Phase.STOPPED),
        ("esx2", {"power": "suspended"}, Phase.SAVED),
    ],
)
def test_a_node_takes_for_up_what_runs_on_its_own_host(host, told, phase):
    assert seen_from(host, evolve(WEB, **told))[0] is phase


def test_a_guest_that_is_off_may_be_elsewhere_too():
    assert is_elsewhere("esx2", evolve(WEB, power="poweredOff"))
    assert not is_elsewhere("", WEB)


def test_the_host_is_asked_for_where_it_matters_only():
    assert "runtime.host" in machines.wanted([evolve(HERE, host=""), HERE])
    assert machines.wanted([evolve(HERE, host="")]) == ()
    told = {"runtime.host": vim.HostSystem("host-7")}
    assert machines.read("vm-1", told, {"host-7": "esx1"}).host == "esx1"
    assert machines.read("vm-1", told, {}).host == ""


def test_a_host_that_is_not_shown_makes_nobody_absent_or_down():
    for guest in (evolve(HERE, host="esx3"), evolve(HERE, host="esx3", name="gone")):
        with pytest.raises(Undetermined, match="shows no host 'esx3'") as doubt:
            survey(WEB).find(guest)
        assert "esx1, esx2" in str(doubt.value)


# --- where it may go -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("here", "there", "why"),
    [
        ({}, {"server": "vc2"}, "within one vCenter only"),
        ({"host": ""}, {}, "that of this node"),
        ({}, {"host": ""}, "that of n2"),
        ({}, {"host": "ESX1"}, "the same host"),
    ],
)
def test_a_move_that_leads_nowhere_asks_no_server(here, there, why):
    guest = evolve(HERE, **here)
    to = Destination(node="n2", guest=evolve(THERE, **there))
    with pytest.raises(DriverError, match=why) as no:
        moving.migrate(None, guest, to, 10.0)
    assert no.value.hint


# --- how it ends -----------------------------------------------------------------------------------------------------


class Server:
    """A server that tells of a task what it is told to, and where the guest is."""

    def __init__(self, *told, host="esx1"):
        self.told = list(told)
        self.machine = evolve(WEB, host=host)
        self.cancelled = 0

    def until(self, deadline):
        pass

    def survey_for(self, _guest):
        return survey(self.machine)

    def cancel(self, _task, _what):
        self.cancelled += 1

    def task(self, _task, _what):
        now = self.told.pop(0) if len(self.told) > 1 else self.told[0]
        if isinstance(now, Exception):
            raise now
        return now if isinstance(now, Task) else Task(state="running", error=None)


def follow(server, budget_s=0.6):
    deadline = time.monotonic() + budget_s
    moving._follow(server, "task", WEB, HERE, THERE, calling_off=deadline - budget_s / 2, deadline=deadline)


DONE = Task(state="success", error=None)


@pytest.mark.parametrize("lost", [ConnectionLost("broke"), Undetermined("no connection")])
def test_a_connection_that_is_lost_does_not_end_the_wait(lost):
    server = Server(lost, "running", lost, DONE)
    follow(server, budget_s=5.0)
    assert not server.cancelled


@pytest.mark.parametrize(("host", "raised"), [("esx2", None), ("esx1", DriverError), ("esx3", Undetermined)])
def test_where_the_guest_runs_counts_for_more_than_what_its_task_says(host, raised):
    server = Server(Task(state="error", error=vim.fault.MigrationFault(msg="cannot be done")), host=host)
    if raised is None:
        follow(server)
    else:
        with pytest.raises(raised, match="MigrationFault"):
            follow(server)


def test_a_host_that_does_not_answer_has_not_refused_the_move():
    with pytest.raises(Undetermined, match="HostCommunication"):
        follow(Server(Task(state="error", error=vmodl.fault.HostCommunication())))


def test_a_task_that_nobody_knows_any_more_is_not_known_to_have_failed():
    gone = DriverError("the object is gone", code="driver.ManagedObjectNotFound")
    with pytest.raises(Undetermined):
        follow(Server(gone))
    follow(Server(gone, host="esx2"))


def test_a_task_that_cannot_be_called_off_is_told_as_going_on():
    server = Server("running")
    with pytest.raises(Undetermined, match="still at it"):
        follow(server)
    assert server.cancelled == 1

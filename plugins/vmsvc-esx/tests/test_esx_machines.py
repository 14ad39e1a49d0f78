"""Which guest a service means, and what its server's words mean."""

from types import SimpleNamespace

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_esx import EsxGuest, machines
from vmsvc_esx.machines import Machine
from vmsvc_esx.states import judge

from vmsvc.driver import Phase, Undetermined

ONE, TWO = "564d1a2b-0000-4000-8000-00c0ffee0001", "564d1a2b-0000-4000-8000-00c0ffee0002"
GUEST = EsxGuest(service="web", rid="container#1", kind="container", type="esx", name="web", server="esx1")
WEB = Machine(
    id="1", name="web", uuid=ONE, instance_uuid=ONE.replace("1a2b", "ffff"), vmx="[ds1] web/web.vmx", power="poweredOn",
    connection="connected",
)  # fmt: skip
OTHER = evolve(WEB, id="2", uuid=TWO, instance_uuid=TWO.replace("1a2b", "ffff"), vmx="[ds1] old/web.vmx")


def test_a_name_is_the_whole_name():
    web1 = evolve(WEB, id="3", name="web1")
    assert machines.pick(GUEST, [web1, WEB]) is WEB
    assert machines.pick(GUEST, [web1]) is None


@pytest.mark.keyword("container.esx.uuid", "container.esx.vmx")
def test_of_two_guests_of_one_name_nobody_guesses_which_is_meant():
    with pytest.raises(Undetermined, match="2 guests") as doubt:
        machines.pick(GUEST, [WEB, OTHER])
    assert "[ds1] web/web.vmx" in str(doubt.value)
    assert "`uuid`" in doubt.value.hint
    for key in (ONE, WEB.instance_uuid):
        assert machines.pick(evolve(GUEST, uuid=key), [WEB, OTHER]) is WEB
    assert machines.pick(evolve(GUEST, vmx=OTHER.vmx), [WEB, OTHER]) is OTHER


@pytest.mark.parametrize(
    ("keys", "there"),
    [
        ({"vmx": "[ds2] web/web.vmx"}, WEB),  # its storage was moved
        ({"uuid": TWO}, WEB),  # it was made anew
        ({"uuid": ONE, "vmx": "[ds2] web/web.vmx"}, WEB),
        ({"vmx": WEB.vmx}, evolve(WEB, name="renamed")),
    ],
)
def test_a_guest_that_is_described_otherwise_is_not_taken_for_absent(keys, there):
    with pytest.raises(Undetermined, match="may be meant"):
        machines.pick(evolve(GUEST, **keys), [there])


def test_a_uuid_finds_a_guest_that_was_renamed():
    renamed = evolve(WEB, name="shop")
    assert machines.pick(evolve(GUEST, uuid=ONE), [renamed]) is renamed


@pytest.mark.parametrize("name", ["", "Unknown 3 (inaccessible)", "/vmfs/volumes/ds1/web/web.vmx"])
def test_a_guest_whose_files_cannot_be_read_may_be_the_one_that_is_looked_for(name):
    hidden = Machine(id="9", name=name, connection="inaccessible", power="poweredOff")
    with pytest.raises(Undetermined, match="may be called 'web'"):
        machines.pick(GUEST, [hidden])
    assert machines.pick(GUEST, [hidden, WEB]) is WEB
    with pytest.raises(Undetermined, match=ONE):
        machines.pick(evolve(GUEST, uuid=ONE), [evolve(hidden, name="other")])


@pytest.mark.parametrize(
    ("told", "phase", "state"),
    [
        ({}, Phase.RUNNING, "poweredOn"),
        ({"power": "poweredOff"}, Phase.STOPPED, "poweredOff"),
        ({"power": "suspended"}, Phase.SAVED, "suspended"),
        ({"power": "melting"}, Phase.UNKNOWN, "melting"),
        ({"power": ""}, Phase.UNKNOWN, "unknown"),
        ({"connection": "disconnected"}, Phase.UNKNOWN, "disconnected"),
        ({"connection": "orphaned", "power": "poweredOff"}, Phase.UNKNOWN, "orphaned"),
        ({"connection": "inaccessible", "power": "poweredOff"}, Phase.UNKNOWN, "inaccessible"),
        ({"connection": "invalid"}, Phase.UNKNOWN, "invalid"),
        ({"connection": ""}, Phase.UNKNOWN, "unknown"),
        ({"question": "moved or copied?"}, Phase.STUCK, "poweredOn (asks a question)"),
        ({"question": "moved?", "power": "poweredOff"}, Phase.STUCK, "poweredOff (asks a question)"),
        ({"guest_state": "shuttingDown"}, Phase.STOPPING, "poweredOn (shuttingDown)"),
        ({"guest_state": "standby"}, Phase.SUSPENDED, "poweredOn (standby)"),
        ({"guest_state": "shuttingDown", "power": "poweredOff"}, Phase.STOPPED, "poweredOff"),
        ({"guest_state": "running", "heartbeat": "green"}, Phase.RUNNING, "poweredOn"),
        ({"heartbeat": "red"}, Phase.DEGRADED, "poweredOn (no heartbeat)"),
        ({"heartbeat": "gray"}, Phase.RUNNING, "poweredOn"),
    ],
)
def test_each_state_has_its_meaning(told, phase, state):
    assert judge(evolve(WEB, **told)) == (phase, state)


def test_names_are_read_as_they_were_given():
    read = {
        written: machines.read("1", {"name": written}, {}).name for written in ("a%2fb", "a%5cb", "100%25", "%252f")
    }
    assert read == {"a%2fb": "a/b", "a%5cb": "a\\b", "100%25": "100%", "%252f": "%2f"}


def test_a_property_that_is_missing_is_no_state():
    assert judge(machines.read("1", {"name": "web"}, {}))[0] is Phase.UNKNOWN
    assert judge(machines.read("1", {"name": "web", "runtime.connectionState": "connected"}, {}))[0] is Phase.UNKNOWN


def test_a_question_is_told_with_its_answers():
    choices = [SimpleNamespace(label="Cancel"), SimpleNamespace(label="I _moved it")]
    question = SimpleNamespace(text="May have been moved\nor copied.", choice=SimpleNamespace(choiceInfo=choices))
    assert machines.asked(question) == "May have been moved or copied. [Cancel / I moved it]"


def autostart(*, enabled=True, action="powerOn"):
    info = SimpleNamespace(key=SimpleNamespace(_moId="1"), startAction=action)
    return SimpleNamespace(defaults=SimpleNamespace(enabled=enabled), powerInfo=[info])


@pytest.mark.parametrize(
    ("config", "begun"),
    [(autostart(), True), (autostart(enabled=False), False), (autostart(action="none"), False), (None, False)],
)
def test_a_guest_that_its_host_starts_by_itself_is_known(config, begun):
    noted = machines.started_by_hosts([WEB, OTHER], [config])
    assert [each.autostart for each in noted] == [begun, False]


WORDS = st.sampled_from(["", "web", "web1", "Unknown 1"])
UUIDS = st.sampled_from(["", ONE, ONE.upper(), TWO])
PATHS = st.sampled_from(["", WEB.vmx, OTHER.vmx])
MACHINES = st.lists(
    st.builds(
        Machine, id=st.uuids().map(str), name=WORDS, uuid=UUIDS, instance_uuid=UUIDS, vmx=PATHS,
        connection=st.sampled_from(["connected", "inaccessible"]),
    ),
    max_size=6,
)  # fmt: skip


@given(there=MACHINES, name=st.sampled_from(["web", "db"]), uuid=UUIDS.map(str.lower), vmx=PATHS)
def test_what_many_services_look_at_is_all_that_each_would_have_looked_at(there, name, uuid, vmx):
    guest = evolve(GUEST, name=name, uuid=uuid, vmx=vmx)

    def picked(machines_):
        try:
            return machines.pick(guest, machines_)
        except Undetermined as doubt:
            return doubt.code

    assert picked(machines.Index(there).around(guest)) == picked(there)

from __future__ import annotations

import pytest

from tests.support import NODE, guest, resource, service
from vmsvc.core.errors import UsageError
from vmsvc.core.kinds import AVAILABILITY_KINDS, KINDS, check_seconds
from vmsvc.core.node import Node, node_from
from vmsvc.core.options import options_of
from vmsvc.core.resource import kind_of
from vmsvc.core.verb import Verb

LABELS = {
    "container#1": "container#1",
    "ip#1": "192.0.2.1@eth0",
    "vmdg": "disks of the guest",
    "fs#1": "/dev/x on /x",
    "sync#1": "",
}


@pytest.mark.parametrize(("rid", "label"), list(LABELS.items()))
def test_labels(rid, label):
    assert resource(rid).label == label


def test_labels_of_what_has_several_words():
    assert resource("disk#1", devices=("/dev/a", "/dev/b")).label == "/dev/a /dev/b"
    assert resource("app#1", start=("run", "it")).label == "run it"
    assert resource("app#1", check=("look",)).label == "look"
    assert resource("app#1", start=("run",), comment="the shop").label == "the shop"
    assert resource("vmdg", container_id="container#2").label == "disks of container#2"


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_is_explained(kind):
    assert all(each.help.endswith(".") for each in options_of(KINDS[kind]))


def test_order_of_kinds_and_which_decide():
    assert list(KINDS) == ["disk", "vmdg", "fs", "container", "ip", "app", "sync"]
    assert set(KINDS) - AVAILABILITY_KINDS == {"sync"}


def test_kind_of():
    assert [kind_of("container#1"), kind_of("vmdg")] == ["container", "vmdg"]


def test_budgets_of_looks():
    assert guest().observe_budget_s == 5.0
    assert resource("app#1", check_timeout=2.0).observe_budget_s == 2.0


def test_a_service_finds_its_resources():
    web = service(guest(1), resource("app#1"))
    assert web.resource("app#1").kind == "app"
    assert [each.rid for each in web.guests] == ["container#1"]
    with pytest.raises(UsageError, match=r"no resource container#2.*container#1, app#1"):
        web.resource("container#2")
    with pytest.raises(UsageError, match="none"):
        service().resource("x")


def test_applications_are_inside_the_guest_where_there_is_one():
    app, address = resource("app#1"), resource("ip#1", container_id="container#1")
    assert not service(app).is_inside_guest(app)
    assert not service(app).is_inside_guest(guest())
    web = service(guest(), address)
    assert web.is_inside_guest(address)
    assert web.guest_of(address) is web.guests[0]
    for each in (app, guest()):
        with pytest.raises(UsageError, match=f"{each.rid} of web is inside no guest"):
            web.guest_of(each)


def test_verbs_are_those_that_have_a_budget():
    each = guest(start_timeout=7.0, stop_timeout=8.0, kill_timeout=9.0, migrate_timeout=10.0)
    assert each.budgets_s == {Verb.START: 7.0, Verb.STOP: 8.0, Verb.KILL: 9.0, Verb.MIGRATE: 10.0}
    app = {"start_timeout": 3.0, "stop_timeout": 4.0}
    assert resource("app#1", start=("a",), stop=("b",), **app).budgets_s == {Verb.START: 3.0, Verb.STOP: 4.0}
    assert resource("app#1", start=("a",), **app).budgets_s == {Verb.START: 3.0}
    assert resource("app#1", stop=("b",), **app).budgets_s == {Verb.STOP: 4.0}
    assert resource("app#1", check=("c",)).budgets_s == {}


@pytest.mark.parametrize("rid", ["vmdg", "disk#1", "fs#1", "sync#1"])
def test_nothing_can_be_done_to_kinds_without_behaviour(rid):
    assert resource(rid).budgets_s == {}


def test_a_check_fits_into_a_look():
    assert check_seconds.parse("8s") == 8.0
    for raw in ("8001ms", "1m"):
        with pytest.raises(ValueError, match=f"'{raw}' is too long: status answers within ten seconds"):
            check_seconds.parse(raw)
    (option,) = [each for each in options_of(KINDS["app"]) if each.key == "check_timeout"]
    assert option.value is check_seconds


def test_places_and_peers_ignore_the_case_of_host_names():
    web = service(nodes=("N1", "n2"), drpnodes=("n3",))
    assert [web.place_of(Node(name=name)) for name in ("n1", "n3", "n4")] == ["nodes", "drpnodes", ""]
    assert web.peers_of(NODE) == ("n2", "n3")


def test_a_node_that_is_named_twice_is_one_peer():
    assert service(nodes=("n1", "N2", "n2"), drpnodes=("n2",)).peers_of(NODE) == ("N2",)


def test_the_node_of_an_environment(tmp_path):
    node = node_from({"VMSVC_ROOT": str(tmp_path), "VMSVC_NODENAME": "n7"})
    assert (node.name, node.services_dir) == ("n7", tmp_path / "etc/vmsvc/services")
    assert (node.state_dir, node.run_dir) == (tmp_path / "var/lib/vmsvc", tmp_path / "run/vmsvc")
    assert str(node_from({}).config_dir) == "/etc/vmsvc"
    assert node_from({"VMSVC_NODENAME": ""}).name


@pytest.mark.parametrize(
    ("options", "forgiven"),
    [
        ({}, []),
        ({"optional": True}, [Verb.START]),
        ({"container_id": "container#1"}, [Verb.START, Verb.STOP]),
        ({"container_id": "container#1", "start": ("x",)}, [Verb.STOP]),
        ({"container_id": "container#1", "on_launcher_failure": "fail"}, []),
    ],
)
def test_whose_failure_of_an_application_is_a_warning_and_no_more(options, forgiven):
    app = resource("app#1", **options)
    assert [verb for verb in (Verb.START, Verb.STOP) if app.forgives(verb)] == forgiven

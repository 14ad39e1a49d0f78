"""What is to become of what is down: never a start without evidence, never more than wanted, never beside another node."""

from __future__ import annotations

import pytest

from tests.support import NODE, guest, resource, seen, service
from vmsvc.core.instance import instance_of
from vmsvc.core.keeping.upkeep import Care, findings
from vmsvc.core.status import Phase

NOW = 1_000_000.0
APP = {"start": ("run",), "stop": ("halt",), "check": ("look",)}


def found(*resources, phase=Phase.STOPPED, attempts=None, **settings):
    web = service(*resources, **settings)
    facts = {each.rid: seen(phase) for each in resources}
    attempts = dict.fromkeys(facts, ()) if attempts is None else attempts
    return [(each.rid, each.care) for each in findings(web, instance_of(web, "n1", facts), NODE, attempts, NOW)]


def why(*resources, phase=Phase.STOPPED, attempts=None, **settings):
    web = service(*resources, **settings)
    facts = {each.rid: seen(phase) for each in resources}
    attempts = dict.fromkeys(facts, ()) if attempts is None else attempts
    (finding,) = findings(web, instance_of(web, "n1", facts), NODE, attempts, NOW)
    return finding.why


def test_restart_starts_again_what_is_down():
    assert found(guest(restart=1)) == [("container#1", Care.START)]
    assert why(guest(restart=3), attempts={"container#1": (NOW - 100,)}) == "it is stopped (attempt 2 of 3)"
    assert found(guest(restart=0)) == []
    app = resource("app#1", **APP, restart=1)  # which tells a sentence, as "check exited with 1"
    assert why(app) == "stopped (attempt 1 of 1)"
    assert why(app, attempts={"app#1": (NOW - 100,)}) == "it stays down after 1 attempts: stopped"


@pytest.mark.parametrize("phase", list(Phase))
def test_nothing_but_what_is_positively_down_is_started_again(phase):
    expected = {
        Phase.STOPPED: [("container#1", Care.START)],
        **{each: [] for each in (Phase.RUNNING, Phase.STARTING, Phase.INAPPLICABLE)},
    }
    assert found(guest(restart=1, monitor=True), phase=phase) == expected.get(phase, [("container#1", Care.LEAVE)])


def test_what_nobody_can_see_is_told_as_such():
    web = service(guest(restart=1))
    (finding,) = findings(web, instance_of(web, "n1", {}), NODE, {"container#1": ()}, NOW)
    assert (finding.is_unknown, finding.care) == (True, Care.LEAVE)


def test_what_this_node_has_not_brought_up_is_none_of_its_business():
    assert found(guest(restart=1), attempts={}) == []
    assert found(guest(1, restart=1), guest(2, restart=1), attempts={"container#2": ()}) == [
        ("container#2", Care.START)
    ]


@pytest.mark.parametrize("options", [{"disable": True}, {"tags": ("noaction",)}])
def test_what_no_action_touches_is_not_started_again(options):
    assert found(guest(restart=1, monitor=True, **options)) == []
    assert found(resource("app#1", check=("look",), restart=1)) == []  # it has no command for a start


@pytest.mark.keyword("any.restart_delay")
def test_restart_delay_is_waited_for():
    each = guest(restart=3, restart_delay=30.0)
    assert found(each, attempts={"container#1": (NOW - 29,)}) == [("container#1", Care.WAIT)]
    assert "due in 1 s" in why(each, attempts={"container#1": (NOW - 29,)})
    assert found(each, attempts={"container#1": (NOW - 30,)}) == [("container#1", Care.START)]


@pytest.mark.keyword("any.restart_period")
def test_restart_period_is_how_long_an_attempt_counts():
    each = guest(restart=2, restart_delay=0.0, restart_period=100.0)
    assert found(each, attempts={"container#1": (NOW - 99, NOW - 50)}) == [("container#1", Care.LEAVE)]
    assert found(each, attempts={"container#1": (NOW - 100, NOW - 50)}) == [("container#1", Care.START)]


def test_monitor_gives_up_what_stays_down():
    spent = {"container#1": (NOW - 60, NOW - 30)}
    assert found(guest(restart=2, monitor=True), attempts=spent) == [("container#1", Care.GIVE_UP)]
    assert found(guest(restart=2), attempts=spent) == [("container#1", Care.LEAVE)]
    assert why(guest(restart=2), attempts=spent) == "it stays stopped after 2 attempts"
    assert found(guest(monitor=True)) == [("container#1", Care.GIVE_UP)]


def test_a_guest_that_another_node_may_have_started_is_left_to_the_start_which_asks():
    assert found(guest(restart=1), nodes=("n1", "n2")) == [("container#1", Care.START)]


def test_what_nobody_asks_other_nodes_about_is_not_started_again_beside_them():
    assert found(resource("app#1", restart=1, **APP), drpnodes=("n3",)) == [("app#1", Care.LEAVE)]
    assert "n3 may have started it" in why(resource("app#1", restart=1, **APP), drpnodes=("n3",))
    inside = resource("app#1", restart=1, container_id="container#1", **APP)  # runs where its guest does
    assert found(guest(), inside, attempts={"app#1": ()}, nodes=("n1", "n2")) == [("app#1", Care.START)]

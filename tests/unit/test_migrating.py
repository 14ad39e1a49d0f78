"""Guests that are moved between two nodes of the simulated hypervisor, which ask each other."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("vmsvc_null")

import vmsvc
from tests.neighbours import Neighbours
from vmsvc.core.execution import steps
from vmsvc.core.keeping.charge import charge_of


@pytest.fixture
def pair(tmp_path, monkeypatch):
    pair = Neighbours(tmp_path)
    monkeypatch.setattr("vmsvc.core.peers.asking.Peers", pair)
    monkeypatch.setattr(steps, "_ENDS_S", 1.0)
    pair.add()
    return pair


@pytest.fixture
def n1(pair):
    with pair.session() as session:
        yield session


def start(session):
    web = session.load("web")
    session.act("start", web, consent=vmsvc.Consent(despite_peers=("n3",)))
    return web


def test_a_guest_goes_to_the_other_node_and_comes_back(pair, n1):
    web = start(n1)
    report = n1.migrate(web, "N2")
    assert [str(result.step) for result in report.results] == ["migrate container#1 to n2"]
    assert (pair.phase("n1"), pair.phase("n2")) == ("moved", "running")
    assert n1.status(web).avail is vmsvc.Status.DOWN
    assert n1.migrate(web, "n2").results == ()  # a command that was cut short is run again
    with pair.session("n2") as n2:
        n2.migrate(n2.load("web"), "n1")
    assert (pair.phase("n1"), pair.phase("n2")) == ("running", "moved")
    assert pair.hypervisors["n1"].starts("web") == 1


def test_a_plan_changes_nothing_and_is_run_where_it_still_holds(pair, n1):
    web = start(n1)
    plan = n1.plan("migrate", web, to="n2")
    assert ([str(step) for step in plan.steps], pair.phase("n1")) == (["migrate container#1 to n2"], "running")
    n1.run(plan)
    assert pair.phase("n2") == "running"
    with pytest.raises(vmsvc.Refused, match="out of date"):
        n1.run(plan)


@pytest.mark.parametrize("to", ["n1", "n9", ""])
def test_it_goes_to_another_node_of_the_service_only(pair, n1, to):
    web = start(n1)
    for ask in (n1.plan, n1.act):
        with pytest.raises(vmsvc.UsageError) as error:
            ask("migrate", web, to=to)
        assert (error.value.code, error.value.hint) == ("usage.no-such-peer", "its other nodes: n2, n3")
    assert pair.phase("n1") == "running"


@pytest.mark.parametrize(
    ("phase", "kind", "code"),
    [
        ("stopped", vmsvc.Refused, "refused.not-to-migrate"),
        ("paused", vmsvc.Refused, "refused.not-to-migrate"),
        ("odd", vmsvc.Undetermined, "undetermined.status"),
    ],
)
def test_what_is_not_up_here_by_evidence_stays(pair, n1, phase, kind, code):
    web = start(n1)
    pair.hypervisors["n1"].set("web", phase=phase)
    with pytest.raises(kind) as error:
        n1.migrate(web, "n2")
    assert (error.value.code, pair.phase("n1"), pair.phase("n2")) == (code, phase, "stopped")


@pytest.mark.parametrize("phase", ["running", "paused", "saved", "migrating", "odd"])
def test_a_node_where_it_is_not_positively_down_gets_nothing(pair, n1, phase):
    web = start(n1)
    pair.hypervisors["n2"].set("web", phase=phase)
    with pytest.raises(vmsvc.Refused) as error:
        n1.migrate(web, "n2")
    assert error.value.code == ("refused.peer-silent" if phase == "odd" else "refused.runs-on-peer")
    assert (pair.phase("n1"), pair.phase("n2")) == ("running", phase)


def test_a_node_that_does_not_answer_or_where_it_is_frozen_gets_nothing(pair, n1):
    web = start(n1)
    pair.off.add("n2")
    with pytest.raises(vmsvc.Refused, match="n2 cannot say whether it runs container#1: it gave no answer"):
        n1.migrate(web, "n2")
    pair.off.remove("n2")
    with pair.session("n2") as n2:
        n2.freeze(n2.load("web"), "no")
        with pytest.raises(vmsvc.Refused, match="web is frozen on n2"):
            n1.migrate(web, "n2")
        assert n1.plan("migrate", web, to="n2", consent=vmsvc.Consent(despite_frozen=True)).refusals == ()
        n2.thaw(n2.load("web"))
    assert pair.phase("n1") == "running"


def test_a_node_for_disasters_has_storage_of_its_own(pair, n1):
    with pytest.raises(vmsvc.Refused, match="n3 is a disaster recovery node of web"):
        n1.migrate(start(n1), "n3")


def test_what_comes_up_there_at_the_last_moment_is_heard_of(pair, n1):
    web = start(n1)
    questions = []

    def come_up(peer):
        questions.append(peer)
        if len(questions) == 2:
            pair.hypervisors["n2"].set("web", phase="running")

    pair.before_answer = come_up
    with pytest.raises(vmsvc.Refused, match="by now it is running on n2"):
        n1.migrate(web, "n2")
    assert pair.phase("n1") == "running"


def test_a_guest_that_is_turned_away_runs_on_and_the_reason_is_told(pair, n1):
    web = start(n1)
    pair.hypervisors["n2"].set(None, fail=("receive",))
    with pytest.raises(vmsvc.ActionFailed, match="it has not moved: the hypervisor refused the connection") as error:
        n1.migrate(web, "n2")
    assert error.value.code == "action.not-moved"
    assert (pair.phase("n1"), pair.phase("n2")) == ("running", "stopped")
    assert charge_of(n1.node, "web"), "it runs here, and is kept up here"


def test_a_move_that_hangs_is_unknown_and_can_be_finished(pair, n1):
    pair.add("migrate_timeout = 300ms")
    web = start(n1)
    pair.hypervisors["n2"].set(None, hang=("receive",))
    with pytest.raises(vmsvc.Undetermined, match="whether it has moved is not known") as error:
        n1.migrate(web, "n2")
    assert "here it is running, and on n2 stopped" in error.value.message
    assert pair.phase("n1") == "running"
    pair.hypervisors["n2"].set(None, hang=())
    _until(lambda: pair.phase("n2") == "running")  # what hung goes on by itself
    assert n1.migrate(web, "n2").results == ()


def test_a_request_that_fails_of_a_guest_that_has_moved_is_a_move(pair, n1, monkeypatch):
    web = start(n1)
    driver = n1._drivers.of_guest(web.guests[0])
    really = type(driver).migrate

    def migrate(self, guest, destination, *, budget_s):
        really(self, guest, destination, budget_s=budget_s)
        raise vmsvc.Undetermined("the connection broke")

    monkeypatch.setattr(type(driver), "migrate", migrate)
    assert [result.error for result in n1.migrate(web, "n2").results] == [""]


def test_a_guest_that_was_moved_is_not_kept_up_here(pair, n1):
    web = start(n1)
    assert charge_of(n1.node, "web")
    n1.migrate(web, "n2")
    assert not charge_of(n1.node, "web")
    assert n1.plan("start", web, consent=vmsvc.Consent(despite_peers=("n3",))).refusals


def test_other_nodes_hear_of_it_while_it_goes_on(pair, n1):
    web = start(n1)
    heard = []
    pair.hypervisors["n1"].set("web", move_delay=0.5)

    def ask():
        _until(lambda: pair.phase("n1") == "migrating")
        with pair.session("n2") as n2:
            heard.extend(n2.plan("start", n2.load("web")).refusals)

    asking = threading.Thread(target=ask)
    asking.start()
    n1.migrate(web, "n2")
    asking.join()
    assert "refused.not-to-start" in {each.code for each in heard}


def test_the_journal_tells_where_a_command_that_was_cut_short_was_going(pair, n1):
    web = start(n1)
    n1.migrate(web, "n2")
    steps_told = [record.get("step") for record in n1._journal(web).records()]
    assert "migrate container#1 to n2" in steps_told


def test_a_plugin_may_veto_it(pair, n1, monkeypatch):
    web = start(n1)

    def no(step, service):
        raise RuntimeError("not today")

    monkeypatch.setattr("vmsvc.acting._PluginHooks.before_step", lambda _self, step, service: no(step, service))
    with pytest.raises(vmsvc.ActionFailed, match="a plugin vetoed it: not today"):
        n1.migrate(web, "n2")
    assert pair.phase("n1") == "running"


def _until(holds):
    for _ in range(200):
        if holds():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it never came to pass")

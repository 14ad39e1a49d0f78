"""Guests that are moved between two nodes of the simulated hypervisor, which ask each other."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("vmsvc_null")

import vmsvc
from tests.neighbours import WEB, Neighbours
from vmsvc.core.execution import steps
from vmsvc.core.keeping.charge import charge_of
from vmsvc.core.peers import arrivals


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
    with pytest.raises(vmsvc.Refused, match="things have changed: it is running on n2, too"):
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
    assert not charge_of(n1.node, "web"), "it may go at any moment: nothing is to start it again here, or end this node"
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


PAIR = """
    [DEFAULT]
    nodes = n1 n2
    drpnodes = n3
    [container#1]
    type = null
    name = web1
    {more}
    [container#2]
    type = null
    name = web2
    {more}
"""


def start_two(pair, n1):
    pair.add(text=PAIR)
    return start(n1)


def test_a_refusal_after_the_first_guest_has_moved_is_a_failure_that_tells_of_it(pair, n1):
    web = start_two(pair, n1)
    asked = []

    def before(peer):
        asked.append(peer)
        if len(asked) == 4:  # the plan, the first guest, its arrival, and the second guest
            with pair.session("n2") as n2:
                n2.freeze(n2.load("web"), "no")

    pair.before_answer = before
    with pytest.raises(vmsvc.ActionFailed, match="web is frozen on n2") as error:
        n1.migrate(web, "n2")
    assert error.value.exit_code == 1
    told = {each.section: each.message for each in error.value.problems if each.code == "action.left"}
    assert told == {"container#1": "done before, and not taken back: migrate container#1 to n2"}
    assert (pair.phase("n2", "web1"), pair.phase("n1", "web2")) == ("running", "running")
    assert set(charge_of(n1.node, "web")) == {"container#2"}, "what has gone is not kept up here, and what stayed is"


def test_a_file_that_is_gone_while_the_first_guest_moves_is_no_defect(pair, n1):
    web = start_two(pair, n1)
    report = n1.act("migrate", web, to="n2", progress=lambda _: web.file.unlink(missing_ok=True))
    assert [result.error for result in report.results] == ["", ""]


@pytest.mark.parametrize("ask", ["plan", "act"])
def test_it_cannot_be_limited_to_some_of_the_guests(pair, n1, ask):
    web = start_two(pair, n1)
    with pytest.raises(
        vmsvc.UsageError, match="moves all guests of web, and cannot be limited to container#2"
    ) as error:
        getattr(n1, ask)("migrate", web, only={"container#2"}, to="n2")
    assert error.value.code == "usage.only"
    with pytest.raises(vmsvc.UsageError, match="container#9"):
        getattr(n1, ask)("migrate", web, only={"container#9"}, to="n2")
    with pytest.raises(vmsvc.UsageError, match="takes none but --despite-frozen") as error:
        getattr(n1, ask)("migrate", web, consent=vmsvc.Consent(kill=True), to="n2")
    assert error.value.code == "usage.consent"
    assert pair.phase("n1", "web2") == "running"


def test_a_restart_of_what_is_moved_meanwhile_does_not_start_it_twice(pair, n1):
    web = start(n1)

    def move(progress):
        if progress.step.verb is vmsvc.Verb.STOP and progress.duration_s is not None:
            pair.hypervisors["n1"].set("web", phase="moved")
            pair.hypervisors["n2"].set("web", phase="running")

    with pytest.raises(vmsvc.ActionFailed, match="it is running on n2") as error:
        n1.act("restart", web, progress=move)
    (left,) = [each for each in error.value.problems if each.code == "action.left"]
    assert (left.section, left.message) == ("container#1", "stopped before, and not started again: container#1")
    assert left.hint == "`vmsvc start web` finishes the restart, once nothing speaks against it"
    assert pair.phase("n1") == "moved"


def test_what_another_node_says_against_a_restart_is_heard_before_anything_is_stopped(pair, n1):
    web = start(n1)
    pair.hypervisors["n2"].set("web", phase="running")
    with pytest.raises(vmsvc.Refused, match="it is running on n2") as error:
        n1.restart(web)
    assert (error.value.code, pair.phase("n1")) == ("refused.runs-on-peer", "running")
    pair.hypervisors["n2"].set("web", phase="stopped")
    n1.restart(web)  # n3 is silent, and a guest that runs here needs no word of it
    assert (pair.phase("n1"), pair.hypervisors["n1"].starts("web")) == ("running", 2)


def test_a_node_whose_file_does_not_name_this_one_gets_nothing(pair, n1):
    web = start(n1)
    pair.add(text="[DEFAULT]\nnodes = n2 n3\n[container#1]\ntype = null\n", on=("n2",))
    with pytest.raises(vmsvc.Refused, match="n2's file of web does not name n1") as error:
        n1.migrate(web, "n2")
    assert (error.value.code, pair.phase("n1")) == ("refused.not-named", "running")


def test_disks_that_the_other_node_alone_would_reserve_keep_a_guest_here(pair, n1):
    pair.add("disks = /dev/disk0", "scsireserv@n2 = true")
    with pytest.raises(vmsvc.Refused, match="its disks are reserved for n2 alone before a start there") as error:
        n1.migrate(start(n1), "n2")
    assert (error.value.code, error.value.problems[0].section) == ("refused.exclusive-disks", "vmdg#1")


def test_a_service_goes_to_no_node_where_its_environment_could_not_start(pair, n1):
    mode = pair.roots["n2"] / "etc/vmsvc/node.conf"
    mode.write_text("PRD\n")
    web = start(n1)
    assert n1.plan("migrate", web, to="n2").refusals == (), (
        "without an environment of its own, it has that of each node"
    )
    pair.add(text=WEB.replace("[DEFAULT]", "[DEFAULT]\n    env = DEV"))
    web = n1.load("web")
    with pytest.raises(vmsvc.Refused, match="web is a DEV service and n2 is a PRD node") as error:
        n1.migrate(web, "n2")
    assert (error.value.code, pair.phase("n1")) == ("refused.host-mode", "running")
    mode.write_text("DEV\n")
    assert n1.plan("migrate", web, to="n2").refusals == ()


def test_what_is_started_with_the_node_is_warned_of_before_it_goes(pair, n1):
    web = start(n1)
    pair.hypervisors["n1"].set("web", autostart=True)
    told = []
    n1.act("migrate", web, to="n2", planned=lambda plan: told.extend(plan.notes))
    assert [(each.code, each.message) for each in told] == [("warning.guest", "the hypervisor starts it with the node")]


def test_an_interrupt_in_a_move_leaves_it_unknown(pair, n1, monkeypatch):
    web = start(n1)
    really = steps.call_within

    def call_within(name, *more, **options):
        if "migrate" in name:
            raise KeyboardInterrupt
        return really(name, *more, **options)

    monkeypatch.setattr(steps, "call_within", call_within)
    with pytest.raises(vmsvc.Undetermined, match="interrupted while container#1 was moved to n2") as error:
        n1.migrate(web, "n2")
    assert error.value.code == "undetermined.migration"


def test_a_tool_that_cannot_be_asked_any_more_has_moved_it_all_the_same(pair, n1, monkeypatch):
    web = start(n1)
    driver = n1._drivers.of_guest(web.guests[0])
    really = type(driver).migrate

    def migrate(self, guest, destination, *, budget_s):
        really(self, guest, destination, budget_s=budget_s)
        raise vmsvc.ActionFailed("no more processes")

    monkeypatch.setattr(type(driver), "migrate", migrate)
    assert [result.error for result in n1.migrate(web, "n2").results] == [""]


def test_a_move_that_ends_between_the_two_looks_is_a_move_and_runs_at_one_end(pair, n1, monkeypatch):
    web = start(n1)
    really = arrivals.Arrivals.look

    def look(self, guest):
        pair.hypervisors["n1"].set("web", phase="moved")
        pair.hypervisors["n2"].set("web", phase="running")
        return really(self, guest)

    def migrate(self, guest, destination, *, budget_s):
        raise vmsvc.Undetermined("it goes on")

    monkeypatch.setattr(steps, "_ENDS_S", 0.0)  # these looks are the last ones
    monkeypatch.setattr(arrivals.Arrivals, "look", look)
    monkeypatch.setattr(type(n1._drivers.of_guest(web.guests[0])), "migrate", migrate)
    assert [result.error for result in n1.migrate(web, "n2").results] == [""]


def _until(holds):
    for _ in range(200):
        if holds():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it never came to pass")

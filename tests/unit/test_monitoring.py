"""A session that keeps services up, on the simulated hypervisor: what it starts again, and what it never does."""

from __future__ import annotations

import pytest

import vmsvc
from vmsvc.core.execution.journal import Journal
from vmsvc.core.keeping.upkeep import Care

WEB = """
    [DEFAULT]
    nodes = n1
    lock_timeout = 300ms
    {default}

    [container#1]
    type = null
    name = web1
    restart_delay = 0
    {options}
"""


@pytest.fixture
def load(session, make_service):
    def load(options="restart = 2", default="monitor_action = none"):
        return session.load(make_service(WEB.format(options=options, default=default)))

    return load


def look(session, web):
    (upkeep,) = session.upkeep([web])
    return upkeep


def round_of(session, web):
    return [(deed.words, deed.error and deed.error.code) for deed in session.keep_up(look(session, web))]


def test_a_guest_that_went_down_is_started_again_as_often_as_it_may_be(session, load, hypervisor):
    web = load()
    session.start(web)
    assert round_of(session, web) == []
    for attempt in (1, 2):
        hypervisor.set("web1", phase="stopped")
        (deed,) = round_of(session, web)
        assert deed == (f"container#1: it is stopped (attempt {attempt} of 2): start it again", None)
        assert hypervisor.machine("web1").phase == "running"
    hypervisor.set("web1", phase="stopped")
    with vmsvc.Session(session._environment) as another:
        assert round_of(another, web) == []
        assert look(another, web).findings[0].why == "it stays stopped after 2 attempts"
    session.start(web)  # who starts it by hand begins anew
    hypervisor.set("web1", phase="stopped")
    assert "attempt 1 of 2" in round_of(session, web)[0][0]


def test_what_was_stopped_on_purpose_or_never_started_stays_down(session, load, hypervisor):
    web = load()
    assert look(session, web).findings == ()
    session.start(web)
    session.stop(web)
    assert look(session, web).findings == ()
    assert hypervisor.starts("web1") == 1


def test_what_was_up_already_when_it_was_to_be_started_is_kept_up_too(session, load, hypervisor):
    web = load()
    hypervisor.set("web1", phase="running")
    assert session.start(web).results == ()
    hypervisor.set("web1", phase="stopped")
    assert len(round_of(session, web)) == 1
    assert hypervisor.machine("web1").phase == "running"


@pytest.mark.parametrize("phase", ["paused", "saved", "absent", "moved", "migrating", "crashed"])
def test_what_is_not_plainly_down_is_left_alone(session, load, hypervisor, phase):
    web = load("restart = 2\n    monitor = true", "monitor_action = stop")
    session.start(web)
    hypervisor.set("web1", phase=phase)
    assert round_of(session, web) == []
    assert [found.care for found in look(session, web).findings] == [Care.LEAVE]
    assert hypervisor.starts("web1") == 1


def test_what_nobody_can_see_is_left_alone(session, load, hypervisor):
    web = load("restart = 2\n    monitor = true", "monitor_action = freezestop")
    session.start(web)
    hypervisor.set("web1", phase="stopped")
    hypervisor.set(None, fail=["observe"])
    assert round_of(session, web) == []
    assert look(session, web).findings[0].is_unknown
    assert session.frozen(web) is None


def test_a_frozen_service_is_left_alone_even_where_it_is_frozen_at_the_last_moment(session, load, hypervisor):
    web = load()
    session.start(web)
    hypervisor.set("web1", phase="stopped")
    decided = look(session, web)
    session.freeze(web)
    assert [deed.error.code for deed in session.keep_up(decided)] == ["refused.frozen"]
    assert look(session, web).pause.startswith("it is frozen")
    assert session.keep_up(look(session, web)) == []
    assert hypervisor.starts("web1") == 1
    session.thaw(web)
    assert "attempt 1 of 2" in round_of(session, web)[0][0]  # what was refused was no attempt


def test_a_stop_between_look_and_start_wins(session, load, hypervisor):
    web = load()
    session.start(web)
    hypervisor.set("web1", phase="stopped")
    decided = look(session, web)
    session.stop(web)
    assert [deed.error.code for deed in session.keep_up(decided)] == ["refused.no-longer-wanted"]
    assert hypervisor.starts("web1") == 1


@pytest.mark.parametrize("action", ["reboot", "stop", "freezestop"])
def test_what_was_stopped_on_purpose_between_look_and_giving_up_ends_nothing(session, load, hypervisor, root, action):
    mark = root / "mark"
    (root / "etc/vmsvc/node.toml").write_text(f'[node]\nmode = "TST"\nreboot_command = ["touch", "{mark}"]\n')
    web = load("monitor = true", f"monitor_action = {action}")
    session.start(web)
    hypervisor.set("web1", phase="stopped")
    decided = look(session, web)
    session.stop(web)
    assert {deed.error.code for deed in session.keep_up(decided)} == {"refused.no-longer-wanted"}
    assert (mark.exists(), session.frozen(web)) == (False, None)


def test_an_attempt_that_fails_counts_and_is_told(session, load, hypervisor):
    web = load("restart = 1")
    session.start(web)
    hypervisor.set("web1", phase="stopped", fail=["start"])
    (deed,) = session.keep_up(look(session, web))
    assert "start of web failed" in str(deed.error)
    assert look(session, web).findings[0].care is Care.LEAVE


@pytest.mark.keyword("DEFAULT.monitor_action")
@pytest.mark.parametrize(
    ("action", "frozen", "up"), [("none", False, True), ("stop", False, False), ("freezestop", True, False)]
)
def test_monitor_action_has_its_turn_where_a_monitored_resource_stays_down(
    session, make_service, hypervisor, action, frozen, up
):
    text = WEB.format(options="monitor = true", default=f"monitor_action = {action}")
    web = session.load(make_service(text + "    [container#2]\n    type = null\n    name = web2\n"))
    session.start(web)
    hypervisor.set("web1", phase="stopped")
    words = [words for words, _ in round_of(session, web)]
    assert [word.rpartition(": ")[2] for word in words] == {
        "none": [], "stop": ["stop the service"], "freezestop": ["freeze the service", "stop the service"],
    }[action]  # fmt: skip
    assert (session.frozen(web) is not None, hypervisor.machine("web2").phase == "running") == (frozen, up)
    if action != "none":
        assert look(session, web).findings == ()  # it has no second turn
    if frozen:
        assert str(session.frozen(web)).endswith("container#1: it stays stopped")


@pytest.mark.parametrize("action", ["reboot", "crash"])
def test_a_node_ends_by_its_own_command_and_its_journal_tells_why(session, load, hypervisor, root, action):
    mark = root / "mark"
    (root / "etc/vmsvc/node.toml").write_text(f'[node]\nmode = "TST"\n{action}_command = ["touch", "{mark}"]\n')
    web = load("monitor = true", f"monitor_action = {action}")
    session.start(web)
    hypervisor.set("web1", phase="stopped")
    assert round_of(session, web) == [(f"container#1: it stays stopped: {action} the node", None)]
    assert mark.exists()
    assert look(session, web).findings == ()  # one is enough until the node is down
    journal = Journal(root / "var/lib/vmsvc/journal/web.jsonl")
    assert journal.unfinished().begun == f"{action} n1"  # as `status` and `boot` tell when the node is up again
    session.boot(web)
    assert journal.unfinished() is None


def test_a_node_without_a_command_or_with_one_that_fails_goes_on_and_says_so(session, load, hypervisor, root):
    web = load("monitor = true", "monitor_action = crash")
    session.start(web)
    hypervisor.set("web1", phase="stopped")
    assert [code for _, code in round_of(session, web)] == ["config.node"]
    (root / "etc/vmsvc/node.toml").write_text('[node]\nmode = "TST"\ncrash_command = "false"\n')
    with vmsvc.Session() as another:
        (deed,) = another.keep_up(look(another, web))
        assert "false ended with 1" in str(deed.error)
        assert look(another, web).findings  # it has its turn again
        assert another.status(web).instances[0].notes == ()


def test_what_needs_other_nodes_is_refused_with_the_reason(load):
    with pytest.raises(vmsvc.ConfigError, match="'switch' is not supported: no node of this version starts"):
        load("monitor = true", "monitor_action = switch")


def test_a_failed_restart_of_one_guest_does_not_take_the_other_along(session, make_service, hypervisor):
    text = (
        WEB.format(options="restart = 1", default="")
        + "    [container#2]\n    type = null\n    name = web2\n    restart = 1\n"
    )
    web = session.load(make_service(text))
    session.start(web)
    hypervisor.set("web1", phase="stopped")
    hypervisor.set("web2", phase="stopped", fail=["start"])
    deeds = session.keep_up(look(session, web))
    assert [deed.error is None for deed in deeds] == [True, False]
    assert hypervisor.machine("web1").phase == "running"

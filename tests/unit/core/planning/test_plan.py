from __future__ import annotations

import itertools

import pytest

from tests.support import NODE, guest, resource, seen, service
from vmsvc.core.errors import ConfigError, ExitCode, Problem, Refused, Undetermined, UsageError
from vmsvc.core.node import Node
from vmsvc.core.planning.plan import Step
from vmsvc.core.planning.planner import plan
from vmsvc.core.planning.rules import Consent, Need
from vmsvc.core.planning.stopping import undo
from vmsvc.core.status import Phase, inapplicable
from vmsvc.core.verb import Verb

APP = {"start": ("run",), "stop": ("halt",), "check": ("look",)}


def app(number=1, **options):
    return resource(f"app#{number}", **{**APP, **options})


def inside(number=1, **options):
    return app(number, container_id="container#1", **options)


def steps(made):
    return [str(step) for step in made.steps]


def codes(made):
    return [problem.code for problem in made.refusals]


def plan_for(action, each, phase, **consent):
    return plan(action, service(each), NODE, {each.rid: seen(phase)}, Consent(**consent))


# What is said of a resource, by what was seen of it: its verbs, or why the action is refused, or that it is kept.
KEEP = "keep"
DOWN = {Phase.STOPPED, Phase.SAVED, Phase.ABSENT, Phase.MOVED}
WAYS_UP = {**dict.fromkeys(DOWN | {Phase.STARTING, Phase.INAPPLICABLE}, "start"), Phase.RUNNING: KEEP}
UNKNOWN = {Phase.UNKNOWN: "undetermined.status"}
NO_WAY_UP = dict.fromkeys(
    (
        Phase.STOPPING,
        Phase.PAUSED,
        Phase.SUSPENDED,
        Phase.CRASHED,
        Phase.STUCK,
        Phase.MIGRATING,
        Phase.DEGRADED,
        Phase.CONTESTED,
        Phase.INCAPABLE,
    ),
    "refused.not-to-start",
)
HEARS = (
    Phase.RUNNING,
    Phase.PREPARED,
    Phase.STARTING,
    Phase.STOPPING,
    Phase.DEGRADED,
    Phase.CONTESTED,
    Phase.INCAPABLE,
    Phase.INAPPLICABLE,
)
DEAF = (Phase.PAUSED, Phase.SUSPENDED, Phase.CRASHED, Phase.STUCK)
STOP_GUEST = {
    **dict.fromkeys(DOWN, KEEP),
    **dict.fromkeys(HEARS, "stop kill"),
    **dict.fromkeys(DEAF, "kill"),
    Phase.MIGRATING: "refused.not-to-stop",
    **UNKNOWN,
}
STOP_APP = {**STOP_GUEST, **dict.fromkeys((*HEARS, *DEAF), "stop")}
START = {**WAYS_UP, **NO_WAY_UP, **UNKNOWN}
TABLE = {
    ("start", "guest"): {**START, Phase.PREPARED: "start"},
    ("start", "app"): {**START, Phase.PREPARED: "refused.not-to-start"},
    ("stop", "guest"): STOP_GUEST,
    ("stop", "app"): STOP_APP,
    # A restart starts what it stops, whatever it was; the rest is as for start, and both have to be allowed.
    ("restart", "guest"): {
        **dict.fromkeys(DOWN, "start"),
        **dict.fromkeys(HEARS, "stop kill start"),
        **dict.fromkeys(DEAF, "kill start"),
        Phase.MIGRATING: "refused.not-to-stop refused.not-to-start",
        **UNKNOWN,
    },
    ("restart", "app"): {
        **dict.fromkeys(DOWN, "start"),
        **dict.fromkeys((*HEARS, *DEAF), "stop start"),
        Phase.MIGRATING: "refused.not-to-stop refused.not-to-start",
        **UNKNOWN,
    },
}
MODES = ("plain", "optional", "disabled", "despite_unknown", "kill")


def expected(action, what, phase, mode):
    said = TABLE[action, what][phase]
    is_refused = "refused" in said or "undetermined" in said
    if mode == "disabled":
        return KEEP
    if mode == "optional" and is_refused:
        # Starts tolerate what is optional; a stop must not look like one that did its work.
        return KEEP if action == "start" else said.split()[0]
    if mode == "despite_unknown" and phase is Phase.UNKNOWN:
        return TABLE[action, what][Phase.INAPPLICABLE]
    if mode == "kill" and what == "guest":
        return said.replace("stop kill", "kill")
    return said


@pytest.mark.parametrize(
    ("action", "what", "phase", "mode"),
    list(itertools.product(("start", "stop", "restart"), ("guest", "app"), Phase, MODES)),
)
def test_the_whole_table(action, what, phase, mode):
    options = {"optional": mode == "optional", "disable": mode == "disabled"}
    each = guest(**options) if what == "guest" else app(**options)
    consent = {"kill": mode == "kill", "despite_unknown": {each.rid} if mode == "despite_unknown" else ()}
    made = plan_for(action, each, phase, **consent)

    want = expected(action, what, phase, mode)
    if want == KEEP:
        assert not made.steps
        assert not made.refusals
        assert {kept.rid for kept in made.kept} == {each.rid}
    elif "." in want:
        assert codes(made) == want.split()
        assert all(problem.section == each.rid for problem in made.refusals)
        assert not made.steps
        assert {kept.rid for kept in made.kept} == {each.rid}  # what is refused is shown, and why
        code = ExitCode.UNDETERMINED if phase is Phase.UNKNOWN else ExitCode.REFUSED
        assert made.exit_code is code
        with pytest.raises(Undetermined if phase is Phase.UNKNOWN else Refused):
            made.raise_if_refused()
    else:
        assert [step.verb for step in made.steps] == want.split()
        assert not made.kept
        made.raise_if_refused()


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("action", ["start", "stop", "restart"])
@pytest.mark.parametrize("rid", ["vmdg", "disk#1", "fs#1", "sync#1"])
def test_kinds_without_behaviour_are_left_as_they_are(rid, action, phase):
    made = plan_for(action, resource(rid), phase)
    assert (steps(made), codes(made), len(made.kept)) == ([], [], 1)


def test_an_application_inside_a_guest_is_started_after_it_and_stopped_before_it():
    web = service(guest(), inside())
    assert (
        steps(plan("start", web, NODE, {each.rid: seen(Phase.STOPPED) for each in web.resources}))[-1] == "start app#1"
    )
    stopping = steps(plan("stop", web, NODE, {each.rid: seen(Phase.RUNNING) for each in web.resources}))
    assert stopping == ["stop app#1", "stop container#1", "kill container#1"]


def test_an_application_without_the_command_is_kept():
    assert plan_for("start", app(start=()), Phase.STOPPED).kept[0].why == "it has no command for that"
    assert plan_for("stop", app(stop=()), Phase.RUNNING).kept[0].why == "it has no command for that"


NUMBERS = ("container#10", "container#2", "container#1")


def all_seen(phase):
    return {rid: seen(phase) for rid in NUMBERS}


def test_order_is_by_number_and_a_stop_goes_the_other_way():
    web = service(guest(10), guest(2), guest(1))
    assert steps(plan("start", web, NODE, all_seen(Phase.STOPPED))) == [f"start container#{n}" for n in (1, 2, 10)]
    stopping = plan("stop", web, NODE, all_seen(Phase.RUNNING))
    assert steps(stopping) == [f"{verb} container#{n}" for n in (10, 2, 1) for verb in ("stop", "kill")]
    again = plan("restart", web, NODE, all_seen(Phase.RUNNING))
    assert steps(again) == steps(stopping) + [f"start container#{n}" for n in (1, 2, 10)]


def test_rids_without_numbers_come_after_those_with():
    made = plan("start", service(guest("b"), guest("2a"), guest("10")), NODE, {})
    assert [problem.section for problem in made.refusals] == ["container#2a", "container#10", "container#b"]


def test_budgets_and_reasons():
    each = guest(start_timeout=7.0, stop_timeout=8.0, kill_timeout=9.0)
    (start,) = plan_for("start", each, Phase.SAVED).steps
    assert (start.budget_s, start.why, start.only_if_needed) == (7.0, "saved", False)
    stop, kill = plan_for("stop", each, Phase.RUNNING).steps
    assert [(step.budget_s, step.only_if_needed) for step in (stop, kill)] == [(8.0, False), (9.0, True)]
    (kill,) = plan_for("stop", each, Phase.RUNNING, kill=True).steps
    assert not kill.only_if_needed
    assert steps(plan_for("stop", guest(stop_timeout=0.0), Phase.RUNNING)) == ["kill container#1"]
    assert plan_for("restart", each, Phase.RUNNING).steps[-1].why == "it was stopped before"


def test_a_restart_starts_also_what_is_down_and_says_each_thing_once():
    web = service(guest(1), guest(2), guest(3, disable=True), guest(4))
    phases = {"container#1": Phase.STOPPED, "container#2": Phase.RUNNING, "container#4": Phase.UNKNOWN}
    made = plan("restart", web, NODE, {rid: seen(phase) for rid, phase in phases.items()})
    assert steps(made) == ["stop container#2", "kill container#2", "start container#1", "start container#2"]
    assert [kept.rid for kept in made.kept] == ["container#4", "container#3"]
    assert codes(made) == ["undetermined.status"]


def test_nobody_looked_is_unknown():
    for action in ("start", "stop", "restart"):
        made = plan(action, service(guest()), NODE, {})
        assert made.exit_code is ExitCode.UNDETERMINED
        assert "nobody looked" in made.refusals[0].message
        assert "--despite-unknown container#1" in made.refusals[0].hint


def test_consent_despite_unknown_is_for_the_named_resource_only():
    web = service(guest(1), guest(2))
    made = plan("start", web, NODE, all_seen(Phase.UNKNOWN), Consent(despite_unknown=["container#1"]))
    assert steps(made) == ["start container#1"]
    assert [problem.section for problem in made.refusals] == ["container#2"]
    assert plan("start", service(guest()), NODE, {}, Consent(despite_unknown=["container#1"])).steps


def down_plan(action="start", node=NODE, consent=None, each=None, **settings):
    each = each or guest()
    phase = Phase.RUNNING if action == "stop" else Phase.STOPPED
    return plan(action, service(each, **settings), node, {each.rid: seen(phase)}, consent)


@pytest.mark.parametrize("action", ["start", "stop", "restart"])
def test_a_node_that_is_not_listed_does_nothing(action):
    made = down_plan(action, nodes=("n2",))
    assert "refused.not-listed" in codes(made)
    assert made.exit_code is ExitCode.REFUSED
    assert "n2" in made.refusals[0].hint


def test_a_drpnode_starts_only_when_told_and_stops_always():
    settings = {"nodes": ("n2",), "drpnodes": ("n1",)}
    assert codes(down_plan(**settings)) == ["refused.drp"]
    assert codes(down_plan("restart", **settings)) == ["refused.drp"]
    assert codes(down_plan("stop", **settings)) == []
    assert codes(down_plan(consent=Consent(drp=True), **settings)) == []


@pytest.mark.parametrize(
    ("mode", "env", "refused"),
    [("PRD", "TST", True), ("PRD", "PRD", False), ("PRD", "", False), ("TST", "PRD", False), ("TST", "TST", False)],
)
def test_only_production_starts_on_production(mode, env, refused):
    node = Node(name="n1", mode=mode)
    assert codes(down_plan(node=node, env=env)) == (["refused.host-mode"] if refused else [])
    assert codes(down_plan("stop", node=node, env=env)) == []


def test_an_unknown_host_mode_refuses_a_start_and_nothing_else():
    node = Node(name="n1", problems=(Problem(message="`PROD` is no host mode", code="config.node"),))
    one = guest(1)

    for phase, exit_code, error in (
        (Phase.STOPPED, ExitCode.USAGE, ConfigError),
        (Phase.UNKNOWN, ExitCode.USAGE, ConfigError),
        (Phase.PAUSED, ExitCode.REFUSED, Refused),  # a rule counts more than what is not known
    ):
        made = plan("start", service(one), node, {one.rid: seen(phase)})
        assert "config.node" in codes(made)
        assert made.exit_code is exit_code
        with pytest.raises(error):
            made.raise_if_refused()
    assert codes(plan("stop", service(one), node, {one.rid: seen(Phase.RUNNING)})) == []


def disks_and_guest(**vmdg):
    return service(guest(), resource("vmdg", container_id="container#1", **{"scsireserv": True, **vmdg}))


def both(vmdg, container):
    return {"vmdg": seen(vmdg), "container#1": seen(container)}


def test_disks_are_reserved_before_the_guest_runs_and_given_up_after_it_has_stopped():
    one = disks_and_guest()
    start = plan("start", one, NODE, both(Phase.STOPPED, Phase.STOPPED))
    assert [str(step) for step in start.steps] == ["start vmdg", "start container#1"]
    assert [step.needs for step in start.steps] == [(), (Need(rid="vmdg", up=True),)]
    stop = plan("stop", one, NODE, both(Phase.RUNNING, Phase.RUNNING))
    assert [str(step) for step in stop.steps] == ["stop container#1", "kill container#1", "stop vmdg"]
    assert stop.steps[-1].needs == (Need(rid="container#1", up=False),)


def test_a_guest_needs_its_disks_even_where_they_are_optional():
    start = plan("start", disks_and_guest(optional=True), NODE, both(Phase.STOPPED, Phase.STOPPED))
    assert start.steps[-1].needs == (Need(rid="vmdg", up=True),)


@pytest.mark.parametrize("vmdg", [{"scsireserv": False}, {"disable": True}])
def test_disks_that_are_not_reserved_are_needed_by_nobody(vmdg):
    one = disks_and_guest(**vmdg)
    start = plan("start", one, NODE, both(Phase.INAPPLICABLE, Phase.STOPPED))
    assert [str(step) for step in start.steps] == ["start container#1"]
    assert start.steps[0].needs == ()


def test_a_restart_gives_up_no_disk():
    restart = plan("restart", disks_and_guest(), NODE, both(Phase.RUNNING, Phase.RUNNING))
    taken = ["stop container#1", "kill container#1", "start vmdg", "start container#1"]
    assert [str(step) for step in restart.steps] == taken


@pytest.mark.parametrize("vmdg", [Phase.RUNNING, Phase.INAPPLICABLE, Phase.INCAPABLE])
def test_disks_are_made_sure_of_before_a_guest_is_started_on_them(vmdg):
    start = plan("start", disks_and_guest(), NODE, both(vmdg, Phase.STOPPED))
    assert [str(step) for step in start.steps] == ["start vmdg", "start container#1"]
    again = plan("start", disks_and_guest(), NODE, both(Phase.RUNNING, Phase.RUNNING))
    assert again.steps == ()


@pytest.mark.parametrize(
    ("vmdg", "code"),
    [
        (Phase.STOPPED, "refused.not-to-start"),
        (Phase.INCAPABLE, "refused.not-to-start"),
        (Phase.CONTESTED, "refused.not-to-start"),
        (Phase.UNKNOWN, "undetermined.status"),
    ],
)
def test_a_guest_by_itself_is_not_started_without_its_disks(vmdg, code):
    start = plan("start", disks_and_guest(), NODE, both(vmdg, Phase.STOPPED), only={"container#1"})
    assert codes(start) == [code]
    insists = Consent(despite_unknown={"vmdg"})
    assert codes(plan("start", disks_and_guest(), NODE, both(vmdg, Phase.STOPPED), insists, only={"container#1"}))


def test_a_stop_goes_on_though_the_disks_cannot_be_seen():
    stop = plan("stop", disks_and_guest(), NODE, both(Phase.UNKNOWN, Phase.RUNNING))
    stop.raise_if_refused()
    assert [str(step) for step in stop.steps] == ["stop container#1", "kill container#1", "stop vmdg"]


@pytest.mark.parametrize(
    ("container", "code", "exit_code"),
    [
        (Phase.RUNNING, "refused.not-to-stop", ExitCode.REFUSED),
        (Phase.PAUSED, "refused.not-to-stop", ExitCode.REFUSED),
        (Phase.UNKNOWN, "undetermined.status", ExitCode.UNDETERMINED),
    ],
)
def test_no_disk_is_given_up_under_a_guest(container, code, exit_code):
    stop = plan("stop", disks_and_guest(), NODE, both(Phase.RUNNING, container), only={"vmdg"})
    assert codes(stop) == [code]
    assert stop.exit_code is exit_code


def test_an_action_may_be_limited_to_some_resources():
    down = both(Phase.STOPPED, Phase.STOPPED)
    assert [str(step) for step in plan("start", disks_and_guest(), NODE, down, only={"vmdg"}).steps] == ["start vmdg"]
    stop = plan("stop", disks_and_guest(), NODE, both(Phase.RUNNING, Phase.STOPPED), only={"vmdg"})
    assert [str(step) for step in stop.steps] == ["stop vmdg"]


def test_listed_disks_are_needed_by_all_that_may_write_to_them():
    one = service(resource("disk#1", scsireserv=True), app(start=("run",), stop=("halt",)))
    seen_up = {"disk#1": seen(Phase.RUNNING), "app#1": seen(Phase.RUNNING)}
    (*_, release) = plan("stop", one, NODE, seen_up).steps
    assert release.needs == (Need(rid="app#1", up=False),)
    assert codes(plan("stop", one, NODE, seen_up, only={"disk#1"})) == ["refused.not-to-stop"]


def test_a_rule_counts_more_than_a_fact_that_is_missing():
    made = plan("start", service(guest(), nodes=("n2",)), NODE, {})
    assert codes(made) == ["refused.not-listed", "undetermined.status"]
    assert made.exit_code is ExitCode.REFUSED
    with pytest.raises(Refused) as error:
        made.raise_if_refused()
    assert error.value.problems == made.refusals
    assert all(problem.file == "/etc/web.conf" for problem in made.refusals)


def test_every_refusal_says_what_to_do():
    for phase in Phase:
        for action in ("start", "stop"):
            assert all(problem.hint for problem in plan_for(action, guest(), phase).refusals)


def test_the_same_facts_make_the_same_plan():
    facts = {"container#1": seen(Phase.STOPPED)}
    assert plan("start", service(guest()), NODE, facts) == plan("start", service(guest()), NODE, dict(facts))


def test_there_is_no_such_action():
    with pytest.raises(UsageError, match=r"there is no action 'stpo'.*start, stop, restart"):
        plan("stpo", service(guest()), NODE, {})


def test_undo():
    start = Step(rid="container#1", verb=Verb.START, budget_s=1.0)
    assert [str(step) for step in undo(start, service(guest()))] == ["stop container#1", "kill container#1"]
    assert all("failed: start container#1" in step.why for step in undo(start, service(guest())))
    begun = Step(rid="app#1", verb=Verb.START, budget_s=1.0)
    assert [str(step) for step in undo(begun, service(app()))] == ["stop app#1"]
    assert undo(begun, service(app(stop=()))) == ()


def test_only_what_takes_back_says_so():
    start = Step(rid="container#1", verb=Verb.START, budget_s=1.0)
    stopping = undo(start, service(guest(stop_timeout=8.0, kill_timeout=9.0)))
    assert [(step.takes_back, step.only_if_needed, step.budget_s) for step in stopping] == [
        (True, False, 8.0),
        (True, True, 9.0),
    ]
    for action in ("start", "stop", "restart"):
        phase = Phase.STOPPED if action == "start" else Phase.RUNNING
        assert not any(step.takes_back for step in plan_for(action, guest(), phase).steps)


@pytest.mark.parametrize("verb", ["prepare", "start", None])
def test_a_step_has_a_verb_and_no_text(verb):
    with pytest.raises(TypeError, match="'verb' must be"):
        Step(rid="container#1", verb=verb, budget_s=1.0)


@pytest.mark.parametrize("phase", [Phase.UNKNOWN, Phase.MIGRATING])
def test_an_optional_resource_that_may_go_on_running_refuses_the_whole_stop(phase):
    web = service(guest(1), guest(2, optional=True))
    made = plan("stop", web, NODE, {"container#1": seen(Phase.RUNNING), "container#2": seen(phase)})
    assert [problem.section for problem in made.refusals] == ["container#2"]
    assert made.exit_code is (ExitCode.UNDETERMINED if phase is Phase.UNKNOWN else ExitCode.REFUSED)
    kept = plan("start", web, NODE, {"container#1": seen(Phase.STOPPED), "container#2": seen(phase)})
    assert (steps(kept), codes(kept)) == (["start container#1"], [])
    assert kept.kept[0].why.endswith("; it is optional")


def test_a_degraded_application_is_looked_at_and_not_started_again():
    made = plan_for("start", app(), Phase.DEGRADED)
    assert (codes(made), made.exit_code) == (["refused.not-to-start"], ExitCode.REFUSED)
    assert "look at what is wrong with it" in made.refusals[0].hint


def test_launchers_are_called_again_where_an_application_is_degraded():
    facts = {"container#1": seen(Phase.RUNNING), "app#1": seen(Phase.DEGRADED)}
    made = plan("start", service(guest(), resource("app#1", container_id="container#1")), NODE, facts)
    assert (codes(made), [str(step) for step in made.steps]) == ([], ["start app#1"])


@pytest.mark.parametrize("action", ["stop", "restart"])
def test_force_without_asking_first_is_told(action):
    def notes(phase, **consent):
        return [note.message for note in plan_for(action, guest(), phase, **consent).notes]

    assert "container#1 is paused: it cannot hear a request" in notes(Phase.PAUSED)[0]
    assert notes(Phase.RUNNING) == notes(Phase.PAUSED, kill=True) == []


def test_a_node_that_the_file_calls_by_another_name_is_told_so():
    (refusal,) = down_plan(node=Node(name="N1"), nodes=("n0", "n1.example.org")).refusals

    assert (
        refusal.hint == "the file calls it n1.example.org: set VMSVC_NODENAME=n1.example.org, or write N1 in the file"
    )
    assert "act on n10" in down_plan(nodes=("n10",)).refusals[0].hint


FROZEN = "frozen since 2026-01-31 21:03:12: storage is moved"


@pytest.mark.parametrize("action", ["start", "restart"])
@pytest.mark.parametrize("phase", [Phase.STOPPED, Phase.RUNNING])
def test_what_is_frozen_does_not_start_not_even_by_a_restart(action, phase):
    made = plan(action, service(guest()), NODE, {"container#1": seen(phase)}, freeze=FROZEN)
    assert codes(made) == ["refused.frozen"]
    assert made.refusals[0].message == f"web is {FROZEN}"
    assert "vmsvc thaw web" in made.refusals[0].hint
    assert "--despite-frozen" in made.refusals[0].hint
    assert made.exit_code is ExitCode.REFUSED


def test_what_is_frozen_stops_and_starts_when_told_so_in_words():
    facts = {"container#1": seen(Phase.RUNNING)}
    assert steps(plan("stop", service(guest()), NODE, facts, freeze=FROZEN)) == ["stop container#1", "kill container#1"]
    agreed = plan("restart", service(guest()), NODE, facts, Consent(despite_frozen=True), freeze=FROZEN)
    assert (agreed.refusals, len(agreed.steps)) == ((), 3)


def test_subsets_start_in_the_order_of_their_names_after_what_is_in_none_and_stop_the_other_way():
    web = service(
        guest(1, subset="late"), guest(2), guest(3, subset="early"), inside(1, subset="a"), resource("vmdg", subset="z")
    )
    facts = {each.rid: seen(Phase.STOPPED) for each in web.resources}
    starts = [step for step in steps(plan("start", web, NODE, facts)) if step.startswith("start container")]
    assert starts == ["start container#2", "start container#3", "start container#1"]
    facts = {each.rid: seen(Phase.RUNNING) for each in web.resources}
    stopping = steps(plan("stop", web, NODE, facts, Consent(kill=True)))
    assert stopping == ["stop app#1", "kill container#1", "kill container#3", "kill container#2"]


@pytest.mark.parametrize("action", ["start", "stop", "restart"])
@pytest.mark.parametrize("phase", [Phase.STOPPED, Phase.RUNNING, Phase.UNKNOWN])
def test_no_action_touches_what_is_tagged_noaction(action, phase):
    made = plan_for(action, guest(tags=("front", "noaction")), phase)
    assert (made.steps, made.refusals) == ((), ())
    assert [(kept.rid, kept.why) for kept in made.kept] == [("container#1", "tagged noaction")]


def test_disks_are_not_given_up_where_what_used_them_has_left_the_file():
    gone = resource("vmdg", container_id="container#9", is_left_over=True)
    made = plan(
        "stop", service(guest(), gone), NODE, {"vmdg": seen(Phase.DEGRADED), "container#1": seen(Phase.STOPPED)}
    )
    assert codes(made) == ["undetermined.status"]
    assert "container#9" in made.refusals[0].message


def test_what_is_only_left_over_is_given_up_and_never_started():
    parts = service(guest(), resource("vmdg", container_id="container#1", is_left_over=True))
    looks = {"vmdg": seen(Phase.DEGRADED), "container#1": seen(Phase.STOPPED)}
    assert steps(plan("stop", parts, NODE, looks)) == ["stop vmdg"]
    assert steps(plan("start", parts, NODE, looks)) == ["start container#1"]


# --- what a start waits for, inside guests ------------------------------------------------------------------------


def address(number=1, **options):
    return resource(f"ip#{number}", container_id="container#1", **options)


def ready(*phases, action="start", guest_options=None, consent=None, only=(), **options):
    """What is planned for a guest and its address, from what is seen of each."""
    web = service(guest(1, **(guest_options or {})), address(**options))
    facts = dict(zip(("container#1", "ip#1"), map(seen, phases), strict=True))
    return plan(action, web, NODE, facts, consent, only=only)


def test_a_start_waits_for_the_address_within_the_budget_of_the_guest():
    made = ready(Phase.STOPPED, Phase.STOPPED)
    assert steps(made) == ["start container#1", "wait ip#1"]
    waiting = made.steps[1]
    assert (waiting.within, waiting.budget_s, [str(need) for need in waiting.needs]) == (
        "container#1",
        2.0,
        ["container#1 up"],
    )
    assert waiting.trigger is None


@pytest.mark.parametrize("phase", [Phase.UNKNOWN, Phase.DEGRADED, Phase.RUNNING])
def test_whatever_is_seen_of_an_address_its_guest_has_not_started_yet(phase):
    assert steps(ready(Phase.STOPPED, phase)) == ["start container#1", "wait ip#1"]


@pytest.mark.keyword("ip.wait")
def test_an_address_that_nobody_waits_for():
    assert steps(ready(Phase.STOPPED, Phase.STOPPED, wait=False)) == ["start container#1"]
    assert steps(ready(Phase.STOPPED, Phase.STOPPED, tags=("noaction",))) == ["start container#1"]


@pytest.mark.parametrize(
    ("phase", "planned", "refused"),
    [
        (Phase.RUNNING, [], []),
        (Phase.STOPPED, ["wait ip#1"], []),
        (Phase.DEGRADED, ["wait ip#1"], []),
        (Phase.UNKNOWN, [], ["undetermined.status"]),
        (Phase.INAPPLICABLE, [], []),
    ],
)
def test_of_a_guest_that_runs_the_address_is_waited_for_unless_it_cannot_be_seen(phase, planned, refused):
    made = ready(Phase.RUNNING, phase)
    assert (steps(made), codes(made)) == (planned, refused)


def test_an_optional_address_that_cannot_be_seen_refuses_nothing():
    made = ready(Phase.RUNNING, Phase.UNKNOWN, optional=True)
    assert (steps(made), codes(made)) == ([], [])


def test_no_address_is_waited_for_of_a_guest_that_is_not_to_run():
    made = ready(Phase.STOPPED, Phase.STOPPED, only=("ip#1",))
    assert codes(made) == ["refused.not-to-start"]
    assert "it needs container#1 up" in made.refusals[0].message


def test_a_restart_waits_for_an_address_that_goes_down_with_its_guest():
    made = ready(Phase.RUNNING, Phase.RUNNING, action="restart", consent=Consent(kill=True))
    assert steps(made) == ["kill container#1", "start container#1", "wait ip#1"]


def test_a_stop_leaves_the_address_to_the_guest():
    made = ready(Phase.RUNNING, Phase.RUNNING, action="stop", consent=Consent(kill=True))
    assert steps(made) == ["kill container#1"]


@pytest.mark.parametrize("optional", [False, True])
def test_no_guest_is_started_whose_address_answers_elsewhere(optional):
    made = ready(Phase.STOPPED, Phase.CONTESTED, optional=optional)
    assert codes(made)[0] == "refused.address-taken"
    assert made.exit_code == 3
    assert made.refusals[0].message == "contested"


@pytest.mark.keyword("container.ready")
def test_a_start_waits_for_a_way_into_the_guest_where_that_is_wanted():
    made = ready(Phase.STOPPED, Phase.STOPPED, guest_options={"ready": "way-in"})
    assert steps(made) == ["start container#1", "wait container#1", "wait ip#1"]
    assert {step.within for step in made.steps} == {"", "container#1"}
    none = ready(Phase.STOPPED, Phase.STOPPED, guest_options={"ready": "way-in", "way_in": "none"})
    assert steps(none) == ["start container#1", "wait ip#1"]


def launched(*phases, guest_options=None, consent=None, action="start", **options):
    """What is planned for a guest and its launchers, from what is seen of each."""
    web = service(guest(1, **(guest_options or {})), resource("app#1", container_id="container#1", **options))
    facts = dict(zip(("container#1", "app#1"), map(seen, phases), strict=True))
    return plan(action, web, NODE, facts, consent)


def test_a_start_waits_for_launchers_within_the_budget_of_the_guest():
    made = launched(Phase.STOPPED, Phase.STOPPED)
    assert steps(made) == ["start container#1", "wait container#1", "wait app#1", "start app#1"]
    assert (made.steps[2].within, made.steps[3].within) == ("container#1", "")
    assert steps(launched(Phase.STOPPED, Phase.STOPPED, guest_options={"ready": "up"})) == [
        "start container#1",
        "wait app#1",
        "start app#1",
    ]


@pytest.mark.parametrize(
    ("phases", "options"),
    [
        ((Phase.RUNNING, Phase.STOPPED), {}),
        ((Phase.STOPPED, Phase.INAPPLICABLE), {}),
        ((Phase.STOPPED, Phase.STOPPED), {"start": ("true",)}),
        ((Phase.STOPPED, Phase.STOPPED), {"consent": Consent(despite_unknown=["app#1"])}),
        ((Phase.STOPPED, Phase.STOPPED), {"guest_options": {"way_in": "none"}}),
    ],
    ids=["guest is up", "no launchers there", "commands", "vouched for", "no way in"],
)
def test_nothing_waits_for_launchers_that_are_not_to_come(phases, options):
    assert "wait app#1" not in steps(launched(*phases, **options))


@pytest.mark.parametrize("action", ["start", "stop", "restart"])
@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.STOPPED])
def test_where_launchers_are_of_no_use_no_step_says_that_they_run(action, phase):
    web = service(guest(1), resource("app#1", container_id="container#1"))
    useless = inapplicable("configuration", "launchers are of no use", bears_no_verbs=True)
    made = plan(action, web, NODE, {"container#1": seen(phase), "app#1": useless})
    assert "app#1" not in {step.rid for step in made.steps}
    assert ("app#1", "n/a: launchers are of no use") in {(kept.rid, kept.why) for kept in made.kept}


# --- a guest whose memory is saved --------------------------------------------------------------------------------

RESERVED = {"scsireserv": True, "container_id": "container#1"}


def saved(action, disks, **consent):
    facts = {"container#1": seen(Phase.SAVED, "shut off (saved)"), "vmdg": seen(disks)}
    return plan(action, service(guest(), resource("vmdg", **RESERVED)), NODE, facts, Consent(**consent))


def test_disks_are_not_given_up_under_a_guest_whose_memory_is_saved():
    made = saved("stop", Phase.RUNNING)
    assert codes(made) == ["refused.not-to-stop"]
    assert "container#1 down, which is shut off (saved)" in made.refusals[0].message
    assert "discard its saved memory" in made.refusals[0].hint


def test_a_saved_guest_goes_on_where_its_disks_have_been_this_nodes_all_the_time():
    made = saved("start", Phase.RUNNING)
    assert codes(made) == []
    assert steps(made)[-1] == "start container#1"


def test_a_saved_guest_does_not_go_on_with_disks_that_others_may_have_written_to():
    made = saved("start", Phase.STOPPED)
    assert (codes(made), made.exit_code) == (["refused.stale-memory"], 3)
    assert codes(saved("start", Phase.STOPPED, despite_lost_keys=True)) == []

"""What holds for every service, whatever its resources and whatever was seen of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support import NODE, resource, seen, service, split_guest
from vmsvc.core.errors import ExitCode
from vmsvc.core.instance import instance_of
from vmsvc.core.kinds import KINDS, App
from vmsvc.core.planning.plan import ACTIONS
from vmsvc.core.planning.planner import plan
from vmsvc.core.planning.rules import Consent, Ruling, judge
from vmsvc.core.resource import Guest
from vmsvc.core.status import AT_REST, Phase, Status
from vmsvc.core.verb import STARTING, Verb

APP = {"start": ("run",), "stop": ("halt",)}


@st.composite
def resources(draw):
    kinds = draw(st.lists(st.sampled_from(list(KINDS)), max_size=6))
    made = []
    if draw(st.booleans()):
        made.append(split_guest("s", optional=draw(st.booleans())))
        given = {"container_id": "container#s", "is_plumbed": True}
        made += [resource(f"ip#s{number}", **given) for number in range(draw(st.integers(0, 2)))]
    for number, kind in enumerate(kinds):
        flags = {"optional": draw(st.booleans()), "disable": draw(st.booleans())}
        made.append(resource(f"{kind}#{number}", **flags, **(APP if kind == "app" else {})))
    return made


def facts_for(made):
    # A resource that is missing was not looked at.
    keys = [each.rid for each in made]
    observed = st.sampled_from(Phase).map(seen)
    return st.dictionaries(st.sampled_from(keys), observed) if keys else st.just({})


@given(st.data())
def test_the_order_of_resources_never_shows(data):
    made = data.draw(resources())
    facts = data.draw(facts_for(made))
    shuffled = data.draw(st.permutations(made))
    one, other = (instance_of(service(*order), "n1", facts) for order in (made, shuffled))
    assert (one.avail, one.overall) == (other.avail, other.overall)
    for action in ACTIONS:
        first, second = (plan(action, service(*order), NODE, facts) for order in (made, shuffled))
        assert first.steps == second.steps
        assert first.exit_code is second.exit_code


@given(st.data())
def test_unknown_never_becomes_anything_else(data):
    made = data.draw(resources())
    facts = data.draw(facts_for(made))
    found = instance_of(service(*made), "n1", facts)
    unseen = [each for each in made if not each.disable and each.rid not in facts]
    if any(not each.disable and (each in unseen or facts[each.rid].phase is Phase.UNKNOWN) for each in made):
        assert found.overall is Status.UNKNOWN
    else:
        assert Status.UNKNOWN not in (found.overall, found.avail)


@given(st.data(), st.sampled_from(ACTIONS), st.booleans())
def test_plans_touch_only_what_was_seen(data, action, kill):
    made = data.draw(resources())
    facts = data.draw(facts_for(made))
    found = plan(action, service(*made), NODE, facts, Consent(kill=kill))
    by_rid = {each.rid: each for each in made}
    are_stopped = {step.rid for step in found.steps if step.verb not in STARTING}
    for step in found.steps:
        # A guest that is stopped first takes along what it was given, whether or not anybody saw that.
        if not (step.rid.startswith("ip#s") and "container#s" in are_stopped):
            assert facts[step.rid].phase is not Phase.UNKNOWN
        assert not by_rid[step.rid].disable
        assert by_rid[step.rid].kind in ("container", "app", "ip")
    assert not {step.rid for step in found.steps} & {kept.rid for kept in found.kept}
    # Every resource is accounted for: it is acted on, kept, or the reason of a refusal.
    told = (
        {step.rid for step in found.steps}
        | {kept.rid for kept in found.kept}
        | {each.section for each in found.refusals}
    )
    assert told >= set(by_rid)
    assert (found.exit_code is ExitCode.DONE) == (not found.refusals)
    starts = [step for step in found.steps if step.verb in STARTING]
    stopped = {step.rid for step in found.steps if step.verb not in STARTING}
    for step in starts:
        half_way = {Guest: {Phase.PREPARED}, App: {Phase.DEGRADED}}
        by_kind = [phases for kind, phases in half_way.items() if isinstance(by_rid[step.rid], kind)]
        startable = AT_REST | {Phase.STARTING, Phase.INAPPLICABLE}.union(*by_kind)
        assert step.rid in stopped or facts[step.rid].phase in startable, found


@given(st.data(), st.sampled_from(("start", "restart")))
def test_what_a_guest_is_given_comes_between_the_halves_of_its_start(data, action):
    made = data.draw(resources())
    facts = data.draw(facts_for(made))
    found = plan(action, service(*made), NODE, facts)
    turns = [(step.verb, step.rid) for step in found.steps]
    split = next((each for each in made if each.rid == "container#s"), None)
    if split is not None and not found.refusals and facts.get("container#s", seen(Phase.UNKNOWN)).phase in AT_REST:
        assert (Verb.PREPARE, "container#s") in turns
    for number, (verb, rid) in enumerate(turns):
        if verb is Verb.PREPARE:
            assert (Verb.BOOT, rid) in turns[number:]
        if verb is Verb.START and rid.startswith("ip#s"):
            assert (Verb.PREPARE, "container#s") not in turns[number:]
            assert (Verb.BOOT, "container#s") not in turns[:number]


@given(st.data(), st.sampled_from(ACTIONS), st.booleans())
def test_a_plan_and_the_rules_before_its_steps_agree(data, action, kill):
    """Where nothing has changed since, what was planned is done: the first step of a resource is never overtaken."""
    made = data.draw(resources())
    facts = data.draw(facts_for(made))
    agreed = frozenset(data.draw(st.sets(st.sampled_from([each.rid for each in made])))) if made else frozenset()
    found = plan(action, service(*made), NODE, facts, Consent(kill=kill, despite_unknown=agreed))
    by_rid = {each.rid: each for each in made}
    first = {}
    for step in found.steps:
        first.setdefault(step.rid, step)
    stopped = {step.rid for step in found.steps if step.verb not in STARTING}
    for rid, step in first.items():
        if rid.startswith("ip#s") and (step.verb is Verb.WAIT or "container#s" in stopped):
            continue  # what was seen of it before its guest is booted, or stopped, says nothing about it after that
        assert judge(step.verb, by_rid[rid], facts.get(rid), agreed).ruling is Ruling.DO
        assert not step.only_if_needed


@given(st.data(), st.sampled_from(["stop", "restart"]))
def test_a_stop_accounts_for_all_that_may_run(data, action):
    """A stop that is not refused leaves nothing behind that could be up, optional or not."""
    made = data.draw(resources())
    facts = data.draw(facts_for(made))
    found = plan(action, service(*made), NODE, facts)
    if found.refusals:
        return
    stopped = {step.rid for step in found.steps if step.verb not in STARTING}
    for each in made:
        if not each.disable and Verb.STOP in each.budgets_s and not service(*made).is_inside_guest(each):
            assert each.rid in stopped or facts[each.rid].phase in AT_REST
    order = [step.rid for step in found.steps if step.verb not in STARTING]
    for each in made:
        if each.rid.startswith("ip#s") and {each.rid, "container#s"} <= set(order):
            assert order.index("container#s") < order.index(each.rid)  # it keeps them until it is down

"""The one table of rules, written out: every verb, kind of resource, and phase."""

from __future__ import annotations

import itertools

import pytest

from tests.support import guest, resource, seen
from vmsvc.core.planning.rules import Consent, Need, Ruling, judge, judge_need
from vmsvc.core.status import AT_REST, Objection, Phase, inapplicable
from vmsvc.core.verb import Verb

DO, NEEDLESS, UNHEARD, FORBIDDEN, UNKNOWN = Ruling
DRIVEN = (START, STOP, KILL) = (Verb.START, Verb.STOP, Verb.KILL)
PREPARE, BOOT = Verb.PREPARE, Verb.BOOT

# Columns: start of either, stop of a guest, stop of an application, kill of either.
TABLE = {
    Phase.RUNNING: (NEEDLESS, DO, DO, DO),
    Phase.STOPPED: (DO, NEEDLESS, NEEDLESS, NEEDLESS),
    Phase.SAVED: (DO, NEEDLESS, NEEDLESS, NEEDLESS),
    Phase.ABSENT: (DO, NEEDLESS, NEEDLESS, NEEDLESS),
    Phase.MOVED: (DO, NEEDLESS, NEEDLESS, NEEDLESS),
    Phase.PREPARED: (DO, DO, DO, DO),  # of a guest; nothing else is prepared
    Phase.STARTING: (DO, DO, DO, DO),
    Phase.STOPPING: (FORBIDDEN, DO, DO, DO),
    Phase.PAUSED: (FORBIDDEN, UNHEARD, DO, DO),
    Phase.SUSPENDED: (FORBIDDEN, UNHEARD, DO, DO),
    Phase.CRASHED: (FORBIDDEN, UNHEARD, DO, DO),
    Phase.STUCK: (FORBIDDEN, UNHEARD, DO, DO),
    Phase.MIGRATING: (FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN),
    Phase.DEGRADED: (FORBIDDEN, DO, DO, DO),
    Phase.CONTESTED: (FORBIDDEN, DO, DO, DO),
    Phase.INCAPABLE: (FORBIDDEN, DO, DO, DO),
    Phase.INAPPLICABLE: (DO, DO, DO, DO),
    Phase.UNKNOWN: (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
}
RESOURCES = {"guest": guest(), "app": resource("app#1", start=("run",), stop=("halt",))}


def expected(verb, what, phase):
    start, stop_guest, stop_app, kill = TABLE[phase]
    if phase is Phase.PREPARED and what == "app":
        start = FORBIDDEN
    return {START: start, STOP: stop_guest if what == "guest" else stop_app, KILL: kill}[verb]


EVERYTHING = list(itertools.product(DRIVEN, RESOURCES, Phase))


def test_the_table_is_whole():
    assert set(TABLE) == set(Phase)


@pytest.mark.parametrize(("verb", "what", "phase"), EVERYTHING)
def test_the_whole_table(verb, what, phase):
    judgement = judge(verb, RESOURCES[what], seen(phase), ())
    assert judgement.ruling is expected(verb, what, phase)
    assert judgement.why
    # Who may not do it is told what to do instead; who may needs no advice.
    assert bool(judgement.hint) == (judgement.ruling in (FORBIDDEN, UNKNOWN))


@pytest.mark.parametrize(("verb", "what", "phase"), EVERYTHING)
def test_consent_matters_for_what_is_unknown_and_nowhere_else(verb, what, phase):
    each = RESOURCES[what]
    agreed = judge(verb, each, seen(phase), {each.rid})
    assert agreed.ruling is (DO if phase is Phase.UNKNOWN else expected(verb, what, phase))
    assert judge(verb, each, seen(phase), {"container#9"}) == judge(verb, each, seen(phase), ())


@pytest.mark.parametrize("verb", DRIVEN)
def test_what_nobody_looked_at_is_unknown(verb):
    judgement = judge(verb, guest(), None, ())
    assert judgement.ruling is UNKNOWN
    assert judgement.why == "its status is unknown: nobody looked"
    assert "--despite-unknown container#1" in judgement.hint
    agreed = judge(verb, guest(), None, {"container#1"})
    assert agreed.ruling is DO
    assert agreed.why == "its status is unknown, and the operator agreed: nobody looked"


def test_reasons_are_the_technologys_own_words():
    def why(verb, phase):
        return judge(verb, guest(), seen(phase, "as it says"), ()).why

    assert why(START, Phase.RUNNING) == "already up"
    assert why(START, Phase.SAVED) == why(START, Phase.STARTING) == "as it says"
    assert why(START, Phase.PAUSED) == "it is as it says: neither up nor down"
    assert why(STOP, Phase.SAVED) == "already down (as it says)"
    assert why(STOP, Phase.RUNNING) == why(STOP, Phase.PAUSED) == why(KILL, Phase.INAPPLICABLE) == "as it says"
    assert why(KILL, Phase.MIGRATING) == "it is as it says"
    assert why(STOP, Phase.UNKNOWN) == "its status is unknown: as told"


def test_what_tells_a_whole_sentence_is_not_put_into_another():
    address = resource("ip#1", container_id="container#1")
    words = "192.0.2.7 is on no adapter; 192.0.2.8/24 is still on eth0"
    assert judge(START, address, seen(Phase.DEGRADED, words), ()).why == f"{words}: neither up nor down"
    assert judge(Verb.WAIT, address, seen(Phase.CONTESTED, words), ()).why == words


@pytest.mark.parametrize("verb", [START, STOP])
def test_where_no_verb_does_anything_none_is_tried(verb):
    app = resource("app#1", container_id="container#1")
    useless = inapplicable("configuration", "launchers are of no use", bears_no_verbs=True)
    judgement = judge(verb, app, useless, ())
    assert (judgement.ruling, judgement.why) == (NEEDLESS, "n/a: launchers are of no use")
    assert judge(verb, app, inapplicable("configuration", "it has no check command"), ()).ruling is DO


def test_each_way_out_is_told():
    hints = {
        phase: judge(START, guest(), seen(phase), ()).hint
        for phase, rulings in TABLE.items()
        if rulings[0] is FORBIDDEN
    }
    assert "resume it" in hints[Phase.PAUSED]
    assert "wake it" in hints[Phase.SUSPENDED]
    assert "why it crashed" in hints[Phase.CRASHED]
    assert "its process" in hints[Phase.STUCK]
    assert "when it is down" in hints[Phase.STOPPING]
    assert "what is wrong with it" in hints[Phase.DEGRADED]
    assert hints[Phase.MIGRATING] == "try again when the migration has ended"
    assert judge(STOP, guest(), seen(Phase.MIGRATING), ()).hint == hints[Phase.MIGRATING]


def test_down_is_what_was_positively_seen_to_be_down():
    assert {phase for phase in Phase if phase.status.value == "down"} == AT_REST


def test_consent_says_no_unless_told():
    nothing = Consent()
    assert (nothing.drp, nothing.kill, nothing.despite_unknown) == (False, False, frozenset())
    assert Consent(despite_unknown=["a", "a"]).despite_unknown == {"a"}


def test_there_are_no_other_verbs():
    assert (
        [str(verb) for verb in Verb]
        == [f"{verb}" for verb in Verb]
        == [
            "start",
            "prepare",
            "boot",
            "stop",
            "kill",
            "wait",
            "run",
            "migrate",
        ]
    )
    with pytest.raises(ValueError, match="'provision' is not a valid Verb"):
        Verb("provision")


@pytest.mark.parametrize("phase", Phase)
def test_a_split_start_goes_on_from_where_the_guest_stands(phase):
    ways = {
        **dict.fromkeys(Phase, (FORBIDDEN, FORBIDDEN)),
        **dict.fromkeys(AT_REST, (DO, FORBIDDEN)),  # what is down is prepared first, and never booted as it is
        Phase.RUNNING: (NEEDLESS, NEEDLESS),
        Phase.PREPARED: (NEEDLESS, DO),
        Phase.STARTING: (NEEDLESS, DO),
        Phase.INAPPLICABLE: (DO, DO),
        Phase.UNKNOWN: (UNKNOWN, UNKNOWN),
    }
    judged = [judge(verb, guest(), seen(phase), ()) for verb in (PREPARE, BOOT)]
    assert tuple(each.ruling for each in judged) == ways[phase]
    assert all(bool(each.hint) == (each.ruling in (FORBIDDEN, UNKNOWN)) for each in judged)


def test_an_address_that_somebody_else_has_is_not_taken_away_from_a_guest():
    given = resource("ip#1", container_id="container#1", is_plumbed=True)
    assert judge(STOP, given, seen(Phase.CONTESTED), ()).ruling is NEEDLESS


def test_what_is_prepared_meets_the_needs_of_what_is_given_to_it_and_no_others():
    prepared = seen(Phase.PREPARED)
    assert judge_need(Need(rid="container#1", up=True, or_prepared=True), prepared, ()) is None
    for up in (True, False):
        unmet = judge_need(Need(rid="container#1", up=up), prepared, ())
        assert unmet is not None
        assert unmet.ruling is FORBIDDEN


WAITED_FOR = {
    **dict.fromkeys((Phase.RUNNING, Phase.INAPPLICABLE, Phase.INCAPABLE), NEEDLESS),
    Phase.CONTESTED: FORBIDDEN,
    Phase.UNKNOWN: UNKNOWN,
}


@pytest.mark.parametrize("phase", Phase)
def test_what_is_waited_for_comes_by_itself_unless_it_is_there_or_somebody_elses(phase):
    address = resource("ip#1", container_id="container#1")
    assert judge(Verb.WAIT, address, seen(phase), ()).ruling is WAITED_FOR.get(phase, DO)


# Reserving looks for itself before it writes, and releasing takes away nothing but what it finds to be its own.
RESERVED = {
    **dict.fromkeys((Phase.STOPPED, Phase.SAVED, Phase.ABSENT, Phase.MOVED), (DO, NEEDLESS)),
    Phase.RUNNING: (NEEDLESS, DO),
    Phase.DEGRADED: (DO, DO),
    Phase.CONTESTED: (DO, DO),
    Phase.INCAPABLE: (DO, DO),
    Phase.INAPPLICABLE: (NEEDLESS, NEEDLESS),
    Phase.UNKNOWN: (UNKNOWN, DO),
}


@pytest.mark.parametrize("rid", ["vmdg", "disk#1"])
@pytest.mark.parametrize("phase", RESERVED)
def test_disks_that_are_reserved_have_rules_of_their_own(rid, phase):
    disks = resource(rid, scsireserv=True)
    assert tuple(judge(verb, disks, seen(phase), ()).ruling for verb in (START, STOP)) == RESERVED[phase]


def test_what_cannot_be_seen_is_not_taken_but_may_be_given_up():
    disks = resource("vmdg", scsireserv=True)
    assert judge(START, disks, None, ()).ruling is UNKNOWN
    assert judge(STOP, disks, None, ()).ruling is DO


IS_UP = {Phase.RUNNING, Phase.DEGRADED, Phase.INAPPLICABLE}
IS_DOWN = (AT_REST - {Phase.SAVED}) | {Phase.INAPPLICABLE}  # what is saved remembers its disks


@pytest.mark.parametrize(("up", "phase"), list(itertools.product((True, False), Phase)))
def test_a_need_is_met_by_evidence_only(up, phase):
    unmet = judge_need(Need(rid="vmdg", up=up), seen(phase), ())
    if phase in (IS_UP if up else IS_DOWN):
        assert unmet is None
    else:
        assert unmet is not None
        assert unmet.ruling is (UNKNOWN if phase is Phase.UNKNOWN else FORBIDDEN)
        assert "vmdg" in unmet.why
        assert unmet.hint


def test_a_need_that_nobody_looked_at_is_unknown_unless_the_operator_knows():
    need = Need(rid="container#1", up=False)
    unmet = judge_need(need, None, ())
    assert unmet is not None
    assert unmet.ruling is UNKNOWN
    assert judge_need(need, None, {"container#1"}) is None
    assert judge_need(need, seen(Phase.RUNNING), {"container#1"}) is not None


def test_nobody_vouches_for_disks_that_nobody_sees():
    unmet = judge_need(Need(rid="vmdg", up=True), seen(Phase.UNKNOWN), {"vmdg"})
    assert unmet is not None
    assert unmet.ruling is UNKNOWN


@pytest.mark.parametrize("phase", set(Phase) - {Phase.RUNNING, Phase.UNKNOWN, Phase.INAPPLICABLE})
def test_what_speaks_against_a_start_counts_whatever_the_phase_and_against_no_stop(phase):
    disks = resource("vmdg", container_id="container#1", scsireserv=True)
    held = seen(phase, objection=Objection(why="held by n2", hint="--force n2"))
    judged = judge(Verb.START, disks, held, {"vmdg"})
    assert (judged.ruling, judged.why, judged.hint) == (FORBIDDEN, "held by n2", "--force n2")
    assert judge(Verb.STOP, disks, held, ()) == judge(Verb.STOP, disks, seen(phase), ())

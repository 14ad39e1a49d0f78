"""Clauses about trouble: down needs evidence, and whatever does not answer costs its budget and no more.

PYTEST_DONT_REWRITE: what an assertion says is what is told of a clause, and pytest would add to it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from vmsvc.core.answers import FoundGuest
from vmsvc.core.contract import Capability
from vmsvc.core.errors import Undetermined, VmsvcError
from vmsvc.core.resource import Guest
from vmsvc.core.status import Phase
from vmsvc.testing.kit.bench import VERBS, Bench, shown
from vmsvc.testing.kit.clause import clause

#: Of a budget: so much that one answer comes in time, and two do not.
_MOST = 0.95
#: So many budgets later, whatever was given up would have come to life.
_LATE = 2
#: Of an answer: so much of it arrives.
_SHARES = (0.2, 0.5, 0.8, 0.99)


@clause("hung", trouble="hung")
def a_hung_technology_is_unknown(bench: Bench) -> None:
    """A daemon that does not answer says nothing of its guests: who reads that as down starts them a second time."""
    _tells_nothing(bench, "hung")


@clause("deadlines", trouble="hung")
def deadlines_are_kept(bench: Bench) -> None:
    """Status answers, and an action ends, even where the technology never does."""
    up, down = bench.running("up"), bench.stopped("down")
    with bench.trouble("hung"):
        for verb, guest in (("start", down), ("stop", up), ("kill", up)):
            bench.refuses(verb, guest, by=Undetermined, budget_s=bench.backend.short_s)
        for name, read in bench.reads().items():
            answer = read(up, budget_s=bench.backend.short_s)
            assert isinstance(answer.error, VmsvcError), f"nothing answers, and {name} came to {answer}"
        if bench.has(Capability.ENTRY) or bench.has(Capability.AGENT):
            bench.refuses("enter", up, ["true"], by=Undetermined, budget_s=bench.backend.short_s)
        if bench.has(Capability.ADDRESSES):
            bench.refuses("addresses", up, by=Undetermined, budget_s=bench.backend.short_s)


@clause("late", trouble="hung")
def what_was_given_up_does_not_happen(bench: Bench) -> None:
    """A start that comes to life after its caller gave up is how a guest runs twice."""
    up, down = bench.running("up"), bench.stopped("down")
    before = {guest.name: bench.backend.generation(guest) for guest in (up, down)}
    with bench.trouble("hung"):
        for verb, guest in (("start", down), ("stop", up), ("kill", up)):
            bench.call(verb, guest, budget_s=bench.backend.short_s)
    time.sleep(_LATE * bench.backend.short_s)
    for guest, phase in ((up, Phase.RUNNING), (down, Phase.STOPPED)):
        truth = bench.backend.truth(guest)
        assert truth is phase, (
            f"{guest.name!r} was {phase.value} when every verb was given up, and is {truth.value} now"
        )
        assert bench.backend.generation(guest) == before[guest.name], f"{guest.name!r} was started after all"


@clause("slow", trouble="slow")
def a_budget_is_for_the_whole_verb(bench: Bench) -> None:
    """A budget is for a verb and not for each of its commands: slow answers add up, and nobody is told."""
    up, down = bench.running("up"), bench.stopped("down")
    budget_s = 2 * bench.backend.short_s
    with bench.trouble("slow", budget_s * _MOST):
        for verb, guest in (("observe", up), ("start", down), ("stop", up), ("kill", up)):
            bench.call(verb, guest, budget_s=budget_s)
        for read in bench.reads().values():
            read(up, budget_s=budget_s)


@clause("dead", trouble="dead")
def a_dead_daemon_is_unknown(bench: Bench) -> None:
    """Guests outlive their daemon: one that is not there tells nothing of them."""
    _tells_nothing(bench, "dead", verbs=True)


@clause("restarted", trouble="restarted")
def a_daemon_may_be_restarted(bench: Bench) -> None:
    """Daemons are restarted under a program that goes on running: it finds its way back, and is wrong at no time."""
    up, down = bench.running("up"), bench.stopped("down")
    with bench.trouble("restarted"):
        _is_right_or_unknown(bench, up, down)
        _recovers(bench, up, down)


@clause("missing-tool", trouble="missing")
def a_missing_tool_is_unknown(bench: Bench) -> None:
    """Without its tool a driver is blind: that is a fact about this node, and none about its guests."""
    _tells_nothing(bench, "missing", verbs=True)


@clause("refused", trouble="refused")
def a_refused_permission_is_unknown(bench: Bench) -> None:
    """Who may not look has seen nothing."""
    _tells_nothing(bench, "refused", verbs=True)


@clause("truncated", trouble="truncated")
def a_truncated_answer_is_unknown(bench: Bench) -> None:
    """What is missing from half of a list may well be in the other half."""
    _tells_nothing(bench, "truncated")
    _is_told_rightly_or_not_at_all(bench, "truncated")


@clause("cut", trouble="cut")
def an_answer_that_ends_early_is_not_the_whole(bench: Bench) -> None:
    """A tool that dies as it prints leaves a list that looks like one: who is not in it is not gone."""
    guests = [bench.running(f"up-{number}") for number in range(2)]
    guests += [bench.stopped(f"down-{number}") for number in range(2)]
    for share in _SHARES:
        with bench.trouble("cut", share):
            _is_right_or_unknown(bench, *guests)
    _recovers(bench, *guests)
    _is_told_rightly_or_not_at_all(bench, "cut")


@clause("empty", trouble="empty")
def an_empty_answer_is_unknown(bench: Bench) -> None:
    """An answer without a word is not the same as an answer that there is nothing."""
    _tells_nothing(bench, "empty")
    _is_told_rightly_or_not_at_all(bench, "empty")


@clause("garbage", trouble="garbage")
def garbage_is_unknown(bench: Bench) -> None:
    """What cannot be read is no evidence."""
    _tells_nothing(bench, "garbage")
    _is_told_rightly_or_not_at_all(bench, "garbage")


@clause("new-word", trouble="unheard")
def a_word_that_nobody_knows_is_unknown(bench: Bench) -> None:
    """The technology's next version has states of its own: one that is read as down is started a second time."""
    up, down = bench.running("up"), bench.stopped("down")
    before = bench.backend.generation(up)
    with bench.trouble("unheard"):
        _is_right_or_unknown(bench, up, down)
        seen = [bench.observe(up), *bench.observe_all(up).values()]
        if bench.has(Capability.DISCOVER):
            found = bench.call("discover", up).value or []
            assert all(each.phase is Phase.UNKNOWN for each in found if each.name == up.name), "discover knows more"
        for each in seen:
            assert each.phase is Phase.UNKNOWN, f"nobody knows the state's word, and the driver tells: {shown(each)}"
        for verb in VERBS:
            answer = bench.call(verb, up)
            assert isinstance(answer.error, Undetermined), (
                f"nobody knows whether the guest runs, and {verb} came to {answer}; it must raise Undetermined"
            )
            truth = bench.backend.truth(up)
            assert truth is Phase.RUNNING, f"{verb} was asked of a state that nobody knows; the guest is {truth.value}"
            assert bench.backend.generation(up) == before, f"{verb} has started a guest whose state nobody knows"
    _recovers(bench, up, down)


@clause("locale", trouble="foreign")
def a_locale_changes_nothing(bench: Bench) -> None:
    """Messages are translated and reworded; exit codes and machine-readable words are not."""
    _is_right(bench, "foreign")


@clause("noise", trouble="noisy")
def warnings_change_nothing(bench: Bench) -> None:
    """A tool that warns of something has still answered."""
    _is_right(bench, "noisy")


@clause("extra-column", trouble="wider")
def a_new_column_leads_nobody_astray(bench: Bench) -> None:
    """The tool's next version prints more: right or unknown are good answers to that, and no other is."""
    guests = _known(bench)
    with bench.trouble("wider"):
        _is_right_or_unknown(bench, *guests)


def _tells_nothing(bench: Bench, trouble: str, *, verbs: bool = False) -> None:
    """While a trouble lasts, looks are unknown and other reads fail; with it over, all is as it was."""
    up, down = bench.running("up"), bench.stopped("down")
    short_s = bench.backend.short_s
    with bench.trouble(trouble):
        for guest in (up, down):
            seen = bench.observe(guest, budget_s=short_s)
            assert seen.phase is Phase.UNKNOWN, f"nobody can tell, and observe of {guest.name!r} does: {shown(seen)}"
        if bench.has(Capability.BULK):
            for seen in bench.observe_all(up, down, budget_s=short_s).values():
                assert seen.phase is Phase.UNKNOWN, f"nobody can tell, and observe_all does: {shown(seen)}"
        for name, read in bench.reads().items():
            answer = read(up, budget_s=short_s)
            assert answer.error is not None, f"nobody can tell, and {name} returned {answer}"
        for verb, guest in (("start", down), ("stop", up), ("kill", up)) if verbs else ():
            bench.refuses(verb, guest, budget_s=short_s)
    _recovers(bench, up, down)


def _is_told_rightly_or_not_at_all(bench: Bench, trouble: str) -> None:
    """Where the answer of a single command is spoilt, whichever it is, a read tells what it told before, or fails.

    A read begins with a look, as a rule, and fails where that does: what it makes of its other commands is seen here.
    """
    guest = bench.running("read")
    for name, read in bench.reads().items():
        right, number = read(guest), 0
        while True:
            with bench.trouble("alone", trouble, number, or_none=True) as ran:
                answer = read(guest)
            if not isinstance(ran, list) or len(ran) <= number:
                break  # all have had their turn
            assert answer.error is not None or _agrees(answer.value, right.value), (
                f"only the answer of `{' '.join(ran[number])}` was {trouble}, and {name} returned {answer} "
                f"in place of {right}, or of an error"
            )
            number += 1


def _agrees(told: object, right: object) -> bool:
    """Whether two answers of a read are the same; of guests that were found, each may be warned of in addition."""
    if not isinstance(right, Sequence) or not isinstance(told, Sequence) or isinstance(right, str):
        return told == right
    return len(told) == len(right) and all(map(_is_or_is_warned_of, told, right))


def _is_or_is_warned_of(told: object, right: object) -> bool:
    if isinstance(told, FoundGuest) and isinstance(right, FoundGuest):
        return told == right or (told.name == right.name and len(told.warnings) > len(right.warnings))
    return told == right


def _known(bench: Bench) -> list[Guest]:
    guests = [bench.running("up"), bench.stopped("down")]
    if Phase.ABSENT in bench.backend.phases:
        guests.append(bench.in_phase("absent", Phase.ABSENT))
    return guests


def _is_right(bench: Bench, trouble: str) -> None:
    guests = _known(bench)
    with bench.trouble(trouble):
        for guest in guests:
            truth, seen = bench.backend.truth(guest), bench.observe(guest)
            assert seen.phase is truth, f"{guest.name!r} is {truth.value}, and observe tells: {shown(seen)}"
        down = guests[1]
        bench.do("start", down)
        bench.true(down, Phase.RUNNING)
        bench.do("kill", down)
        bench.true(down, Phase.STOPPED)


def _is_right_or_unknown(bench: Bench, *guests: Guest) -> None:
    together = bench.observe_all(*guests)
    for guest in guests:
        truth = bench.backend.truth(guest)
        for seen in (bench.observe(guest), together[guest.service, guest.rid]):
            assert seen.phase in (truth, Phase.UNKNOWN), (
                f"{guest.name!r} is {truth.value}, and the driver tells: {shown(seen)}"
            )


def _recovers(bench: Bench, *guests: Guest) -> None:
    for guest in guests:
        bench.eventually(
            lambda guest=guest: bench.observe(guest).phase is bench.backend.truth(guest),  # type: ignore[misc]
            lambda guest=guest: (
                f"the trouble is over, {guest.name!r} is {bench.backend.truth(guest).value}, "  # type: ignore[misc]
                f"and observe tells: {shown(bench.observe(guest))}"
            ),
        )

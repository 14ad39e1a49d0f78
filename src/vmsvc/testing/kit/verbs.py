"""Clauses about the life of a guest: start, stop, kill, and the phases between.

PYTEST_DONT_REWRITE: what an assertion says is what is told of a clause, and pytest would add to it.
"""

from __future__ import annotations

from vmsvc.core.contract import Capability
from vmsvc.core.errors import DriverError, Undetermined, VmsvcError
from vmsvc.core.resource import Guest
from vmsvc.core.status import Phase, Status
from vmsvc.testing.kit.bench import VERBS, Bench, is_down, shown
from vmsvc.testing.kit.clause import clause

_TIMES = 3


@clause("life")
def a_life(bench: Bench) -> None:
    """A verb that returns and has not asked for anything leaves vmsvc waiting for what never comes."""
    guest = bench.stopped("web")
    bench.shows(guest, Phase.STOPPED)
    began = bench.do("start", guest)
    assert began is True, f"start set the guest going, and returned {began!r} instead of True"
    seen = bench.observe(guest)
    assert not is_down(seen), f"start has returned, and observe tells: {shown(seen)}"
    bench.true(guest, Phase.RUNNING)
    bench.shows(guest, Phase.RUNNING)
    bench.backend.ready(guest)
    bench.stop(guest)
    bench.shows(guest, Phase.STOPPED)
    bench.do("start", guest)
    bench.true(guest, Phase.RUNNING)
    bench.do("kill", guest)
    bench.true(guest, Phase.STOPPED)
    bench.shows(guest, Phase.STOPPED)


@clause("idempotence")
def every_verb_is_idempotent(bench: Bench) -> None:
    """After a crash vmsvc calls verbs again: one that does more than nothing then breaks what is right already."""
    guest = bench.stopped("web")
    for verb in ("stop", "kill"):
        bench.do(verb, guest)
        bench.true(guest, Phase.STOPPED)
    bench.do("start", guest)
    bench.true(guest, Phase.RUNNING)
    first = bench.backend.generation(guest)
    for _ in range(_TIMES):
        again = bench.do("start", guest)
        assert again is False, f"start of a guest that runs returned {again!r}: a rollback would stop it"
        bench.true(guest, Phase.RUNNING)
    assert bench.backend.generation(guest) == first, "start of a guest that runs has started it anew"
    bench.backend.ready(guest)
    bench.stop(guest)
    for verb in ("stop", "stop", "kill", "kill"):
        bench.do(verb, guest)
        bench.true(guest, Phase.STOPPED)


@clause("deaf", trouble="deaf")
def a_stop_that_does_not_stop(bench: Bench) -> None:
    """A guest that ignores the request is not down: who believes it starts the guest a second time elsewhere."""
    guest = bench.running("deaf")
    bench.backend.ready(guest)
    with bench.trouble("deaf", guest):
        answer = bench.call("stop", guest)
        assert answer.error is None or isinstance(answer.error, VmsvcError), f"stop raised {answer}"
        for _ in range(_TIMES):
            seen, truth = bench.observe(guest), bench.backend.truth(guest)
            assert truth is not Phase.STOPPED, (
                "the guest ignores requests, and has stopped all the same: `stop` asks, and leaves force to `kill`"
                " (or when_deaf() of the backend does not make it deaf)"
            )
            assert not is_down(seen), f"the guest goes on running, and observe tells: {shown(seen)}"
        bench.do("kill", guest)
        bench.true(guest, Phase.STOPPED)
        bench.shows(guest, Phase.STOPPED)


@clause("dying", trouble="dying")
def a_start_that_dies(bench: Bench) -> None:
    """A guest that dies as it starts is not up: a start that is called done leaves its users without a service."""
    guest = bench.stopped("dying")
    with bench.trouble("dying", guest):
        answer = bench.call("start", guest)
        assert answer.error is None or isinstance(answer.error, VmsvcError), f"start raised {answer}"
        bench.eventually(
            lambda: bench.backend.truth(guest) is not Phase.RUNNING, lambda: "the backend's guest was to die"
        )
        bench.eventually(
            lambda: bench.observe(guest).phase is bench.backend.truth(guest),
            lambda: (
                f"the guest is {bench.backend.truth(guest).value}, and observe tells: {shown(bench.observe(guest))}"
            ),
        )
        assert bench.observe(guest).status is not Status.UP


@clause("absent", phase=Phase.ABSENT)
def what_is_not_there(bench: Bench) -> None:
    """A guest that the technology does not know is absent, which is neither stopped nor unknown."""
    there = bench.running("there")
    guest = bench.in_phase("absent", Phase.ABSENT)
    seen = bench.observe(guest)
    assert seen.phase is Phase.ABSENT, f"nobody knows the guest, and observe tells: {shown(seen)}"
    for verb in ("stop", "kill"):
        answer = bench.call(verb, guest)
        assert answer.error is None or isinstance(answer.error, DriverError), f"{verb} of it raised {answer}"
    bench.refuses("start", guest, by=DriverError, budget_s=bench.backend.budget_s)
    for capability, read in ((Capability.DISKS, "disks"), (Capability.DEFINITION, "definition")):
        if bench.has(capability):
            bench.refuses(read, guest, by=DriverError, budget_s=bench.backend.budget_s)
    bench.true(guest, Phase.ABSENT)
    bench.shows(there, Phase.RUNNING)


@clause("paused", phase=Phase.PAUSED)
def a_paused_guest_is_not_up(bench: Bench) -> None:
    """A paused guest serves nobody: who calls it up hides it, and who calls it down starts it twice."""
    _is_seen(bench, Phase.PAUSED, asked=("start",))


@clause("starting", phase=Phase.STARTING)
def a_guest_that_starts(bench: Bench) -> None:
    """A guest on its way up is not up yet, and a second start must leave it alone."""
    guest = _is_seen(bench, Phase.STARTING, ends=False)
    again = bench.do("start", guest)
    assert again is False, f"start of a guest that is starting returned {again!r}"
    bench.do("kill", guest)
    bench.true(guest, Phase.STOPPED)


@clause("stopping", phase=Phase.STOPPING)
def a_guest_that_stops(bench: Bench) -> None:
    """A guest on its way down is not down yet: its disks are still in use, and whoever asks again must not hurry it."""
    _is_seen(bench, Phase.STOPPING, asked=("start", "stop", "stop"))


@clause("phases")
def every_other_phase(bench: Bench) -> None:
    """Each state of the technology has its meaning: one that is read as another leads to the wrong action."""
    own = {Phase.PAUSED, Phase.STARTING, Phase.STOPPING, Phase.ABSENT}
    for phase in sorted(bench.backend.phases - own, key=lambda phase: phase.value):
        _is_seen(bench, phase, asked=VERBS if phase is Phase.MIGRATING else ())


def _is_seen(bench: Bench, phase: Phase, *, ends: bool = True, asked: tuple[str, ...] = ()) -> Guest:
    """A guest in a phase is seen in it, stays in it whatever it is asked, and ends when it is killed."""
    guest = bench.in_phase(f"is-{phase.value}", phase)
    seen = bench.observe(guest)
    assert seen.phase is phase, f"the guest is {phase.value}, and observe tells: {shown(seen)}"
    assert seen.state, "an observation has the technology's own word, even where there is little to say"
    [together] = bench.observe_all(guest).values()
    assert together.phase is phase, f"the guest is {phase.value}, and observe_all tells: {shown(together)}"
    before = bench.backend.generation(guest)
    for verb in asked:
        answer = bench.call(verb, guest)
        if phase is Phase.MIGRATING:
            assert isinstance(answer.error, Undetermined), (
                f"the guest belongs to whoever moves it, and {verb} came to {answer}; it must raise Undetermined"
            )
        assert answer.error is None or isinstance(answer.error, VmsvcError), f"{verb} raised {answer}"
        assert not (verb == "start" and answer.value), f"the guest is {phase.value}, and start says that it started it"
        truth = bench.backend.truth(guest)
        assert truth is phase, f"the guest was {phase.value} when it was asked to {verb}, and is {truth.value} now"
        assert bench.backend.generation(guest) == before, f"a {verb} has started a guest anew that is {phase.value}"
    if ends and phase.status is Status.WARN and phase is not Phase.MIGRATING:
        bench.do("kill", guest)
        bench.true(guest, Phase.STOPPED)
        bench.shows(guest, Phase.STOPPED)
    return guest

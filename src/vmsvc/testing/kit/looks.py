"""Clauses about looking: it changes nothing, tells guests apart by their whole names, and says the same of many.

PYTEST_DONT_REWRITE: what an assertion says is what is told of a clause, and pytest would add to it.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from attrs import evolve

from vmsvc.core.contract import Capability
from vmsvc.core.errors import DriverError, UsageError
from vmsvc.core.options import name as a_name
from vmsvc.core.resource import Guest
from vmsvc.core.status import Phase
from vmsvc.testing.kit.bench import Bench, is_down, shown
from vmsvc.testing.kit.clause import clause

_MANY = 12
#: Names that mean something to a shell, to a pattern, to a format or to a table; vmsvc lets all of them pass. KIT
#: stands for a word that no file is called.
ODD_NAMES = (
    "two words",
    " blank",
    "a.b",
    "a*b",
    "a?b",
    "[ab]",
    "a+",
    "(a|b)",
    "^a$",
    "a\\b",
    "$(touch KIT)",
    "`touch KIT`",
    "$HOME",
    "a;b",
    "a&b",
    "a|b",
    "a>b",
    "it's",
    'a"b',
    "%s",
    "~",
    "#1",
    "a,b",
    "a=b",
    "a:b",
    "{a}",
    "ä中",
)
#: Guests that run, and what others are called that they must not be taken for.
_LOOKALIKES = (("axb", "a.b"), ("aab", "a*b"), ("axb", "a?b"), ("a", "[ab]"), ("aa", "a+"), ("two", "two words"))


@clause("look-only")
def status_changes_nothing(bench: Bench) -> None:
    """Status is asked for all the time, by anybody and beside any action: it must be safe at any moment."""
    guests = [bench.running("up"), bench.stopped("down")]
    guests += [bench.in_phase(f"is-{phase.value}", phase) for phase in _steady(bench)]
    before = _state(bench, guests)
    for guest in guests:
        bench.observe(guest)
        for read in bench.reads().values():
            read(guest)
    bench.observe_all(*guests)
    after = _state(bench, guests)
    changed = [f"{key}: {value} became {after.get(key)}" for key, value in before.items() if after.get(key) != value]
    changed += [f"{key} is new: {value}" for key, value in after.items() if key not in before]
    assert not changed, f"it was only looked at, and {'; '.join(changed)}"


@clause("prefixes")
def a_name_is_the_whole_name(bench: Bench) -> None:
    """A guest that is taken for another, whose name begins or ends alike, is stopped in its place."""
    running = bench.running("web1")
    others = [bench.stopped(name) for name in ("web", "web10", "1web1", "web1-old")]
    for guest in others:
        seen = bench.observe(guest)
        assert seen.phase is Phase.STOPPED, f"{guest.name!r} is stopped, web1 runs, and observe tells: {shown(seen)}"
    seen_all = bench.observe_all(running, *others)
    phases = [seen_all[guest.service, guest.rid].phase for guest in (running, *others)]
    assert phases == [Phase.RUNNING, *[Phase.STOPPED] * len(others)], f"observe_all tells of web1 and others: {phases}"
    for verb in ("stop", "kill"):
        for guest in others:
            bench.do(verb, guest)
    bench.true(running, Phase.RUNNING)
    short = others[0]
    bench.do("kill", running)
    bench.true(running, Phase.STOPPED)
    bench.do("start", short)
    bench.true(short, Phase.RUNNING)
    bench.true(running, Phase.STOPPED)
    bench.shows(running, Phase.STOPPED)


@clause("near-names", phase=Phase.ABSENT)
def a_name_that_nobody_has(bench: Bench) -> None:
    """A name that nobody has is nobody's: one that is taken for the nearest stops a guest of somebody else."""
    running = bench.running("web1")
    names = [name for name in ("web", "eb1", "web1x", "WEB1") if bench.backend.can_be_named(name)]
    for guest in [bench.in_phase(name, Phase.ABSENT) for name in names]:
        [together] = bench.observe_all(guest).values()
        for seen in (bench.observe(guest), together):
            assert seen.phase is Phase.ABSENT, f"nobody is called {guest.name!r}, and the driver tells: {shown(seen)}"
        bench.refuses("start", guest, by=DriverError, budget_s=bench.backend.budget_s)
        for verb in ("stop", "kill"):
            bench.call(verb, guest)
        bench.true(running, Phase.RUNNING)
    bench.shows(running, Phase.RUNNING)


@clause("names")
def odd_names(bench: Bench) -> None:
    """A name is data: one that a shell, a pattern or a table takes for more runs a command or hits another guest."""
    trace = Path(f"kit-{secrets.token_hex(6)}")
    names = [name.replace("KIT", trace.name) for name in ODD_NAMES]
    possible = [name for name in names if _passes(name) and bench.backend.can_be_named(name)]
    assert possible, "no guest can have any of the names that are tried: if the technology is so strict, waive 'names'"
    for name in possible:
        guest = bench.stopped(name)
        seen = bench.observe(guest)
        assert seen.phase is Phase.STOPPED, f"{name!r} is stopped, and observe tells: {shown(seen)}"
        bench.do("start", guest)
        bench.true(guest, Phase.RUNNING)
        bench.shows(guest, Phase.RUNNING)
        bench.do("kill", guest)
        bench.true(guest, Phase.STOPPED)
        bench.shows(guest, Phase.STOPPED)
    for running, name in _LOOKALIKES:
        if name in possible and bench.backend.can_be_named(running):
            _are_apart(bench, running, name)
    if trace.exists():
        trace.unlink()
        raise AssertionError("a name was run by a shell, and has made a file")


@clause("bulk", Capability.BULK)
def bulk_equals_single(bench: Bench) -> None:
    """One query serves all guests of a node: what it tells of each is what a look at that one tells."""
    guests = [bench.running("up"), bench.stopped("down")]
    guests += [bench.in_phase(f"is-{phase.value}", phase) for phase in _steady(bench)]
    seen = bench.do("observe_all", guests)
    for guest in guests:
        together, alone = seen.get((guest.service, guest.rid)), bench.observe(guest)
        assert together is not None, f"observe_all leaves out {guest.name!r}"
        assert (together.phase, together.state) == (alone.phase, alone.state), (
            f"of {guest.name!r}, observe_all tells {shown(together)}, and observe {shown(alone)}"
        )
    assert set(seen) == {(guest.service, guest.rid) for guest in guests}, "observe_all tells of guests nobody asked for"
    assert dict(bench.do("observe_all", [])) == {}, "observe_all of no guest has answers"
    _each_resource_has_its_own(bench, *guests[:2])
    # Of a guest alone a driver may ask for more, for a warning; and of one that is down, for what proves it.
    few = _queries(bench, guests)
    many = _queries(bench, [*guests, *(bench.stopped(f"more-{number}") for number in range(_MANY))])
    assert few == many, (
        f"observe_all asked {few} questions for {len(guests)} guests, and {many} for {len(guests) + _MANY}"
    )


@clause("discover", Capability.DISCOVER)
def discover_names_all(bench: Bench) -> None:
    """A guest that is not found is not adopted, and nobody is told who else uses its disks."""
    guests = {guest.name: guest for guest in (bench.running("up"), bench.stopped("down"), bench.stopped("web.1"))}
    if Phase.PAUSED in bench.backend.phases:
        guests["is-paused"] = bench.in_phase("is-paused", Phase.PAUSED)
    found = {each.name: each for each in bench.do("discover", next(iter(guests.values())))}
    for name, guest in guests.items():
        assert name in found, f"discover leaves out {name!r}; it names {', '.join(sorted(found)) or 'none'}"
        truth = bench.backend.truth(guest)
        assert found[name].phase is truth, f"{name!r} is {truth.value}, and discover tells {found[name].phase.value}"
    if Phase.ABSENT in bench.backend.phases:
        gone = bench.in_phase("gone", Phase.ABSENT)
        assert gone.name not in {each.name for each in bench.do("discover", gone)}, "discover names what is not there"


def _each_resource_has_its_own(bench: Bench, up: Guest, down: Guest) -> None:
    """A service may have several guests, several services may name the same one, and not all are in the same place."""
    wanted = {
        Phase.RUNNING: [up, evolve(up, rid="container#2"), evolve(up, service=f"{up.service}-too")],
        Phase.STOPPED: [down, evolve(down, service=up.service, rid="container#3")],
    }
    away = bench.backend.elsewhere(up)
    others = [] if away is None else [evolve(away, service=f"{up.service}-away")]
    asked = [*others, *wanted[Phase.STOPPED], *wanted[Phase.RUNNING]]
    for resources in (asked, asked[::-1]):
        seen = bench.observe_all(*resources)
        for phase, guests in wanted.items():
            for guest in guests:
                told = seen[guest.service, guest.rid]
                assert told.phase is phase, (
                    f"among others, {guest.rid} of {guest.service!r} is {guest.name!r}, which is {phase.value}, "
                    f"and observe_all tells: {shown(told)}"
                )
        for guest in others:
            told = seen[guest.service, guest.rid]
            assert told.phase in (Phase.ABSENT, Phase.UNKNOWN), (
                f"{guest.name!r} is asked for where there is none, and observe_all tells: {shown(told)}"
            )


def _steady(bench: Bench) -> list[Phase]:
    """Phases that nothing but an action ends."""
    return [phase for phase in (Phase.ABSENT, Phase.PAUSED) if phase in bench.backend.phases]


def _state(bench: Bench, guests: list[Guest]) -> dict[str, object]:
    """All that a look could change: guests, and files of the driver."""
    node = bench.backend.context.node.root
    state: dict[str, object] = {f"guest {guest.name}": bench.backend.truth(guest).value for guest in guests}
    state |= {f"start of {guest.name}": bench.backend.generation(guest) for guest in guests}
    return state | {f"file {file}": file.stat().st_mtime_ns for file in sorted(node.rglob("*")) if file.is_file()}


def _queries(bench: Bench, guests: list[Guest]) -> int | None:
    before = bench.backend.queries()
    bench.do("observe_all", guests)
    after = bench.backend.queries()
    return None if before is None or after is None else after - before


def _passes(name: str) -> bool:
    try:
        a_name.parse(name)
    except (ValueError, UsageError):
        return False
    return True


def _are_apart(bench: Bench, running: str, name: str) -> None:
    up, down = bench.running(running), bench.stopped(name)
    seen = bench.observe(down)
    assert is_down(seen), f"{running!r} runs, {name!r} is stopped, and observe tells of it: {shown(seen)}"
    bench.do("kill", down)
    bench.true(up, Phase.RUNNING)
    bench.do("kill", up)
    bench.true(up, Phase.STOPPED)

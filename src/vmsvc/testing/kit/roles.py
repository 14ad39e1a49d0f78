"""Clauses about what a driver offers beyond the required part; each holds for drivers that declare it.

PYTEST_DONT_REWRITE: what an assertion says is what is told of a clause, and pytest would add to it.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from vmsvc.core.answers import GuestAddress, GuestDisk
from vmsvc.core.contract import Capability
from vmsvc.core.errors import DriverError, NoWayIn
from vmsvc.core.status import Phase
from vmsvc.core.transport import OUTPUT_LIMIT
from vmsvc.testing.commands import CASES, hold
from vmsvc.testing.kit.bench import GRACE_S, Bench
from vmsvc.testing.kit.clause import clause

#: Kinds of disks whose source is a place on this node.
_PLACES = ("block", "file", "dir")
#: What a way into a guest is held to here; what is left of the table takes long, and is for a test of its own.
_COMMANDS = tuple(case for case in CASES if case.leaves is None and len(case.stdout) < OUTPUT_LIMIT)
_NO_DEFINITION = "\x00 this is no definition \x7f }{"


@clause("disks", Capability.DISKS)
def disks_are_stable_and_absolute(bench: Bench) -> None:
    """Disks are reserved by what a driver says: one that comes and goes, or means another file, is not protected."""
    stopped, running = bench.stopped("down"), bench.running("up")
    for guest in (stopped, running):
        first, second = (list(bench.do("disks", guest)) for _ in range(2))
        assert first, "the backend's guest has no disk, which proves nothing: give it one"
        assert first == second, f"two looks at the disks of {guest.name!r} differ: {first} and {second}"
        for disk in first:
            assert isinstance(disk, GuestDisk), f"disks returned {disk!r}, which is no GuestDisk"
            place = disk.source if disk.kind in _PLACES else "/"
            assert place == "" or Path(place).is_absolute(), f"{disk.source!r} means another file in another directory"
            assert disk.target or disk.source, "a disk without a target and a source is none"
    for disk in bench.do("disks", running):
        assert disk.live or disk.persistent, f"disk {disk.target!r} is neither live nor of the next start"


@clause("definition", Capability.DEFINITION)
def a_definition_is_stable(bench: Bench) -> None:
    """A definition is kept by push, and compared with the next one: what changes by itself is told as a change."""
    guest = bench.stopped("web")
    first, second = (bench.do("definition", guest) for _ in range(2))
    assert isinstance(first, str), f"definition returned {first!r}, which is no text"
    assert first.strip(), "the definition is empty"
    assert first == second, "two looks at a definition differ"
    other = bench.do("definition", bench.stopped("other"))
    assert other != first, "two guests have the very same definition"


@clause("compare", Capability.COMPARE)
def definitions_compare(bench: Bench) -> None:
    """Drift is told field by field: a field that differs without a change is a false alarm."""
    guest = bench.stopped("web")
    definitions = bench.do("definitions", guest)
    assert definitions.live is None, "a guest that does not run has no live definition"
    assert definitions.persistent is not None, "a guest that does not run has nothing but its persistent definition"
    fields = bench.driver.fields  # type: ignore[attr-defined]
    values = fields(definitions.persistent).values
    assert values, "the definition has no fields"
    bench.do("start", guest)
    bench.true(guest, Phase.RUNNING)
    again = bench.do("definitions", guest)
    assert again.persistent is None or fields(again.persistent).values == values, "a start has changed the definition"
    if again.live is not None:
        assert fields(again.live).values, "the live definition has no fields"
    try:
        fields(_NO_DEFINITION)
    except DriverError:
        return
    raise AssertionError("fields of what is no definition must raise DriverError")


@clause("config-files", Capability.CONFIG_FILES)
def config_files_are_stable_and_absolute(bench: Bench) -> None:
    """The files are copied to a peer: one that is not there, or is relative, makes a copy that is no use."""
    guest = bench.stopped("web")
    first, second = (list(bench.do("config_files", guest)) for _ in range(2))
    assert first == second, f"two looks at the files differ: {first} and {second}"
    for file in first:
        assert isinstance(file, Path), f"config_files returned {file!r}, which is no Path"
        assert file.is_absolute(), f"{file} means another file in another directory"
        assert file.exists(), f"{file} is not there"


@clause("sizes", Capability.SIZES)
def sizes_are_positive(bench: Bench) -> None:
    """Processors and memory are collected for planning: a size of nothing is not known to be nothing."""
    for guest in (bench.stopped("down"), bench.running("up")):
        sizes = bench.do("sizes", guest)
        assert sizes.vcpus > 0, f"{guest.name!r} has {sizes.vcpus} processors"
        assert sizes.memory_mib > 0, f"{guest.name!r} has {sizes.memory_mib} MiB"


@clause("wait", Capability.WAIT)
def a_wait_ends(bench: Bench) -> None:
    """A start is done as soon as the guest is up, and fails when its time is over: both are told by wait."""
    guest = bench.stopped("web")
    short_s = bench.backend.short_s
    begin = time.monotonic()
    seen = bench.call("wait", guest, lambda seen: seen.phase is Phase.RUNNING, budget_s=short_s).value
    took_s = time.monotonic() - begin
    assert seen is not None, "wait must return the last observation when its time is over"
    assert seen.phase is Phase.STOPPED, f"the guest is stopped, and wait tells {seen.phase.value}"
    assert short_s * 0.9 <= took_s, f"wait had {short_s:g} s, and gave up after {took_s:.1f} s"
    bench.do("start", guest)
    patience_s = bench.backend.patience_s
    begin = time.monotonic()
    up = bench.call("wait", guest, lambda seen: seen.phase is Phase.RUNNING, budget_s=patience_s).value
    assert up is not None, "wait raised an error although all is well"
    assert up.phase is Phase.RUNNING, f"wait tells {up.phase.value} of a guest that has been started"
    bench.call("wait", guest, lambda _: True, budget_s=patience_s)
    assert time.monotonic() - begin < patience_s + GRACE_S, "wait goes on although what it waits for is so"


@clause("entry", Capability.ENTRY, Capability.AGENT)
def no_way_into_what_does_not_run(bench: Bench) -> None:
    """Where there is no way in, nothing was run: that must be told from a command that failed."""
    bench.refuses("enter", bench.stopped("web"), ["true"], by=NoWayIn, budget_s=bench.backend.budget_s)


@clause("inside", Capability.ENTRY, Capability.AGENT)
def a_command_runs_as_it_was_asked_for(bench: Bench) -> None:
    """A launcher whose arguments are split, whose variables are lost or whose failure is not told does other things."""
    assert bench.backend.runs_commands, (
        "the backend says of no guest that commands run in it: set runs_commands where they do, or waive 'inside'"
    )
    guest = bench.running("web")
    bench.backend.ready(guest)
    for case in _COMMANDS:
        hold(partial(bench.driver.enter, guest), case)  # type: ignore[attr-defined]


@clause("addresses", Capability.ADDRESSES)
def no_addresses_of_what_does_not_run(bench: Bench) -> None:
    """A guest that does not run has no addresses, and nobody may read that as having lost them."""
    bench.refuses("addresses", bench.stopped("web"), by=NoWayIn, budget_s=bench.backend.budget_s)


@clause("split-start", Capability.SPLIT_START)
def a_start_comes_in_two_halves(bench: Bench) -> None:
    """What comes in between needs a guest in which nothing runs; after a crash, each half is asked for again."""
    guest = bench.stopped("web")
    before = bench.backend.generation(guest)
    assert bench.do("prepare", guest) is True, "prepare has prepared the guest, and does not return True"
    bench.true(guest, Phase.PREPARED)
    bench.shows(guest, Phase.PREPARED)
    assert bench.backend.generation(guest) == before, "prepare has started the guest"
    assert bench.do("prepare", guest) is False, "prepare of a guest that is prepared must return False"
    assert bench.do("boot", guest) is True, "boot has started the guest, and does not return True"
    bench.true(guest, Phase.RUNNING)
    for verb in ("prepare", "boot"):
        assert bench.do(verb, guest) is False, f"{verb} of a guest that runs must return False"
        bench.true(guest, Phase.RUNNING)
    other = bench.stopped("other")
    bench.refuses("boot", other, by=DriverError, budget_s=bench.backend.budget_s)
    bench.true(other, Phase.STOPPED)
    bench.do("prepare", other)
    bench.do("stop", other)
    bench.true(other, Phase.STOPPED)


@clause("plumb", Capability.PLUMB)
def an_address_is_given_once_and_taken_from_nobody_else(bench: Bench) -> None:
    """An address is asked for again after a crash; one that is taken away from another guest cuts that off."""
    guest, other = bench.stopped("web"), bench.stopped("other")
    address = GuestAddress(device=bench.backend.adapter, address="192.0.2.7")
    for each in (guest, other):
        assert list(bench.do("plumbed", each)) == [], f"{each.name!r} has addresses before anybody has given it one"
    bench.refuses("plumb", guest, address, by=DriverError, budget_s=bench.backend.budget_s)
    for each in (guest, other):
        bench.do("prepare" if bench.has(Capability.SPLIT_START) else "start", each)
    assert bench.do("plumb", guest, address) is True, "plumb has given the address, and does not return True"
    assert bench.do("plumb", guest, address) is False, "plumb of an address that is there must return False"
    [given] = bench.do("plumbed", guest)
    assert given.address == address.address, f"{address.address} was given, and plumbed tells of {given.address}"
    assert given.is_on(address.device), f"it was to be on {address.device}, and plumbed tells of {given.device}"
    assert list(bench.do("plumbed", other)) == [], "another guest has the address, too"
    bench.do("unplumb", other, address)
    assert len(bench.do("plumbed", guest)) == 1, "unplumb of one guest's address has taken away another guest's"
    for _ in range(2):
        bench.do("unplumb", guest, address)
        assert list(bench.do("plumbed", guest)) == [], "unplumb has not taken the address away"
    bench.do("plumb", guest, address)
    bench.do("kill", guest)
    bench.true(guest, Phase.STOPPED)
    assert list(bench.do("plumbed", guest)) == [], "a guest that is down has an address still"


@clause("self-starting", Capability.SELF_STARTING)
def it_says_why(bench: Bench) -> None:
    """An operator who wants launchers run is told what runs instead."""
    why = bench.driver.why_no_launchers(bench.stopped("web"))  # type: ignore[attr-defined]
    assert isinstance(why, str), f"why_no_launchers returned {why!r}, which is no text"
    assert why.strip(), "why_no_launchers says nothing"

"""Clauses about moving a guest that runs to another node: it runs at one end afterwards, and nowhere else.

PYTEST_DONT_REWRITE: what an assertion says is what is told of a clause, and pytest would add to it.
"""

from __future__ import annotations

from vmsvc.core.contract import Capability
from vmsvc.core.errors import DriverError, Undetermined
from vmsvc.core.status import Phase
from vmsvc.testing.kit.bench import Bench, is_down, shown
from vmsvc.testing.kit.clause import clause

#: Where a guest stands that has gone.
_GONE = (Phase.STOPPED, Phase.ABSENT, Phase.MOVED)


@clause("migrate", Capability.MIGRATE)
def what_has_moved_is_no_longer_here(bench: Bench) -> None:
    """A guest that is called up at both ends is stopped at one of them, and called down at both it is started twice."""
    down, guest = bench.stopped("down"), bench.running("web")
    bench.refuses("migrate", down, bench.destination(down), by=DriverError, budget_s=bench.backend.budget_s)
    bench.true(down, Phase.STOPPED)
    bench.do("migrate", guest, bench.destination(guest))
    truth = bench.backend.truth(guest)
    assert truth in _GONE, f"migrate has returned, and the guest is {truth.value} here"
    seen = bench.observe(guest)
    assert is_down(seen), f"the guest has gone, and observe tells: {shown(seen)}"
    bench.refuses("migrate", guest, bench.destination(guest), by=DriverError, budget_s=bench.backend.budget_s)


@clause("migrate-arrived", Capability.MIGRATE)
def what_has_moved_runs_at_the_destination(bench: Bench) -> None:
    """A guest that is called moved, and was only stopped, is lost."""
    guest = bench.running("web")
    bench.do("migrate", guest, bench.destination(guest))
    name = type(bench.backend).__name__
    arrived = bench.backend.has_arrived(guest)
    assert arrived is not None, f"{name} cannot tell: give it has_arrived(), or waive 'migrate-arrived' with the reason"
    assert arrived, "migrate has returned, and the guest does not run at the destination"


@clause("migrate-refused", Capability.MIGRATE)
def what_is_turned_away_stays(bench: Bench) -> None:
    """A move that fails must leave the guest running where it was: else a try to move it has stopped it."""
    guest = bench.running("web")
    before = bench.backend.generation(guest)
    closed = bench.destination(guest, is_open=False)
    bench.refuses("migrate", guest, closed, by=DriverError, budget_s=bench.backend.budget_s)
    bench.true(guest, Phase.RUNNING)
    bench.shows(guest, Phase.RUNNING)
    assert bench.backend.generation(guest) == before, "the guest was started anew"


@clause("migrate-broken", Capability.MIGRATE, trouble="broken")
def a_request_that_fails_when_the_guest_has_left_is_no_refusal(bench: Bench) -> None:
    """A guest that is told to have stayed, and has left, is called failed while it runs elsewhere, or lost."""
    guest = bench.running("web")
    destination = bench.destination(guest)
    with bench.trouble("broken", guest):
        answer = bench.call("migrate", guest, destination)
    truth = bench.backend.truth(guest)
    assert truth in _GONE, f"the request has failed when the guest had left, and it is {truth.value} here"
    is_unknown = isinstance(answer.error, Undetermined)
    assert is_unknown or answer.error is None, f"it has left, and migrate raised {answer}; it must be Undetermined"
    arrived = bench.backend.has_arrived(guest)
    assert is_unknown or arrived is not False, "migrate has returned, and the guest does not run at the destination"


@clause("migrate-hung", Capability.MIGRATE, trouble="hung")
def a_move_that_hangs_is_unknown(bench: Bench) -> None:
    """A move of which nobody hears may have happened: who calls it done, or called off, is wrong at one end."""
    guest = bench.running("web")
    destination = bench.destination(guest)
    with bench.trouble("hung"):
        bench.refuses("migrate", guest, destination, by=Undetermined, budget_s=bench.backend.short_s)
    bench.eventually(
        lambda: bench.observe(guest).phase is bench.backend.truth(guest),
        lambda: f"the guest is {bench.backend.truth(guest).value}, and observe tells: {shown(bench.observe(guest))}",
    )
    bench.eventually(
        lambda: bench.backend.truth(guest) is Phase.RUNNING or bench.backend.has_arrived(guest) is not False,
        lambda: f"the guest is {bench.backend.truth(guest).value} here, and does not run at the destination",
    )

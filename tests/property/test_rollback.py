"""Whatever fails in a start: what was up stays up, what was down is down again or is named, and nothing else happens."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.support import NODE, FakeDriver, Hooks, guest, resource, seen, service, split_guest
from vmsvc.core.errors import DriverError, Undetermined, VmsvcError
from vmsvc.core.execution.executor import Executor
from vmsvc.core.execution.journal import Journal
from vmsvc.core.planning.planner import plan
from vmsvc.core.status import Phase

RIDS = [f"container#{number}" for number in (1, 2, 3)]
BEFORE = st.fixed_dictionaries(
    dict.fromkeys(RIDS, st.sampled_from([Phase.RUNNING, Phase.STOPPED, Phase.ABSENT, Phase.SAVED]))
)
FAILURES = st.dictionaries(
    st.tuples(st.sampled_from(["start", "stop", "kill"]), st.sampled_from(RIDS)),
    st.sampled_from([DriverError("denied"), Undetermined("silent"), KeyError("odd"), SystemExit(1)]),
    max_size=4,
)


def run(before, failures, vetoed, races=()):
    driver, hooks = FakeDriver(), Hooks()
    driver.phases, driver.on = dict(before), dict(failures)

    for rid in races:
        # Somebody else starts it just before our request comes: it is up, and not by us.
        driver.on["start", rid] = lambda rid=rid: driver.become(rid, Phase.RUNNING) is not None

    def veto(step):
        if str(step) == vetoed:
            raise RuntimeError("vetoed")

    hooks.before = veto
    web = service(*(guest(number, start_timeout=0.1, stop_timeout=0.0, kill_timeout=0.0) for number in (1, 2, 3)))
    made = plan("start", web, NODE, {rid: seen(phase) for rid, phase in before.items()})
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "web.jsonl")
        try:
            Executor(driver_of=lambda _: driver, journal=journal, hooks=hooks, run_trigger=lambda _: None).run(made)
        except VmsvcError as error:
            return driver, journal.unfinished(), error
        return driver, journal.unfinished(), None


@given(
    BEFORE,
    FAILURES,
    st.sampled_from(["", *(f"{verb} {rid}" for verb in ("start", "stop") for rid in RIDS)]),
    st.sets(st.sampled_from(RIDS)),
)
def test_a_start_is_whole_or_taken_back(before, failures, vetoed, races):
    driver, unfinished, error = run(before, failures, vetoed, races)
    assert unfinished is None
    # What others have started is up for good, as what was up before.
    before |= {rid: Phase.RUNNING for rid in races if f"start {rid}" in driver.calls}
    asked = [call.split()[1] for call in driver.verbs() if not call.startswith("start")]
    assert not set(asked) & races
    up_before = {rid for rid, phase in before.items() if phase is Phase.RUNNING}
    up_after = {rid for rid, phase in driver.phases.items() if phase is Phase.RUNNING}
    assert not any(verb.endswith(rid) for verb in driver.verbs() for rid in up_before - races)
    assert up_after >= up_before
    if error is None:
        assert up_after == set(RIDS)
        return
    told = [problem.message for problem in error.problems]
    assert told[0].startswith("start of web failed at start container#")
    # What is still up although it was down is named, with the reason why it could not be taken back.
    for rid in up_after - up_before:
        assert any(rid in message and message.startswith("not rolled back: ") for message in told[1:]), (rid, told)
        assert any(each.section == rid and each.code == "action.rollback-failed" for each in error.problems)
    for problem in error.problems[1:]:
        assert (problem.code == "action.rolled-back") == (problem.section not in up_after), problem
    # And only what this action has started is taken back.
    for message in told[1:]:
        assert any(f"start {rid}" in driver.calls for rid in RIDS if rid in message)


class SplitWorld(FakeDriver):
    """A guest that loses the address which it was given when it goes down."""

    def become(self, rid, phase):
        super().become(rid, phase)
        if rid == "container#1" and phase is Phase.STOPPED:
            super().become("ip#1", Phase.STOPPED)


STEPS = [("prepare", "container#1"), ("start", "ip#1"), ("boot", "container#1"), ("start", "container#2")]


@given(
    st.sampled_from([Phase.STOPPED, Phase.PREPARED, Phase.RUNNING]),
    st.dictionaries(
        st.sampled_from(STEPS), st.sampled_from([DriverError("denied"), Undetermined("silent")]), max_size=2
    ),
    st.booleans(),
)
def test_a_start_in_two_halves_is_whole_or_taken_back(before, failures, is_booted_by_others):
    driver = SplitWorld()
    driver.phases = {"container#1": before, "container#2": Phase.STOPPED, "ip#1": Phase.STOPPED}
    driver.on = dict(failures)
    if is_booted_by_others:
        driver.on["boot", "container#1"] = lambda: driver.become("container#1", Phase.RUNNING) is not None
    address = resource("ip#1", container_id="container#1", is_plumbed=True, start_timeout=0.1)
    short = {"start_timeout": 0.1, "stop_timeout": 0.0, "kill_timeout": 0.0}
    web = service(split_guest(1, **short), guest(2, **short), address)
    made = plan("start", web, NODE, {rid: seen(phase) for rid, phase in driver.phases.items()})
    with tempfile.TemporaryDirectory() as folder:
        executor = Executor(
            driver_of=lambda _: driver,
            journal=Journal(Path(folder) / "web.jsonl"),
            hooks=Hooks(),
            run_trigger=lambda _: None,
        )
        try:
            executor.run(made)
        except VmsvcError as caught:
            error = caught
        else:
            error = None
    asked = [call for call in driver.verbs() if call.startswith(("stop", "kill"))]
    if error is None:
        assert set(driver.phases.values()) == {Phase.RUNNING}
        assert not asked
    elif before is Phase.RUNNING or ("boot container#1" in driver.calls and is_booted_by_others):
        assert driver.phases["container#1"] is Phase.RUNNING  # others run it: it is left to them
        assert not any("container#1" in call for call in asked)
    else:
        # Nothing is half started: what was prepared before and not touched stays as it was.
        is_untouched = before is Phase.PREPARED and "boot container#1" not in driver.calls
        assert driver.phases["container#1"] is (Phase.PREPARED if is_untouched else Phase.STOPPED)
        assert driver.phases["ip#1"] is Phase.STOPPED
    if before is not Phase.STOPPED:
        assert "prepare container#1" not in driver.calls
    if "boot container#1" in driver.calls and before is Phase.STOPPED:
        calls = driver.verbs()
        assert calls.index("prepare container#1") < calls.index("start ip#1") < calls.index("boot container#1")

"""One step at a time, with drivers good and bad."""

from __future__ import annotations

import threading
import time

import pytest

from tests.support import FakeDriver, guest, resource, seen, split_guest
from vmsvc.core.contract import Capability
from vmsvc.core.errors import ActionFailed, DriverError, NoWayIn, TimedOut, Undetermined
from vmsvc.core.execution import steps
from vmsvc.core.execution.steps import StepTaker
from vmsvc.core.planning.plan import Step
from vmsvc.core.status import Phase
from vmsvc.core.verb import Verb

UP, DOWN = Phase.RUNNING, Phase.STOPPED
C1 = "container#1"


@pytest.fixture
def driver():
    made = FakeDriver(container_1=DOWN)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def grace(monkeypatch):
    monkeypatch.setattr(steps, "GRACE_S", 0.1)


def take(driver, verb, *, budget_s=0.5, each=None, cancelled=None):
    """Take a step; how long it took is returned, and is in the error's notes."""
    began = time.monotonic()
    taker = StepTaker(driver_of=lambda _: driver, cancelled=cancelled or threading.Event())
    each = each or guest()
    taker.take(Step(rid=each.rid, verb=Verb(verb), budget_s=budget_s), each)
    return time.monotonic() - began


def later(delay_s, work):
    """Do something in a while; nobody waits for it."""
    timer = threading.Timer(delay_s, work)
    timer.daemon = True
    timer.start()


def test_a_start_waits_until_the_guest_is_up(driver):
    driver.on["start", C1] = lambda: (driver.become(C1, Phase.STARTING), later(0.2, lambda: driver.become(C1, UP)))
    assert 0.2 <= take(driver, "start", budget_s=5) < 2


@pytest.mark.parametrize("end", [DOWN, Phase.CRASHED])
def test_a_guest_that_dies_while_its_start_waits_fails_at_once(driver, end):
    driver.on["start", C1] = lambda: (driver.become(C1, Phase.STARTING), later(0.2, lambda: driver.become(C1, end)))
    began = time.monotonic()
    with pytest.raises(ActionFailed, match="went down while its start waited") as error:
        take(driver, "start", budget_s=60)
    assert time.monotonic() - began < 5
    assert error.value.code == "action.went-down"


@pytest.fixture
def settle(monkeypatch):
    """How long a technology may take to show a start, in seconds; short, so that tests are."""

    def within(seconds):
        monkeypatch.setattr(steps, "_SETTLE_S", seconds)

    return within


def test_a_start_that_shows_late_is_waited_for(driver):
    driver.on["start", C1] = lambda: later(0.5, lambda: driver.become(C1, UP))
    assert 0.5 <= take(driver, "start", budget_s=60) < 2


@pytest.mark.parametrize("late", [Phase.UNKNOWN, Phase.ABSENT])
def test_what_shows_first_may_be_anything_that_is_not_up(driver, late):
    driver.on["start", C1] = lambda: (driver.become(C1, late), later(0.3, lambda: driver.become(C1, UP)))
    assert 0.3 <= take(driver, "start", budget_s=60) < 2


def test_a_start_that_never_shows_went_down(driver, settle):
    settle(0.4)
    driver.on["start", C1] = lambda: None
    began = time.monotonic()
    with pytest.raises(ActionFailed, match="it did not come up: stopped") as error:
        take(driver, "start", budget_s=60)
    assert 0.4 <= time.monotonic() - began < 2
    assert error.value.code == "action.went-down"


def test_patience_is_two_seconds():
    # Longer than any technology needs to show a start, and no burden for those who wait for a failure.
    assert steps._SETTLE_S == 2.0


def test_a_guest_that_was_seen_and_is_down_again_needs_no_patience(driver, settle):
    settle(60)
    driver.on["start", C1] = lambda: (driver.become(C1, Phase.STARTING), later(0.2, lambda: driver.become(C1, DOWN)))
    began = time.monotonic()
    with pytest.raises(ActionFailed, match="went down"):
        take(driver, "start", budget_s=60)
    assert time.monotonic() - began < 2


def test_patience_ends_with_the_budget(driver, settle):
    settle(60)
    driver.on["start", C1] = lambda: None
    began = time.monotonic()
    with pytest.raises(ActionFailed, match="it is not up: stopped") as error:
        take(driver, "start", budget_s=0.3)
    assert time.monotonic() - began < 1.5
    assert error.value.code == "action.timeout"


def test_a_slow_boot_outlasts_the_patience(driver, settle):
    settle(0.1)
    driver.on["start", C1] = lambda: (driver.become(C1, Phase.STARTING), later(0.4, lambda: driver.become(C1, UP)))
    assert 0.4 <= take(driver, "start", budget_s=60) < 2


def test_an_application_that_lags_has_its_whole_budget(driver, settle):
    settle(0.1)
    driver.on["start", "app#1"] = lambda: later(0.4, lambda: driver.become("app#1", UP))
    assert 0.4 <= take(driver, "start", each=resource("app#1", start=("a",)), budget_s=60) < 2


@pytest.mark.parametrize(
    ("answer", "told"),
    [(lambda: True, True), (lambda: False, False), (DriverError("no"), None), (Undetermined("lost"), None)],
)
def test_what_the_driver_says_of_its_start(driver, answer, told):
    driver.become(C1, UP)
    driver.on["start", C1] = answer
    taker = StepTaker(driver_of=lambda _: driver)
    assert taker.has_set_going is None
    try:
        taker.take(Step(rid=C1, verb=Verb.START, budget_s=0.5), guest())
    except (DriverError, Undetermined):
        assert told is None
    assert taker.has_set_going is told


@pytest.mark.parametrize("answer", [None, "yes", 1])
def test_a_driver_that_does_not_say_whether_it_was_this_request_is_not_believed(driver, answer):
    driver.become(C1, UP)
    driver.start = lambda resource, *, budget_s: answer
    taker = StepTaker(driver_of=lambda _: driver)
    taker.take(Step(rid=C1, verb=Verb.START, budget_s=0.5), guest())
    assert taker.has_set_going is None


def test_a_start_that_dies_was_this_ones_all_the_same(driver, settle):
    settle(0.0)
    driver.on["start", C1] = lambda: True
    taker = StepTaker(driver_of=lambda _: driver)
    with pytest.raises(ActionFailed):
        taker.take(Step(rid=C1, verb=Verb.START, budget_s=0.5), guest())
    assert taker.has_set_going is True


def test_a_start_that_takes_too_long_says_what_it_sees(driver):
    driver.on["start", C1] = lambda: driver.become(C1, Phase.PAUSED)
    with pytest.raises(ActionFailed, match="is not up: paused"):
        take(driver, "start", budget_s=0.2)


def test_a_start_that_nobody_can_see_is_undetermined(driver):
    driver.on["start", C1] = lambda: driver.become(C1, Phase.UNKNOWN)
    with pytest.raises(Undetermined, match="its status is unknown: as told"):
        take(driver, "start", budget_s=0.2)


def test_an_application_without_a_check_is_believed_and_one_that_lags_is_waited_for(driver):
    app = resource("app#1", start=("a",))
    driver.on["start", "app#1"] = lambda: driver.become("app#1", Phase.INAPPLICABLE)
    take(driver, "start", each=app)
    driver.on["start", "app#1"] = lambda: (driver.become("app#1", DOWN), later(0.2, lambda: driver.become("app#1", UP)))
    assert take(driver, "start", each=app, budget_s=5) >= 0.2


# --- stop and kill ---------------------------------------------------------------------------------------------------


def test_a_guest_that_missed_the_request_is_asked_again(driver, monkeypatch):
    monkeypatch.setattr(steps, "_ASK_AGAIN_S", 0.1)
    driver.become(C1, UP)
    driver.on["stop", C1] = lambda: driver.become(C1, DOWN) if driver.calls.count("stop container#1") == 3 else None
    took = take(driver, "stop", budget_s=5)
    assert driver.verbs() == ["stop container#1"] * 3
    assert 0.2 <= took < 2


def test_a_guest_that_ignores_the_request_costs_its_budget(driver, monkeypatch):
    monkeypatch.setattr(steps, "_ASK_AGAIN_S", 0.15)
    driver.become(C1, UP)
    driver.on["stop", C1] = lambda: None
    began = time.monotonic()
    with pytest.raises(ActionFailed, match="still not down after being asked") as error:
        take(driver, "stop", budget_s=0.4)
    assert 0.4 <= time.monotonic() - began < 1
    assert error.value.code == "action.timeout"
    assert driver.verbs().count("stop container#1") >= 2


def test_a_daemon_that_restarts_is_asked_again(driver, monkeypatch):
    monkeypatch.setattr(steps, "_ASK_AGAIN_S", 0.1)
    driver.become(C1, UP)

    def restarting():
        if driver.calls.count("stop container#1") < 3:
            raise Undetermined("connection refused")
        driver.become(C1, DOWN)

    driver.on["stop", C1] = restarting
    take(driver, "stop", budget_s=5)
    assert driver.verbs() == ["stop container#1"] * 3


def test_a_driver_that_says_no_is_not_asked_again(driver):
    driver.become(C1, UP)
    driver.on["stop", C1] = DriverError("no agent")
    with pytest.raises(DriverError):
        take(driver, "stop", budget_s=5)
    assert driver.verbs() == ["stop container#1"]


def test_a_guest_on_its_way_down_is_not_asked_again(driver, monkeypatch):
    monkeypatch.setattr(steps, "_ASK_AGAIN_S", 0.1)
    driver.become(C1, UP)
    driver.on["stop", C1] = lambda: (
        driver.become(C1, Phase.STOPPING),
        later(0.5, lambda: driver.become(C1, DOWN)),
    )
    assert 0.5 <= take(driver, "stop", budget_s=5) < 2
    assert driver.verbs() == ["stop container#1"]


def test_a_guest_that_gave_up_shutting_down_is_asked_again(driver, monkeypatch):
    monkeypatch.setattr(steps, "_ASK_AGAIN_S", 0.1)
    driver.become(C1, UP)
    asked = []

    def stop():
        asked.append(driver.phases[C1])
        driver.become(C1, Phase.STOPPING if len(asked) == 1 else DOWN)
        later(0.25, lambda: driver.phases[C1] is Phase.STOPPING and driver.become(C1, UP))

    driver.on["stop", C1] = stop
    take(driver, "stop", budget_s=5)
    assert asked == [UP, UP]


def test_a_no_to_the_second_request_does_not_end_the_waiting(driver, monkeypatch):
    monkeypatch.setattr(steps, "_ASK_AGAIN_S", 0.1)
    driver.become(C1, UP)

    def stop():
        if driver.verbs().count("stop container#1") > 1:
            raise DriverError("a shutdown is under way")
        later(0.5, lambda: driver.become(C1, DOWN))

    driver.on["stop", C1] = stop
    assert 0.5 <= take(driver, "stop", budget_s=5) < 2
    assert driver.verbs().count("stop container#1") > 1


def test_a_no_after_requests_that_nobody_heard_is_a_no(driver, monkeypatch):
    monkeypatch.setattr(steps, "_ASK_AGAIN_S", 0.1)
    driver.become(C1, UP)

    def stop():
        raise Undetermined("connection refused") if len(driver.verbs()) == 1 else DriverError("no agent")

    driver.on["stop", C1] = stop
    with pytest.raises(DriverError, match="no agent"):
        take(driver, "stop", budget_s=5)
    assert driver.verbs() == ["stop container#1"] * 2


def test_an_application_is_asked_once_and_then_waited_for(driver):
    app = resource("app#1", stop=("b",))
    driver.become("app#1", UP)
    driver.on["stop", "app#1"] = lambda: later(0.2, lambda: driver.become("app#1", DOWN))
    assert take(driver, "stop", each=app, budget_s=5) >= 0.2
    assert driver.verbs() == ["stop app#1"]
    driver.become("app#1", UP)
    driver.on["stop", "app#1"] = Undetermined("it hung")
    with pytest.raises(Undetermined):
        take(driver, "stop", each=app)


def test_an_application_without_a_check_is_stopped_when_its_command_is_done(driver):
    driver.on["stop", "app#1"] = lambda: driver.become("app#1", Phase.INAPPLICABLE)
    assert take(driver, "stop", each=resource("app#1", stop=("b",)), budget_s=5) < 1


def test_a_kill_that_does_not_help(driver):
    driver.become(C1, UP)
    driver.on["kill", C1] = lambda: driver.become(C1, Phase.STUCK)
    with pytest.raises(ActionFailed, match="forced to stop: stuck"):
        take(driver, "kill", budget_s=0.2)


def test_a_kill_waits_for_its_effect(driver):
    driver.become(C1, UP)
    driver.on["kill", C1] = lambda: later(0.15, lambda: driver.become(C1, DOWN))
    assert take(driver, "kill", budget_s=5) >= 0.15


# --- bad drivers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["start", "kill"])
def test_a_verb_that_hangs_is_abandoned(driver, verb):
    driver.become(C1, UP if verb == "kill" else DOWN)
    driver.on[verb, C1] = driver.hang
    began = time.monotonic()
    with pytest.raises(Undetermined, match=f"fake driver, {verb} container#1 of web did not answer within"):
        take(driver, verb, budget_s=0.2)
    assert time.monotonic() - began < 1.5


def test_what_became_of_an_application_that_takes_long_to_be_ended_is_waited_for(driver):
    app = resource("app#1", start=("slow",))

    def end():
        time.sleep(0.6)  # longer than the budget and the usual moment
        raise TimedOut("S1 did not end within 0.1 s and was killed; nothing of it is left")

    driver.on["start", app.rid] = end
    with pytest.raises(TimedOut, match="nothing of it is left"):
        take(driver, "start", budget_s=0.1, each=app)


def test_threads_that_one_verb_of_one_guest_has_lost_keep_nobody_else_from_acting(driver):
    first, second = (guest(number, service="crowded") for number in (1, 2))
    driver.on["start", first.rid] = driver.hang
    for _ in range(8):
        with pytest.raises(Undetermined, match="did not answer within"):
            take(driver, "start", each=first, budget_s=0.0)
    with pytest.raises(Undetermined, match="start container#1 of crowded is not answering: 8 earlier calls"):
        take(driver, "start", each=first)
    driver.become(first.rid, UP)
    take(driver, "kill", each=first)
    take(driver, "start", each=second)
    driver.on.clear()
    take(driver, "start", each=guest(service="other"))
    other = FakeDriver()
    other.type = "other"
    take(other, "start", each=first)


def test_a_stop_that_hangs_ends_with_its_budget(driver):
    driver.become(C1, UP)
    driver.on["stop", C1] = driver.hang
    began = time.monotonic()
    with pytest.raises(ActionFailed, match="still not down"):
        take(driver, "stop", budget_s=0.3)
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("error", [KeyError("x"), OSError(5, "I/O error"), SystemExit(3), AssertionError()])
@pytest.mark.parametrize("verb", ["start", "kill"])
def test_odd_exceptions_are_undetermined(driver, verb, error):
    driver.become(C1, UP if verb == "kill" else DOWN)
    driver.on[verb, C1] = error
    with pytest.raises(Undetermined, match=f"broke off with {type(error).__name__}"):
        take(driver, verb, budget_s=5)


@pytest.mark.parametrize("answer", [None, "up", {}, 0, KeyError("x"), SystemExit(1)])
def test_a_garbled_look_is_unknown(driver, answer):
    driver.on["observe", C1] = answer if isinstance(answer, BaseException) else lambda: answer
    assert StepTaker(driver_of=lambda _: driver).observe(guest()).phase is Phase.UNKNOWN
    with pytest.raises(Undetermined):
        take(driver, "start", budget_s=0.1)


def test_a_resource_without_a_driver():
    with pytest.raises(ActionFailed, match="not handled"):
        take("ip resources are not handled", "start")


def test_a_driver_that_cannot_be_had_is_undetermined():
    def finder(_):
        raise Undetermined("its constructor failed")

    assert StepTaker(driver_of=finder).observe(guest()).phase is Phase.UNKNOWN


# --- drivers that wait -----------------------------------------------------------------------------------------------


class Watcher(FakeDriver):
    """A driver that can wait: ``answer`` says how."""

    capabilities = frozenset({Capability.WAIT})
    watches = 0

    def wait(self, resource, until, *, budget_s):
        self.watches += 1
        return self.answer(resource, until, budget_s)


@pytest.fixture
def watcher():
    made = Watcher(container_1=DOWN)
    made.on["start", C1] = lambda: (made.become(C1, Phase.STARTING), later(0.3, lambda: made.become(C1, UP)))
    yield made
    made.close()


def test_a_driver_that_waits_is_not_polled(watcher):
    def answer(resource, until, budget_s):
        while not until(found := seen(watcher.phases[resource.rid])):
            time.sleep(0.01)
        return found

    watcher.answer = answer
    take(watcher, "start", budget_s=5)
    assert watcher.watches == 1
    assert watcher.calls.count("observe container#1") == 1  # what it tells is confirmed, once


def test_a_watch_that_lies_is_not_believed(watcher):
    watcher.on["start", C1] = lambda: True
    watcher.answer = lambda *_: seen(UP)
    with pytest.raises(ActionFailed, match="it did not come up"):
        take(watcher, "start", budget_s=5)


def test_a_request_that_failed_is_told_when_its_time_is_up(driver):
    driver.become(C1, UP)

    def stop(resource, *, budget_s):
        raise ZeroDivisionError("boom")

    driver.stop = stop
    with pytest.raises(ActionFailed, match=r"may not have heard: .*ZeroDivisionError: boom"):
        take(driver, "stop", budget_s=0.3)


def crash(*_):
    raise ConnectionResetError("the daemon restarts")


@pytest.mark.parametrize(
    "answer",
    [crash, lambda *_: None, lambda *_: "running", lambda *_: seen(Phase.UNKNOWN), lambda *_: seen(Phase.STARTING)],
    ids=["raises", "none", "text", "unknown", "early"],
)
def test_a_watch_that_breaks_off_is_followed_by_looks(watcher, answer):
    watcher.answer = answer
    assert 0.3 <= take(watcher, "start", budget_s=5) < 2
    assert watcher.watches == 1


def test_a_watch_that_hangs_ends_with_the_budget(watcher):
    watcher.on["start", C1] = lambda: watcher.become(C1, Phase.STARTING)
    watcher.answer = lambda *_: watcher.hang()
    began = time.monotonic()
    with pytest.raises(Undetermined, match="did not answer within"):
        take(watcher, "start", budget_s=0.3)
    assert time.monotonic() - began < 1.5


def test_a_broken_watch_does_not_hammer_the_guest_with_requests(watcher, monkeypatch):
    monkeypatch.setattr(steps, "_ASK_AGAIN_S", 0.2)
    watcher.become(C1, UP)
    watcher.on["stop", C1] = Undetermined("connection refused")
    watcher.answer = crash
    with pytest.raises(ActionFailed):
        take(watcher, "stop", budget_s=0.5)
    assert watcher.verbs().count("stop container#1") <= 4


def test_cancelling_ends_a_watch(watcher):
    cancelled = threading.Event()
    watcher.on["start", C1] = lambda: (watcher.become(C1, Phase.STARTING), later(0.1, cancelled.set))

    def answer(resource, until, budget_s):
        while not until(found := seen(watcher.phases[resource.rid])):
            time.sleep(0.01)
        return found

    watcher.answer = answer
    began = time.monotonic()
    with pytest.raises(ActionFailed, match="interrupted"):
        take(watcher, "start", budget_s=30, cancelled=cancelled)
    assert time.monotonic() - began < 2


# --- waiting for what is inside a guest ---------------------------------------------------------------------------


class Insider(FakeDriver):
    kind = "ip"

    def guest_of(self, resource):
        return guest()

    def observe_inside(self, resource, guest, *, budget_s):
        return self.observe(resource, budget_s=budget_s)


@pytest.fixture
def inside(driver):
    """A guest that runs, and what is in it."""
    driver.become(C1, UP)
    return Insider(ip_1=DOWN)


def wait(
    driver,
    inside,
    *,
    each=None,
    budget_s=0.5,
    reach=lambda guest, budget_s: None,
    forget=lambda guest: None,
    cancelled=None,
):
    began = time.monotonic()
    taker = StepTaker(
        driver_of=lambda each: inside if each.kind == "ip" else driver,
        cancelled=cancelled or threading.Event(),
        reach=reach,
        forget=forget,
    )
    each = each or resource("ip#1", container_id=C1)
    taker.take(Step(rid=each.rid, verb=Verb.WAIT, budget_s=60.0), each, budget_s=budget_s, guest=guest())
    return time.monotonic() - began


def test_an_address_is_waited_for_until_it_is_there_and_nobody_is_asked_for_it(driver, inside):
    later(0.2, lambda: inside.become("ip#1", UP))
    assert 0.2 <= wait(driver, inside, budget_s=5) < 2
    assert inside.verbs() == []


def test_an_address_that_does_not_come_fails_with_what_was_seen_last(driver, inside):
    with pytest.raises(ActionFailed, match="it is not there: stopped") as error:
        wait(driver, inside)
    assert error.value.code == "action.timeout"


def test_an_address_that_nobody_could_see_in_time_was_not_there_in_time(driver, inside):
    inside.become("ip#1", Phase.UNKNOWN)
    with pytest.raises(ActionFailed, match="it was not seen in time") as error:
        wait(driver, inside)
    assert error.value.code == "action.timeout"


def test_while_a_guest_comes_up_no_look_inside_trusts_in_an_earlier_one(driver, inside):
    forgotten = []
    later(0.3, lambda: inside.become("ip#1", UP))
    wait(driver, inside, budget_s=5, forget=lambda each: forgotten.append(each.rid))
    assert len(forgotten) >= 3
    assert set(forgotten) == {C1}


def test_what_led_into_a_guest_before_its_start_is_not_gone_by_after_it(driver):
    renewed = []
    taker = StepTaker(driver_of=lambda _: driver, renew=lambda each: renewed.append((each.rid, driver.verbs())))
    taker.take(Step(rid=C1, verb=Verb.START, budget_s=5.0), guest())
    assert renewed == [(C1, ["start container#1"])]


def test_a_guest_that_dies_ends_every_wait_for_what_is_inside_it(driver, inside):
    later(0.2, lambda: driver.become(C1, DOWN))
    began = time.monotonic()
    with pytest.raises(ActionFailed, match="its guest went down while it was waited for") as error:
        wait(driver, inside, budget_s=60)
    assert (error.value.code, time.monotonic() - began < 3) == ("action.went-down", True)


def test_one_knocks_until_somebody_opens(driver, inside):
    answers = [NoWayIn("refused"), Undetermined("late"), None]
    budgets = []

    def reach(each, budget_s):
        budgets.append(budget_s)
        if (answer := answers.pop(0)) is not None:
            raise answer

    wait(driver, inside, each=guest(), budget_s=30, reach=reach)
    assert (answers, budgets) == ([], [5.0, 5.0, 5.0])


def test_a_guest_that_is_not_ready_in_its_time_has_failed_and_says_why(driver, inside):
    def reach(each, budget_s):
        raise NoWayIn("connection refused", code="undetermined.ssh-refused", hint="wait")

    with pytest.raises(ActionFailed, match="it lets no commands in: connection refused") as error:
        wait(driver, inside, each=guest(), reach=reach)
    assert (error.value.code, error.value.hint) == ("action.timeout", "wait")


def test_a_guest_that_crashes_ends_every_wait_for_it(driver, inside):
    later(0.2, lambda: driver.become(C1, Phase.CRASHED))
    began = time.monotonic()
    with pytest.raises(ActionFailed, match="went down while it was waited for: crashed") as error:
        wait(driver, inside, budget_s=60)
    assert (error.value.code, time.monotonic() - began < 3) == ("action.went-down", True)


@pytest.mark.parametrize("each", [guest(), resource("ip#1", container_id=C1)], ids=["the guest", "what is inside it"])
def test_what_no_waiting_mends_is_told_at_once(driver, inside, each):
    def reach(each, budget_s):
        raise NoWayIn("the host key has changed", code="undetermined.ssh-host-key")

    inside.become("ip#1", Phase.UNKNOWN)
    began = time.monotonic()
    with pytest.raises(NoWayIn, match="host key"):
        wait(driver, inside, each=each, budget_s=60, reach=reach)
    assert time.monotonic() - began < 2


def test_a_guest_that_does_not_answer_yet_keeps_nobody_from_waiting_for_its_address(driver, inside):
    def reach(each, budget_s):
        raise NoWayIn("connection refused", code="undetermined.ssh-refused")

    inside.become("ip#1", Phase.UNKNOWN)
    later(0.3, lambda: inside.become("ip#1", UP))
    assert 0.3 <= wait(driver, inside, budget_s=10, reach=reach) < 5


def test_an_interrupt_ends_a_wait_for_a_way_in(driver, inside):
    cancelled = threading.Event()

    def reach(each, budget_s):
        cancelled.set()
        raise NoWayIn("connection refused")

    with pytest.raises(ActionFailed, match="interrupted"):
        wait(driver, inside, each=guest(), budget_s=60, reach=reach, cancelled=cancelled)


def test_a_driver_that_cannot_prepare_is_told_to_be_wrong():
    class Whole(FakeDriver):
        prepare = None

    with pytest.raises(ActionFailed, match="cannot prepare a guest, though its options say so"):
        take(Whole(), "prepare", each=split_guest())


@pytest.mark.parametrize(
    ("verb", "stays", "words"), [("prepare", DOWN, "is not up|is not prepared"), ("boot", Phase.PREPARED, "is not up")]
)
def test_a_half_that_does_not_get_there_fails(driver, verb, stays, words):
    driver.on[verb, C1] = lambda: driver.become(C1, stays)
    with pytest.raises(ActionFailed, match=words):
        take(driver, verb, budget_s=0.3, each=split_guest())


def test_a_guest_that_dies_while_it_boots_has_failed_at_once(driver):
    driver.on["boot", C1] = lambda: (driver.become(C1, Phase.PREPARED), later(0.2, lambda: driver.become(C1, DOWN)))
    with pytest.raises(ActionFailed, match="went down while its start waited"):
        take(driver, "boot", budget_s=5, each=split_guest())

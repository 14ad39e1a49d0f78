"""Applications on the node and inside guests: their own commands, and launchers."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time

import pytest
from attrs import evolve

from tests.support import FakeDriver, guest, resource, seen, service
from vmsvc.core.apps import AppDriver
from vmsvc.core.contract import Capability, Driver
from vmsvc.core.errors import ActionFailed, DriverError, NoWayIn, TimedOut, Undetermined
from vmsvc.core.inside.place import Places
from vmsvc.core.inside.verbs import script
from vmsvc.core.inside.ways import Ways
from vmsvc.core.observe import observe
from vmsvc.core.status import Phase
from vmsvc.core.transport import Outcome
from vmsvc.core.transport.local import LocalHost

APP = resource("app#1", start=("start-it", "now"), stop=("stop-it",), check=("check-it",))


def places_of(web, host, inside=None):
    driver = inside or FakeDriver()
    return Places(
        services={web.name: web}, ways=Ways(lambda _: driver, None), node=lambda: host, driver_of=lambda _: driver
    )


class Host:
    """A host that answers as it is told."""

    name = "n1"

    def __init__(self, code=0, out="", err="", fail=None):
        self.answer = {"code": code, "stdout": out.encode(), "stderr": err.encode(), "duration_s": 0.5}
        self.fail = fail
        self.ran = []

    def run(self, argv, *, budget_s, environment=None):
        self.ran.append((argv, budget_s))
        if self.fail:
            raise self.fail
        return Outcome(argv=tuple(argv), **self.answer)


def driver_on(host, tmp_path) -> Driver[object]:
    return AppDriver(places_of(service(APP), host))


@pytest.mark.parametrize(
    ("code", "phase"),
    [
        (0, Phase.RUNNING),
        (1, Phase.STOPPED),
        (2, Phase.DEGRADED),
        (3, Phase.STOPPED),
        (4, Phase.DEGRADED),
        (125, Phase.DEGRADED),
        (255, Phase.DEGRADED),
    ],
)
def test_a_check_tells_by_its_exit_code(tmp_path, code, phase):
    host = Host(code=code, out="all is well\n")
    found = driver_on(host, tmp_path).observe(APP, budget_s=4.0)
    assert (found.phase, found.state) == (phase, f"check exited with {code}")
    assert (found.evidence.probe, found.evidence.detail, found.evidence.duration_s) == ("check-it", "all is well", 0.5)
    assert host.ran == [(("check-it",), pytest.approx(4.0, abs=0.5))]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (-9, "killed by signal 9"),
        (-15, "killed by signal 15"),
        (137, "killed by signal 9"),
        (126, "cannot be executed"),
        (127, "was not found"),
    ],
)
def test_a_check_that_did_not_run_to_its_end_tells_nothing(tmp_path, code, reason):
    driver = driver_on(Host(code=code, err="sh: no\n"), tmp_path)
    (found,) = observe([APP], lambda _: driver).values()
    assert found.phase is Phase.UNKNOWN
    assert reason in found.evidence.detail
    assert found.evidence.detail.endswith("sh: no")


def test_without_a_check_there_is_no_status(tmp_path):
    found = driver_on(Host(), tmp_path).observe(resource("app#1"), budget_s=1.0)
    assert (found.phase, found.evidence.detail) == (Phase.INAPPLICABLE, "it has no check command")


@pytest.mark.parametrize("error", [Undetermined("it took too long"), ActionFailed("no such program")])
def test_a_check_that_does_not_end_or_begin_is_unknown(tmp_path, error):
    driver = driver_on(Host(fail=error), tmp_path)
    (found,) = observe([APP], lambda _: driver).values()
    assert (found.phase, found.evidence.detail) == (Phase.UNKNOWN, str(error))


def test_commands(tmp_path):
    host = Host()
    driver = driver_on(host, tmp_path)
    driver.start(APP, budget_s=7.0)
    driver.stop(APP, budget_s=8.0)
    assert host.ran == [(("start-it", "now"), pytest.approx(7.0, abs=0.5)), (("stop-it",), pytest.approx(8.0, abs=0.5))]
    driver.close()


def test_a_command_that_fails_tells_its_last_lines_and_what_to_run(tmp_path):
    driver = driver_on(Host(code=3, out="ignored", err="a\nb\nc\nd\n"), tmp_path)
    with pytest.raises(DriverError, match="start command exited with 3: b / c / d") as error:
        driver.start(APP, budget_s=1.0)
    assert error.value.hint == "run it by hand: start-it now"
    with pytest.raises(DriverError, match="exited with 3: no output"):
        driver_on(Host(code=3), tmp_path).stop(APP, budget_s=1.0)


def test_there_is_no_force(tmp_path):
    with pytest.raises(DriverError, match="app#1 has no way to be stopped by force"):
        driver_on(Host(), tmp_path).kill(APP, budget_s=1.0)


@pytest.mark.parametrize("script", ["kill -KILL $$", "no-such-command-anywhere"])
def test_a_real_check_that_is_killed_or_not_found(tmp_path, script):
    host = LocalHost("n1")
    try:
        driver = driver_on(host, tmp_path)
        with pytest.raises(Undetermined, match="the check"):
            driver.observe(resource("app#1", check=("sh", "-c", script)), budget_s=5.0)
    finally:
        host.close()


def test_on_the_real_node(tmp_path):
    flag = tmp_path / "flag"
    app = resource("app#1", start=("touch", str(flag)), stop=("rm", str(flag)), check=("test", "-e", str(flag)))
    host = LocalHost("n1")
    try:
        driver = driver_on(host, tmp_path)
        assert driver.observe(app, budget_s=5.0).phase is Phase.STOPPED
        driver.start(app, budget_s=5.0)
        assert driver.observe(app, budget_s=5.0).phase is Phase.RUNNING
        driver.stop(app, budget_s=5.0)
        with pytest.raises(DriverError, match="No such file"):
            driver.stop(app, budget_s=5.0)
    finally:
        host.close()


# --- launchers ---------------------------------------------------------------------------------------------------------


class Inside(FakeDriver):
    """A guest whose inside is this machine."""

    capabilities = frozenset({Capability.ENTRY})

    def __init__(self):
        super().__init__()
        self.host = LocalHost("n1")

    def enter(self, guest, argv, *, budget_s, environment=None):
        return self._do("enter", guest, lambda: self.host.run(argv, budget_s=budget_s, environment=environment))


@pytest.fixture
def inside():
    made = Inside()
    yield made
    made.host.close()


class Launched:
    """An application of launchers, its directory, and what its driver told."""

    def __init__(self, tmp_path, inside, *also, **options):
        self.directory = tmp_path / "init.d"
        self.directory.mkdir(exist_ok=True)
        self.log = tmp_path / "log"
        self.app = resource("app#1", container_id="container#1", launchers=str(self.directory), **options)
        self.told, self.kept = [], []
        places = places_of(service(guest(), self.app, *also), Host(), inside)
        self.cancelled = threading.Event()
        self.driver = AppDriver(places, self.told.append, self.keep, self.cancelled)

    def keep(self, app, name, action, ran):
        self.kept.append((name, action, ran))
        return f"/kept/{name}"

    @property
    def printed(self):
        return [(name, action, ran.outcome.out) for name, action, ran in self.kept]

    def add(self, name, *lines, mode=0o755):
        path = self.directory / name
        path.write_text("\n".join(["#!/bin/sh", f'echo "${{0##*/}} $1" >>{self.log}', *lines, ""]))
        path.chmod(mode)

    @property
    def ran(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    def look(self, phase=Phase.RUNNING):
        return self.driver.observe_inside(self.app, seen(phase), budget_s=5.0)


@pytest.fixture
def launched(tmp_path, inside):
    return lambda *also, **options: Launched(tmp_path, inside, *also, **options)


def test_launchers_start_and_stop_in_the_order_of_their_names(launched):
    web = launched()
    for name in ("S20app", "S10db", "S100x", "K90db", "K10app", "C1", "README", "S30 off", "S40~"):
        web.add(name)
    web.driver.start(web.app, budget_s=20.0)
    assert web.ran == ["S100x start", "S10db start", "S20app start", "S30 off start"]
    web.log.unlink()
    web.driver.stop(web.app, budget_s=20.0)
    assert web.ran == ["K10app stop", "K90db stop"]
    assert web.told == ["app#1: not a launcher: S40~ looks like a backup"] * 2


def test_a_launcher_that_fails_is_named_with_its_last_words_and_the_others_run(launched):
    web = launched()
    web.add("S1", "for i in 1 2 3 4; do echo line $i >&2; done", "exit 3")
    web.add("S2")
    web.add("S3", "kill -KILL $$")
    with pytest.raises(DriverError) as error:
        web.driver.start(web.app, budget_s=20.0)
    assert [each.message for each in error.value.problems] == [
        "2 of 3 launchers failed: S1, S3",
        "S1 exited with 3: line 2 / line 3 / line 4",
        "S3 was killed by signal 9: no output",
    ]
    assert error.value.hint == "what was printed is in /kept"
    assert web.ran == ["S1 start", "S2 start", "S3 start"]


@pytest.mark.keyword("app.on_launcher_failure")
def test_where_a_failure_is_to_fail_no_further_launcher_runs(launched):
    web = launched(on_launcher_failure="fail")
    web.add("S1", "exit 3")
    web.add("S2")
    with pytest.raises(DriverError, match=r"1 of 2 launchers failed: S1 exited with 3: no output; not run: S2 "):
        web.driver.start(web.app, budget_s=20.0)
    assert web.ran == ["S1 start"]


@pytest.mark.parametrize("policy", ["warn", "fail"])
def test_of_launchers_that_stop_all_are_run_since_one_may_stop_what_was_never_started(launched, policy):
    web = launched(on_launcher_failure=policy)
    web.add("K1", "exit 1")
    web.add("K2")
    with pytest.raises(DriverError, match=r"1 of 2 launchers failed: K1 exited with 1: no output \("):
        web.driver.stop(web.app, budget_s=20.0)
    assert web.ran == ["K1 stop", "K2 stop"]


def test_an_interrupt_ends_the_launcher_that_runs_and_no_further_one_is_run(launched):
    web = launched()
    web.add("S1", "setsid sleep 987 &", "sleep 987")
    web.add("S2")
    with interrupted_when(web, lambda: web.ran), pytest.raises(ActionFailed) as error:
        web.driver.start(web.app, budget_s=60.0)
    assert (error.value.code, error.value.message) == (
        "action.interrupted",
        "S1: interrupted: nothing of it is left",
    )
    assert web.ran == ["S1 start"]
    web.driver.stop(web.app, budget_s=5.0)  # what takes back is not broken off


def test_an_interrupt_does_not_cut_off_a_launcher_that_stops_something_and_no_further_one_is_run(launched):
    web = launched()
    web.add("K1", "sleep 1", f"touch {web.directory}/stopped")
    web.add("K2")
    with interrupted_when(web, lambda: web.ran), pytest.raises(ActionFailed, match="interrupted before K2"):
        web.driver.stop(web.app, budget_s=60.0)
    assert (web.directory / "stopped").exists()
    assert web.ran == ["K1 stop"]


def test_no_command_is_begun_once_the_operator_has_interrupted_while_the_way_was_opened(tmp_path):
    cancelled = threading.Event()

    class Opening(LocalHost):
        is_restricted = False

        def open(self, *, budget_s):
            cancelled.set()

    host = Opening("n1")
    app = resource("app#1", container_id="container#1", start=("touch", str(tmp_path / "begun")))
    places = places_of(service(guest(), app), host)
    driver = AppDriver(evolve(places, ways=Ways(lambda _: FakeDriver(), lambda _: host)), cancelled=cancelled)
    try:
        with pytest.raises(ActionFailed, match="interrupted before it was begun"):
            driver.start(app, budget_s=10.0)
    finally:
        host.close()
    assert not (tmp_path / "begun").exists()


def test_an_interrupt_ends_a_command_of_its_own(tmp_path):
    host, cancelled = LocalHost("n1"), threading.Event()
    app = resource("app#1", start=("sh", "-c", f"touch {tmp_path}/begun; setsid sleep 987 & sleep 987"))
    driver = AppDriver(places_of(service(app), host), cancelled=cancelled)
    threading.Thread(target=set_when, args=(cancelled, (tmp_path / "begun").exists)).start()
    try:
        with pytest.raises(ActionFailed, match=r"^interrupted: nothing of it is left") as error:
            driver.start(app, budget_s=60.0)
    finally:
        host.close()
    assert error.value.code == "action.interrupted"


def set_when(event, condition):
    while not condition():
        time.sleep(0.05)
    event.set()


@contextlib.contextmanager
def interrupted_when(web, condition):
    thread = threading.Thread(target=set_when, args=(web.cancelled, condition))
    thread.start()
    yield
    thread.join(10)


def test_a_launcher_that_was_lost_is_waited_for_by_the_next_one_and_ended_in_the_end(launched, inside):
    """The way breaks while it runs: what it does is not known, and it goes on."""
    web = launched(launcher_timeout=1.5)
    web.add("S1", f"echo $$ >{web.directory}/pid", "sleep 987")
    web.add("S2")
    enter = inside.enter

    def breaking(guest, argv, *, budget_s, environment=None):
        if "S1" not in argv:
            return enter(guest, argv, budget_s=budget_s, environment=environment)
        running = subprocess.Popen(argv, env={**os.environ, **environment})
        inside.left.append(running)
        while not web.ran:
            time.sleep(0.05)
        raise Undetermined("the connection broke")

    inside.enter, inside.left = breaking, []
    with pytest.raises(Undetermined, match=r"1 of 2 launchers failed: S1: the connection broke"):
        web.driver.start(web.app, budget_s=30.0)
    assert web.ran == ["S1 start", "S2 start"]
    assert inside.left[0].wait(5) < 0


def test_a_launcher_of_an_earlier_action_is_waited_for(launched, inside):
    web = launched()
    web.add("S1", f"echo begin >>{web.log}", "sleep 1", f"echo end >>{web.log}")
    argv = ["sh", "-c", script().text, "vmsvc-guest", "launch", str(web.directory), "S1", "start"]
    with subprocess.Popen(argv):
        while not web.ran:
            time.sleep(0.05)
        web.driver.start(web.app, budget_s=30.0)
    assert web.ran == ["S1 start", "begin", "end"] * 2


def test_a_launcher_of_an_earlier_action_that_does_not_end_is_told(launched):
    web = launched(launcher_timeout=1.0)
    web.add("S1", "exec sleep 987")
    argv = ["sh", "-c", script().text, "vmsvc-guest", "launch", str(web.directory), "S1", "start"]
    with subprocess.Popen(argv) as running:
        while not web.ran:
            time.sleep(0.05)
        with pytest.raises(DriverError, match=f"still runs there, as process {running.pid}"):
            web.driver.start(web.app, budget_s=30.0)
        running.kill()
    assert web.ran == ["S1 start"]


@pytest.mark.keyword("app.launcher_timeout")
def test_a_launcher_that_hangs_costs_its_own_budget(launched):
    web = launched(launcher_timeout=0.5)
    web.add("S1", "echo begun", "echo too slow >&2", "sleep 60")
    web.add("S2")
    with pytest.raises(
        Undetermined, match=r"1 of 2 launchers failed: S1: did not end within 0\.5 s, and was killed; .*: too slow"
    ) as error:
        web.driver.start(web.app, budget_s=20.0)
    assert web.ran == ["S1 start", "S2 start"]
    assert error.value.hint == "what was printed is in /kept/S1"
    name, _, ran = web.kept[0]
    assert (name, ran.failure.stdout, ran.failure.stderr) == ("S1", b"begun\n", b"too slow\n")


def test_launchers_for_which_no_time_is_left_are_told(launched):
    web = launched()
    web.add("S1", "sleep 60")
    web.add("S2")
    with pytest.raises(
        Undetermined, match=r"2 of 2 launchers failed: S1, S2(.|\n)*S2: not run: the others have left no time for it"
    ):
        web.driver.start(web.app, budget_s=1.0)
    assert web.ran == ["S1 start"]


def test_what_launchers_print_is_kept_and_bounded(launched):
    web = launched()
    web.add("S1", "head -c 3000000 /dev/zero")
    web.add("S2", "sleep 30 &", "echo daemon")
    web.driver.start(web.app, budget_s=20.0)
    assert [(name, action, len(out)) for name, action, out in web.printed] == [
        ("S1", "start", 1 << 20),
        ("S2", "start", 7),
    ]


@pytest.mark.parametrize(
    ("codes", "phase", "detail"),
    [
        ([0], Phase.RUNNING, "C0"),
        ([0, 0], Phase.RUNNING, "C0, C1"),
        ([1, 1], Phase.STOPPED, "C0 exited with 1: no; C1 exited with 1: no"),
        ([0, 1], Phase.DEGRADED, "C1 exited with 1: no"),
        ([1, 3], Phase.STOPPED, "C0 exited with 1: no; C1 exited with 3: no"),
        ([2, 2], Phase.DEGRADED, "C0 exited with 2: no; C1 exited with 2: no"),
    ],
)
def test_checks_say_together_whether_an_application_is_up(launched, codes, phase, detail):
    web = launched()
    for number, code in enumerate(codes):
        web.add(f"C{number}", "echo no", f"exit {code}")
    found = web.look()
    assert (found.phase, found.evidence.detail) == (phase, detail)
    assert found.state == f"{codes.count(0)} of {len(codes)} checks are well"
    assert web.ran == [f"C{number} status" for number in range(len(codes))]


@pytest.mark.parametrize("line", ["exit 126", "exit 127", "kill -KILL $$", "sleep 60"])
def test_a_check_that_has_said_nothing_leaves_the_status_unknown(launched, line):
    web = launched(launcher_timeout=0.5)
    web.add("C1")
    web.add("C2", line)
    with pytest.raises(Undetermined, match="a check has told nothing: C2"):
        web.look()


def test_an_application_without_checks_has_no_status_and_says_what_there_is(launched):
    web = launched()
    web.add("S1")
    web.add("K1")
    found = web.look()
    assert (found.phase, found.evidence.detail) == (Phase.INAPPLICABLE, "none of its launchers checks (C…): S1, K1")
    assert not found.bears_no_verbs


def test_a_guest_without_launchers_has_nothing_to_start(launched):
    web = launched()
    missing = f"there are no launchers in {web.directory}"
    assert (web.look().phase, web.look().evidence.detail) == (Phase.INAPPLICABLE, missing)
    assert web.look().bears_no_verbs
    web.driver.start(web.app, budget_s=5.0)
    assert web.told == [f"app#1: there is no launcher in {web.directory}"]


def test_where_a_section_asks_for_launchers_their_directory_has_to_be_there(launched):
    web = launched()
    web.directory.rmdir()
    missing = f"there is no directory {web.directory} in container#1"
    for work in (
        web.look,
        lambda: web.driver.start(web.app, budget_s=5.0),
        lambda: web.driver.stop(web.app, budget_s=5.0),
    ):
        with pytest.raises(Undetermined, match=missing) as error:
            work()
    assert error.value.hint == "mount it, or make it; where there are to be no launchers, remove [app#1]"


def test_where_nobody_asks_for_launchers_there_need_not_be_a_directory(launched):
    web = launched(is_implied=True)
    web.directory.rmdir()
    assert (web.look().phase, web.look().evidence.detail) == (
        Phase.INAPPLICABLE,
        f"there are no launchers in {web.directory}",
    )
    web.driver.start(web.app, budget_s=5.0)
    assert web.told == [f"app#1: there is no launcher in {web.directory}"]


def test_a_directory_that_cannot_be_looked_into_is_unknown(launched):
    web = launched()
    web.directory.rmdir()
    web.directory.touch()
    with pytest.raises(Undetermined, match="is no directory"):
        web.look()


@pytest.mark.parametrize(
    ("phase", "found"),
    [
        (Phase.STOPPED, Phase.STOPPED),
        (Phase.ABSENT, Phase.STOPPED),
        (Phase.UNKNOWN, Phase.UNKNOWN),
        (Phase.PAUSED, Phase.UNKNOWN),
    ],
)
def test_in_a_guest_that_does_not_run_nothing_is_asked(launched, inside, phase, found):
    web = launched()
    web.add("C1")
    assert web.look(phase).phase is found
    assert inside.calls == []


def test_a_guest_that_cannot_be_entered_is_unknown(launched, inside):
    inside.on["enter", "container#1"] = NoWayIn("nobody answers")
    web = launched()
    with pytest.raises(NoWayIn, match="nobody answers"):
        web.look()


def test_where_guests_start_what_they_have_launchers_are_explained_and_not_run(launched, inside):
    inside.capabilities = frozenset({Capability.ENTRY, Capability.SELF_STARTING})
    inside.why_no_launchers = lambda guest: f"the image of {guest.name} starts what is to run"
    web = launched()
    web.add("S1")
    web.add("C1")
    words = "the image of container#1 starts what is to run"
    for phase in (Phase.RUNNING, Phase.STOPPED, Phase.UNKNOWN):
        assert (web.look(phase).phase, web.look(phase).evidence.detail) == (Phase.INAPPLICABLE, words)
        assert web.look(phase).bears_no_verbs
    web.driver.start(web.app, budget_s=5.0)
    web.driver.stop(web.app, budget_s=5.0)
    assert (web.told, web.ran) == ([f"app#1: {words}"] * 2, [])


def test_commands_of_its_own_run_there_all_the_same(inside, tmp_path):
    inside.capabilities = frozenset({Capability.ENTRY, Capability.SELF_STARTING})
    app = resource("app#1", container_id="container#1", start=("touch", str(tmp_path / "flag")), check=("true",))
    driver = AppDriver(places_of(service(guest(), app), Host(), inside))
    driver.start(app, budget_s=5.0)
    assert (tmp_path / "flag").exists()
    assert driver.observe_inside(app, seen(Phase.RUNNING), budget_s=5.0).phase is Phase.RUNNING


def test_a_guest_without_a_way_in_by_its_configuration_has_no_status_inside(inside):
    app = resource("app#1", container_id="container#1")
    driver = AppDriver(places_of(service(guest(guestos="windows", way_in="none"), app), Host(), FakeDriver()))
    found = driver.observe_inside(app, seen(Phase.RUNNING), budget_s=5.0)
    assert (found.phase, found.evidence.detail) == (
        Phase.INAPPLICABLE,
        "there is no way into container#1: `way_in = none`",
    )


class Windows(FakeDriver):
    """The driver of a Windows guest with an agent: it runs programs, and lets no variables in."""

    capabilities = frozenset({Capability.AGENT})

    def __init__(self, fail=None):
        super().__init__()
        self.host = Host(fail=fail)

    def enter(self, _guest, argv, *, budget_s, environment):
        assert not environment, "no variables can be set for a command in a Windows guest"
        return self.host.run(argv, budget_s=budget_s)


def on_windows(app, agent):
    told = []
    return AppDriver(places_of(service(guest(guestos="windows"), app), Host(), agent), told.append), told


def test_commands_start_and_stop_an_application_in_a_windows_guest():
    app = resource("app#1", container_id="container#1", start=("net", "start", "web"), stop=("net", "stop", "web"))
    agent = Windows()
    driver, _ = on_windows(app, agent)
    driver.start(app, budget_s=5.0)
    driver.stop(app, budget_s=5.0)
    assert [argv for argv, _ in agent.host.ran] == [("net", "start", "web"), ("net", "stop", "web")]


def test_a_command_in_a_windows_guest_that_takes_too_long_is_told_to_go_on():
    app = resource("app#1", container_id="container#1", start=("net", "start", "web"))
    agent = Windows(fail=TimedOut("did not end within 5.0 s, and could not be killed"))
    driver, _ = on_windows(app, agent)
    with pytest.raises(TimedOut, match="could not be killed; it may go on"):
        driver.start(app, budget_s=5.0)
    assert len(agent.host.ran) == 1


@pytest.mark.parametrize("is_implied", [True, False])
def test_launchers_in_a_windows_guest_are_explained_and_not_asked_for(is_implied):
    app = resource("app#1", container_id="container#1", is_implied=is_implied)
    agent = Windows()
    driver, told = on_windows(app, agent)
    found = driver.observe_inside(app, seen(Phase.RUNNING), budget_s=5.0)
    words = (
        "launchers are run by a shell, which container#1 has not (its operating system is windows): "
        "an [app#N] can have commands of its own there"
    )
    assert (found.phase, found.evidence.detail) == (Phase.INAPPLICABLE, words)
    driver.start(app, budget_s=5.0)
    driver.stop(app, budget_s=5.0)
    assert driver.info(app, budget_s=5.0).useless == words
    assert (told, agent.host.ran) == ([f"app#1: {words}"] * 2, [])


def test_by_a_key_for_the_verbs_alone_no_commands_of_a_service_run(monkeypatch):
    class Restricted(Host):
        is_restricted = True

        def open(self, *, budget_s):
            pass

    app = resource("app#1", container_id="container#1", check=("true",))
    places = places_of(service(guest(), app), Host())
    monkeypatch.setattr(Ways, "into", lambda *_: Restricted())
    with pytest.raises(NoWayIn, match="lets in vmsvc's verbs alone"):
        AppDriver(places).observe_inside(app, seen(Phase.RUNNING), budget_s=5.0)


@pytest.mark.parametrize("verb", ["observe", "start", "stop"])
def test_what_opening_the_way_takes_is_missing_for_the_command(monkeypatch, verb):
    class Slow(Host):
        is_restricted = False

        def open(self, *, budget_s):
            time.sleep(0.3)

    app = resource("app#1", container_id="container#1", check=("true",), start=("true",), stop=("true",))
    slow = Slow()
    monkeypatch.setattr(Ways, "into", lambda *_: slow)
    getattr(AppDriver(places_of(service(guest(), app), Host())), verb)(app, budget_s=5.0)
    ((_, budget_s),) = slow.ran
    assert budget_s <= 4.7


def test_launchers_are_told_of_their_service(launched):
    web = launched()
    web.add("S1", 'echo "$VMSVC_SERVICE $OPENSVC_SVCNAME $VMSVC_RID $VMSVC_NODE $VMSVC_ACTION"')
    web.driver.start(web.app, budget_s=5.0)
    assert web.printed == [("S1", "start", "web web app#1 n1 start\n")]


@pytest.fixture
def resolver(monkeypatch):
    """A resolver that hangs, and whom it was asked for."""
    asked, released = [], threading.Event()

    def getaddrinfo(name, *_args, **_options):
        asked.append(name)
        released.wait(10)
        raise OSError("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield asked
    released.set()


def named(number, name, **options):
    return resource(f"ip#{number}", ipname=name, ipdev="eth0", **options)


def test_names_of_addresses_are_resolved_for_launchers_that_run_and_of_their_own_guest(launched, resolver):
    web = launched(named(1, "web", container_id="container#1"), named(2, "node"))
    web.add("S1", 'echo "$OPENSVC_IPNAME $OPENSVC_IPADDR"')
    assert web.look().phase is Phase.INAPPLICABLE
    assert resolver == []  # none of its launchers checks
    web.driver.start(web.app, budget_s=5.0)
    assert resolver == ["web"]
    assert web.printed == [("S1", "start", "web \n")]


def test_a_resolver_that_hangs_leaves_checks_time_within_the_look(launched, resolver):
    web = launched(named(1, "web", container_id="container#1"))
    web.add("C1")
    began = time.monotonic()
    assert web.driver.observe(web.app, budget_s=1.5).phase is Phase.RUNNING
    assert time.monotonic() - began < 1.5
    assert resolver == ["web"]


def test_launchers_that_start_tell_about_themselves(launched):
    web = launched()
    web.add("S1", 'echo "version: 7"')
    web.add("S2", "exit 1")
    ran = web.driver.info(web.app, budget_s=5.0).ran
    assert [(each.name, each.has_failed) for each in ran] == [("S1", False), ("S2", True)]
    assert ran[0].outcome.out == "version: 7\n"
    assert web.ran == ["S1 info", "S2 info"]

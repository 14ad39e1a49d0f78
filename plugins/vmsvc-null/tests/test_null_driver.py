"""The null driver: each verb, each phase, and what is told apart; every wait is bounded."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from vmsvc_null import Hypervisor, NullDriver, NullGuest
from vmsvc_null.__main__ import main
from vmsvc_null.driver import PHASES

import vmsvc
from vmsvc.driver import Context, DriverError, Node, Phase, Status, Undetermined


@pytest.fixture
def node(tmp_path):
    return Node(name="n1", root=tmp_path)


@pytest.fixture
def hypervisor(node):
    return Hypervisor.of_node(node.root)


@pytest.fixture
def driver(node):
    driver = NullDriver(Context(node=node, host=SimpleNamespace(name="n1"), state_dir=node.state_dir / "null"))
    yield driver
    driver.close()


def guest(service="web", **options):
    named = {"name": service, **options}  # a guest has a name by the time that a driver sees it
    return NullGuest(service=service, rid="container", kind="container", type="null", **named)


def phase(driver, resource, budget_s=5.0):
    return driver.observe(resource, budget_s=budget_s).phase


def wait_for(driver, resource, wanted, budget_s=10.0):
    seen = driver.wait(resource, lambda observation: observation.phase is wanted, budget_s=budget_s)
    assert seen.phase is wanted, seen


def test_the_plugin_is_found_and_keeps_the_contract(tmp_path):
    with vmsvc.Session({"VMSVC_ROOT": str(tmp_path)}) as session:
        [report] = [report for report in session.plugins if report.distribution == "vmsvc-null"]
        assert (str(report.state), report.reason) == ("ok", "")
        assert session.catalog.classes["container", "null"] is NullGuest


def test_a_guest_is_called_as_its_service_unless_the_file_says_otherwise(tmp_path):
    services = tmp_path / "etc/vmsvc/services"
    services.mkdir(parents=True)
    (services / "web.conf").write_text("[container#1]\ntype = null\n[container#2]\ntype = null\nname = db\n")
    with vmsvc.Session({"VMSVC_ROOT": str(tmp_path), "VMSVC_NODENAME": "n1"}) as session:
        assert [guest.script.name for guest in session.load("web").guests] == ["web", "db"]


def test_making_it_opens_nothing(node, monkeypatch):
    def connect(cls, root):
        raise AssertionError("connected")

    monkeypatch.setattr(Hypervisor, "of_node", classmethod(connect))
    NullDriver(Context(node=node, host=SimpleNamespace(name="n1"), state_dir=node.state_dir / "null")).close()


# --- verbs -----------------------------------------------------------------------------------------------------------


def test_a_life(driver, hypervisor):
    web = guest()
    assert phase(driver, web) is Phase.STOPPED
    assert driver.start(web, budget_s=5) is True
    assert driver.start(web, budget_s=5) is False  # it runs: that is none of this call's doing
    assert phase(driver, web) is Phase.RUNNING
    driver.stop(web, budget_s=5)
    assert phase(driver, web) is Phase.STOPPED
    assert [(entry.machine, entry.verb, entry.effect) for entry in hypervisor.log()] == [
        ("web", "start", True),
        ("web", "start", False),
        ("web", "stop", True),
    ]
    assert {entry.pid for entry in hypervisor.log()} == {os.getpid()}


def test_every_verb_is_idempotent(driver, hypervisor):
    web = guest()
    for verb in (driver.start, driver.stop, driver.start, driver.kill):
        for _ in range(3):
            verb(web, budget_s=5)
    effects = [entry.effect for entry in hypervisor.log()]
    assert effects == [True, False, False] * 4
    assert hypervisor.starts("web") == 2


@pytest.mark.parametrize("slow", [{"start_delay": 60.0}, {"stop_delay": 60.0}])
def test_verbs_are_idempotent_on_the_way_too(driver, hypervisor, slow):
    web = guest(**slow)
    assert [driver.start(web, budget_s=5) for _ in range(3)] == [True, False, False]
    if "start_delay" in slow:
        assert phase(driver, web) is Phase.STARTING
        assert hypervisor.starts("web") == 1
    else:
        for _ in range(3):
            driver.stop(web, budget_s=5)
        assert phase(driver, web) is Phase.STOPPING
        assert [entry.effect for entry in hypervisor.log() if entry.verb == "stop"] == [True, False, False]
    driver.kill(web, budget_s=5)
    assert phase(driver, web) is Phase.STOPPED


def test_looking_writes_nothing(driver, node):
    phase(driver, guest())
    driver.observe_all([guest("a"), guest("b")], budget_s=5)
    driver.sizes(guest(), budget_s=5)
    assert list(node.root.iterdir()) == []


def test_delays_pass_through_their_phases(driver):
    web = guest(start_delay=0.3, stop_delay=0.3)
    driver.start(web, budget_s=5)
    assert phase(driver, web) is Phase.STARTING
    wait_for(driver, web, Phase.RUNNING)
    driver.stop(web, budget_s=5)
    assert phase(driver, web) is Phase.STOPPING
    wait_for(driver, web, Phase.STOPPED)


def test_a_guest_that_dies_after_its_start(driver, hypervisor):
    web = guest(start_delay=0.1, dies_after=0.3)
    driver.start(web, budget_s=5)
    wait_for(driver, web, Phase.RUNNING)
    wait_for(driver, web, Phase.STOPPED)
    assert hypervisor.starts("web") == 1


def test_a_guest_that_ignores_requests_can_be_killed(driver):
    web = guest(ignore_stop=True, initial="running")
    driver.stop(web, budget_s=5)
    assert phase(driver, web) is Phase.RUNNING
    driver.kill(web, budget_s=5)
    assert phase(driver, web) is Phase.STOPPED


@pytest.mark.parametrize("initial", PHASES)
def test_each_initial_phase_is_seen(driver, initial):
    assert phase(driver, guest(initial=initial)) is PHASES[initial]


@pytest.mark.parametrize("initial", sorted(set(PHASES) - {"migrating"}))
def test_what_is_not_on_its_way_elsewhere_can_be_killed(driver, initial):
    web = guest(initial=initial)
    driver.kill(web, budget_s=5)
    assert driver.observe(web, budget_s=5).status is Status.DOWN


@pytest.mark.parametrize("verb", ["start", "stop", "kill"])
def test_a_guest_between_two_nodes_is_left_alone(driver, verb):
    web = guest(initial="migrating")
    with pytest.raises(Undetermined, match="left to whoever moves it"):
        getattr(driver, verb)(web, budget_s=5)
    assert phase(driver, web) is Phase.MIGRATING


@pytest.mark.parametrize("initial", ["paused", "suspended", "stopping"])
def test_a_guest_that_is_neither_up_nor_down_is_not_started(driver, hypervisor, initial):
    with pytest.raises(DriverError, match=f"web is {initial} and cannot be started"):
        driver.start(guest(initial=initial, stop_delay=9), budget_s=5)
    assert hypervisor.starts("web") == 0


def test_a_paused_guest_does_not_hear(driver):
    with pytest.raises(DriverError, match="does not listen"):
        driver.stop(guest(initial="paused"), budget_s=5)


# --- absent, unknown, down -------------------------------------------------------------------------------------------


def test_an_absent_guest_is_down_and_says_so(driver):
    seen = driver.observe(guest(initial="absent"), budget_s=5)
    assert (seen.phase, seen.status, seen.state) == (Phase.ABSENT, Status.DOWN, "absent")


def test_an_absent_guest_starts_only_from_a_kept_definition(driver, node, hypervisor):
    web = guest(initial="absent")
    with pytest.raises(DriverError) as caught:
        driver.start(web, budget_s=5)
    assert caught.value.code == "driver.no-guest"
    kept = Context(node=node, host=SimpleNamespace(name="n1"), state_dir=node.state_dir).definition_file(web)
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    assert driver.start(web, budget_s=5) is True
    assert phase(driver, web) is Phase.RUNNING
    assert [entry.verb for entry in hypervisor.log()] == ["define", "start"]


@pytest.mark.parametrize("ask", ["disks", "definition", "sizes"])
def test_an_absent_guest_has_no_facts(driver, ask):
    with pytest.raises(DriverError, match="has no guest web"):
        getattr(driver, ask)(guest(initial="absent", disks=("/dev/sdx",)), budget_s=5)


def test_a_word_that_nobody_knows_is_unknown(driver, hypervisor):
    hypervisor.set("web", phase="en cours d'exécution")
    seen = driver.observe(guest(), budget_s=5)
    assert seen.status is Status.UNKNOWN
    assert "en cours" in seen.evidence.detail


def test_an_unreadable_answer_is_unknown(driver, node):
    file = node.root / "var/lib/vmsvc-null/hypervisor.json"
    file.parent.mkdir(parents=True)
    file.write_text("<html>")
    assert driver.observe(guest(), budget_s=5).status is Status.UNKNOWN
    with pytest.raises(Undetermined):
        driver.start(guest(), budget_s=5)


@pytest.mark.parametrize("verb", ["start", "stop", "kill"])
def test_verbs_fail_as_scripted(driver, hypervisor, verb):
    with pytest.raises(DriverError, match=f"{verb} of web failed"):
        getattr(driver, verb)(guest(fail=(verb,)), budget_s=5)
    assert hypervisor.log() == ()


def test_a_hypervisor_that_is_down_is_unknown(driver, hypervisor):
    hypervisor.set(None, fail=["observe", "start"])
    assert phase(driver, guest()) is Phase.UNKNOWN
    assert driver.observe_all([guest()], budget_s=5)["web", "container"].phase is Phase.UNKNOWN
    with pytest.raises(Undetermined, match="refused the connection"):
        driver.start(guest(), budget_s=5)


# --- hanging ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["start", "stop", "kill"])
def test_a_hung_verb_is_undetermined_in_its_budget(driver, hypervisor, verb):
    begin = time.monotonic()
    with pytest.raises(Undetermined, match="did not answer within"):
        getattr(driver, verb)(guest(hang=(verb,)), budget_s=0.2)
    assert time.monotonic() - begin < 5
    assert hypervisor.log() == ()
    assert phase(driver, guest()) is Phase.STOPPED  # the driver goes on with another connection


def test_a_hung_look_is_unknown_in_its_budget(driver):
    begin = time.monotonic()
    seen = driver.observe(guest(hang=("observe",)), budget_s=0.2)
    assert (seen.phase, time.monotonic() - begin < 5) == (Phase.UNKNOWN, True)
    assert seen.evidence.duration_s >= 0.2


def test_threads_are_bounded_while_the_hypervisor_hangs_and_end_when_it_wakes(driver, hypervisor):
    hypervisor.set(None, hang=["observe"])
    before = threading.active_count()
    for _ in range(20):
        assert driver.observe_all([guest()], budget_s=0.05)["web", "container"].phase is Phase.UNKNOWN
    assert threading.active_count() - before <= 3
    hypervisor.set(None, hang=[])
    deadline = time.monotonic() + 10
    while phase(driver, guest()) is not Phase.STOPPED:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_one_hung_guest_does_not_hold_up_the_bulk_query(driver):
    seen = driver.observe_all([guest("a", hang=("observe",)), guest("b"), guest("c", fail=("observe",))], budget_s=5)
    assert {service: observation.phase for (service, _), observation in seen.items()} == {
        "a": Phase.UNKNOWN, "b": Phase.STOPPED, "c": Phase.UNKNOWN,
    }  # fmt: skip


# --- roles -----------------------------------------------------------------------------------------------------------


def test_wait_ends_with_the_last_look_when_the_budget_is_spent(driver):
    begin = time.monotonic()
    seen = driver.wait(guest(), lambda observation: False, budget_s=0.2)
    assert seen.phase is Phase.STOPPED
    assert 0.2 <= time.monotonic() - begin < 5


def test_wait_sees_a_change_from_outside(driver, hypervisor):
    threading.Timer(0.2, hypervisor.set, ("web",), {"phase": "running"}).start()
    wait_for(driver, guest(), Phase.RUNNING)


def test_waiting_for_one_guest_does_not_hold_up_another(driver, hypervisor):
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait_for, driver, guest("a"), Phase.PAUSED, budget_s=30.0)
        assert phase(driver, guest("b")) is Phase.STOPPED
        assert not waiting.done()
        hypervisor.set("a", phase="paused")
        waiting.result(timeout=30)


def test_facts_of_a_guest(driver, tmp_path):
    nvram = tmp_path / "nvram"
    nvram.touch()
    web = guest(
        vcpus=2, memory_mib=512, disks=("/dev/sdx", "/srv/web.img"), config_files=(str(nvram), "/nowhere"), name="www"
    )
    driver.start(web, budget_s=5)
    disks = driver.disks(web, budget_s=5)
    assert [(disk.kind, disk.source, disk.live) for disk in disks] == [
        ("block", "/dev/sdx", True), ("file", "/srv/web.img", True),
    ]  # fmt: skip
    assert driver.sizes(web, budget_s=5).memory_mib == 512
    assert driver.config_files(web, budget_s=5) == [nvram]
    assert json.loads(driver.definition(web, budget_s=5))["name"] == "www"


def test_scripted_verbs_are_checked_when_they_are_read(tmp_path):
    file = tmp_path / "web.conf"
    with vmsvc.Session({"VMSVC_ROOT": str(tmp_path), "VMSVC_NODENAME": "n1"}) as session:
        file.write_text("[container#1]\ntype = null\nfail = start, kill\n")
        assert [guest.fail for guest in session.load(file).guests] == [("start", "kill")]
        file.write_text("[container#1]\ntype = null\nfail = start sing\n")
        with pytest.raises(vmsvc.ConfigError, match="no such verb: sing"):
            session.load(file)


# --- processes -------------------------------------------------------------------------------------------------------

STARTER = """
import sys
from pathlib import Path
from vmsvc_null.hypervisor import Hypervisor, Machine
hypervisor = Hypervisor.of_node(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    hypervisor.start(Machine(name=f"m{number}"))
    if len(sys.argv) > 3:
        hypervisor.kill(Machine(name=f"m{number}"))
    print(number, flush=True)
"""


def starter(root, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{STARTER}", str(root), *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    return process


def test_processes_at_once_start_each_guest_once(node, hypervisor):
    racers = [starter(node.root, "25") for _ in range(3)]
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        racer.communicate(timeout=60)
        assert racer.returncode == 0
    assert [hypervisor.starts(f"m{number}") for number in range(25)] == [1] * 25
    assert len(hypervisor.log()) == 75


def test_kill_9_leaves_state_and_log_in_agreement(node, hypervisor):
    for pause in (0.0, 0.004, 0.011):
        victim = starter(node.root, "100000", "and kill")
        victim.stdin.write("go\n")
        victim.stdin.flush()
        victim.stdout.readline()
        time.sleep(pause)
        victim.send_signal(signal.SIGKILL)
        victim.communicate(timeout=60)
        for name in {entry.machine for entry in hypervisor.log()}:
            effects = [entry for entry in hypervisor.log() if entry.machine == name and entry.effect]
            expected = "running" if effects[-1].verb == "start" else "stopped"
            assert hypervisor.machine(name).phase == expected
        hypervisor.set("still-usable", phase="paused")  # the dead process's lock is gone with it
        assert hypervisor.machine("still-usable").phase == "paused"


def test_a_guest_outlives_the_process_that_started_it(node, hypervisor, driver):
    process = starter(node.root, "1")
    process.communicate("go\n", timeout=60)
    assert phase(driver, guest(name="m0")) is Phase.RUNNING
    assert [entry.pid for entry in hypervisor.log()] == [process.pid]


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_scripts_a_machine_and_tells_what_happened(node, driver):
    lines: list[str] = []
    root = str(node.root)
    assert main([root, "set", "web", "phase=paused", "fail=kill"]) == 0
    assert phase(driver, guest()) is Phase.PAUSED
    with pytest.raises(DriverError):
        driver.kill(guest(), budget_s=5)
    main([root, "set", "web", "fail=", "phase=running"])
    driver.kill(guest(), budget_s=5)
    main([root, "show", "web"], lines.append)
    main([root, "log"], lines.append)
    assert lines[0] == "stopped"
    assert lines[1].endswith(f"{os.getpid()} web kill done")
    main([root, "set", "*", "fail=observe"])
    assert phase(driver, guest()) is Phase.UNKNOWN


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["set", "web", "colour=red"], "is not KEY=VALUE with one of phase"),
        (["set", "web", "start_delay=soon"], "start_delay: 'soon' is not a duration"),
        (["set", "web", "hang=everything"], "no such verb: everything"),
        (["set", "*", "phase=paused"], "no such setting: phase; there are fail, hang"),
    ],
)  # fmt: skip
def test_the_command_refuses_nonsense(node, capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        main([str(node.root), *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


# --- finding guests that are there already ---------------------------------------------------------------------------


def test_discovery_names_every_machine_but_those_that_are_absent(driver, hypervisor):
    hypervisor.set("web", phase="running", autostart=True, disks=["/dev/sdb", "/srv/web.img"])
    hypervisor.set("odd", phase="levitating")
    hypervisor.set("gone", phase="absent")
    odd, web = driver.discover(guest(), budget_s=5)
    assert (odd.name, odd.phase, odd.state, odd.options, odd.autostart) == (
        "odd",
        Phase.UNKNOWN,
        "levitating",
        {},
        False,
    )
    assert (web.name, web.phase, web.autostart, len(web.warnings)) == ("web", Phase.RUNNING, True, 1)
    assert [(disk.kind, disk.source) for disk in web.disks] == [("block", "/dev/sdb"), ("file", "/srv/web.img")]
    # A service that is made with these options sees the same disks.
    assert driver.disks(guest(disks=tuple(web.options["disks"].split())), budget_s=5) == list(web.disks)


@pytest.mark.parametrize(("trouble", "code"), [("fail", "undetermined"), ("hang", "undetermined.timeout")])
def test_discovery_of_a_hypervisor_that_does_not_tell_is_no_answer(driver, hypervisor, trouble, code):
    hypervisor.set(None, **{trouble: ["observe"]})
    with pytest.raises(Undetermined) as error:
        driver.discover(guest(), budget_s=0.3)
    assert error.value.code == code


def test_discovery_where_nobody_has_touched_anything(driver):
    assert driver.discover(guest(), budget_s=5) == []

"""The session, on the simulated hypervisor and with third-party drivers that misbehave."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import vmsvc
import vmsvc.looking
import vmsvc.parts
from tests.support import lay_plugin
from vmsvc.core.planning.limits import Limits

ONE = """
    [DEFAULT]
    nodes = n1
    lock_timeout = 300ms

    [container#1]
    type = null
    name = web1
"""
TWO = (
    ONE
    + """
    [container#2]
    type = null
    name = web2
"""
)


@pytest.fixture
def web(session, make_service):
    return session.load(make_service(ONE))


def test_a_service_goes_up_and_down(session, web, hypervisor):
    assert session.services() == ["web"]
    assert session.status(web).avail is vmsvc.Status.DOWN
    report = session.start(web)
    assert [str(result.step) for result in report.results] == ["start container#1"]
    assert session.status(web).avail is vmsvc.Status.UP
    assert session.start(web).results == ()
    session.restart(web)
    session.stop(web)
    assert session.status(web).avail is vmsvc.Status.DOWN
    assert session.stop(web).results == ()
    assert hypervisor.starts("web1") == 2


def test_a_plan_changes_nothing_and_a_stale_one_is_refused(session, web, root, hypervisor):
    plan = session.plan("start", web)
    assert [str(step) for step in plan.steps] == ["start container#1"]
    assert not (root / "var").exists()
    assert not (root / "run").exists()
    hypervisor.set("web1", phase="running")
    with pytest.raises(vmsvc.Refused, match="out of date") as error:
        session.run(plan)
    assert (error.value.code, error.value.hint) == ("refused.stale-plan", "make a new plan")
    assert hypervisor.starts("web1") == 0
    hypervisor.set("web1", phase="stopped")
    assert len(session.run(plan).results) == 1


def test_a_refused_plan_does_not_run(session, web, hypervisor):
    hypervisor.set("web1", phase="paused")
    with pytest.raises(vmsvc.Refused, match="paused: neither up nor down"):
        session.start(web)
    hypervisor.set(None, fail=["observe"])
    for action in ("start", "stop", "restart"):
        with pytest.raises(vmsvc.Undetermined, match="its status is unknown: the hypervisor refused the connection"):
            session.act(action, web)
    assert hypervisor.log() == ()


@pytest.mark.parametrize("action", ["sotp", "kill", "prepare", ""])
def test_there_is_no_such_action(session, web, hypervisor, action):
    with pytest.raises(vmsvc.UsageError, match=f"no action '{action}'"):
        session.act(action, web)
    assert hypervisor.log() == ()


def test_two_services_with_one_name_cannot_be_told_apart(session, make_service, root):
    make_service(ONE)
    (root / "web.conf").write_text(textwrap.dedent(ONE.replace("web1", "other")))
    make_service(ONE.replace("web1", "db1"), name="db")
    web, other, db = session.load("web"), session.load(root / "web.conf"), session.load("db")
    for services in ([web, other], [web, db, web]):
        with pytest.raises(vmsvc.UsageError, match="two services have the same name: web") as error:
            session.statuses(services)
        assert error.value.code == "usage.same-name"
    assert [status.name for status in session.statuses(iter([other, db]))] == ["web", "db"]
    assert session.statuses([]) == []


def test_an_action_may_be_limited_to_some_resources(session, make_service, hypervisor):
    two = session.load(make_service(TWO))
    plan = session.plan("start", two, only={"container#2"})
    assert ([str(step) for step in plan.steps], plan.only) == (["start container#2"], {"container#2"})
    assert [str(result.step) for result in session.run(plan).results] == ["start container#2"]
    assert [str(result.step) for result in session.act("stop", two, only=["container#2"]).results] == [
        "stop container#2"
    ]
    assert hypervisor.starts("web1") == 0


def test_an_action_on_a_resource_that_is_not_there_is_no_action_on_all(session, web, hypervisor):
    for attempt in (session.plan, session.act):
        with pytest.raises(vmsvc.UsageError, match="web has no resource container#7") as error:
            attempt("start", web, only={"container#7"})
        assert error.value.hint == "it has: container#1"
    assert hypervisor.log() == ()


def test_a_guest_that_is_degraded_or_migrates_is_refused(session, web, hypervisor):
    hypervisor.set("web1", phase="degraded")
    with pytest.raises(vmsvc.Refused, match="degraded: neither up nor down") as error:
        session.start(web)
    assert (error.value.code, error.value.exit_code) == ("refused.not-to-start", 3)
    hypervisor.set("web1", phase="migrating")
    for action, code in (("start", "refused.not-to-start"), ("stop", "refused.not-to-stop")):
        with pytest.raises(vmsvc.Refused, match="it is migrating") as error:
            session.act(action, web, consent=vmsvc.Consent(kill=True))
        assert error.value.code == code
    assert hypervisor.log() == ()


def test_a_start_that_somebody_else_has_won_is_not_taken_back(session, make_service, hypervisor):
    web = session.load(make_service(TWO + "    fail = start\n"))

    def start_it_by_hand(said):
        if str(said.step) == "start container#1" and said.duration_s is None:
            hypervisor.set("web1", phase="running")

    with pytest.raises(vmsvc.ActionFailed, match="at start container#2") as error:
        session.act("start", web, progress=start_it_by_hand)
    assert len(error.value.problems) == 1
    assert hypervisor.machine("web1").phase == "running"
    assert [(entry.machine, entry.verb, entry.effect) for entry in hypervisor.log()] == [("web1", "start", False)]


def test_a_guest_that_begins_to_migrate_when_force_has_its_turn_is_not_killed(session, make_service, hypervisor):
    web = session.load(make_service(ONE + "    stop_timeout = 300ms\n    ignore_stop = true\n"))
    hypervisor.set("web1", phase="running")

    def migrate(said):
        if str(said.step) == "stop container#1" and said.duration_s is not None:
            hypervisor.set("web1", phase="migrating")

    with pytest.raises(vmsvc.ActionFailed, match="at kill container#1: things have changed: it is migrating") as error:
        session.act("stop", web, progress=migrate)
    assert (error.value.code, error.value.exit_code) == ("action.overtaken", 1)
    assert hypervisor.machine("web1").phase == "migrating"
    assert "kill" not in [entry.verb for entry in hypervisor.log()]


def test_a_rollback_that_nobody_can_see_ends_with_exit_code_4(session, make_service, hypervisor):
    web = session.load(make_service(TWO + "    fail = start\n"))

    def blind(said):
        if str(said.step) == "start container#2" and said.duration_s is not None:
            hypervisor.set(None, fail=["observe"])

    with pytest.raises(vmsvc.Undetermined, match="not rolled back: stop container#1: its status is unknown") as error:
        session.act("start", web, progress=blind)
    assert error.value.exit_code == 4
    assert error.value.problems[-1].code == "action.rollback-failed"
    assert hypervisor.machine("web1").phase == "running"


def test_consent_reaches_the_plan(session, make_service, hypervisor):
    web = session.load(make_service(ONE))
    hypervisor.set("web1", phase="running", ignore_stop=True)
    report = session.act("stop", web, consent=vmsvc.Consent(kill=True))
    assert [str(result.step) for result in report.results] == ["kill container#1"]


def test_a_guest_that_ignores_the_request_is_forced_each_in_its_budget(session, make_service, hypervisor):
    web = session.load(make_service(ONE + "    stop_timeout = 500ms\n    kill_timeout = 2s\n    ignore_stop = true\n"))
    hypervisor.set("web1", phase="running")
    began = time.monotonic()
    report = session.stop(web)
    assert 0.5 <= time.monotonic() - began < 2.5
    assert [(str(result.step), bool(result.error)) for result in report.results] == [
        ("stop container#1", True),
        ("kill container#1", False),
    ]


def test_a_guest_that_dies_while_it_starts_and_the_rollback_of_the_other(session, make_service, hypervisor):
    web = session.load(make_service(TWO + "    start_delay = 30s\n"))
    told = []

    def progress(said):
        told.append((str(said.step), said.duration_s is not None))
        if told[-1] == ("start container#2", False):
            threading.Timer(0.3, lambda: hypervisor.set("web2", phase="stopped")).start()

    began = time.monotonic()
    with pytest.raises(vmsvc.ActionFailed, match="went down while its start waited") as error:
        session.act("start", web, progress=progress)
    assert time.monotonic() - began < 10
    assert [problem.message for problem in error.value.problems][1:] == ["rolled back: stop container#1: done"]
    assert hypervisor.machine("web1").phase == "stopped"
    assert ("start container#1", True) in told


def test_cancelling_from_elsewhere(session, make_service, hypervisor):
    web = session.load(make_service(ONE + "    start_delay = 30s\n"))
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    began = time.monotonic()
    with pytest.raises(vmsvc.ActionFailed, match="interrupted"):
        session.act("start", web, cancelled=cancelled)
    assert time.monotonic() - began < 5
    assert hypervisor.machine("web1").phase == "stopped"


def test_a_hypervisor_that_hangs_holds_up_nobody_else(session, make_service, hypervisor):
    web = session.load(make_service(ONE))
    app = session.load(make_service("[DEFAULT]\nnodes = n1\n[app#1]\ncheck = true\n", name="app"))
    hypervisor.set(None, hang=["observe"])
    began = time.monotonic()
    hung, good = session.statuses([web, app])
    assert time.monotonic() - began < 10
    assert (hung.avail, good.avail) == (vmsvc.Status.UNKNOWN, vmsvc.Status.UP)
    assert not hung.is_determined
    assert hung.instances[0].resources[0].observation.evidence.duration_s > 0
    hypervisor.set(None, hang=[])


def test_applications_of_the_node(session, make_service, root):
    flag = root / "flag"
    name = make_service(
        f"""
        [DEFAULT]
        nodes = n1
        [app#1]
        start = touch {flag}
        stop = rm {flag}
        check = test -e {flag}
        [fs#1]
        dev = /dev/vmsvc-none
        mnt = /srv
        """
    )
    service = session.load(name)
    assert session.status(service).avail is vmsvc.Status.DOWN
    session.start(service)
    assert flag.exists()
    status = session.status(service)
    assert status.avail is vmsvc.Status.UP
    reasons = {item.resource.rid: item.observation.evidence.detail for item in status.instances[0].resources}
    assert reasons["fs#1"] == "fs resources are not handled by this version yet"
    session.stop(service)
    assert not flag.exists()


def test_an_application_in_a_guest_is_run_there_and_not_on_the_node(session, make_service, root):
    section = "\n    [app#1]\n    start = touch here\n    check = test -e here\n    stop = rm here\n"
    service = session.load(make_service(ONE + section))
    assert session.status(service).instances[0].resources[1].observation.evidence.detail == "its guest is down: stopped"
    session.start(service)
    assert session.status(service).instances[0].resources[1].status is vmsvc.Status.UP
    (found,) = root.rglob("here")
    assert found.parent.name == "web1"
    session.stop(service)
    assert not found.exists()


def test_examine_and_a_file_by_path(session, make_service, root):
    make_service(ONE.replace("n1", "n2"))
    service, problems = session.examine("web")
    assert service.name == "web"
    assert problems
    assert session.load(root / "etc/vmsvc/services/web.conf") == service
    with pytest.raises(vmsvc.UsageError, match="wbe"):
        session.load("wbe")


def test_threads_that_are_the_first_to_need_a_part_get_the_same_one(session, monkeypatch):
    made = []

    def slowly(*words):
        time.sleep(0.1)
        made.append(words)
        return made[-1]

    monkeypatch.setattr(vmsvc.parts, "Drivers", slowly)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: session._drivers, range(8)))
    assert len(made) == 1
    assert all(each is made[0] for each in found)
    del session._drivers  # it is nothing that could be closed


# --- the store -------------------------------------------------------------------------------------------------------


def test_push_and_diskupdate(session, make_service, root, hypervisor):
    web = session.load(make_service(ONE + "    disks = /dev/sdz /x.img\n    vcpus = 2\n"))
    assert session.history("web", "push") == ()
    pushed = session.push(web)
    assert session.history("web", "push") == (pushed,)
    assert pushed.snapshot.content["status"]["avail"] == "down"
    assert pushed.snapshot.content["guests"][0]["sizes"]["vcpus"] == 2
    disks = session.diskupdate(web)
    assert [row["source"] for row in disks.snapshot.content] == ["/dev/sdz", "/x.img"]
    assert (disks.snapshot.node, disks.since, disks.changes, disks.losses) == ("n1", None, (), ())
    # The definition was kept, so a node that has lost the guest can define it again.
    hypervisor.set("web1", phase="absent")
    session.start(web)
    assert [entry.verb for entry in hypervisor.log()] == ["define", "start"]
    hypervisor.set("web1", phase="absent")
    with pytest.raises(vmsvc.DriverError, match="web1"):
        session.diskupdate(web)
    assert session.history("web", "disks") == (disks,)


# --- locks and other processes ---------------------------------------------------------------------------------------


@pytest.fixture
def slow_action(session, make_service, hypervisor):
    """Another process starts ``web``, which takes a while."""
    web = session.load(make_service(ONE + "    start_delay = 60s\n"))
    code = "import vmsvc\nwith vmsvc.Session() as session:\n    session.start(session.load('web'))"
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 20
    while hypervisor.machine("web1").phase != "starting":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield web, process
    process.kill()
    process.wait()


def test_status_tells_of_an_action_and_is_not_held_up_by_it(session, slow_action):
    web, process = slow_action
    began = time.monotonic()
    status = session.status(web)
    assert time.monotonic() - began < 2
    assert status.avail is vmsvc.Status.WARN
    assert status.instances[0].going_on.startswith(f"start by pid {process.pid} since")
    (note,) = status.instances[0].told
    assert note.startswith(f"going on: start by pid {process.pid} since")
    with pytest.raises(vmsvc.Busy, match=f"start by pid {process.pid}"):
        session.stop(web)


def test_an_action_that_ends_during_a_look_is_told_as_going_on(session, slow_action, monkeypatch):
    web, process = slow_action
    observe = vmsvc.looking.observe

    def slow(*asked, **more):
        seen = observe(*asked, **more)
        process.kill()
        process.wait()
        return seen

    monkeypatch.setattr(vmsvc.looking, "observe", slow)
    assert session.status(web).instances[0].going_on.startswith(f"start by pid {process.pid} since")


def test_a_start_that_peers_could_not_hear_of_is_not_begun_and_a_stop_is(session, make_service, hypervisor):
    (session.node.run_dir / "locks/web.holder").mkdir(parents=True)
    alone = session.load(make_service(ONE))
    session.start(alone)
    session.stop(alone)
    shared = session.load(make_service(ONE.replace("nodes = n1", "nodes = n1 n2")))
    with pytest.raises(vmsvc.ActionFailed, match="start of web was not begun"):
        session.start(shared)
    assert hypervisor.machine("web1").phase == "stopped"
    session.stop(shared)


def test_an_action_that_was_killed_is_told_until_the_next_one(session, slow_action, hypervisor):
    web, process = slow_action
    process.kill()
    process.wait()
    (note,) = session.status(web).instances[0].notes
    assert f"by pid {process.pid} was cut short; it had begun: start container#1" in note
    assert any("cut short" in problem.message for problem in session.plan("stop", web).notes)
    session.stop(web)
    assert session.status(web).instances[0].notes == ()
    assert hypervisor.machine("web1").phase == "stopped"


def test_threads_act_on_services_of_their_own(session, make_service, hypervisor):
    names = [make_service(ONE.replace("web1", f"g{number}"), name=f"s{number}") for number in range(8)]
    services = [session.load(name) for name in names]
    threads = [threading.Thread(target=session.start, args=[service]) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status.avail for status in session.statuses(services)} == {vmsvc.Status.UP}
    assert [hypervisor.starts(f"g{number}") for number in range(8)] == [1] * 8


# --- third-party drivers ---------------------------------------------------------------------------------------------

DRIVER = """
    import time
    from vmsvc.driver import Evidence, Guest, Observation, Phase, hookimpl

    class Driver:
        type = "odd"
        kind = "container"
        api = frozenset({1})
        options = Guest
        capabilities = frozenset()

        def __init__(self, context):
            INIT
        def observe(self, resource, *, budget_s):
            OBSERVE
        def start(self, resource, *, budget_s): pass
        def stop(self, resource, *, budget_s): pass
        def kill(self, resource, *, budget_s): pass
        def close(self):
            CLOSE

    @hookimpl
    def vmsvc_drivers():
        return [Driver]
"""
STATUS = """
    import sys, threading, time
    import vmsvc
    session = vmsvc.Session()
    web, app = session.load("web"), session.load("app")
    began = time.monotonic()
    for _ in range(50):
        bad, good = session.statuses([web, app])
        assert bad.avail is vmsvc.Status.UNKNOWN, bad
        assert good.avail is vmsvc.Status.UP, good
    took = time.monotonic() - began
    session.close()
    print(threading.active_count(), took, bad.instances[0].resources[0].observation.evidence.detail)
    print(time.monotonic())
"""


def fifty_statuses(root, make_service, monkeypatch, *, init="pass", observe="pass", close="pass", quick=True):
    source = textwrap.dedent(DRIVER).replace("INIT", init).replace("OBSERVE", observe).replace("CLOSE", close)
    lay_plugin(root / "site", "odd_driver", source)
    make_service("[DEFAULT]\nnodes = n1\n[container#1]\ntype = odd\nname = x\n")
    make_service("[DEFAULT]\nnodes = n1\n[app#1]\ncheck = true\n", name="app")
    monkeypatch.setenv("PYTHONPATH", str(root / "site"))
    monkeypatch.setenv("VMSVC_DISABLE_PLUGINS", "kvm")
    short = "import vmsvc.core.resource as r, vmsvc.core.observe as o; r.OBSERVE_BUDGET_S = 0.2; o.GRACE_S = 0.1\n"
    code = short + textwrap.dedent(STATUS)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    first, at = done.stdout.splitlines()
    assert time.monotonic() - float(at) < 2  # the exit waited for nobody
    threads, took, detail = first.split(maxsplit=2)
    return int(threads), float(took), detail


def test_fifty_statuses_of_a_driver_that_hangs(root, make_service, monkeypatch):
    threads, took, detail = fifty_statuses(root, make_service, monkeypatch, observe="time.sleep(600)")
    assert threads <= 12
    assert took < 15
    assert "odd driver is not answering: 8 earlier calls have not returned" in detail


def test_a_driver_whose_close_hangs_holds_up_no_exit(root, make_service, monkeypatch):
    _, _, detail = fifty_statuses(root, make_service, monkeypatch, close="time.sleep(600)")
    assert detail == "it gave no answer for this resource"


def test_a_driver_that_cannot_be_made_is_unknown(root, make_service, monkeypatch):
    _, _, detail = fifty_statuses(root, make_service, monkeypatch, init="raise OSError('no socket')")
    assert "there is no working driver for container resources of type odd: OSError: no socket" in detail


def test_plugins_hear_of_steps_and_may_veto(root, make_service, monkeypatch, hypervisor):
    lay_plugin(
        root / "site",
        "hearing_plugin",
        """
        from vmsvc.driver import hookimpl

        @hookimpl
        def vmsvc_before_step(step, service):
            heard.append(f"before {step} of {service.name}")
            if step.verb == "stop":
                raise RuntimeError("not now")

        @hookimpl
        def vmsvc_after_step(step, service, error):
            heard.append(f"after {step}: {error}")
            raise ValueError("I do not like it")

        heard = []
        """,
    )
    monkeypatch.syspath_prepend(str(root / "site"))
    with vmsvc.Session() as session:
        web = session.load(make_service(ONE))
        session.start(web)
        with pytest.raises(vmsvc.ActionFailed, match="a plugin vetoed it: not now"):
            session.act("stop", web, consent=vmsvc.Consent())
    heard = sys.modules.pop("hearing_plugin").heard
    assert heard[:3] == [
        "before start container#1 of web",
        "after start container#1: ",
        "before stop container#1 of web",
    ]


def test_plugins_are_listed(session):
    (null,) = [report for report in session.plugins if report.name == "null"]
    assert null.state is vmsvc.PluginState.OK
    assert ("container", "null") in session.catalog.classes


def test_the_node(session, root):
    assert (session.node.name, session.node.root, session.node.mode) == ("n1", Path(root), "TST")


def test_a_frozen_service_is_started_by_nobody_until_it_is_thawed(session, web, hypervisor):
    hypervisor.set("web1", phase="running")
    assert session.freeze(web, "storage is moved")
    assert not session.freeze(web)
    (instance,) = session.status(web).instances
    assert instance.freeze.endswith("storage is moved")
    for action in ("restart", "start"):
        with pytest.raises(vmsvc.Refused, match=r"web is frozen since .*: storage is moved") as error:
            session.act(action, web)
        assert error.value.code == "refused.frozen"
    session.stop(web)
    with vmsvc.Session(session._environment) as after_a_reboot, pytest.raises(vmsvc.Refused, match="frozen"):
        after_a_reboot.start(web)
    assert hypervisor.starts("web1") == 0
    session.act("start", web, consent=vmsvc.Consent(despite_frozen=True))
    assert session.frozen(web) is not None
    assert session.thaw(web)
    session.restart(web)
    assert hypervisor.starts("web1") == 2


def test_a_plan_made_before_a_freeze_does_not_run_after_it(session, web, hypervisor):
    plan = session.plan("start", web)
    session.freeze(web)
    with pytest.raises(vmsvc.Refused, match="frozen"):
        session.run(plan)
    assert hypervisor.log() == ()


def test_a_look_limited_by_tags(session, make_service, hypervisor):
    two = session.load(make_service(TWO + "    tags = front\n"))
    hypervisor.set("web2", phase="running")
    (status,) = session.statuses([two], limits=Limits(tags=("front",)))
    assert status.avail is vmsvc.Status.UP
    assert session.status(two).avail is vmsvc.Status.WARN


def test_triggers_run_on_the_node_around_the_guest_and_plans_only_show_them(session, make_service, hypervisor, root):
    log = root / "log"
    write = f"sh -c 'echo $VMSVC_TRIGGER $VMSVC_RID $VMSVC_ACTION >> {log}'"
    text = ONE.replace("lock_timeout", f"pre_start = {write}\n    post_stop = {write}\n    lock_timeout")
    web = session.load(make_service(text + f"    post_start = {write}\n    pre_stop = {write}\n"))
    assert web.resources[0].pre_start == ()
    planned = [str(step) for step in session.plan("start", web).steps]
    assert planned == ["run pre_start", "start container#1", "run post_start of container#1"]
    assert not log.exists()
    session.start(web)
    session.stop(web)
    assert log.read_text().splitlines() == [
        "pre_start start",
        "post_start container#1 start",
        "pre_stop container#1 stop",
        "post_stop stop",
    ]


def test_a_trigger_that_hangs_costs_its_timeout_and_the_start_where_it_blocks(session, make_service, hypervisor):
    text = ONE + "    blocking_post_start = sleep 60\n"
    web = session.load(make_service(text.replace("nodes = n1", "nodes = n1\n    trigger_timeout = 300ms")))
    began = time.monotonic()
    with pytest.raises(vmsvc.ActionFailed, match=r"at run blocking_post_start of container#1: .* did not end") as error:
        session.start(web)
    assert time.monotonic() - began < 20
    assert error.value.exit_code == 1
    assert hypervisor.machine("web1").phase == "stopped"

"""The driver and docker's SDK on a stand-in for the engine: each verb, each answer, and what is told apart."""

import contextlib
import gc
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from attrs import evolve
from vmsvc_docker import DockerDriver, DockerGuest, disks, sdk, vmsvc_drivers
from vmsvc_docker.client import Connection

from vmsvc.core.roles import ROLES
from vmsvc.driver import API, Capability, Context, DriverError, Node, Phase, Status, Undetermined

# The SDK leaves the socket of a connection that was refused to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(scope="module", autouse=True)
def _garbage_collected():
    yield
    gc.collect()


CAPABILITIES = ("bulk", "disks", "definition", "sizes", "discover", "compare", "entry", "self-starting")
KEY = ("web", "container#1")
MIB = 2**20


def definition_file(tmp_path):
    file = Node(name="n1", root=tmp_path).definition_file(*KEY)
    file.parent.mkdir(parents=True)
    return file


# --- the contract -----------------------------------------------------------------------------------------------------


def test_the_hook_offers_the_driver():
    (offered,) = vmsvc_drivers()
    assert (offered.type, offered.kind, offered.options) == ("docker", "container", DockerGuest)
    assert API in offered.api
    # By name: a core that knows more must not believe this driver capable of it.
    assert offered.capabilities == {Capability(word) for word in CAPABILITIES}


def test_each_capability_has_its_methods(driver):
    assert all(isinstance(driver, ROLES[capability]) for capability in driver.capabilities)


def test_importing_the_plugin_and_making_a_driver_loads_no_sdk(tmp_path):
    code = (
        "import sys, vmsvc_docker; vmsvc_docker.DockerDriver(None).close();"
        "sys.exit(any(name in sys.modules for name in ('docker', 'requests', 'urllib3')))"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment).returncode == 0


def test_a_life(driver, engine, guest):
    engine.add("web", "exited")
    assert driver.start(guest, budget_s=5) is True
    assert driver.start(guest, budget_s=5) is False
    seen = driver.observe(guest, budget_s=5)
    assert (seen.phase, seen.state, seen.warnings) == (Phase.RUNNING, "running", ())
    assert seen.evidence.probe == f"GET /containers/web/json {engine.endpoint}"
    assert seen.evidence.detail == "running"

    driver.stop(guest, budget_s=5)
    assert (engine.state("web"), engine.containers["web"]["signal"]) == ("exited", "SIGTERM")
    driver.stop(guest, budget_s=5)
    driver.kill(guest, budget_s=5)
    assert len([line for line in engine.made("POST") if line.endswith("/kill")]) == 1

    driver.start(guest, budget_s=5)
    driver.kill(guest, budget_s=5)
    assert engine.containers["web"]["signal"] == "SIGKILL"
    assert driver.observe(guest, budget_s=5).phase is Phase.STOPPED


# --- looking ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "health", "phase", "words"),
    [
        ("running", "", Phase.RUNNING, "running"),
        ("running", "healthy", Phase.RUNNING, "running (healthy)"),
        ("running", "starting", Phase.RUNNING, "running (starting)"),
        ("running", "unhealthy", Phase.DEGRADED, "running (unhealthy)"),
        ("paused", "", Phase.PAUSED, "paused"),
        ("restarting", "", Phase.STARTING, "restarting"),
        ("removing", "", Phase.STOPPING, "removing"),
        ("created", "", Phase.STOPPED, "created"),
        ("exited", "unhealthy", Phase.STOPPED, "exited"),
        ("dead", "", Phase.STOPPED, "dead"),
        ("stopping", "", Phase.STOPPING, "stopping"),
        ("hibernating", "", Phase.UNKNOWN, "hibernating"),
    ],
)
def test_what_an_engine_says_and_what_it_means_alone_and_among_others(
    driver, engine, guest, state, health, phase, words
):
    engine.add("web", state, health=health)
    engine.add("other")
    alone = driver.observe(guest, budget_s=5)
    among = driver.observe_all([guest, evolve(guest, service="other", name="other")], budget_s=5)[KEY]
    for seen in (alone, among):
        assert (seen.phase, seen.state) == (phase, words)


def test_one_request_for_a_hundred_containers_and_a_kept_connection(driver, engine, guest):
    guests = [evolve(guest, service=f"web{number}", name=f"web{number}") for number in range(100)]
    for each in guests:
        engine.add(each.name)
    for _ in range(3):
        seen = driver.observe_all(guests, budget_s=5)
        assert {each.phase for each in seen.values()} == {Phase.RUNNING}
        assert len(seen) == 100
    assert engine.requests == ["GET /version", *["GET /containers/json"] * 3]


@pytest.mark.parametrize("name", ["we", "web1", "WEB", "w.b", "web.*", "other/web", "0", "0000000000000000", "../json"])
def test_names_are_matched_exactly_whatever_the_engine_would_take_for_one(driver, engine, guest, name):
    engine.add("web")
    absent = driver.observe(evolve(guest, name=name), budget_s=5)
    assert (absent.phase, absent.status, absent.state) == (Phase.ABSENT, Status.DOWN, "absent")
    assert repr(name) in absent.evidence.detail
    driver.stop(evolve(guest, name=name), budget_s=5)
    driver.kill(evolve(guest, name=name), budget_s=5)
    with pytest.raises(DriverError, match="no container named"):
        driver.start(evolve(guest, name=name), budget_s=5)
    assert engine.state("web") == "running"


def test_the_evidence_of_absence_names_the_container_that_was_meant(driver, engine, guest):
    engine.add("web")
    detail = driver.observe(evolve(guest, name="wbe"), budget_s=5).evidence.detail
    assert detail == f"{engine.endpoint} has no container 'wbe'; did you mean `web`?"


@pytest.mark.parametrize(
    ("policy", "warned"), [("no", False), ("on-failure", False), ("always", True), ("unless-stopped", True)]
)
def test_a_container_that_comes_back_by_itself_is_a_warning(driver, engine, guest, policy, warned):
    engine.add("web", "exited", restart=policy)
    warnings = driver.observe(guest, budget_s=5).warnings
    assert len(warnings) == warned
    if warned:
        assert f"restart policy of web is {policy}" in warnings[0]
        assert f"`docker -H {engine.endpoint} update --restart=no web`" in warnings[0]


@pytest.mark.keyword("container.docker.docker_host")
def test_several_engines_in_one_look_and_one_that_is_not_there(driver, engine, another_engine, guest):
    engine.add("web")
    another_engine.add("web", "paused")
    there = evolve(guest, service="there", docker_host=another_engine.endpoint)
    nowhere = evolve(guest, service="nowhere", docker_host="unix:///nonexistent/docker.sock")
    seen = driver.observe_all([guest, there, nowhere], budget_s=5)
    assert {key[0]: each.phase for key, each in seen.items()} == {
        "web": Phase.RUNNING, "there": Phase.PAUSED, "nowhere": Phase.UNKNOWN,
    }  # fmt: skip
    detail = seen["nowhere", "container#1"].evidence.detail
    assert "no connection to unix:///nonexistent/docker.sock: No such file or directory" in detail
    assert "is the engine running here?" in detail


def test_the_environment_says_which_engine_where_the_file_does_not(driver, engine, another_engine, guest, monkeypatch):
    engine.add("web")
    monkeypatch.setenv("DOCKER_HOST", engine.endpoint)
    assert driver.observe(evolve(guest, docker_host=""), budget_s=5).phase is Phase.RUNNING
    assert driver.observe(evolve(guest, docker_host=another_engine.endpoint), budget_s=5).phase is Phase.ABSENT


def test_no_proxy_stands_before_a_socket_of_this_machine(driver, engine, guest, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    engine.add("web")
    assert driver.observe(guest, budget_s=5).phase is Phase.RUNNING


# --- engines in trouble -----------------------------------------------------------------------------------------------


VERBS = ("start", "stop", "kill")


def verbs_are_undetermined(driver, guest, budget_s=0.5):
    for verb in VERBS:
        with pytest.raises(Undetermined):
            getattr(driver, verb)(guest, budget_s=budget_s)


@pytest.mark.parametrize("connected", [False, True])
def test_a_silent_engine_is_unknown_within_the_budget(driver, engine, guest, connected):
    engine.add("web")
    if connected:
        driver.observe(guest, budget_s=5)
    engine.silent.set()
    began = time.monotonic()
    seen = driver.observe(guest, budget_s=0.5)
    assert (seen.phase, seen.status) == (Phase.UNKNOWN, Status.UNKNOWN)
    verbs_are_undetermined(driver, guest)
    assert time.monotonic() - began < 4
    began = time.monotonic()
    driver.close()
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x00\xff garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot json!", b"SSH-2.0-OpenSSH_9.2\r\n",
     b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
     b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"ApiVersion":5}'],
)  # fmt: skip
@pytest.mark.parametrize("connected", [False, True])
def test_garbage_on_the_socket_is_unknown(driver, engine, guest, connected, raw):
    engine.add("web")
    if connected:
        driver.observe(guest, budget_s=5)
    engine.raw = raw
    seen = driver.observe(guest, budget_s=2)
    assert seen.phase is Phase.UNKNOWN, seen
    verbs_are_undetermined(driver, guest, budget_s=2)


@pytest.mark.parametrize(
    "answer",
    [{}, None, "web", 7, ["web"], [{}], [{"Names": ["/web"]}], [{"Names": "/web", "Id": "1", "State": "running"}],
     [{"Names": None, "Id": "1", "State": "running"}], [{"Names": [], "Id": "1", "State": "exited"}],
     [{"Names": ["/web"], "Id": "1", "State": 7}], [{"Names": [1], "Id": "1", "State": "running"}],
     [{"Names": ["/web"], "Id": "1", "State": "running", "Health": "well"}], {"message": "page not found"}],
)  # fmt: skip
def test_a_list_that_is_none_is_unknown_and_never_absent(driver, engine, guest, answer):
    engine.instead["GET /containers/json"] = (200, json.dumps(answer).encode())
    for seen in (driver.observe(guest, budget_s=5), driver.observe(evolve(guest, name="other"), budget_s=5)):
        assert seen.phase is Phase.UNKNOWN
    verbs_are_undetermined(driver, guest, budget_s=5)


@pytest.mark.parametrize("state", ["removing", "Dead"])
def test_a_container_that_lost_its_name_as_it_is_removed_hides_no_other(driver, engine, guest, state):
    answer = [{"Names": None, "Id": "1", "State": state}, {"Names": ["/web"], "Id": "2", "State": "running"}]
    engine.instead["GET /containers/json"] = (200, json.dumps(answer).encode())
    assert driver.observe(guest, budget_s=5).phase is Phase.RUNNING


@pytest.mark.parametrize(
    "answer", [[], None, "web", {}, {"Id": "1", "Name": "/web"}, {"Id": "1", "Name": "/web", "State": []}]
)
def test_an_inspection_that_is_none_is_unknown_and_never_absent(driver, engine, guest, answer):
    engine.add("web")
    engine.instead["GET /containers/web/json"] = (200, json.dumps(answer).encode())
    assert driver.observe(guest, budget_s=5).phase is Phase.UNKNOWN
    verbs_are_undetermined(driver, guest, budget_s=5)


def test_what_an_inspection_says_of_an_end_is_evidence(driver, engine, guest):
    facts = {"Id": "1", "Name": "/web", "State": {"Status": "exited", "ExitCode": 128, "Error": "port is taken"}}
    engine.instead["GET /containers/web/json"] = (200, json.dumps(facts).encode())
    seen = driver.observe(guest, budget_s=5)
    assert (seen.state, seen.evidence.detail) == ("exited", "exited; exit code 128; port is taken")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 502, 503])
@pytest.mark.parametrize("body", [b"", b'{"message": "no"}', b'{"mess": 1}', b"[]", b"<html>"])
def test_a_list_that_is_refused_is_unknown_whatever_the_refusal(driver, engine, guest, status, body):
    engine.instead["GET /containers/json"] = (status, body)
    assert driver.observe(guest, budget_s=5).phase is Phase.UNKNOWN
    for verb in VERBS:
        with pytest.raises((DriverError, Undetermined)):
            getattr(driver, verb)(guest, budget_s=5)


def test_a_socket_that_may_not_be_used_says_who_may(driver, engine, guest, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("docker.transport.unixconn.UnixHTTPConnection.connect", refuse)
    seen = driver.observe(guest, budget_s=5)
    assert seen.phase is Phase.UNKNOWN
    assert "Permission denied (run it as root, or as a member of the socket's group" in seen.evidence.detail


def test_an_engine_that_was_restarted_between_two_calls_is_asked_anew(driver, engine, guest):
    engine.add("web")
    driver.observe(guest, budget_s=5)
    engine.breaks = 1
    assert driver.observe(guest, budget_s=5).phase is Phase.RUNNING
    engine.breaks = 2
    assert driver.observe(guest, budget_s=5).phase is Phase.UNKNOWN
    assert driver.observe(guest, budget_s=5).phase is Phase.RUNNING


def test_nothing_is_changed_once_the_budget_is_spent(driver, engine, guest):
    engine.add("web", "exited")
    driver.observe(guest, budget_s=5)
    engine.before = lambda method, path: time.sleep(0.4) if path.startswith("/containers/web/json") else None
    with pytest.raises(Undetermined):
        driver.start(guest, budget_s=0.2)
    time.sleep(0.6)
    assert engine.made("POST") == []
    assert engine.state("web") == "exited"


def test_a_look_that_took_the_whole_budget_is_followed_by_no_change(engine):
    engine.add("web", "exited")
    with contextlib.closing(Connection(engine.endpoint)) as connection:
        found = connection.guarded(lambda connection: connection.find("web"), time.monotonic() + 5)
        for change in (connection.start, connection.remove, lambda seen: connection.signal(seen, "SIGKILL")):
            with pytest.raises(Undetermined, match="answered too late"):
                connection.guarded(lambda _, change=change: change(found.seen), time.monotonic() - 0.001)
    time.sleep(0.1)
    assert engine.made("POST") == engine.made("DELETE") == []


def test_lost_threads_are_bounded_and_come_back(driver, engine, guest):
    engine.add("web")
    engine.silent.set()
    for _ in range(6):
        assert driver.observe(guest, budget_s=0.05).phase is Phase.UNKNOWN
    assert "not answering" in driver.observe(guest, budget_s=0.05).evidence.detail


def test_an_sdk_that_is_not_installed_says_what_to_do(driver, guest, monkeypatch):
    monkeypatch.setattr(sdk, "_loaded", [])
    monkeypatch.setitem(sys.modules, "docker", None)
    seen = driver.observe(guest, budget_s=5)
    assert seen.phase is Phase.UNKNOWN
    assert "-m pip install docker" in seen.evidence.detail


# --- start ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "hint"),
    [
        ("paused", "unpause web"),
        ("removing", "it is going down"),
        ("dead", "can only be removed: `docker"),
        ("odd", ""),
    ],
)
def test_what_cannot_be_started_says_why(driver, engine, guest, state, hint):
    engine.add("web", state)
    with pytest.raises(Undetermined if state == "odd" else DriverError, match=state) as refused:
        driver.start(guest, budget_s=5)
    assert hint in refused.value.hint
    assert engine.made("POST") == []


@pytest.mark.parametrize("state", ["running", "restarting"])
def test_what_runs_or_is_about_to_is_not_started_again(driver, engine, guest, state):
    engine.add("web", state)
    assert driver.start(guest, budget_s=5) is False
    assert engine.made("POST") == []


def test_a_start_that_somebody_else_has_done_meanwhile_is_not_ours(driver, engine, guest):
    engine.add("web", "exited")

    def somebody(method, path):
        if path.endswith("/start"):
            engine.containers["web"]["state"] = "running"

    engine.before = somebody
    assert driver.start(guest, budget_s=5) is False


def test_a_start_that_the_engine_refuses_says_so_in_its_words(driver, engine, guest):
    engine.add("web", "exited")
    said = "driver failed programming external connectivity: port is already allocated"
    engine.instead["POST /containers/.*/start"] = (500, json.dumps({"message": said}).encode())
    with pytest.raises(DriverError, match="port is already allocated") as refused:
        driver.start(guest, budget_s=5)
    assert f"docker -H {engine.endpoint} inspect web" in refused.value.hint


@pytest.mark.keyword("container.docker.image")
def test_a_start_makes_the_container_of_its_image_where_there_is_none(driver, engine, guest):
    made = evolve(guest, image="svc:1")
    assert driver.start(made, budget_s=5) is True
    one = engine.containers["web"]
    assert one["state"] == "running"
    assert one["HostConfig"] == {"RestartPolicy": {"Name": "no"}}
    assert one["Config"]["Labels"].items() >= {"vmsvc.service": "web", "vmsvc.rid": "container#1"}.items()
    assert driver.observe(made, budget_s=5).warnings == ()
    driver.stop(made, budget_s=5)

    changed = evolve(guest, image="other:2")
    (warning,) = driver.observe(changed, budget_s=5).warnings
    assert warning.startswith("web was made of other keys than the service has now")
    assert f"`docker -H {engine.endpoint} rm web`" in warning
    assert driver.start(changed, budget_s=5) is True, "one that is there is started as it is"
    assert len(engine.containers) == 1
    assert driver.observe(guest, budget_s=5).warnings == (), "a service without an image describes none"


def test_a_container_that_was_made_and_cannot_be_started_is_not_left_for_the_next_start(driver, engine, guest):
    engine.instead["POST /containers/.*/start"] = (400, b'{"message": "exec: nosuch: not found"}')
    with pytest.raises(DriverError, match="nosuch"):
        driver.start(evolve(guest, image="svc:1", command=("nosuch",)), budget_s=5)
    assert engine.containers == {}
    engine.add("web", "exited")
    with pytest.raises(DriverError, match="nosuch"):
        driver.start(guest, budget_s=5)
    assert "web" in engine.containers, "one that was there is nobody's to remove"


@pytest.mark.parametrize("number", [1, 3])
def test_podman_is_asked_which_containers_are_unhealthy_since_its_list_does_not_tell(driver, engine, guest, number):
    engine.server = "Libpod/4.3.1 (linux)"
    engine.add("web", health="unhealthy")
    engine.add("db", health="healthy")
    guests = [guest, *(evolve(guest, service=f"s{n}", name="db") for n in range(1, number))]
    seen = driver.observe_all(guests, budget_s=5)
    assert (seen[KEY].phase, seen[KEY].state) == (Phase.DEGRADED, "running (unhealthy)")
    assert engine.requests[1:] == (["GET /containers/web/json"] if number == 1 else ["GET /containers/json"] * 2)
    assert all(each.phase is Phase.RUNNING for key, each in seen.items() if key != KEY)


def test_an_image_that_is_not_there_is_not_pulled(driver, engine, guest):
    with pytest.raises(DriverError, match="No such image: other:2") as refused:
        driver.start(evolve(guest, image="other:2"), budget_s=5)
    assert refused.value.hint == f"vmsvc pulls no images: `docker -H {engine.endpoint} pull other:2`, or `docker load`"
    assert not any("images" in line for line in engine.requests)


def test_start_makes_the_container_of_the_kept_definition(driver, engine, guest, tmp_path):
    with pytest.raises(DriverError, match="no definition") as refused:
        driver.start(guest, budget_s=5)
    assert "vmsvc push web" in refused.value.hint

    engine.add("web", host_config={"Memory": 64 * MIB}, Env=["SECRET=x y"])
    file = definition_file(tmp_path)
    file.write_text(driver.definition(guest, budget_s=5))
    engine.containers.clear()
    assert driver.start(guest, budget_s=5) is True
    one = engine.containers["web"]
    assert one["HostConfig"]["Memory"] == 64 * MIB
    assert one["Config"]["Env"] == ["SECRET=x y"]

    engine.containers.clear()
    with pytest.raises(DriverError, match="defines a container named 'web', not 'new'"):
        driver.start(evolve(guest, name="new"), budget_s=5)
    for broken in (b"\xff", b"{", b"[]", b'{"name": 1, "made_of": {}}', b'{"name": "web"}'):
        file.write_bytes(broken)
        with pytest.raises(DriverError, match=str(file)):
            driver.start(guest, budget_s=5)


# --- stop -------------------------------------------------------------------------------------------------------------


def test_stop_sends_the_signal_that_the_image_asks_for(driver, engine, guest):
    engine.add("web", StopSignal="SIGQUIT")
    driver.stop(guest, budget_s=5)
    assert engine.containers["web"]["signal"] == "SIGQUIT"


def test_stop_ends_a_container_that_restarts_again_and_again(driver, engine, guest):
    engine.add("web", "restarting")
    driver.stop(guest, budget_s=5)
    assert engine.state("web") == "exited"


def test_a_paused_container_cannot_be_asked_and_can_be_killed(driver, engine, guest):
    engine.add("web", "paused")
    with pytest.raises(DriverError, match="cannot hear"):
        driver.stop(guest, budget_s=5)
    assert engine.state("web") == "paused"
    driver.kill(guest, budget_s=5)
    assert engine.state("web") == "exited"


def test_podman_is_to_kill_nothing_that_is_paused(driver, engine, guest):
    engine.server = "Libpod/4.3.1 (linux)"
    engine.add("web", "paused")
    driver.kill(guest, budget_s=5)
    assert engine.state("web") == "exited"
    assert [path.rpartition("/")[2] for path in engine.made("POST")] == ["unpause", "kill"]


@pytest.mark.parametrize("policy", ["always", "unless-stopped", "on-failure"])
def test_podman_is_asked_to_stop_for_good_what_it_would_start_again(driver, engine, guest, policy, monkeypatch):
    monkeypatch.setattr("vmsvc_docker.driver.HEARD_S", 0.3)
    engine.server = "Libpod/4.3.1 (linux)"
    engine.add("web", restart=policy)
    for _ in range(3):
        driver.stop(guest, budget_s=5)
        assert driver.observe(guest, budget_s=5).phase is Phase.STOPPING
    assert [path.rpartition("/")[2] for path in engine.made("POST")] == ["stop"]
    assert engine.containers["web"]["patience"] > 3600, "killing is the core's"
    driver.kill(guest, budget_s=5)
    assert engine.state("web") == "exited"


def test_podman_is_sent_a_signal_where_nothing_would_start_the_container_again(driver, engine, guest):
    engine.server = "Libpod/4.3.1 (linux)"
    engine.add("web")
    driver.stop(guest, budget_s=5)
    assert engine.containers["web"]["signal"] == "SIGTERM"


def test_kill_of_a_container_that_is_being_removed_is_no_error(driver, engine, guest):
    engine.add("web", "removing")
    driver.kill(guest, budget_s=5)


def test_a_container_that_ended_while_it_was_to_be_stopped_is_no_error(driver, engine, guest):
    engine.add("web")

    def end(method, path):
        if path.endswith("/kill"):
            engine.containers["web"]["state"] = "exited"

    engine.before = end
    driver.stop(guest, budget_s=5)
    engine.containers["web"]["state"] = "running"
    driver.kill(guest, budget_s=5)


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_a_refusal_to_stop_is_an_error(driver, engine, guest, verb):
    engine.add("web")
    engine.instead["POST /containers/.*/kill"] = (
        500,
        b'{"message": "tried to kill it, but did not receive an exit event"}',
    )
    with pytest.raises(DriverError, match="exit event"):
        getattr(driver, verb)(guest, budget_s=5)


# --- what it is made of -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", ["disks", "definition", "definitions", "sizes"])
def test_questions_about_an_absent_container(driver, guest, question):
    with pytest.raises(DriverError, match="no container named 'web'"):
        getattr(driver, question)(guest, budget_s=5)


def test_disks_are_devices_directories_and_volumes(driver, engine, guest, tmp_path, monkeypatch):
    kinds = {"/dev/sdb": "block", "/dev/sdc": "block", "/dev/fuse": "other"}
    really = disks._kind_of
    monkeypatch.setattr(disks, "_kind_of", lambda path: kinds.get(path) or really(path))
    (tmp_path / "file").touch()
    engine.volumes = {
        "disk": {"Name": "disk", "Driver": "local", "Options": {"type": "ext4", "device": "/dev/sdd"}},
        "plain": {"Name": "plain", "Driver": "local", "Options": None},
    }
    devices = [
        {"PathOnHost": "/dev/sdb", "PathInContainer": "/dev/data", "CgroupPermissions": "r"},
        {"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"},
    ]
    mounts = [
        {"Type": "bind", "Source": "/dev/sdc", "Destination": "/dev/raw", "RW": True},
        {"Type": "bind", "Source": str(tmp_path), "Destination": "/data", "RW": False},
        {"Type": "bind", "Source": str(tmp_path / "file"), "Destination": "/file", "RW": True},
        {"Type": "volume", "Name": "disk", "Source": "/x", "Destination": "/disk", "Driver": "local", "RW": True},
        {"Type": "volume", "Name": "plain", "Source": "/y", "Destination": "/plain", "Driver": "local", "RW": True},
        {"Type": "volume", "Name": "gone", "Source": "/z", "Destination": "/gone", "Driver": "local", "RW": True},
        {"Type": "tmpfs", "Source": "", "Destination": "/tmp", "RW": True},
    ]
    engine.add("web", host_config={"Devices": devices}, mounts=mounts)
    found = [(each.target, each.kind, each.source, each.readonly) for each in driver.disks(guest, budget_s=5)]
    assert found == [
        ("/dev/data", "block", "/dev/sdb", True),
        ("/dev/raw", "block", "/dev/sdc", False),
        ("/data", "dir", str(tmp_path), True),
        ("/file", "file", str(tmp_path / "file"), False),
        ("/disk", "block", "/dev/sdd", False),
        ("/plain", "volume", "plain", False),
        ("/gone", "volume", "gone", False),
    ]
    assert all(each.live and each.persistent for each in driver.disks(guest, budget_s=5))


def test_a_disk_that_podman_takes_for_a_character_device_of_its_numbers_is_found(
    driver, engine, guest, tmp_path, monkeypatch
):
    (tmp_path / "dev/block/1:3").mkdir(parents=True)  # those of /dev/null
    really = disks._block_device
    monkeypatch.setattr(disks, "_block_device", lambda path: really(path, sys=tmp_path))
    engine.add(
        "web",
        host_config={"Devices": [{"PathOnHost": path, "PathInContainer": path} for path in ("/dev/null", "/dev/zero")]},
    )
    assert driver.disks(guest, budget_s=5) == ()
    engine.server = "Libpod/4.3.1 (linux)"
    monkeypatch.setattr(disks, "_kind_of", lambda path: "block" if path == "/dev/1:3" else "other")
    (disk,) = driver.disks(guest, budget_s=5)
    assert (disk.target, disk.kind, disk.source) == ("/dev/null", "block", "/dev/1:3")
    assert '"PathOnHost": "/dev/1:3"' in driver.definition(guest, budget_s=5), "it is made of that again"


def test_disks_of_a_container_that_a_start_is_yet_to_make(driver, engine, guest, tmp_path):
    engine.volumes = {
        "disk": {"Name": "disk", "Driver": "local", "Options": {"type": "ext4", "device": "/dev/sdd"}},
        "far": {"Name": "far", "Driver": "rexray", "Options": {"device": "/dev/sde"}},
    }
    to_be = evolve(
        guest,
        image="svc:1",
        devices=("/dev/nosuch-sdb", "/dev/null"),
        volumes=(f"{tmp_path}:/data:ro,z", "disk:/disk", "far:/far"),
    )
    found = [(each.target, each.kind, each.source, each.readonly) for each in driver.disks(to_be, budget_s=5)]
    assert found == [
        ("/dev/nosuch-sdb", "block", "/dev/nosuch-sdb", False),
        ("/data", "dir", str(tmp_path), True),
        ("/disk", "block", "/dev/sdd", False),
        ("/far", "volume", "far", False),
    ]
    assert not any(each.live for each in driver.disks(to_be, budget_s=5))
    assert engine.made("POST") == [], "looking makes nothing"


@pytest.mark.parametrize(
    ("given", "vcpus", "memory_mib"),
    [
        ({}, 4, 8192),
        ({"NanoCpus": 1_500_000_000, "Memory": 64 * MIB}, 2, 64),
        ({"CpuQuota": 50_000, "CpuPeriod": 100_000}, 1, 8192),
        ({"CpuQuota": -1, "CpusetCpus": "0-1,3"}, 3, 8192),
        ({"NanoCpus": 0, "CpuQuota": 250_000, "CpuPeriod": 0, "CpusetCpus": ""}, 3, 8192),
    ],
)
def test_sizes_are_the_limits_and_else_what_the_node_has(driver, engine, guest, given, vcpus, memory_mib):
    engine.add("web", host_config=given)
    sizes = driver.sizes(guest, budget_s=5)
    assert (sizes.vcpus, sizes.memory_mib) == (vcpus, memory_mib)


def test_a_running_container_has_two_definitions_that_say_the_same(driver, engine, guest):
    named = "HOSTNAME=" + f"{len(engine.containers) + 1:064x}"[:12]  # as podman writes it down
    engine.add("web", Env=["PASSWORD=x", named])
    found = driver.definitions(guest, budget_s=5)
    assert found.live == found.persistent == driver.definition(guest, budget_s=5)
    fields = driver.fields(found.persistent)
    assert fields.values["Env[PASSWORD]"] == "x"
    assert fields.secret == {"Env[PASSWORD]"}
    assert not {"Hostname", "Env[HOSTNAME]"} & set(fields.values), "an engine makes it up anew for each container"
    driver.kill(guest, budget_s=5)
    assert driver.definitions(guest, budget_s=5).live is None


def test_discover_names_all_containers(driver, engine, guest):
    engine.add("web", restart="always")
    engine.add("db", "exited", mounts=[{"Type": "bind", "Source": "/srv", "Destination": "/data", "RW": True}])
    db, web = driver.discover(guest, budget_s=5)
    assert (db.name, db.phase, db.state, db.title, db.autostart) == (
        "db",
        Phase.STOPPED,
        "exited",
        "image svc:1",
        False,
    )
    assert [disk.source for disk in db.disks] == ["/srv"]
    assert dict(db.options) == {"docker_host": engine.endpoint}
    assert web.autostart
    assert "restart policy" in web.warnings[0]


def test_discover_of_the_usual_engine_needs_no_options(driver, engine, guest, monkeypatch):
    engine.add("web")
    monkeypatch.setenv("DOCKER_HOST", engine.endpoint)
    (found,) = driver.discover(evolve(guest, docker_host=""), budget_s=5)
    assert dict(found.options) == {}


def test_discover_where_there_is_no_engine_is_no_empty_answer(driver, guest):
    with pytest.raises(Undetermined):
        driver.discover(evolve(guest, docker_host="unix:///nonexistent/docker.sock"), budget_s=5)


def test_making_a_driver_opens_nothing(engine, tmp_path):
    node = Node(name="n1", root=tmp_path)
    DockerDriver(Context(node=node, host=None, state_dir=Path("/nonexistent"))).close()
    assert engine.requests == []

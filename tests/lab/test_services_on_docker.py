"""Services on a real dockerd and on a real podman, from the command line."""

import contextlib
import json
import os
import re
import shutil
import socket
import socketserver
import stat
import tempfile
import threading
import time
from pathlib import Path

import docker
import pytest

from lab.engine import IMAGE
from lab.podman import PrivatePodman
from tests.lab.shell import NODE, Shell, ok

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path / "root")


def serve(shell, engine, name, *lines, endpoint=""):
    text = f"[DEFAULT]\nnodes = {NODE}\n[container#1]\ntype = docker\ndocker_host = {endpoint or engine.endpoint}\n"
    shell.file(name, text + "".join(f"{line}\n" for line in lines))


def timed(call, *arguments, **options):
    began = time.monotonic()
    result = call(*arguments, **options)
    return result, time.monotonic() - began


def until(condition, within_s=20):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


# --- daily life -------------------------------------------------------------------------------------------------------


def test_a_service_makes_its_container_and_starts_and_stops_it(shell, engine, tmp_path):
    (tmp_path / "data").mkdir()
    serve(
        shell, engine, "web", f"image = {IMAGE}", "environment = 'GREETING=good morning' EMPTY=",
        f"volumes = {tmp_path}/data:/data:ro", "network = none", "entrypoint = /svc", "command = 'a b' c",
    )  # fmt: skip
    assert shell.statuses("web")["web"][:2] == ("down", "absent")
    ok(shell.run("start", "web"))
    avail, state, detail = shell.statuses("web")["web"]
    assert (avail, state) == ("up", "running")
    assert detail == "running"
    said = engine.cli("exec", "web", "sh", "-c", 'echo "$GREETING"; ls -d /data; tr "\\0" "|" < /proc/1/cmdline')
    assert said.splitlines() == ["good morning", "/data", "/bin/sh|/svc|a b|c|"]

    identity = engine.cli("inspect", "-f", "{{.Id}}", "web")
    ok(shell.run("start", "web"))
    ok(shell.run("stop", "web"))
    assert shell.statuses("web")["web"][0] == "down"
    assert "stopping" in engine.cli("logs", "web")
    ok(shell.run("stop", "web"))
    ok(shell.run("restart", "web"))
    assert engine.cli("inspect", "-f", "{{.Id}}", "web") == identity
    ok(shell.run("stop", "--kill", "web"))
    assert engine.cli("inspect", "-f", "{{.State.ExitCode}}", "web") == "137"


def test_names_are_matched_exactly(shell, engine):
    engine.run("web-1")
    by_id = engine.cli("inspect", "-f", "{{.Id}}", "web-1")
    others = ("web", "eb-1", "w.b-1", "web-", "WEB-1", by_id, by_id[:12])
    for number, name in enumerate(others):
        serve(shell, engine, f"svc{number}", f"name = {name}")
    assert {avail for avail, _, _ in shell.statuses().values()} == {"down"}
    ok(shell.run("stop", *(f"svc{number}" for number in range(len(others)))))
    serve(shell, engine, "exact", "name = web-1")
    assert shell.statuses("exact")["exact"][0] == "up"


def test_stop_waits_as_long_as_the_service_says_and_then_kills(shell, engine):
    engine.run("slow", "-e", "SLOW=3", "--stop-timeout", "1")
    serve(shell, engine, "slow", "stop_timeout = 60")
    done, took = timed(shell.run, "stop", "slow")
    ok(done)
    assert took > 3
    assert engine.cli("inspect", "-f", "{{.State.ExitCode}}", "slow") == "0", "it ended by itself"

    engine.run("deaf", "-e", "IGNORE=1")
    serve(shell, engine, "deaf", "stop_timeout = 1")
    ok(shell.run("stop", "deaf"))
    assert engine.cli("inspect", "-f", "{{.State.ExitCode}}", "deaf") == "137"


def test_the_image_s_own_stop_signal_is_sent(shell, engine):
    engine.run(
        "web", "--stop-signal", "SIGUSR1", command=("sh", "-c", "trap 'exit 5' USR1; while :; do sleep 0.1; done")
    )
    serve(shell, engine, "web")
    time.sleep(0.5)  # until the trap is set
    ok(shell.run("stop", "web"))
    assert engine.cli("inspect", "-f", "{{.State.ExitCode}}", "web") == "5"


def test_a_paused_container_is_warn_and_is_not_started_and_can_be_stopped(shell, engine):
    engine.run("web")
    engine.cli("pause", "web")
    serve(shell, engine, "web")
    assert shell.statuses("web")["web"][:2] == ("warn", "paused")
    refused = shell.run("start", "web")
    assert refused.returncode == 3
    assert "paused" in refused.stderr
    ok(shell.run("stop", "web"))
    assert shell.statuses("web")["web"][0] == "down"
    assert "svc" not in engine.processes()


def test_what_podman_s_list_does_not_tell_of_health_is_asked_for(shell, podman):
    podman.run("web", "--health-cmd", "false", "--health-retries", "1", "--health-interval", "1h")
    podman.run("well")
    for name in ("web", "well"):
        serve(shell, podman, name)
    client = docker.APIClient(base_url=podman.endpoint, version="auto")
    with contextlib.closing(client):  # podman's checks are run by systemd, or by whoever asks
        client.get(f"{client.base_url}/v4.0.0/libpod/containers/web/healthcheck")
    for names in (("web",), ("web", "well")):
        found = shell.statuses(*names)
        assert found["web"][:2] == ("warn", "running (unhealthy)")
    assert found["well"][0] == "up"


def test_an_unhealthy_container_is_warn(shell, dockerd):
    check = ("--health-cmd", "[ ! -e /unwell ]", "--health-interval", "0.3s", "--health-retries", "1")
    dockerd.run("web", *check)
    serve(shell, dockerd, "web")
    until(lambda: shell.statuses("web")["web"][:2] == ("up", "running (healthy)"))
    dockerd.cli("exec", "web", "touch", "/unwell")
    until(lambda: shell.statuses("web")["web"][:2] == ("warn", "running (unhealthy)"))
    ok(shell.run("stop", "web"))


def test_a_container_that_restarts_again_and_again_stays_down_after_a_stop(shell, dockerd):
    dockerd.run("web", "--restart", "always", command=("sh", "-c", "exit 3"))
    serve(shell, dockerd, "web")
    until(lambda: dockerd.state("web") == "restarting")
    until(lambda: shell.statuses("web")["web"][:2] == ("warn", "restarting"))
    ok(shell.run("stop", "web"))
    time.sleep(1.5)
    assert shell.statuses("web")["web"][:2] == ("down", "exited")


def test_a_stop_holds_whatever_the_restart_policy(shell, engine):
    engine.run("web", "--restart", "always")
    serve(shell, engine, "web")
    status = ok(shell.run("status", "web"))
    assert "the restart policy of web is always" in status
    assert "update --restart=no web" in status
    ok(shell.run("stop", "web"))
    time.sleep(1.5)
    assert shell.statuses("web")["web"][0] == "down"


def test_a_container_whose_command_is_missing_does_not_start_and_says_why(shell, engine):
    serve(shell, engine, "web", f"image = {IMAGE}", "network = none", "command = /nosuch")
    failed = shell.run("start", "web")
    assert failed.returncode == 1
    assert "/nosuch" in failed.stderr
    assert shell.statuses("web")["web"][:2] == ("down", "absent"), "what cannot start is not left for the next start"
    serve(shell, engine, "web", f"image = {IMAGE}", "network = none")
    ok(shell.run("start", "web"))
    serve(shell, engine, "web", f"image = {IMAGE}", "network = none", "environment = NEW=1")
    assert "was made of other keys than the service has now" in ok(shell.run("status", "web"))


def test_an_image_that_is_not_there_is_not_pulled(shell, engine):
    serve(shell, engine, "web", "image = localhost/nosuch:1")
    failed, took = timed(shell.run, "start", "web")
    assert failed.returncode == 1
    assert "vmsvc pulls no images" in failed.stderr
    assert took < 10


def test_adopt_push_and_a_start_where_the_container_is_lost(shell, engine, tmp_path):
    (tmp_path / "data").mkdir()
    engine.run(
        "web", "-e", "PASSWORD=x", "-v", f"{tmp_path}/data:/data", "-m", "64m", "--cpus", "1", "--restart", "always"
    )
    adopted = shell.run("adopt", "--set", f"container#1.docker_host={engine.endpoint}")
    assert (shell.root / "etc/vmsvc/services/web.conf").exists(), adopted.stderr
    assert "restart policy of web is always" in adopted.stdout + adopted.stderr
    file = (shell.root / "etc/vmsvc/services/web.conf").read_text()
    assert f"docker_host = {engine.endpoint}" in file

    ok(shell.run("push", "web"))
    drift = ok(shell.run("show", "web", "--drift"))
    assert "PASSWORD=x" not in drift
    assert shell.json("show", "web", "--drift")["guests"][0]["differences"] == []
    facts = shell.json("push", "web")
    assert '"vcpus": 1' in str(facts).replace("'", '"')
    assert '"memory_mib": 64' in str(facts).replace("'", '"')

    engine.cli("rm", "-f", "web")
    assert shell.statuses("web")["web"][:2] == ("down", "absent")
    ok(shell.run("start", "web"))
    assert shell.statuses("web")["web"][0] == "up"
    assert engine.cli("exec", "web", "sh", "-c", "echo $PASSWORD; ls -d /data").split() == ["x", "/data"]
    assert shell.json("show", "web", "--drift")["guests"][0]["differences"] == []


def test_disks_are_named_before_the_container_is_made_and_while_it_runs(shell, engine, tmp_path):
    disk, data = tmp_path / "disk", tmp_path / "data"
    os.mknod(disk, stat.S_IFBLK | 0o600, os.makedev(7, 0))
    data.mkdir()
    serve(
        shell, engine, "web", f"image = {IMAGE}", "network = none", f"devices = {disk}:/dev/data /dev/null",
        f"volumes = {data}:/data:ro kept:/kept",
    )  # fmt: skip

    def named():
        found = shell.json("diskupdate", "web")["stored"][0]["content"]
        return {(each["target"], each["kind"], each["source"], each["readonly"], each["live"]) for each in found}

    wanted = [
        ("/dev/data", "block", str(disk), False),
        ("/data", "dir", str(data), True),
        ("/kept", "volume", "kept", False),
    ]
    assert named() == {(*each, False) for each in wanted}
    ok(shell.run("start", "web"))
    if isinstance(engine, PrivatePodman):  # it knows devices by their numbers
        wanted[0] = ("/dev/data", "block", "/dev/loop0", False)
    assert named() == {(*each, True) for each in wanted}
    engine.cli("exec", "web", "test", "-b", "/dev/data")


# --- engines in trouble -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["kill", "pause"])
def test_a_dead_and_a_hung_engine_are_unknown_and_never_down(shell, private_engine, trouble):
    engine = private_engine
    engine.run("web")
    serve(shell, engine, "web")
    serve(shell, engine, "absent")
    shell.file("node-app", f"[DEFAULT]\nnodes = {NODE}\n[app#1]\ncheck = true\nstart = true\nstop = true\n")
    assert shell.statuses("web")["web"][0] == "up"

    getattr(engine, trouble)()
    try:
        found, took = timed(shell.statuses, code=4)
        assert took < 10
        assert {name: status[0] for name, status in found.items()} == {
            "web": "unknown", "absent": "unknown", "node-app": "up",
        }  # fmt: skip
        for action in ("start", "stop", "restart"):
            refused, took = timed(shell.run, action, "web")
            assert (refused.returncode, took < 15) == (4, True), refused.stderr
    finally:
        if trouble == "pause":
            engine.resume()
        else:
            engine.start()

    def avail():
        done = shell.run("status", "web", "--format", "json")  # podman needs some time to go on
        return json.loads(done.stdout)["services"][0]["avail"]

    survives = trouble == "pause" or isinstance(engine, PrivatePodman)  # dockerd ends those that it finds
    until(lambda: avail() == ("up" if survives else "down"))
    ok(shell.run("start", "web"))
    assert shell.statuses("web")["web"][0] == "up"


def test_an_engine_that_hangs_during_a_start_is_undetermined(shell, private_engine):
    engine = private_engine
    engine.create("web")
    with Relay(engine.socket, stop_before=re.compile(rb"POST [^ ]*/start"), engine=engine) as relay:
        serve(shell, engine, "web", "start_timeout = 6", endpoint=relay.endpoint)
        done, took = timed(shell.run, "start", "web")
        try:
            assert done.returncode == 4, done.stderr
            assert took < 20
            assert "unknown" in done.stderr or "did not answer" in done.stderr
        finally:
            engine.resume()
    serve(shell, engine, "web")
    until(lambda: shell.statuses("web")["web"][0] in ("up", "down"))


def test_a_status_begun_before_the_engine_stops_ends_in_time(shell, private_engine):
    engine = private_engine
    engine.run("web")
    with Relay(engine.socket, stop_before=re.compile(rb"GET [^ ]*/containers/web/json"), engine=engine) as relay:
        serve(shell, engine, "web", endpoint=relay.endpoint)
        found, took = timed(shell.statuses, "web", code=4)
        engine.resume()
    assert found["web"][0] == "unknown"
    assert took < 10


def test_a_socket_that_this_user_may_not_use_is_unknown(shell, engine):
    engine.run("web")
    serve(shell, engine, "web")
    engine.socket.chmod(0o600)
    with tempfile.TemporaryDirectory() as root:  # where everybody may look
        shutil.copytree(shell.root, root, dirs_exist_ok=True)
        Path(root).chmod(0o755)
        shell.environment["VMSVC_ROOT"] = root
        done = shell.run_as_nobody("status", "web")
    assert done.returncode == 4, done.stderr
    assert "Permission denied" in done.stdout
    assert "member of the socket's group" in done.stdout


# --- many -------------------------------------------------------------------------------------------------------------


def test_the_status_of_a_hundred_containers_is_as_few_requests_as_that_of_one(shell, engine):
    client = docker.APIClient(base_url=engine.endpoint, version="auto")
    with contextlib.closing(client):
        for number in range(100):
            config = {"Image": IMAGE, "HostConfig": {"NetworkMode": "none", "CgroupParent": f"/{engine.cgroup}"}}
            client.create_container_from_config(config, f"web{number}")
    engine.cli("start", "web7")
    with Relay(engine.socket) as relay:
        for number in range(100):
            serve(shell, engine, f"web{number}", endpoint=relay.endpoint)
        found = shell.statuses()
        asked = [line.split()[1] for line in relay.requests]
    assert {name for name, (avail, _, _) in found.items() if avail == "up"} == {"web7"}
    assert len(found) == 100
    assert [re.sub(r"^/v[\d.]+", "", path).partition("?")[0] for path in asked] == [
        "/version", *["/containers/json"] * (2 if isinstance(engine, PrivatePodman) else 1),
    ]  # fmt: skip


class Relay:
    """Stands between vmsvc and an engine, counts requests, and can stop the engine just before it hears of one."""

    def __init__(self, socket_of_engine, *, stop_before=None, engine=None):
        self.requests = []
        self._directory = Path(socket_of_engine).parent
        self._socket = self._directory / "relay"
        self._socket.unlink(missing_ok=True)
        relay = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with socket.socket(socket.AF_UNIX) as there, contextlib.suppress(OSError):
                    there.connect(str(socket_of_engine))
                    back = threading.Thread(target=_pump, args=(there, self.request), daemon=True)
                    back.start()
                    while data := self.request.recv(65536):
                        relay.requests += [line.decode() for line in re.findall(rb"(?m)^(?:GET|POST) .*$", data)]
                        if stop_before is not None and stop_before.search(data):
                            engine.pause()
                        there.sendall(data)
                    there.shutdown(socket.SHUT_RDWR)

        self._server = socketserver.ThreadingUnixStreamServer(str(self._socket), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False

    @property
    def endpoint(self):
        return f"unix://{self._socket}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._socket.unlink(missing_ok=True)


def _pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)

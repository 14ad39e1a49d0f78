"""A stand-in for an engine, at its socket: it answers as docker 20.10 does, from records of the real one.

It proves the driver, not docker; ``tests/lab`` runs the driver on real engines. It shares no code with the driver.
"""

from __future__ import annotations

import contextlib
import json
import re
import socketserver
import struct
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from vmsvc_docker import DockerDriver, DockerGuest

from vmsvc.driver import Context, Node

VERSION = {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10.24+dfsg1"}
WORDS = {"running": "Up 5 seconds", "exited": "Exited (0) 5 seconds ago", "created": "Created", "dead": "Dead"}


class Engine:
    """Containers by name, and the requests that were made. ``instead`` answers for a path; ``silent`` answers nothing."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.containers: dict[str, dict] = {}
        self.volumes: dict[str, dict] = {}
        self.requests: list[str] = []
        self.instead: dict[str, tuple[int, bytes]] = {}
        self.raw: bytes | None = None
        self.server = "Docker/20.10.24 (linux)"
        self.breaks = 0
        self.silent = threading.Event()
        self.over = threading.Event()
        self.before = lambda method, path: None
        self.commands: dict[str, dict] = {}
        self.program = lambda command, say: 0

    @property
    def endpoint(self) -> str:
        return f"unix://{self.socket}"

    def add(self, name, state="running", *, health="", restart="no", host_config=None, mounts=(), **config):
        number = f"{len(self.containers) + 1:064x}"
        given = {"RestartPolicy": {"Name": restart, "MaximumRetryCount": 0}, **(host_config or {})}
        self.containers[name] = {
            "Id": number, "state": state, "health": health, "Mounts": list(mounts), "HostConfig": given,
            "Config": {"Hostname": number[:12], "Image": "svc:1", "Env": ["PATH=/bin"], "Cmd": ["/svc"], **config},
        }  # fmt: skip
        return self.containers[name]

    def state(self, name):
        return self.containers[name]["state"]

    def made(self, method):
        """The paths of the requests of a kind, without the version."""
        return [line.partition(" ")[2] for line in self.requests if line.startswith(f"{method} ")]

    # --- answers ------------------------------------------------------------------------------------------------------

    def answer(self, method, path, query, body):
        self.before(method, path)
        for pattern, answer in self.instead.items():
            if re.fullmatch(pattern, f"{method} {path}"):
                return answer
        whole = {
            "/version": VERSION,
            "/info": {"NCPU": 4, "MemTotal": 8 * 2**30},
            "/containers/json": [self._summary(name) for name in self._listed(query)],
        }
        if path in whole:
            return 200, whole[path]
        if path == "/containers/create":
            return self._create(query["name"][0], json.loads(body))
        what, _, rest = path[1:].partition("/")
        return getattr(self, f"_of_{what}")(*rest.split("/"), query, body)

    def _of_volumes(self, name, *_):
        volume = self.volumes.get(name)
        return (200, volume) if volume else (404, {"message": f"get {name}: no such volume"})

    def _of_exec(self, identity, *_):
        return 200, {key: self.commands[identity][key] for key in ("Running", "ExitCode", "Pid")}

    def _of_containers(self, identity, *verb_query_body):
        *verb, query, body = verb_query_body
        # A name, or the beginning of an id, as for docker itself.
        names = [name for name in self.containers if name == identity]
        named = names or [name for name, each in self.containers.items() if each["Id"].startswith(identity)]
        if not named:
            return 404, {"message": f"No such container: {identity}"}
        if not verb:
            del self.containers[named[0]]
            return 204, None
        return (
            self._exec(named[0], json.loads(body))
            if verb == ["exec"]
            else getattr(self, f"_{verb[0]}")(named[0], query)
        )

    def _exec(self, name, body):
        if self.state(name) != "running":
            return 409, {"message": f"Container {name} is not running"}
        identity = f"{len(self.commands) + 1:032x}"
        self.commands[identity] = {**body, "Running": False, "ExitCode": None, "Pid": 0}
        return 201, {"Id": identity}

    def run(self, identity, wfile):
        """Run a command by ``program``, which says things on a stream, and gives an exit code; ``None``: it goes on."""
        command = self.commands[identity]
        command["Running"] = True

        def say(stream, data, *, split=False):
            frame = struct.pack(">BxxxL", stream, len(data)) + data
            for piece in [frame[i : i + 1] for i in range(len(frame))] if split else [frame]:
                wfile.write(piece)
                wfile.flush()

        # The head and the first words come in one piece, as they do from an engine on a machine with much to do.
        command["Pid"] = 4711
        command["ExitCode"] = self.program(command, say)
        command["Running"] = command["ExitCode"] is None

    def _listed(self, query):
        if '"unhealthy"' in query.get("filters", [""])[0]:
            return [name for name, each in self.containers.items() if each["health"] == "unhealthy"]
        return list(self.containers)

    def _summary(self, name):
        one = self.containers[name]
        words = WORDS.get(one["state"], one["state"].title())
        if one["health"] and not self.server.startswith("Libpod"):
            words += f" ({'health: ' * (one['health'] == 'starting')}{one['health']})"
        names = [f"/other/{name}", f"/{name}"]  # as a container that links to it calls it, first
        return {
            "Id": one["Id"],
            "Names": names,
            "State": one["state"],
            "Status": words,
            "Image": "svc:1",
            "Labels": one["Config"].get("Labels"),
        }

    def _json(self, name, _query):
        one = self.containers[name]
        state = {"Status": one["state"], "Running": one["state"] == "running"}
        if one["health"]:
            state["Health"] = {"Status": one["health"], "FailingStreak": 0, "Log": []}
        kept = {key: one[key] for key in ("Id", "Mounts", "HostConfig", "Config")}
        networks = {"bridge": {"Aliases": None, "IPAddress": "172.17.0.2", "NetworkID": "c84706"}}
        return 200, {**kept, "Name": f"/{name}", "State": state, "NetworkSettings": {"Networks": networks}}

    def _create(self, name, body):
        if name in self.containers:
            return 409, {"message": f'Conflict. The container name "/{name}" is already in use'}
        if body["Image"] != "svc:1":
            return 404, {"message": f"No such image: {body['Image']}"}
        given = body.pop("HostConfig", {})
        one = self.add(name, "created", host_config=given, **body)
        return 201, {"Id": one["Id"], "Warnings": []}

    def _start(self, name, _query):
        one = self.containers[name]
        if one["state"] == "paused":
            return 409, {"message": "cannot start a paused container, try unpause instead"}
        if one["state"] == "running":
            return 304, None
        one["state"] = "running"
        return 204, None

    def _kill(self, name, query):
        one = self.containers[name]
        if one["state"] not in ("running", "paused", "restarting", "stopping"):
            return 409, {"message": f"Container {one['Id']} is not running"}
        one["state"] = "exited"
        one["signal"] = query["signal"][0]
        return 204, None

    def _stop(self, name, query):
        self.containers[name]["patience"] = int(query["t"][0])
        self.containers[name]["state"] = "stopping"
        self.over.wait(30)  # podman answers when the container has ended
        return 204, None

    def _unpause(self, name, _query):
        self.containers[name]["state"] = "running"
        return 204, None


def _handler(engine: Engine) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self):
            if engine.silent.is_set():
                engine.over.wait(30)
                self.close_connection = True
                return
            if engine.raw is not None:
                self.wfile.write(engine.raw)
                self.close_connection = True
                return
            parts = urlsplit(self.path)
            path = re.sub(r"^/v[\d.]+", "", parts.path)
            engine.requests.append(f"{self.command} {path}")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if engine.breaks:
                engine.breaks -= 1
                self.close_connection = True
                return
            if found := re.fullmatch(r"/exec/(\w+)/start", path):
                self.wfile.write(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
                engine.run(found[1], self.wfile)
                self.close_connection = True
                return
            status, answer = engine.answer(self.command, path, parse_qs(parts.query), body)
            data = answer if isinstance(answer, bytes) else b"" if answer is None else json.dumps(answer).encode()
            self.send_response_only(status)
            self.send_header("Server", engine.server)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = _do  # noqa: N815 - the base looks for methods of these names

        def address_string(self):
            return ""

        def log_message(self, *_):
            pass

        def handle(self):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                super().handle()

    return Handler


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False


@contextlib.contextmanager
def _engine() -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(prefix="dk-", dir="/tmp") as directory:  # the path of a socket must be short
        engine = Engine(Path(directory, "s"))
        with _Server(str(engine.socket), _handler(engine)) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield engine
            finally:
                engine.over.set()
                server.shutdown()
                thread.join()


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine without containers."""
    with _engine() as engine:
        yield engine


@pytest.fixture
def another_engine() -> Iterator[Engine]:
    with _engine() as engine:
        yield engine


@pytest.fixture
def guest(engine) -> DockerGuest:
    return DockerGuest(
        service="web", rid="container#1", kind="container", type="docker", name="web", docker_host=engine.endpoint
    )


@pytest.fixture
def driver(tmp_path) -> Iterator[DockerDriver]:
    node = Node(name="n1", root=tmp_path)
    driver = DockerDriver(Context(node=node, host=SimpleNamespace(name="n1"), state_dir=tmp_path / "state"))
    yield driver
    driver.close()

"""Containers: the status of all services, on a dockerd of their own with that many, none of which runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.measure import Unavailable, timed
from benchmarks.run import Run
from benchmarks.table import Figure, Row
from lab import LabError
from lab.dockerd import PrivateDockerd
from lab.engine import IMAGE
from vmsvc import Session

_SERVICE = """\
[DEFAULT]
nodes = n1 n2

[container#1]
type = docker
name = {name}
docker_host = {endpoint}
"""
#: The ratios are promised where there is much to look at; with few containers, starting up is what is measured.
_MANY = 100


def measure(run: Run) -> Iterator[Row]:
    """Compare looks at all containers with ``docker ps -a``, and count the requests that they make.

    Args:
        run: The run.

    Raises:
        Unavailable: There is no dockerd here, or no SDK of docker's.
    """
    with ExitStack() as ending:
        try:
            sdk, requests = import_module("docker"), import_module("requests")
            daemon = ending.enter_context(PrivateDockerd())
        except (ImportError, LabError) as error:
            raise Unavailable(str(error)) from error
        client = ending.enter_context(closing(sdk.APIClient(base_url=daemon.endpoint, version="auto")))
        root = run.directory / "root"
        (root / "etc/vmsvc/services").mkdir(parents=True, exist_ok=True)
        session = ending.enter_context(Session({"VMSVC_ROOT": str(root), "VMSVC_NODENAME": "n1"}))
        there = 0
        for size in run.sizes:
            for number in range(there, size):
                _add(client, daemon.endpoint, root, f"web{number:04}")
            there = max(there, size)
            yield from _rows(run, session, daemon.endpoint, size)
            yield _requests(session, requests, size)


def _add(client: Any, endpoint: str, root: Path, name: str) -> None:
    client.create_container_from_config({"Image": IMAGE, "HostConfig": {"NetworkMode": "none"}}, name)
    (root / f"etc/vmsvc/services/{name}.conf").write_text(_SERVICE.format(name=name, endpoint=endpoint))


def _rows(run: Run, session: Session, endpoint: str, size: int) -> Iterator[Row]:
    listing = run.command("docker", "-H", endpoint, "ps", "-a")
    services = [session.load(name) for name in session.services()]

    def look() -> None:
        session.statuses(services)

    def read_and_look() -> None:
        session.statuses(session.load(name) for name in session.services())

    limit = 2.0 if size >= _MANY else None
    yield run.compare("statuses()", timed(look), "docker ps -a", listing, size=size, at_most=limit)
    yield run.compare("load() and statuses()", timed(read_and_look), "docker ps -a", listing, size=size)
    both = "docker ps -a + python -c 'import docker'"
    sdk, status = run.python("import docker"), run.vmsvc("status")
    yield run.compare("vmsvc status", status, both, listing, sdk, size=size, at_most=limit)


def _requests(session: Session, requests: Any, size: int) -> Row:
    """How many requests one look makes: all of them go through one method."""
    made: list[str] = []
    send = requests.Session.send

    def counted(client: Any, request: Any, **options: Any) -> Any:
        made.append(request.url)
        return send(client, request, **options)

    requests.Session.send = counted
    try:
        session.statuses(session.load(name) for name in session.services())
    finally:
        requests.Session.send = send
    return Row(what="statuses()", size=size, value=Figure.of([len(made)]), unit="requests", at_most=1)

"""What a service file says about a container, and what its engine's address tells."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from vmsvc.driver import Guest, Value, argv, boolean, line, option

#: Where docker listens unless somebody says otherwise.
USUAL_ENDPOINT = "unix:///var/run/docker.sock"

_SCHEMES = ("unix", "tcp", "ssh", "http", "https")
_VARIABLE = re.compile(r"[^=\s]+=.*", re.DOTALL)
_ACCESS = re.compile(r"r?w?m?", re.ASCII)


def _endpoint(raw: Any) -> str:
    value = line.parse(raw).strip()
    if not value:
        return value
    shown = without_password(value)
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        why = "" if value != shown else f": {error}"  # the library's words may have the password in them
        raise ValueError(f"{shown!r} is not the address of an engine{why}") from None
    if value != shown:
        raise ValueError(
            f"{shown!r} with a user or password, which every status would show; engines take certificates "
            "(DOCKER_CERT_PATH), and ssh:// a user alone"
        )
    has_place = parts.path.startswith("/") if parts.scheme == "unix" else bool(parts.hostname)
    if parts.scheme not in _SCHEMES or not has_place:
        raise ValueError(f"{shown!r} is not the address of an engine, such as {USUAL_ENDPOINT} or tcp://host:2376")
    return value


def without_password(address: str) -> str:
    """An engine's address as it may be shown: with no password, and with no user but that of ssh.

    Args:
        address: The address, or what somebody took for one.

    >>> without_password("tcp://admin:secret@n2:2376"), without_password("ssh://root:secret@n2")
    ('tcp://n2:2376', 'ssh://root@n2')
    >>> without_password("ssh://root@n2"), without_password("unix:///run/a@b.sock")
    ('ssh://root@n2', 'unix:///run/a@b.sock')
    """
    scheme, mark, rest = address.partition("://")
    place, slash, path = rest.partition("/")
    user, at, host = place.rpartition("@")
    if not at and not slash and "@" in scheme:  # what lacks the scheme is no address, and may have a password in it
        return scheme.rpartition("@")[2]
    kept = f"{user.partition(':')[0]}@" if at and scheme == "ssh" else ""
    return f"{scheme}{mark}{kept}{host}{slash}{path}"


def _environment(raw: Any) -> tuple[str, ...]:
    found = argv.parse(raw)
    if wrong := [each for each in found if not _VARIABLE.fullmatch(each)]:
        raise ValueError(f"{', '.join(map(repr, wrong))}: expected NAME=VALUE")
    return found


def _volumes(raw: Any) -> tuple[str, ...]:
    found = argv.parse(raw)
    for each in found:
        source, _, rest = each.partition(":")
        if not source or not rest.startswith("/"):
            raise ValueError(f"{each!r}: expected SOURCE:/PATH or SOURCE:/PATH:ro, a source being a path or a volume")
    return found


def _devices(raw: Any) -> tuple[str, ...]:
    found = argv.parse(raw)
    for each in found:
        outside, _, rest = each.partition(":")
        inside, _, access = rest.partition(":")
        if not outside.startswith("/") or (rest and not inside.startswith("/")) or not _ACCESS.fullmatch(access):
            raise ValueError(f"{each!r}: expected /dev/NAME, /dev/NAME:/dev/INSIDE or /dev/NAME:/dev/INSIDE:rwm")
    return found


endpoint: Value[str] = Value(f"an engine's address such as {USUAL_ENDPOINT}", _endpoint)
environment: Value[tuple[str, ...]] = Value("NAME=VALUE words; quotes keep blanks together", _environment)
volumes: Value[tuple[str, ...]] = Value("SOURCE:/PATH words, each with :ro where it is read-only", _volumes)
devices: Value[tuple[str, ...]] = Value("device paths, each with :/dev/INSIDE where its name differs", _devices)


@frozen(kw_only=True, eq=False, repr=False)  # the base compares and shows all fields
class DockerGuest(Guest):
    """A container of docker, or of podman by its compatible API."""

    docker_host: str = option(
        endpoint,
        default="",
        inherited=True,
        identifies=True,
        help="Which engine runs the container: docker's or podman's socket. Else the environment's DOCKER_HOST, or "
        f"{USUAL_ENDPOINT}.",
    )
    image: str = option(
        line,
        default="",
        help="The image of which a start makes the container, where the engine has none of that name; the image itself "
        "must be there, since nothing is ever pulled. The keys that follow describe such a container.",
    )
    command: tuple[str, ...] = option(argv, default=(), help="What the container runs, instead of its image's command.")
    entrypoint: tuple[str, ...] = option(argv, default=(), help="The entry point, instead of its image's.")
    environment: tuple[str, ...] = option(environment, default=(), help="Variables of its environment.")
    volumes: tuple[str, ...] = option(volumes, default=(), help="Directories and volumes that it sees.")
    devices: tuple[str, ...] = option(devices, default=(), help="Devices of the node that it is handed.")
    network: str = option(
        line, default="", help="Its network: bridge, host, none, a network's name, or container:NAME."
    )
    privileged: bool = option(boolean, default=False, help="Whether it may do whatever root of the node may.")

    @property
    def endpoint(self) -> str:
        """The address of its engine. It is shown wherever the engine is told of, and so has no password."""
        return self.docker_host or without_password(os.environ.get("DOCKER_HOST", "")) or USUAL_ENDPOINT

    @property
    def is_local(self) -> bool:
        """Whether its engine, and so its disks, are on this machine."""
        return is_local(self.endpoint)


def is_local(endpoint: str) -> bool:
    """Whether an address means an engine on this machine.

    Args:
        endpoint: An engine's address.
    """
    return endpoint.startswith("unix:")

"""What a container is made of: by a service file, by an inspection, or as a service keeps it. Pure.

The form is JSON, with the body of a request to make a container, as the API takes it:
https://docs.docker.com/reference/api/engine/ (ContainerCreate).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from vmsvc.driver import DefinitionFields, DriverError
from vmsvc_docker.containers import MADE_OF, Inspected, mapping
from vmsvc_docker.options import DockerGuest

# How an engine calls a container without a host name of its own: by the beginning of its id.
_SHORT_ID = 12
_DIGEST_LENGTH = 16
# What tells of a network that it is joined, and not what came of that for one run.
_OF_ENDPOINTS = ("IPAMConfig", "Links", "Aliases", "DriverOpts")
# What podman adds to the environment of a container of root's that has none of these when it first starts.
_ROOT, _HOME_OF_ROOT = ("", "0", "root"), "HOME=/root"
# Lists of `NAME=VALUE` words; those of environments hold passwords.
_VARIABLES = "Env"


@frozen(kw_only=True)
class Definition:
    """A container's definition.

    Attributes:
        name: Its name.
        made_of: What it is made of, as the API takes it.
    """

    name: str
    made_of: Mapping[str, Any]

    def text(self) -> str:
        """The form that is kept."""
        return json.dumps({"name": self.name, "made_of": self.made_of}, indent=2, sort_keys=True) + "\n"


def of_guest(guest: DockerGuest) -> Definition:
    """The container that a service file describes; the engine never starts it by itself.

    Args:
        guest: A guest with an image.
    """
    given: dict[str, Any] = {
        "Binds": list(guest.volumes),
        "Devices": [_device(each) for each in guest.devices],
        "NetworkMode": guest.network,
        "Privileged": guest.privileged,
        "RestartPolicy": {"Name": "no"},
    }
    made_of: dict[str, Any] = {
        "Image": guest.image,
        "Cmd": list(guest.command),
        "Entrypoint": list(guest.entrypoint),
        "Env": list(guest.environment),
    }
    body = {**_told(made_of), "HostConfig": _told(given)}
    labels = {"vmsvc.service": guest.service, "vmsvc.rid": guest.rid, MADE_OF: _digest(body)}
    return Definition(name=guest.name, made_of={**body, "Labels": labels})


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:_DIGEST_LENGTH]


def _told(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Only what says something: the rest is the image's or the engine's to choose."""
    return {key: value for key, value in keys.items() if value not in ("", [], False)}


def _device(text: str) -> dict[str, str]:
    outside, _, rest = text.partition(":")
    inside, _, access = rest.partition(":")
    return {"PathOnHost": outside, "PathInContainer": inside or outside, "CgroupPermissions": access or "rwm"}


def of_container(container: Inspected) -> Definition:
    """The definition of a container that is there, complete with the passwords of its environment.

    Args:
        container: The container.
    """
    made_of = dict(container.config)
    if made_of.get("Hostname") == container.seen.id[:_SHORT_ID]:
        del made_of["Hostname"]
    if made_of.get(_VARIABLES):  # podman writes that name down here, too, once the container has been started
        named = f"HOSTNAME={container.seen.id[:_SHORT_ID]}"
        made_of[_VARIABLES] = [word for word in made_of[_VARIABLES] if word != named]
    given = dict(container.host_config)
    if given.get("NanoCpus"):  # podman tells one limit in two ways, and would refuse both
        given.pop("CpuQuota", None)
        given.pop("CpuPeriod", None)
    made_of["HostConfig"] = given
    networks = mapping(mapping(container.facts, "NetworkSettings"), "Networks")
    endpoints = {name: _endpoint(mapping(networks, name), container.seen.id) for name in networks}
    if endpoints:
        made_of["NetworkingConfig"] = {"EndpointsConfig": endpoints}
    return Definition(name=container.seen.name, made_of=made_of)


def _endpoint(network: Mapping[str, Any], identity: str) -> dict[str, Any]:
    kept = {key: network[key] for key in _OF_ENDPOINTS if network.get(key)}
    if "Aliases" in kept:
        kept["Aliases"] = [alias for alias in kept["Aliases"] if alias != identity[:_SHORT_ID]]
    return {key: value for key, value in kept.items() if value}


def read(text: str, *, origin: str) -> Definition:
    """Read a definition in the form that is kept.

    Args:
        text: The definition.
        origin: Where it comes from, for the error.

    Raises:
        DriverError: It is none.
    """
    try:
        facts = json.loads(text)
        name, made_of = facts["name"], facts["made_of"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DriverError(f"{origin} does not define a container: {error!r}", code="driver.definition") from None
    if not isinstance(name, str) or not isinstance(made_of, dict):
        raise DriverError(f"{origin} does not define a container", code="driver.definition")
    return Definition(name=name, made_of=made_of)


def fields(text: str, *, origin: str) -> DefinitionFields:
    """What a definition says, field by field.

    Args:
        text: A definition in the form that is kept.
        origin: Where it comes from, for the error.

    Returns:
        Fields such as ``Image``, ``Env[PATH]`` and ``HostConfig/Binds[/data]``.

    Raises:
        DriverError: It is none.
    """
    definition = read(text, origin=origin)
    made_of = dict(definition.made_of)
    if str(made_of.get("User") or "").partition(":")[0] in _ROOT and isinstance(made_of.get(_VARIABLES), list):
        made_of[_VARIABLES] = [word for word in made_of[_VARIABLES] if word != _HOME_OF_ROOT]
    values = dict(_fields("", made_of))
    secret = frozenset(path for path in values if path.startswith(f"{_VARIABLES}["))
    return DefinitionFields(values={"name": definition.name, **values}, secret=secret)


def _fields(path: str, part: Any) -> Iterator[tuple[str, str]]:
    """The fields of a part. What is empty says nothing: engines write it in several ways, or not at all."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            # A key with a slash, as those of labels and ports may have, must not look like two.
            yield from _fields(f"{path}[{key}]" if "/" in key else f"{path}/{key}".lstrip("/"), value)
    elif path == _VARIABLES and isinstance(part, list):
        for word in map(str, part):
            name, _, value = word.partition("=")
            yield f"{path}[{name}]", value
    elif path == "HostConfig/Binds" and isinstance(part, list):
        for word in map(str, part):
            source, _, rest = word.partition(":")
            inside, _, access = rest.partition(":")
            yield f"{path}[{inside or source}]", f"{source} {access}".strip()
    elif part not in (None, "", [], False, 0):
        yield path, part if isinstance(part, str) else json.dumps(part, sort_keys=True)

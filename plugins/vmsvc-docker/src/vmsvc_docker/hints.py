"""What people may do about an engine that is not to be had. Pure."""

from __future__ import annotations

import errno
import shlex

from vmsvc_docker.options import USUAL_ENDPOINT, is_local

_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
_NOBODY_LISTENS = frozenset({errno.ENOENT, errno.ECONNREFUSED})


def no_connection(endpoint: str, system_error: int | None) -> str:
    """What to do about a connection that was not to be had.

    Args:
        endpoint: What was to be connected to.
        system_error: The ``errno`` behind it, where there is one.

    Returns:
        A few words, and the command to try.
    """
    attempt = f"`{by_hand(endpoint, 'version')}`"
    if system_error in _FORBIDDEN:
        return "run it as root, or as a member of the socket's group (docker's is called docker)"
    if not is_local(endpoint):
        return f"is `docker_host` right, its host reachable, and the engine running there? {attempt}"
    if system_error in _NOBODY_LISTENS:
        running = "is the engine running here? `systemctl status docker` (or `podman.socket`)"
        return running if endpoint == USUAL_ENDPOINT else f"{running}; and is the key `docker_host` right?"
    return f"to try by hand: {attempt}"


def not_started(endpoint: str, name: str) -> str:
    """What to do about a container that the engine refuses to start.

    Args:
        endpoint: The engine.
        name: The container's name.
    """
    more = f"`{by_hand(endpoint, 'inspect', name)}` and the engine's own log tell more"
    return f"{more}; of a task that exists already, the engine has lost track: restart containerd, then the engine"


def by_hand(endpoint: str, *words: str) -> str:
    """A command for people to type.

    Args:
        endpoint: The engine that it is about.
        words: What ``docker`` is to do.
    """
    host = () if endpoint == USUAL_ENDPOINT else ("-H", endpoint)
    return shlex.join(("docker", *host, *words))

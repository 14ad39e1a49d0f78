"""What people may do about an engine that is not to be had, and about a name that it does not know. Pure."""

from __future__ import annotations

import errno
import shlex
from collections.abc import Collection

from vmsvc_docker.options import USUAL_ENDPOINT, is_local

_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
_NOBODY_LISTENS = frozenset({errno.ENOENT, errno.ECONNREFUSED})

# Comparing takes time, and a status call has little: among more containers than these, nothing is suggested.
_MOST_COMPARED = 500


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


def by_hand(endpoint: str, *words: str) -> str:
    """A command for people to type.

    Args:
        endpoint: The engine that it is about.
        words: What ``docker`` is to do.
    """
    host = () if endpoint == USUAL_ENDPOINT else ("-H", endpoint)
    return shlex.join(("docker", *host, *words))


def similar(name: str, names: Collection[str]) -> str:
    """The container that was probably meant.

    Args:
        name: A name that no container has.
        names: Those that containers have.

    Returns:
        ``did you mean 'web1'?``; empty where none is near.
    """
    if len(names) > _MOST_COMPARED:
        return ""
    import difflib  # noqa: PLC0415 - right names need none of it

    by_folded = {one.casefold(): one for one in names}
    near = difflib.get_close_matches(name.casefold(), by_folded, n=1)
    return f"did you mean {by_folded[near[0]]!r}?" if near else ""

"""Why there was no way in: what the network, the server or paramiko said, in words, and what to do about it."""

from __future__ import annotations

import errno
import socket
from typing import Any

import paramiko
from attrs import frozen
from paramiko.auth_strategy import AuthFailure
from paramiko.ssh_exception import IncompatiblePeer

from vmsvc.core.errors import NoWayIn, told
from vmsvc.core.transport.command import printable

_LOOK_AT_THE_LOG = "its sshd's log says why"

#: For each kind of error a word for its code, a sentence and a hint; the first that fits is taken.
_KINDS: tuple[tuple[type[Exception], str, str, str], ...] = (
    (
        socket.gaierror,
        "no-name",
        "the name {host} cannot be resolved: {why}",
        "mend the name service, or give an address (HostName)",
    ),
    (
        ConnectionRefusedError,
        "refused",
        "nothing listens on {place}",
        "sshd does not run there, or not yet, or on another port",
    ),
    (
        TimeoutError,
        "timeout",
        "{place} does not answer",
        "it is down, or hangs, or a firewall drops what is sent to it",
    ),
    (ConnectionError, "closed", "{place} has closed the connection before anybody was logged in", _LOOK_AT_THE_LOG),
    (EOFError, "closed", "{place} has closed the connection before anybody was logged in", _LOOK_AT_THE_LOG),
    (OSError, "no-route", "{place} cannot be reached: {why}", "look at its address, and at the routes (ip route get)"),
    (paramiko.AuthenticationException, "denied", "{place} does not let {user} in: {why}", ""),
    (paramiko.ChannelException, "jump", "the jump host does not connect to {place}: {why}", _LOOK_AT_THE_LOG),
    (IncompatiblePeer, "incompatible", "{place} speaks no ssh that vmsvc speaks: {why}", "is it older than ten years?"),
    (
        paramiko.SSHException,
        "no-server",
        "what listens on {place} is no ssh server, or turns everybody away: {why}",
        "another service may have this port; with an sshd, its log says why (MaxStartups, hosts.deny)",
    ),
    (Exception, "failed", "no connection to {place}: {why}", ""),
)


@frozen
class Place:
    """A server, for messages.

    Attributes:
        user: Who logs in.
        host: Its name or address, as the configuration gives it.
        port: Its port.
    """

    user: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"port {self.port} of {self.host}"


def refusal(error: Exception, place: Place, proxy_end: str = "") -> NoWayIn:
    """Put into words why a connection could not be opened.

    Args:
        error: What was raised.
        place: Where to.
        proxy_end: How the ``ProxyCommand`` on the way there has ended, in words; empty where there is none, or it runs.
    """
    error = _meant(error)
    if proxy_end and not isinstance(error, paramiko.AuthenticationException):
        return NoWayIn(
            f"the ProxyCommand to {place} has closed the connection before anybody was logged in: {proxy_end}",
            code="undetermined.ssh-proxy",
            hint="run by hand, it is to show the greeting of the ssh server there: SSH-2.0-…",
        )
    _, word, sentence, hint = next(kind for kind in _KINDS if isinstance(error, kind[0]))
    return NoWayIn(
        sentence.format(place=place, host=place.host, user=place.user, why=printable(_why(error))),
        code=f"undetermined.ssh-{word}",
        hint=hint or f"compare: ssh -o BatchMode=yes -p {place.port} {place.user}@{place.host} true",
    )


def _meant(error: Exception) -> Exception:
    """What paramiko means: it has no kinds of its own for deadlines."""
    if isinstance(error, paramiko.SSHException) and str(error) in ("No existing session", "Timeout opening channel."):
        return TimeoutError()
    if isinstance(error, OSError) and error.errno == errno.ETIMEDOUT:
        return TimeoutError()
    return error


def _why(error: Exception) -> str:
    if isinstance(error, AuthFailure):
        return _why_denied(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or told(error)


def _why_denied(failure: AuthFailure) -> str:
    result: Any = failure.result
    offered = ", ".join(attempt.source.name for attempt in result)
    unusable = "; ".join(result.strategy.unusable)
    wanted = {kind for attempt in result for kind in getattr(attempt.result, "allowed_types", [])}
    return "".join(
        (
            f"it took none of these keys: {offered}" if offered else "there is no key to offer",
            f"; not offered: {unusable}" if unusable else "",
            f"; it wants: {', '.join(sorted(wanted))}" if wanted else "",
        )
    )

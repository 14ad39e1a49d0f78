"""Ask from this node whether an address answers, and who it is that answers; by ping(8) and ip(8), as root or not."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from typing import Any

from vmsvc.core.errors import VmsvcError
from vmsvc.core.ips.halves import Found, Half
from vmsvc.core.ips.links import C_LOCALE
from vmsvc.core.transport import Host, Outcome
from vmsvc.core.transport.command import said_last

#: How long an answer is waited for where none is expected, in seconds.
UNEXPECTED_S = 1.0
#: How long ping may take to start, where who asks has no more time than that, in seconds.
START_S = 0.4
#: How long a command of the node may take beyond what it waits for, in seconds.
_SPARE_S = 1.5
#: How long the kernel may take to tell a route or a neighbour, in seconds.
_TELL_S = 1.5
#: How often the kernel is asked whether a neighbour has answered, in seconds.
_POLL_S = 0.05
_UNSEEN = "its MAC is not to be seen from here"
#: What Solaris and illumos say without ``-s``: usr/src/cmd/cmd-inet/usr.sbin/ping in illumos-gate.
_ALIVE, _NO_ANSWER = re.compile(r"^\S+ is alive$", re.MULTILINE), re.compile(r"^no answer from \S+$", re.MULTILINE)
#: iputils says "1 received", busybox "1 packets received".
_RECEIVED = re.compile(r"\d+ packets transmitted, (\d+) (?:packets )?received")
_TIME = re.compile(r"time[=<]([\d.]+) ms")


def ping(host: Host, address: str, *, wait_s: float) -> Half:
    """Send echo requests, one a second, until one is answered or the time is up.

    Args:
        host: Where to send them from.
        address: Whom to send them to.
        wait_s: How long to wait for an answer at most, in seconds; ping counts in whole ones, and at least one.

    Returns:
        Whether it answers; whatever keeps ping from asking leaves that unknown.
    """
    whole = max(int(wait_s), 1)
    try:
        outcome = host.run(_command(address, whole), budget_s=whole + _SPARE_S, environment=C_LOCALE)
    except VmsvcError as error:
        return Half(Found.UNKNOWN, f"ping could not ask: {error.message}")
    return _heard(outcome)


def _command(address: str, whole_s: int) -> list[str]:
    """Both forms send a request a second, and end with the first answer."""
    if os.uname().sysname == "SunOS":
        return ["ping", "-A", "inet6" if ":" in address else "inet", "-n", address, str(whole_s)]
    return ["ping", "-6" if ":" in address else "-4", "-n", "-c", "1", "-w", str(whole_s), address]


def _heard(outcome: Outcome) -> Half:
    if _ALIVE.search(outcome.out) and outcome.code == 0:
        return Half(Found.YES, "ping answers")
    if _NO_ANSWER.search(outcome.out) and outcome.code == 1:
        return Half(Found.NO, "ping does not answer")
    received = _RECEIVED.search(outcome.out)
    if received and int(received[1]) and outcome.code == 0:
        time = _TIME.search(outcome.out)
        return Half(Found.YES, f"ping answers in {float(time[1]):.1f} ms" if time else "ping answers")
    if received and not int(received[1]) and outcome.code == 1:
        return Half(Found.NO, "ping does not answer")
    words = f"ping could not ask: it exited with {outcome.code}{said_last(outcome.stderr, outcome.stdout)}"
    return Half(Found.UNKNOWN, words)


def who_has(host: Host, address: str) -> str:
    """Who has an address that has just answered, in words.

    Args:
        host: The node that heard the answer.
        address: The address.

    Returns:
        The MAC and the adapter where it was heard; or why it cannot be seen, as behind a router.
    """
    bare = address.partition("%")[0]
    route = _told(host, ["ip", "-j", "route", "get", bare])
    if any(each.get("type") == "local" for each in route):
        return "this node itself has it"
    routers = [str(each["gateway"]) for each in route if each.get("gateway")]
    if routers:
        return f"it is behind the router {routers[0]}, so its MAC is not to be seen"
    return _neighbour(host, bare) or _UNSEEN


def who_has_on(host: Host, address: str, adapter: str) -> str:
    """Who in an adapter's network has an address, wherever this node's routes lead to; in words.

    Args:
        host: The node, of Linux.
        address: The address; the node itself must not have it, or its kernel listens to nobody.
        adapter: The adapter.

    Returns:
        The MAC and the adapter; or that it cannot be seen.
    """
    # This asks, without a packet that would need a route: ip-neighbour(8).
    _told(host, ["ip", "neigh", "replace", address, "dev", adapter, "use"])
    deadline = time.monotonic() + UNEXPECTED_S
    while not (words := _neighbour(host, address)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return words or _UNSEEN


def _neighbour(host: Host, address: str) -> str:
    for each in _told(host, ["ip", "-j", "neigh", "show", "to", address]):
        if each.get("lladdr"):
            return f"{each['lladdr']} on {each.get('dev', 'an adapter')} has it"
    return ""


def _told(host: Host, argv: Sequence[str]) -> list[dict[str, Any]]:
    """What ``ip -j`` tells; nothing where it fails, as it only adds to what is known."""
    try:
        outcome = host.run(argv, budget_s=_TELL_S, environment=C_LOCALE)
        told: Any = json.loads(outcome.out or "[]")
    except (VmsvcError, ValueError):
        return []
    return [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []

"""Ask from this node whether an address answers; by ping(8), as root or not."""

from __future__ import annotations

import errno
import os
import re

from vmsvc.core.errors import VmsvcError
from vmsvc.core.ips.halves import Found, Half
from vmsvc.core.ips.links import C_LOCALE
from vmsvc.core.transport import Host, Outcome
from vmsvc.core.transport.command import said_last
from vmsvc.core.transport.echo import answering

#: How long an answer is waited for where none is expected, in seconds.
UNEXPECTED_S = 1.0
#: How long ping may take to start, where who asks has no more time than that, in seconds.
START_S = 0.4
#: How long a command of the node may take beyond what it waits for, in seconds.
_SPARE_S = 1.5
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
    half = _heard(outcome)
    if half.found is Found.NO and (why := _kept_in(address)):
        return Half(Found.UNKNOWN, f"ping could not ask: {why}")
    return half


def _kept_in(address: str) -> str:
    """That this node's own firewall lets no request out, of which ping(8) may say nothing; empty where it does."""
    try:
        why = answering([address], wait_s=0.0).unasked.get(address, "")
    except OSError:  # who may not send them itself is left with what ping(8) says
        return ""
    return why if why == os.strerror(errno.EPERM) else ""


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

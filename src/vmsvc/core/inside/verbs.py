"""What vmsvc asks of guests: a handful of verbs, which one shell script knows, whatever the way in.

Where a way lets any command in, the script goes with each request. A restricted way has the script at its other end,
as the forced command of vmsvc's own ssh key, and is sent the verb alone. Both ends speak the same, so what works by the
one works by the other.
"""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Protocol, runtime_checkable

from vmsvc.core.errors import ActionFailed, NoWayIn, Undetermined, UsageError, VmsvcError
from vmsvc.core.transport import Host, Outcome
from vmsvc.core.transport.command import printable

#: What the script calls itself; the first word of every request on a restricted way.
NAME = "vmsvc-guest"
#: What it says to `hello`: its name, and the version of this way to talk.
GREETING = f"{NAME} 1"

#: Brings the script along: as an argument it would be in the way in every message.
_VARIABLE = "VMSVC_VERBS"
_PLAIN = frozenset(string.ascii_letters + string.digits + "_./=-")
_REFUSED, _FAILED = 126, 125
#: A launch is known by this variable in the environment of its processes; ending it takes a few seconds.
_MARK, _END_S = "VMSVC_LAUNCH", 6.0


@cache
def script() -> str:
    """The script that knows the verbs: to be sent along, or to be installed as a key's forced command.

    Installed, it is run by ``sh`` with ``permit`` and the directories of launchers that the key is for.
    """
    return files("vmsvc.core.inside").joinpath("verbs.sh").read_text(encoding="utf-8")


def encoded(word: str) -> str:
    """A word as the script takes it: without a character that means anything to any shell.

    Args:
        word: The word; what :func:`os.fsdecode` makes of undecodable bytes is sent as those bytes.

    Returns:
        The word with ``%`` and three octal digits for each byte that is no letter, no digit, and none of ``_./=-``.

    Raises:
        UsageError: It is empty, or has a NUL character in it.

    >>> encoded("S10 web")
    'S10%040web'
    """
    if not word or "\0" in word:
        raise UsageError(f"{word!r} cannot be sent to a guest: it is empty, or has a NUL character in it")
    return "".join(
        chr(byte) if chr(byte) in _PLAIN else f"%{byte:03o}" for byte in word.encode(errors="surrogateescape")
    )


@runtime_checkable
class Restricted(Protocol):
    """A host whose way in may let nothing in but the verbs; that shows when it is open."""

    is_restricted: bool

    def open(self, *, budget_s: float) -> None:
        """Open the way, unless it is open."""


def is_restricted(host: Host, *, budget_s: float) -> bool:
    """Whether the way to a host lets nothing in but the verbs.

    Args:
        host: The inside of a guest.
        budget_s: How long it may take to open the way, in seconds.

    Raises:
        NoWayIn: It cannot be opened.
    """
    if not isinstance(host, Restricted):
        return False
    host.open(budget_s=budget_s)
    return host.is_restricted


def ask(
    host: Host, verb: str, *arguments: str, budget_s: float, environment: Mapping[str, str] | None = None
) -> Outcome:
    """Have a guest do a verb.

    Args:
        host: The inside of the guest.
        verb: ``hello``, ``addresses``, ``launchers DIRECTORY``, ``launch DIRECTORY NAME ACTION`` or ``end MARK``.
        arguments: What belongs to it.
        budget_s: How long it may take, in seconds.
        environment: Variables for a launcher; their names begin with ``VMSVC_`` or ``OPENSVC_``.

    Returns:
        What the verb left behind. For ``launch`` that is the launcher's own, whatever its exit code.

    Raises:
        UsageError: An argument cannot be sent.
        ActionFailed: The guest's end refused it, or could not do it at all.
        NoWayIn: Nothing was run.
        Undetermined: The budget was spent, or the way broke.
    """
    variables = [f"{name}={value}" for name, value in (environment or {}).items()]
    words = [NAME, verb, *map(encoded, [*arguments, *variables])]
    deadline = time.monotonic() + budget_s
    if is_restricted(host, budget_s=budget_s):
        outcome = _run_restricted(host, words, budget_s=deadline - time.monotonic())
    else:
        argv = ["sh", "-c", f'eval "${_VARIABLE}"', *words]
        outcome = host.run(argv, budget_s=deadline - time.monotonic(), environment={_VARIABLE: script()})
    complaint = _complaint(outcome)
    if outcome.code in (_REFUSED, _FAILED) and complaint:
        raise ActionFailed(
            f"{host.name}: {verb}: {complaint}",
            code="action.refused-inside" if outcome.code == _REFUSED else "action.failed-inside",
        )
    return outcome


def _run_restricted(host: Host, words: list[str], *, budget_s: float) -> Outcome:
    """Have the other end do a verb. A way that lets in verbs alone ends no commands, so that is one of the verbs."""
    mark = secrets.token_hex(16) if words[1] == "launch" else ""
    try:
        return host.run([*words, f"{_MARK}={mark}"] if mark else words, budget_s=budget_s)
    except NoWayIn:
        raise
    except Undetermined as error:
        if error.code != "undetermined.timeout":
            raise
        fate = _end(host, mark) if mark else "it goes on: this key ends launchers alone"
        raise Undetermined(f"{error.message}; {fate}", code=error.code, hint=error.hint) from None


def _end(host: Host, mark: str) -> str:
    """End what is left of a launch; tells what has become of it."""
    try:
        outcome = host.run([NAME, "end", mark], budget_s=_END_S)
    except VmsvcError as error:
        return f"it may go on: {error.message}"
    return f"it goes on: {_complaint(outcome) or outcome.code}" if outcome.code else "it was killed"


def _complaint(outcome: Outcome) -> str:
    """What the script itself says of why it did nothing. A guest's shell may have said something before."""
    mark = f"{NAME}: ".encode()
    last = outcome.stderr.strip().rpartition(b"\n")[2]
    return printable(last.removeprefix(mark).decode(errors="backslashreplace")) if last.startswith(mark) else ""

"""What vmsvc asks of others: a handful of verbs, which one shell script knows, whatever the way to its host.

Where a way lets any command in, the script goes with each request. A restricted way has the script at its other end,
as the forced command of vmsvc's own ssh key, and is sent the verb alone. Both ends speak the same, so what works by the
one works by the other.
"""

from __future__ import annotations

import string
import time
from collections.abc import Mapping
from importlib.resources import files
from typing import Protocol, runtime_checkable

from attrs import frozen

from vmsvc.core.errors import ActionFailed, UsageError, VmsvcError
from vmsvc.core.transport import Host, Outcome
from vmsvc.core.transport.command import printable, shown

#: Brings the script along: as an argument it would be in the way in every message.
_VARIABLE = "VMSVC_VERBS"
_PLAIN = frozenset(string.ascii_letters + string.digits + "_./=-")
#: What the script itself exits with where it does nothing, and what that is called: it refuses, it cannot, or not now.
_NOTHING_DONE = {126: "action.refused-inside", 125: "action.failed-inside", 124: "action.busy-inside"}


def encoded(word: str) -> str:
    """A word as scripts take it: without a character that means anything to any shell.

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
        raise UsageError(f"{word!r} cannot be sent: it is empty, or has a NUL character in it")
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
        host: The inside of a guest, or a peer.
        budget_s: How long it may take to open the way, in seconds.

    Raises:
        NoWayIn: It cannot be opened.
    """
    if not isinstance(host, Restricted):
        return False
    host.open(budget_s=budget_s)
    return host.is_restricted


@frozen
class Script:
    """A script that knows verbs: to be sent along, or to be installed as a key's forced command.

    Installed, it is run by ``sh`` with ``permit`` and what that key is for.

    Attributes:
        name: What it calls itself; the first word of every request on a restricted way.
        text: Its text.
    """

    name: str
    text: str

    @classmethod
    def of(cls, name: str, package: str) -> Script:
        """Put a script together: its name, what all scripts have in common, and its own verbs.

        Args:
            name: What it calls itself.
            package: The package that has the verbs, as ``verbs.sh``.
        """
        common = files(__name__)
        parts = (common / "head.sh", files(package) / "verbs.sh", common / "tail.sh")
        text = "\n".join(part.read_text(encoding="utf-8") for part in parts)
        return cls(name, f"name={name}\n{text}")

    @property
    def greeting(self) -> str:
        """What it says to ``hello``: its name, and the version of this way to talk."""
        return f"{self.name} 1"

    def ask(
        self, host: Host, verb: str, *arguments: str, budget_s: float, environment: Mapping[str, str] | None = None
    ) -> Outcome:
        """Have a host do a verb.

        Args:
            host: The host.
            verb: The verb.
            arguments: What belongs to it.
            budget_s: How long it may take, in seconds.
            environment: Variables for what the verb runs; their names begin with ``VMSVC_`` or ``OPENSVC_``.

        Returns:
            What the verb left behind, whatever its exit code.

        Raises:
            UsageError: An argument cannot be sent.
            ActionFailed: The other end refused it, or could not do it at all.
            NoWayIn: Nothing was run.
            TimedOut: The budget was spent.
            Undetermined: The way broke.
        """
        variables = [f"{name}={value}" for name, value in (environment or {}).items()]
        words = [self.name, verb, *map(encoded, [*arguments, *variables])]
        deadline = time.monotonic() + budget_s
        brought = None
        if not is_restricted(host, budget_s=budget_s):
            words, brought = ["sh", "-c", f'eval "${_VARIABLE}"', *words], {_VARIABLE: self.text}
        try:
            outcome = host.run(words, budget_s=deadline - time.monotonic(), environment=brought)
        except VmsvcError as error:  # it calls the verb by the long line that it takes
            message = error.message.replace(shown(words), shown([verb, *arguments]))
            raise error.reworded(message) from None
        complaint = self._complaint(outcome)
        if outcome.code in _NOTHING_DONE and complaint:
            raise ActionFailed(f"{host.name}: {verb}: {complaint}", code=_NOTHING_DONE[outcome.code])
        return outcome

    def _complaint(self, outcome: Outcome) -> str:
        """What the script itself says of why it did nothing. A shell may have said something before."""
        mark = f"{self.name}: ".encode()
        last = outcome.stderr.strip().rpartition(b"\n")[2]
        return printable(last.removeprefix(mark).decode(errors="backslashreplace")) if last.startswith(mark) else ""

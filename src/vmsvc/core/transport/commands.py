"""Commands for the length of one verb: all of them together have its time, and only whole answers are believed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from vmsvc.core.errors import DriverError, Undetermined, VmsvcError
from vmsvc.core.transport import ANSWER_LIMIT, NodeHost, Outcome
from vmsvc.core.transport.command import said_last, shown

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing from Python 3.11 on

# How ``find`` says so in English: glibc's texts of ENOENT and ENOTDIR.
_NOT_THERE = (": No such file or directory", ": Not a directory")
# Of find's letters for what a path leads to, those that have a word, and those of links that lead nowhere: find(1), %y.
_KINDS = {"f": "file", "d": "dir", "b": "block"}
_NOWHERE = frozenset("lLN")


class Commands:
    """Runs commands on a host, within the budget of one verb.

    A driver whose technology is a command derives from it, and adds what the command tells, as records.

    Args:
        host: Where they run.
        budget_s: How long all of them may take together, in seconds.
        keep: How much is kept of each stream of what each prints, in bytes. What a guest's own command prints is no
            answer that has to be whole, and nobody knows how much it is: ``OUTPUT_LIMIT`` is for that.

    Attributes:
        environment: Variables to set for each; by default, messages are English and bytes are bytes.
    """

    environment: ClassVar[dict[str, str]] = {"LC_ALL": "C"}

    def __init__(self, host: NodeHost, budget_s: float, *, keep: int = ANSWER_LIMIT) -> None:
        self._host = host
        self._keep = keep
        self._deadline = time.monotonic() + budget_s

    @property
    def left_s(self) -> float:
        """How much of the time is left, in seconds."""
        return self._deadline - time.monotonic()

    def within(self, budget_s: float) -> Self:
        """The same, for less time: what hangs in that leaves some for the rest.

        Args:
            budget_s: How long all commands that are run by it may take together, in seconds.
        """
        return type(self)(self._host, budget_s, keep=self._keep)

    def run(self, *argv: str) -> Outcome:
        """Run a command, and leave it to the caller what its exit code means.

        Args:
            argv: The command.

        Raises:
            Undetermined: It did not end in time, or no time was left for it.
            ActionFailed: It could not be run.
        """
        return self.run_sparing(0.0, *argv)

    def run_sparing(self, spare_s: float, *argv: str) -> Outcome:
        """Run a command that may take all the time there is, but for some to look afterwards what has come of it.

        Args:
            spare_s: How much of the time to leave, in seconds; no more than a quarter of it is left.
            argv: The command.

        Raises:
            Undetermined: As for :meth:`run`.
            ActionFailed: It could not be run.
        """
        budget_s = max(self.left_s - spare_s, self.left_s * 0.75)
        return self._host.run(argv, budget_s=budget_s, environment=self.environment, keep=self._keep)

    def told(self, *argv: str) -> str:
        """What a command prints that has to succeed.

        Args:
            argv: The command.

        Raises:
            Undetermined: It failed, or printed more than is kept: what it was to tell is not known.
            ActionFailed: It could not be run.
        """
        return whole(self.run(*argv))

    def lines(self, *argv: str) -> list[str]:
        """The lines that a command prints that has to succeed.

        Args:
            argv: The command.

        Raises:
            Undetermined: As for :meth:`told`; or its last line has no end.
            ActionFailed: It could not be run.
        """
        return whole_lines(self.run(*argv))

    def file(self, path: str, *, mark: str = "") -> str:
        """The text of a file, where it is whole: it says something, and its last line has an end.

        What a node has written when it crashed may be as long as it was to be, and of null bytes.

        Args:
            path: Where it is.
            mark: What the last line of a file of its kind ends with, such as an element's end in XML.

        Raises:
            Undetermined: It cannot be read, or is not whole.
            ActionFailed: The command could not be run.
        """
        text = whole(Commands.run(self, "cat", "--", path))  # and no tool
        if "\0" in text:
            raise Undetermined(f"{path} is no text: it has null bytes in it")
        if not text.strip() or not text.endswith("\n") or not text.rstrip().endswith(mark):
            raise Undetermined(
                f"{path} is not whole: it ends with {text[-40:]!r}",
                hint=f"somebody may be writing it; such a file ends with {mark or 'a line'}, and the end of that line",
            )
        return text

    def there(self, *paths: str) -> list[str]:
        """Which of some files there are, by one command, however many they may be.

        Args:
            paths: Where they may be, each from the root.

        Raises:
            Undetermined: That cannot be told.
            ActionFailed: The command could not be run.
        """
        return [path for path, kind in self.kinds(*paths).items() if kind == "file"]

    def kinds(self, *paths: str) -> dict[str, str]:
        """What some paths lead to: ``file``, ``dir``, ``block`` or ``other``; those that lead nowhere are left out.

        Args:
            paths: The paths, each from the root.

        Raises:
            Undetermined: That cannot be told of each.
            ActionFailed: The command could not be run.
        """
        if not paths:
            return {}
        wanted = tuple(dict.fromkeys(paths))
        done = Commands.run(self, "find", "-L", *wanted, "-maxdepth", "0", "-printf", "%y%p\\0")  # as above
        complaints = done.err.splitlines()
        if lost := [line for line in complaints if not line.endswith(_NOT_THERE)]:
            raise Undetermined(f"{shown(done.argv)}: {lost[0]}")
        *entries, rest = done.out.split("\0")
        told = {entry[1:]: entry[:1] for entry in entries}
        if rest or told.keys() - set(wanted) or len(told) + len(complaints) != len(wanted):
            raise Undetermined(f"{shown(done.argv)}: its answer is not whole")
        return {path: _KINDS.get(letter, "other") for path, letter in told.items() if letter not in _NOWHERE}


def refusal(what: str, done: Outcome) -> DriverError:
    """The error for a tool that has answered clearly that it does not do what it was asked to.

    Args:
        what: What was not done, such as ``web cannot be started``.
        done: What the tool left behind.
    """
    return DriverError(f"{what}: {done.argv[0]} exits with {done.code}{said_last(done.stderr, done.stdout)}")


def not_moved(what: str, done: Outcome, here: str, *, is_up: bool, hint: str = "") -> VmsvcError:
    """The error for a tool that says that it has not moved a guest: where that is up here still, it has stayed.

    A move may break off at its very end. Who is not up here any more may be at either end, or at none.

    Args:
        what: What was not done, such as ``web has not come to n2``.
        done: What the tool left behind.
        here: How the guest stands here afterwards, in the technology's word.
        is_up: Whether that means that it runs.
        hint: What to do where it does not.
    """
    refused = refusal(what, done)
    return refused if is_up else Undetermined(f"{refused.message}; here it is {here}", hint=hint)


def whole(done: Outcome) -> str:
    """What a command printed, where it succeeded and all of it was kept.

    Args:
        done: What it left behind.

    Raises:
        Undetermined: It failed, or some of it was dropped.
    """
    if done.code or done.truncated:
        why = f"exit code {done.code}" if done.code else "it printed more than is kept"
        raise Undetermined(f"{shown(done.argv)}: {why}{said_last(done.stderr, b'')}")
    return done.out


def whole_lines(done: Outcome) -> list[str]:
    """The lines that a command printed, where it succeeded and ended the last of them; none where it printed nothing.

    A tool that dies half-way, or whose daemon does, may exit with 0 all the same: whoever is missing from what it has
    printed may be there. A cut at the end of a line is not to be seen here: look for the end mark of the list, or for
    a line that is in every list, where the tool has one.

    Args:
        done: What it left behind.

    Raises:
        Undetermined: As for :func:`whole`; or its last line has no end.
    """
    *lines, rest = whole(done).split("\n")
    if rest:
        raise Undetermined(f"{shown(done.argv)}: its answer ends within a line: {rest[-80:]!r}")
    return lines

"""Every error vmsvc raises: what is wrong, where, and what to do next.

::

    VmsvcError                 exit code 1
    ├── ConfigError            2   a file, section, key or value is wrong (all of a file's problems at once)
    ├── UsageError             2   the request itself is wrong: no such service, action or option
    ├── Refused                3   a safety rule says no; nothing was changed
    │   └── Busy               3   another action holds the service's lock
    ├── Undetermined           4   a fact could not be established; nothing is assumed
    │   ├── NoWayIn            4   nothing could be run inside a guest: there was no way in
    │   └── TimedOut           4   a command did not end in its time; what it printed until then is known
    ├── ActionFailed           1   a step was tried and failed (and was rolled back, saying what)
    └── DriverError            1   raised by drivers: the technology refused a verb
"""

from __future__ import annotations

import copy
import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from attrs import evolve, frozen

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing from Python 3.11 on

E = TypeVar("E", bound="VmsvcError")


class ExitCode(enum.IntEnum):
    """What a command's exit code tells a script."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNDETERMINED = 4


class Severity(str, enum.Enum):
    """How much a problem matters: an error stops the command, the others are told and go on."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@frozen(kw_only=True)
class Problem:
    """One thing to tell the operator, with its place and the next command to try.

    Attributes:
        message: What is wrong, in one sentence.
        code: A stable word for scripts, such as ``config.unknown-key``.
        hint: What to do next; empty when the message says it all.
        file: The file concerned, as a path; empty when there is none.
        section: The section of that file; empty when there is none.
        key: The key of that section; empty when there is none.
        severity: Error, warning or note.
    """

    message: str
    code: str = "failed"
    hint: str = ""
    file: str = ""
    section: str = ""
    key: str = ""
    severity: Severity = Severity.ERROR

    def as_warning(self) -> Problem:
        """The same, for a command that can do without what is wrong."""
        return evolve(self, severity=Severity.WARNING)

    def __str__(self) -> str:
        """Read as ``FILE: [SECTION] KEY: message (hint)``, leaving out what is empty."""
        place = " ".join(part for part in (f"[{self.section}]" if self.section else "", self.key) if part)
        prefix = "".join(f"{part}: " for part in (self.file, place) if part)
        return f"{prefix}{self.message}" + (f" ({self.hint})" if self.hint else "")


def told(error: BaseException) -> str:
    """A foreign exception in words: its class and its text, even where the text itself raises.

    Args:
        error: What was raised.
    """
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a defect of a defect
        text = "it has no text"
    return f"{type(error).__name__}: {text}"


class VmsvcError(Exception):
    """Base of all errors that vmsvc raises on purpose.

    Args:
        message: What is wrong, in one sentence.
        code: A stable word for scripts; each class has its own default.
        hint: What to do next.
        problems: Given instead of a message when there are several things to tell.

    Attributes:
        problems: What to tell the operator, at least one entry.
        exit_code: What the command line exits with.
    """

    exit_code = ExitCode.FAILED
    default_code = "failed"

    def __init__(self, message: str = "", *, code: str = "", hint: str = "", problems: Iterable[Problem] = ()) -> None:
        own = Problem(message=message, code=code or self.default_code, hint=hint)
        self.problems: tuple[Problem, ...] = tuple(problems) or (own,)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @property
    def code(self) -> str:
        """The stable word of the first problem."""
        return self.problems[0].code

    @property
    def hint(self) -> str:
        """What to do next, of the first problem."""
        return self.problems[0].hint

    @property
    def message(self) -> str:
        """What is wrong, of the first problem, without its place and hint."""
        return self.problems[0].message

    def within(self, *, section: str = "", file: str = "") -> Problem:
        """Give the first problem a place, for reports that gather problems of many resources.

        Args:
            section: The section or rid that it belongs to.
            file: The file that it belongs to.

        Returns:
            A copy of the first problem with its empty places filled in.
        """
        first = self.problems[0]
        return evolve(first, section=first.section or section, file=first.file or file)

    def reworded(self, message: str) -> Self:
        """The same error, with all that it carries, in other words.

        Args:
            message: What is wrong, of the first problem.
        """
        first, *others = self.problems
        twin = copy.copy(self)
        twin.problems = (evolve(first, message=message), *others)
        twin.args = ("\n".join(map(str, twin.problems)),)
        return twin


class ConfigError(VmsvcError):
    """A file, section, key or value is wrong; carries all problems of the file at once."""

    exit_code = ExitCode.USAGE
    default_code = "config"


class UsageError(VmsvcError):
    """The request itself is wrong: no such service, action, resource or option."""

    exit_code = ExitCode.USAGE
    default_code = "usage"


class Refused(VmsvcError):
    """A safety rule says no. Nothing was changed."""

    exit_code = ExitCode.REFUSED
    default_code = "refused"


class Busy(Refused):
    """Another action holds the service's lock; the message tells who."""

    default_code = "refused.busy"


class Undetermined(VmsvcError):
    """A fact could not be established: a call hung, was refused, or answered what nobody can read."""

    exit_code = ExitCode.UNDETERMINED
    default_code = "undetermined"


#: The code of a :class:`NoWayIn` where somebody answers, and was told to run no commands.
NO_COMMANDS = "undetermined.no-commands"


class NoWayIn(Undetermined):
    """There was no way into a guest, or to another host: nothing was run there."""

    default_code = "undetermined.no-way-in"


#: The code where something did not answer, or end, in its time.
TIMED_OUT = "undetermined.timeout"
#: The code where no time was left for a command: it was never started, and has asked for nothing.
NO_TIME = "undetermined.no-time"


class TimedOut(Undetermined):
    """A command did not end in its time: what it did is not known, and what it printed until then is.

    Args:
        message: What is wrong, in one sentence.
        hint: What to do next.
        stdout: What had come of its standard output, up to the limit of an outcome.
        stderr: What had come of its standard error, alike.
        truncated: Whether more was printed, and dropped.
    """

    default_code = TIMED_OUT

    def __init__(
        self, message: str = "", *, hint: str = "", stdout: bytes = b"", stderr: bytes = b"", truncated: bool = False
    ) -> None:
        super().__init__(message, hint=hint)
        self.stdout, self.stderr, self.truncated = stdout, stderr, truncated


#: The code where the operator broke it off.
INTERRUPTED = "action.interrupted"
#: The code where there is no such program, or it is not to be found.
NO_SUCH_COMMAND = "action.no-such-command"


class ActionFailed(VmsvcError):
    """A step was tried and failed; the message says which, and what was rolled back."""

    default_code = "action.failed"


class DriverError(VmsvcError):
    """Raised by a driver when its technology answered clearly that a verb cannot be done."""

    default_code = "driver"

"""What all ways to a host do alike with a command: refuse what no process can be given, and put it into words. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from vmsvc.core.errors import UsageError

#: Exit codes by which a shell, or what a command is wrapped in, says that it ran nothing: POSIX.1-2017, XCU 2.8.2.
NOT_RUN = {126: "it cannot be executed", 127: "it was not found, or what it names to run it"}

#: What shells add to the number of a signal, for the exit code of a command that it has killed: POSIX, as above.
_KILLED, _SIGNALS = 128, 31

_SECRET = re.compile(r"(-[\w-]*(?:passw(?:or)?d|passphrase|secret|token)[\w-]*)(=.*)?", re.IGNORECASE | re.DOTALL)
_SHOWN_CHARACTERS = 500
#: How much of what a command printed last stands in a message; a character has 4 bytes at most.
_LAST_LINES, _LAST_CHARACTERS = 3, 300
_LAST_BYTES = 4 * _LAST_CHARACTERS
_ESCAPED = re.compile(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}")
_OUR_SECRET = re.compile(r"VMSVC_\w*PASSWORD\w*", re.ASCII)
#: NUL ends an argument; and surrogates are halves of characters, which no encoding of text has.
_NO_ARGUMENT = re.compile(r"[\0\ud800-\udfff]")


def killed_by(code: int) -> int:
    """The signal that has killed a command; 0 where none has.

    Args:
        code: Its exit code: below 0 where the way tells signals, beyond 128 where a shell does. That a command itself
            exits so cannot be told from it.

    >>> [killed_by(code) for code in (0, 1, 128, -9, 137, 255)]
    [0, 0, 0, 9, 9, 0]
    """
    return -code if code < 0 else code - _KILLED if _KILLED < code <= _KILLED + _SIGNALS else 0


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What a process that vmsvc starts has of its environment: all but passwords that are meant for vmsvc alone.

    Args:
        environment: vmsvc's own.

    >>> inherited({"VMSVC_ESX_PASSWORD": "hunter2", "VMSVC_ROOT": "/", "PATH": "/bin"})
    {'VMSVC_ROOT': '/', 'PATH': '/bin'}
    """
    return {name: value for name, value in environment.items() if not _OUR_SECRET.fullmatch(name)}


def shown(argv: Sequence[str]) -> str:
    """A command as one line for logs and messages: quoted for a shell, secrets masked, shortened.

    Args:
        argv: The program and its arguments.

    Returns:
        The line; values of options such as ``--password`` are replaced by ``***``.

    >>> shown(["login", "--password=hunter2", "--token", "abc", "a b"])
    "login '--password=***' --token '***' 'a b'"
    """
    masked: list[str] = []
    is_secret = False
    for argument in argv:
        option = _SECRET.fullmatch(argument)
        if is_secret and option is None:
            masked.append("***")
        else:
            masked.append(f"{option[1]}=***" if option and option[2] else argument)
        is_secret = option is not None and option[2] is None
    return shortened(printable(shlex.join(masked)))


def shortened(text: str) -> str:
    """The beginning of a text that nobody has kept short, for a message.

    Args:
        text: The text.
    """
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def printable(text: str) -> str:
    r"""Text for one line of a message: what no terminal should be sent is escaped.

    Args:
        text: Whatever a command printed.

    >>> printable("a\\x1b[31m\\n")
    'a\\x1b[31m\\n'
    """
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def check_command(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Refuse what no process can be given.

    Args:
        argv: The program and its arguments.
        environment: Variables to set.

    Raises:
        UsageError: An argument or a variable has a NUL character, is no valid text, or there is no program.
    """
    if isinstance(argv, str) or not argv or not argv[0]:
        raise UsageError(f"a command is a list of a program and its arguments, not {argv!r}", code="usage.command")
    for what, texts in (("an argument", argv), ("a variable", [*environment, *environment.values()])):
        for text in texts:
            if _NO_ARGUMENT.search(text):
                raise UsageError(
                    f"{shown(argv)}: {what} has a NUL character in it or is no valid text: {text[:80]!r}",
                    code="usage.command",
                )
    for name in environment:
        if not name or "=" in name:
            raise UsageError(f"{shown(argv)}: {name!r} cannot be the name of a variable", code="usage.command")


def said_last(stderr: bytes, stdout: bytes) -> str:
    r"""The last lines of what a command printed, to end a sentence about it: ``; it said last: …``, or nothing.

    Args:
        stderr: What it printed to standard error.
        stdout: What it printed to standard output, which counts where it printed no errors.

    >>> said_last(b"", b"one\ntwo\n")
    '; it said last: one | two'
    """
    words = last_words(stderr, stdout)
    return f"; it said last: {words}" if words else ""


def last_words(stderr: bytes, stdout: bytes, *, between: str = " | ") -> str:
    r"""The last lines that a command printed, where reasons usually are, as a part of one line; empty for none.

    Args:
        stderr: What it printed to standard error.
        stdout: What it printed to standard output, which counts where it printed no errors.
        between: What stands between two lines.

    >>> last_words(b"", b"one\ntwo\n"), last_words(bytes(4096), b"")
    ('one | two', 'bytes that are no text')
    """
    printed = stderr.strip() or stdout.strip()
    end = printed[-_LAST_BYTES:].decode(errors="backslashreplace")
    whole = between.join(end.splitlines()[-_LAST_LINES:])
    words = printable(whole[-_LAST_CHARACTERS:])
    if len(words) <= _LAST_CHARACTERS:
        return f"…{words}" if len(whole) > _LAST_CHARACTERS else words
    words = words[-_LAST_CHARACTERS:]
    is_noise = sum(map(len, _ESCAPED.findall(words))) > _LAST_CHARACTERS / 2
    return "bytes that are no text" if is_noise else f"…{words}"

"""Standard output and standard error: text or JSON, coloured or plain, and never a reason for an action to break off.

Text is made of lines, and a line of spans with a style each. Where colours are wanted, rich draws them; elsewhere the
spans are joined, unwrapped, and rich is not even imported.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import logging

    from rich.console import Console

    from vmsvc.core.errors import Problem

#: A piece of text with its style, in rich's words; an empty style for plain text.
Span = tuple[str, str]
Line = Sequence[Span]

_ASCII = str.maketrans({"…": "...", "└": "`", "├": "|", "│": "|", "─": "-", "→": "->"})
_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}


def plain(text: object) -> Line:
    """A line without any style.

    Args:
        text: What it says.
    """
    return ((str(text), ""),)


def printable(text: str) -> str:
    r"""Keep a text from moving the cursor, whoever wrote it.

    Args:
        text: Any text.

    Returns:
        The text on one line; control characters are shown as escapes.

    >>> printable("one\ntwo\x1b[2J")
    'one two\\x1b[2J'
    """
    if text.isprintable():
        return text
    one_line = " ".join(text.splitlines()) if len(text.splitlines()) > 1 else text.rstrip("\r\n")
    return "".join(
        character if unicodedata.category(character) != "Cc" else ascii(character)[1:-1]
        for character in one_line.replace("\t", " ")
    )


class Stream:
    """One of the two standard streams.

    Args:
        file: The stream; ``None`` where the process was started without it.
        color: ``auto``, ``always`` or ``never``.

    Attributes:
        failure: Why it could not be written to; empty where it could, and where its reader has gone.
    """

    def __init__(self, file: TextIO | None, color: str = "auto") -> None:
        self._file = file
        self._console: Console | None = None
        self._lock = threading.Lock()
        self.failure = ""
        encoding = (getattr(file, "encoding", "") or "").replace("-", "").lower()
        self._ascii = encoding not in ("utf8", "utf8sig")
        self.is_terminal = file is not None and file.isatty() and os.environ.get("TERM") != "dumb"
        self.is_coloured = color == "always" or (
            color == "auto" and self.is_terminal and not os.environ.get("NO_COLOR")
        )
        reconfigure = getattr(file, "reconfigure", None)
        if reconfigure is not None:
            # What the encoding cannot express is escaped; it must not turn into an error.
            reconfigure(errors="backslashreplace")

    def write(self, *lines: Line) -> None:
        """Write lines. A reader that has gone, or a full disk, is remembered and breaks nothing off.

        Args:
            lines: The lines.
        """
        if self._file is None:
            return
        with self._lock, self._surviving():
            for line in lines:
                if self.is_coloured:
                    self._draw((self._fitting(text), style) for text, style in line)
                else:
                    self._file.write(self._fitting("".join(text for text, _ in line)).rstrip() + "\n")

    def write_text(self, text: str) -> None:
        """Write text as it is: a document, or a file.

        Args:
            text: The text, of any number of lines.
        """
        if self._file is not None:
            with self._lock, self._surviving():
                self._file.write(text if text.endswith("\n") else f"{text}\n")

    def flush(self) -> None:
        """Hand over what is still in the process's own buffer."""
        if self._file is not None:
            with self._lock, self._surviving():
                self._file.flush()

    def console(self) -> Console:
        """The same stream for rich to draw on."""
        from rich.console import Console  # noqa: PLC0415 - only where it draws

        if self._console is None:
            self._console = Console(
                file=self._file,
                force_terminal=True,
                color_system="standard" if self.is_coloured else None,
                no_color=not self.is_coloured,  # else rich would ask NO_COLOR, which --color always overrules
                highlight=False,
            )
        return self._console

    @contextlib.contextmanager
    def _surviving(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.failure = error.strerror or str(error)
            # From here on into the void, so that the interpreter's last flush does not fail either.
            with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                assert self._file is not None
                os.dup2(nowhere.fileno(), self._file.fileno())

    def _fitting(self, text: str) -> str:
        text = printable(text)
        return text.translate(_ASCII) if self._ascii else text

    def _draw(self, spans: Iterable[Span]) -> None:
        from rich.text import Text  # noqa: PLC0415

        self.console().print(Text.assemble(*spans), soft_wrap=True)


class Screen:
    """Where a command prints.

    Args:
        prog: The program's name, which errors begin with.
        json: Whether standard output is for one JSON document and nothing else.

    Attributes:
        prog: The program's name.
        json: Whether standard output is for one JSON document and nothing else.
        out: Standard output.
        err: Standard error.
        told: The problems that were told.
    """

    def __init__(self, prog: str, *, json: bool = False) -> None:
        self.prog = prog
        self.json = json
        self.out = Stream(sys.stdout)
        self.err = Stream(sys.stderr)
        self.told: set[Problem] = set()

    @classmethod
    def guessed_from(cls, words: Sequence[str], *, prog: str) -> Screen:
        """A screen for words that nobody has parsed yet: what is wrong with them must be told in the right format.

        Args:
            words: The arguments.
            prog: The program's name.
        """
        pairs = itertools.pairwise(words)
        return cls(prog, json="--format=json" in words or ("--format", "json") in pairs)

    def configure(self, arguments: argparse.Namespace) -> None:
        """Take the options that concern the screen.

        Args:
            arguments: The parsed words.
        """
        import logging  # noqa: PLC0415

        self.json = arguments.format == "json"
        self.out = Stream(sys.stdout, arguments.color)
        self.err = Stream(sys.stderr, arguments.color)
        handler = logging.Handler()
        handler.emit = self._log  # type: ignore[method-assign]
        logging.basicConfig(handlers=[handler])
        if arguments.verbose:
            logging.getLogger("vmsvc").setLevel(logging.DEBUG)

    def answer(self, document: dict[str, Any] | Callable[[], dict[str, Any]], text: Iterable[Line] | str) -> None:
        """Print what the command has found out, in the format that was asked for.

        Args:
            document: The JSON document, or what makes it where it is wanted.
            text: The same as lines; or as a string, which is printed as it is.
        """
        if self.json:
            import json  # noqa: PLC0415

            made = document() if callable(document) else document
            self.out.write_text(json.dumps(made, indent=2, default=str))
        elif isinstance(text, str):
            self.out.write_text(text)
        else:
            self.out.write(*text)

    def tell(self, problem: Problem, *, of: str = "") -> None:
        """Tell of a problem on standard error; in JSON it is the document's to tell.

        Args:
            problem: The problem.
            of: The service that it is about; not told where the problem has a file to tell.
        """
        self.told.add(problem)
        if self.json:
            return
        severity = problem.severity.value
        about = f"{of}: " if of and not problem.file else ""
        self.err.write(((f"{self.prog}: ", ""), (f"{severity}: ", _STYLES[severity]), (f"{about}{problem}", "")))

    def say(self, text: str) -> None:
        """Say something on standard error; nothing in JSON.

        Args:
            text: One line.
        """
        if not self.json:
            self.err.write(plain(f"{self.prog}: {text}"))

    def _log(self, record: logging.LogRecord) -> None:
        """Write what is logged as all else is written: no guest's word moves the cursor, no reader who left ends it."""
        self.err.write(plain(f"{self.prog}: {record.levelname.lower()}: {record.getMessage()}"))

    def fail(self, problems: Sequence[Problem]) -> None:
        """Tell why the command as a whole has failed.

        Args:
            problems: What is wrong.
        """
        for problem in problems:
            self.tell(problem)
        if self.json:
            from vmsvc.core.documents import envelope  # noqa: PLC0415

            self.answer(envelope.error(problems), ())

    def close(self) -> int:
        """Flush both streams.

        Returns:
            1 where the output could not be written, else 0.
        """
        self.out.flush()
        if self.out.failure:
            self.err.write(plain(f"{self.prog}: error: the output could not be written: {self.out.failure}"))
        self.err.flush()
        return 1 if self.out.failure else 0

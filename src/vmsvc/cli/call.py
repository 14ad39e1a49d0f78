"""One call of the command line: from its words to its exit code, whatever goes wrong between."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from vmsvc.cli.screen import Screen
from vmsvc.cli.words import Parser

if TYPE_CHECKING:
    from vmsvc.core.errors import VmsvcError
    from vmsvc.session import Session

#: What shells make of a process that an interrupt has ended.
INTERRUPTED = 130
#: Environment variable: show where an unexpected error came from.
TRACEBACK_VARIABLE = "VMSVC_TRACEBACK"


class Call:
    """What a command is given.

    Args:
        arguments: The parsed words.
        screen: Where to print.

    Attributes:
        arguments: The parsed words.
        screen: Where to print.
    """

    def __init__(self, arguments: argparse.Namespace, screen: Screen) -> None:
        self.arguments = arguments
        self.screen = screen

    @cached_property
    def session(self) -> Session:
        """The session, made when first used."""
        from vmsvc.session import Session  # noqa: PLC0415

        return Session()

    def close(self) -> None:
        """Close the session, if there ever was one; tell what is wrong with the node's own file, if nobody has."""
        if "session" not in self.__dict__:
            return
        self.session.close()
        # Most commands go on without the node's host mode; none of them may hide that it is not known.
        if "node" in self.session.__dict__:
            for problem in self.session.node.problems:
                if problem not in self.screen.told:
                    self.screen.tell(problem.as_warning())


def run(parser: Parser, words: Sequence[str]) -> int:
    """Parse words, run the command that they name, and turn every error into words and an exit code.

    Args:
        parser: The grammar.
        words: The arguments.

    Returns:
        The exit code.
    """
    if "_ARGCOMPLETE" in os.environ:
        from vmsvc.cli.completion import complete  # noqa: PLC0415 - only for shells that complete

        complete(parser)
    screen = Screen.guessed_from(words, prog=parser.prog)
    try:
        with _interruptible():
            code = _run(parser, words, screen)
    except SystemExit as ending:  # argparse has printed its help
        code = ending.code if isinstance(ending.code, int) else 1
    except KeyboardInterrupt:
        screen.say("interrupted")
        code = INTERRUPTED
    return screen.close() or code


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Have an interrupt raise, where it would end the process: a command has things to tell and to take back."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _run(parser: Parser, words: Sequence[str], screen: Screen) -> int:
    from vmsvc.core.errors import VmsvcError  # noqa: PLC0415

    try:
        arguments = parser.parse(words)
        screen.configure(arguments)
        call = Call(arguments, screen)
        try:
            return command(arguments.run)(call)
        finally:
            call.close()
    except Exception as error:  # noqa: BLE001 - nobody above could tell the operator more
        failure = error if isinstance(error, VmsvcError) else unexpected(error)
        screen.fail(failure.problems)
        return int(failure.exit_code)


def command(name: str) -> Callable[[Call], int]:
    """Find the function of a command.

    Args:
        name: ``MODULE:FUNCTION``, the module being one of this package.
    """
    module, _, function = name.partition(":")
    found: Callable[[Call], int] = getattr(importlib.import_module(f"vmsvc.cli.{module}"), function)
    return found


def unexpected(error: Exception) -> VmsvcError:
    """Turn an exception that nobody expected into an error that says so; its traceback is shown on demand.

    Args:
        error: The exception.
    """
    import logging  # noqa: PLC0415
    import traceback  # noqa: PLC0415

    from vmsvc.core.errors import VmsvcError  # noqa: PLC0415

    hint = f"report it, with the output of the same command under {TRACEBACK_VARIABLE}=1"
    if os.environ.get(TRACEBACK_VARIABLE) or logging.getLogger("vmsvc").isEnabledFor(logging.DEBUG):
        traceback.print_exception(type(error), error, error.__traceback__)
        hint = "report it, with the traceback"
    return VmsvcError(f"this is a bug in vmsvc: {type(error).__name__}: {error}", code="bug", hint=hint)

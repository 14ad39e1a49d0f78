"""What the grammar's commands are made of: names of services, limits, numbers; and how a shell completes them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from vmsvc.cli.words import Parser


def common(parser: argparse.ArgumentParser) -> None:
    """Add the options that may stand before the command or after it.

    Args:
        parser: The parser of a command, or of all.
    """
    suppress = argparse.SUPPRESS
    parser.add_argument("--format", choices=("text", "json"), default=suppress, help="print text (default) or JSON")
    parser.add_argument(
        "--color", choices=("auto", "always", "never"), default=suppress, help="colours; auto: on a terminal"
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", default=suppress, help="log what is asked and run to standard error"
    )


class Commands:
    """Adds commands that all have the common options.

    Args:
        subparsers: What argparse gives for them.
    """

    def __init__(self, subparsers: Any) -> None:
        self._subparsers = subparsers

    def add(
        self,
        name: str,
        run: str,
        help: str,  # noqa: A002 - argparse's name for it
        *,
        examples: Sequence[str] = (),
        about: str = "",
        **defaults: object,
    ) -> Parser:
        """Add a command.

        Args:
            name: The word for it.
            run: The function that runs it, as ``MODULE:FUNCTION``.
            help: What it does, as a part of a sentence.
            examples: Calls of it.
            about: What else there is to say.
            defaults: What the function is to find among its arguments.

        Returns:
            Its parser.
        """
        description = help[0].upper() + help[1:] + "." + (f" {about}" if about else "")
        epilog = "\n  ".join(["examples:", *examples]) if examples else None
        command: Parser = self._subparsers.add_parser(name, help=help, description=description, epilog=epilog)
        command.set_defaults(run=run, **defaults)
        common(command)
        return command

    def group(self, name: str, help: str) -> Commands:  # noqa: A002 - argparse's name for it
        """Add a command that consists of others.

        Args:
            name: The word for it.
            help: What they do.

        Returns:
            What adds them.
        """
        command: Parser = self._subparsers.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        return Commands(command.add_subparsers(metavar="COMMAND", title="commands", required=True))


def names(command: Parser, *, required: bool) -> None:
    """Let a command take the names of services.

    Args:
        command: The command.
        required: Whether there must be one.
    """
    text = "names of services, or patterns such as 'web*'" + ("" if required else "; all services when not given")
    argument = command.add_argument("names", nargs="+" if required else "*", metavar="NAME", help=text)
    completed(argument, "services")
    command.set_defaults(more="names")


def name(command: Parser) -> None:
    """Let a command take the name of one service.

    Args:
        command: The command.
    """
    completed(command.add_argument("name", metavar="NAME", help="the service's name"), "services")


def completed(action: argparse.Action, by: str) -> None:
    """Let a shell complete an argument.

    Args:
        action: The argument.
        by: The function of :mod:`vmsvc.cli.completion` that knows how.
    """

    def completer(**asked: Any) -> list[str]:
        from vmsvc.cli import completion  # noqa: PLC0415

        found: Callable[..., list[str]] = getattr(completion, by)
        return found(**asked)

    action.completer = completer  # type: ignore[attr-defined]


def limits(command: Parser) -> None:
    """Let a command be limited to some resources.

    Args:
        command: The command.
    """
    rid = command.add_argument(
        "--rid",
        action="append",
        default=[],
        metavar="RID[,RID…]",
        help="only these resources; a kind, such as container, means all of it (repeatable)",
    )
    completed(rid, "rids")
    tags = command.add_argument(
        "--tags",
        action="append",
        default=[],
        metavar="TAG[,TAG…]",
        help="only resources with one of these tags; TAG+TAG means both (repeatable)",
    )
    completed(tags, "tags")
    subset = command.add_argument(
        "--subset",
        action="append",
        default=[],
        metavar="NAME[,NAME…]",
        help="only resources of these subsets (repeatable)",
    )
    completed(subset, "subsets")


def seconds(text: str) -> float:
    """Read a duration of more than nothing.

    Args:
        text: What was written: ``10``, ``2m``.

    Returns:
        The duration, in seconds.
    """
    from vmsvc.core.options import some_seconds  # noqa: PLC0415

    try:
        return some_seconds.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def positive(text: str) -> int:
    """Read a number of things.

    Args:
        text: What was written.

    Returns:
        The number, at least 1.
    """
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 upwards")
    return int(text)

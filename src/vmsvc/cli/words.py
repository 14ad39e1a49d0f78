"""From words to their meaning: argparse, with our errors, and with options between names."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

#: Commands that change what runs; nobody who wanted to look is sent to one of them.
_ACTING = ("start", "stop", "restart", "startapp", "stopapp", "boot", "freeze", "thaw", "monitor")


def nearest(word: str, known: Iterable[str]) -> str:
    """What may have been meant by a word that is not known.

    Args:
        word: What was written.
        known: The words that would have been right.

    Returns:
        Such as ``did you mean 'status'?``; empty where nothing is near.

    >>> nearest("stat", ["start", "status"])
    "did you mean 'status'?"
    >>> nearest("strat", ["start", "status"])
    "did you mean 'status' or 'start'?"
    """
    words = list(known)
    near = [each for each in words if word and each.startswith(word)]
    if not near:
        import difflib  # noqa: PLC0415 - right words need none of it

        # Hyphens are no likeness: all options have them.
        bare = {each.lstrip("-"): each for each in words}
        near = [bare[each] for each in difflib.get_close_matches(word.lstrip("-"), bare)]
        # The nearest will do, unless it acts: then the nearest that only looks is offered, too.
        near = near[: 1 + next((place for place, each in enumerate(near) if each not in _ACTING), 0)]
    near.sort(key=lambda each: each in _ACTING)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else ""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are ours: with the nearest valid word, and in JSON where that is asked for.

    Args:
        whole: Of a parser that knows only a part of the grammar, what makes one that knows all of it; it has the last
            word on what is wrong.
        settings: argparse's.
    """

    def __init__(self, *, whole: Callable[[], Parser] | None = None, **settings: Any) -> None:
        self._whole = whole
        # An abbreviation that works today would be an error, or another option, tomorrow.
        settings = {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter, **settings}
        super().__init__(**settings)

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse words; where a command takes many words, options may stand between them.

        Args:
            words: The arguments.

        Returns:
            What they mean.

        Raises:
            UsageError: They mean nothing.
        """
        if not words:
            self.print_help(sys.stderr)
            self.exit(2)
        if self._whole is None:
            return self._parse(words)
        from vmsvc.core.errors import UsageError  # noqa: PLC0415 - help needs none of it

        try:
            return self._parse(words)
        except UsageError:
            return self._whole().parse(words)

    def _parse(self, words: Sequence[str]) -> argparse.Namespace:
        self._check_options(words)
        arguments, rest = self.parse_known_args(words)
        # argparse gives back the words that stand behind an option, and the -- among them.
        end = rest.index("--") if "--" in rest else len(rest)
        wrong = [word for word in rest[:end] if word.startswith("-")]
        found = [*rest[:end], *rest[end + 1 :]]
        more = getattr(arguments, "more", "")
        if wrong or (found and not more):
            command = _deepest(self, words)
            command.error(f"{command.prog.partition(' ')[2] or command.prog} takes no {' '.join(wrong or found)!r}")
        if found:
            getattr(arguments, more).extend(found)
        return arguments

    def error(self, message: str) -> NoReturn:
        """Refuse the words.

        Args:
            message: What is wrong with them.
        """
        from vmsvc.core.errors import UsageError  # noqa: PLC0415

        raise UsageError(message, hint=f"see `{self.prog} --help`")

    def _check_options(self, words: Sequence[str]) -> None:
        """Tell of options that do not exist, with the nearest one, before argparse misses anything else."""
        commands = list(_commands(self))
        every = {option for parser in (self, *(each for _, each in commands)) for option in _options(parser)}
        asked = [self, *(parser for name, parser in commands if name in words)]
        for word in itertools.takewhile(lambda word: word != "--", words):
            option = word.partition("=")[0]
            if not option.startswith("--"):
                option = option[:2] if option[1:2].isalpha() else ""  # what follows may be its value, as in -sweb
            if option.startswith("-") and " " not in option and option not in every:
                guess = nearest(option, dict.fromkeys(near for parser in asked for near in _options(parser)))
                near = f"; {guess}" if guess else ""
                _deepest(self, words).error(f"there is no option {option!r}{near}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """As argparse does, but with the nearest word instead of all of them."""
        choices = [str(choice) for choice in action.choices or ()]
        if choices and value not in choices:
            known = nearest(value, choices) or f"choose from {', '.join(choices)}"
            raise argparse.ArgumentError(action, f"there is no {value!r}; {known}")


def _deepest(parser: Parser, words: Sequence[str]) -> Parser:
    """The parser of the command that words name, as far as they name one: its help is worth a look."""
    for word in words:
        parser = dict(_next(parser)).get(word, parser)
    return parser


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return list(parser._option_string_actions)  # noqa: SLF001 - argparse tells it nowhere else


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command below a parser, by its own word."""
    for name, command in _next(parser):
        yield name, command
        yield from _commands(command)


def _next(parser: argparse.ArgumentParser) -> Iterator[tuple[str, Any]]:
    """The commands right below a parser, by their words."""
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            yield from (action.choices or {}).items()

"""The manual pages, made of what the grammar and the declarations of keywords say: ``python -m vmsvc.cli.manual DIR``.

Source of the macros: man(7).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from vmsvc import Session, __version__
from vmsvc.cli import grammar, render
from vmsvc.cli.legacy import Legacy
from vmsvc.core.config.schema import SERVICE_OPTIONS
from vmsvc.core.kinds import KINDS
from vmsvc.core.options import Option, options_of
from vmsvc.core.resource import Resource

_FILES = {
    "/etc/vmsvc/services/NAME.conf, NAME.toml": "one service each: see vmsvc-service(5)",
    "/etc/vmsvc/node.conf, node.toml": "the node's host mode",
    "/var/lib/vmsvc": "the journal, what push and diskupdate collected, definitions of guests",
    "/run/vmsvc": "locks, held while an action runs",
}
_VARIABLES = {
    "VMSVC_ROOT": "what stands before etc/vmsvc, var/lib/vmsvc and run/vmsvc",
    "VMSVC_NODENAME": "the node's name, instead of its host name",
    "VMSVC_DISABLE_PLUGINS": "plugins not to load, separated by commas",
    "NO_COLOR": "set to anything: no colours, unless --color always",
}


def pages() -> dict[str, str]:
    """All pages, by the place of their file below a directory of manuals, such as ``man1/vmsvc.1``."""
    return {
        "man1/vmsvc.1": _page("vmsvc", 1, "virtual machines and containers as services", _vmsvc()),
        "man1/svcmgr.1": _page("svcmgr", 1, "vmsvc in the grammar of old", _svcmgr()),
        "man5/vmsvc-service.5": _page("vmsvc-service", 5, "files that describe services", _service()),
    }


def _page(name: str, section: int, what: str, lines: Iterable[str]) -> str:
    head = [f'.TH {name.upper()} {section} "" "vmsvc {__version__}"', ".SH NAME", f"{name} \\- {_text(what)}"]
    return "\n".join([*head, *lines, ""])


def _vmsvc() -> Iterator[str]:
    top = grammar.parser()
    yield from _described(top)
    yield ".SH COMMANDS"
    for words, command in _commands(top):
        yield f".SS vmsvc {_text(words)}"
        yield from _described(command, synopsis=False)
    yield from _definitions("EXIT STATUS", _exit_codes(top.epilog or ""))
    yield from _definitions("FILES", _FILES)
    yield from _definitions("ENVIRONMENT", _VARIABLES)
    yield from (".SH SEE ALSO", "svcmgr(1), vmsvc\\-service(5)")


def _svcmgr() -> Iterator[str]:
    parser = Legacy()
    yield from _described(parser)
    yield from (".SH ACTIONS", ".nf", *map(_text, (parser.epilog or "").splitlines()[1:]), ".fi")
    yield from (".SH SEE ALSO", "vmsvc(1)")


def _service() -> Iterator[str]:
    yield ".SH DESCRIPTION"
    yield _text(
        "A service file is INI or TOML: a section for the service, [DEFAULT], and one for each of its resources. "
        "KEY@NODE, KEY@nodes and KEY@drpnodes count on some nodes only; {KEY} and {SECTION.KEY} stand for other values."
    )
    common = {option.key for option in options_of(Resource)}
    yield from _keywords("[DEFAULT]", SERVICE_OPTIONS.values())
    yield from _keywords("Every other section", options_of(Resource))
    for kind, owner in KINDS.items():
        yield from _keywords(f"[{kind}#...]", [option for option in options_of(owner) if option.key not in common])
    for (kind, technology), owner in sorted(Session().catalog.classes.items()):
        known = {option.key for option in options_of(KINDS[kind])}
        own = [option for option in options_of(owner) if option.key not in known]
        yield from _keywords(f"[{kind}#...] with type = {technology}", own)
    yield from (".SH SEE ALSO", "vmsvc(1)")


def _described(parser: argparse.ArgumentParser, *, synopsis: bool = True) -> Iterator[str]:
    """What a parser says of itself: its usage, description, arguments and options, and its examples."""
    usage = " ".join(parser.format_usage().partition(":")[2].split())
    yield from ((".SH SYNOPSIS", _text(usage), ".SH DESCRIPTION") if synopsis else (_text(usage), ".PP"))
    yield _text(parser.description or "")
    for action in parser._actions:  # noqa: SLF001 - argparse tells it nowhere else
        if action.help not in (None, argparse.SUPPRESS) and not isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            yield from (".TP", _text(_called(action)), _text(str(action.help) % {"prog": parser.prog}))
    if parser.epilog and parser.epilog.startswith("examples:"):
        yield from (".PP", "Examples:", ".nf", *map(_text, parser.epilog.splitlines()[1:]), ".fi")


def _called(action: argparse.Action) -> str:
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    if not action.option_strings:
        return str(value)
    takes_value = action.nargs != 0
    return ", ".join(f"{option} {value}" if takes_value else option for option in action.option_strings)


def _commands(parser: argparse.ArgumentParser, words: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for name, command in action.choices.items():
                yield from _commands(command, f"{words} {name}".strip())
            return
    yield words, parser


def _exit_codes(epilog: str) -> dict[str, str]:
    """The codes of an epilogue's lines, such as ``  0  done``."""
    return {line.split()[0]: line.split(None, 1)[1] for line in epilog.splitlines() if line.startswith("  ")}


def _keywords(title: str, options: Iterable[Option]) -> Iterator[str]:
    yield f".SH {_text(title)}"
    for option in options:
        default = "required" if option.required else f"default: {render.value(option.default) or 'none'}"
        yield from (".TP", f".B {_text(option.key)}", _text(f"{option.help} {option.value.label}; {default}."))


def _definitions(title: str, pairs: Mapping[str, str]) -> Iterator[str]:
    yield f".SH {title}"
    for term, meaning in pairs.items():
        yield from (".TP", _text(term), _text(meaning))


def _text(plain: str) -> str:
    """Text that means itself: no escape, no request at a line's beginning, and hyphens that can be copied."""
    escaped = plain.replace("\\", "\\e").replace("-", "\\-").replace("\n", " ")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pages below a directory of manuals.

    Args:
        argv: The directory, such as ``/usr/local/share/man``; the process's own arguments when not given.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(prog="python -m vmsvc.cli.manual", description="Write the manual pages.")
    parser.add_argument("directory", type=Path, help="where, such as /usr/local/share/man")
    directory: Path = parser.parse_args(argv).directory
    for place, page in pages().items():
        path = directory / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

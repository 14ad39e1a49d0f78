"""``svcmgr -s NAME ACTION``: the grammar that people have in their fingers, translated into that of ``vmsvc``."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from typing import NoReturn

from vmsvc import __version__
from vmsvc.cli import grammar
from vmsvc.cli.call import run

__all__ = ["main"]

#: What each action is called in ``vmsvc``.
_ACTIONS = {
    "print status": "print status",
    "status": "status",
    "start": "start",
    "stop": "stop",
    "restart": "restart",
    "push": "push",
    "diskupdate": "diskupdate",
    "validate config": "validate",
    "print config": "show --config",
    "edit config": "edit",
    "show": "show",
    "create": "create",
    "get": "get",
    "set": "set",
    "unset": "unset",
    "ls": "ls",
    "list": "ls",
}
#: Actions of one service, whose command takes one name.
_ONE = ("print config", "edit config", "show", "create", "get", "set", "unset")
#: Actions of no service at all.
_NONE = ("ls", "list")
_STARTING = ("start", "restart")
_ACTING = ("start", "stop", "restart")


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``svcmgr``.

    Args:
        argv: The arguments; the process's own when not given.

    Returns:
        The exit code.
    """
    return run(_Legacy(), sys.argv[1:] if argv is None else list(argv))


class _Legacy(grammar.Parser):
    """Parses ``svcmgr``'s words into what ``vmsvc``'s grammar makes of their translation."""

    def __init__(self) -> None:
        pairs = "".join(f"\n  {old:<16} vmsvc {new}{'' if old in _NONE else ' NAME'}" for old, new in _ACTIONS.items())
        super().__init__(
            prog="svcmgr",
            description="Act on services in the grammar of old. `vmsvc` says the same, and more.",
            epilog=f"actions, and what they are in vmsvc:{pairs}",
        )
        self.add_argument("-s", "--service", default="", metavar="NAME[,NAME…]", help="services, or patterns")
        self.add_argument("action", nargs="*", metavar="ACTION", help="what to do; see below")
        self.add_argument("--param", metavar="SECTION.KEY", help="the key to get, set or unset")
        self.add_argument("--value", metavar="VALUE", help="the value to set")
        self.add_argument("--format", choices=("text", "json"), help="print text (default) or JSON")
        self.add_argument("--color", choices=("auto", "always", "never"), help="colours")
        self.add_argument("--drp", action="store_true", help="this is the disaster, or its rehearsal")
        self.add_argument("--dry-run", action="store_true", help="show the plan, and do nothing")
        self.add_argument("--local", action="store_true", help="this node only; so it is in any case")
        self.add_argument("--force", action="store_true", help=argparse.SUPPRESS)
        self.add_argument("--version", action="version", version=f"vmsvc {__version__}")
        self.add_argument("-v", "--verbose", action="store_true", help="log what is run to standard error")

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse words of the old grammar.

        Args:
            words: The arguments.

        Returns:
            What ``vmsvc``'s grammar makes of them.

        Raises:
            UsageError: They mean nothing, or nothing that ``svcmgr`` can say.
        """
        if not words:
            return super().parse(words)
        arguments, rest = self.parse_known_args(words)
        if rest:
            self.error(f"nobody asked for {' '.join(rest)!r}")
        return grammar.parser().parse(self._translated(arguments))

    def _translated(self, asked: argparse.Namespace) -> list[str]:
        action = " ".join(asked.action)
        self._check(asked, action)
        words = _ACTIONS[action].split()
        words += [f"--format={asked.format}"] if asked.format else []
        words += [f"--color={asked.color}"] if asked.color else []
        words += [f"--{flag}" for flag in ("verbose", "drp", "dry-run") if getattr(asked, flag.replace("-", "_"))]
        if action not in _NONE:
            words += ["--", *_names(asked)]
        if action == "set":
            words += [f"{asked.param}={asked.value}"]
        elif action in ("get", "unset"):
            words += [asked.param]
        return words

    def _check(self, asked: argparse.Namespace, action: str) -> None:
        """Refuse what the old grammar cannot say, with what to say instead."""
        names = _names(asked)
        if asked.force:
            self._refuse(
                "--force would hide which safety rule it is meant to break",
                "say it in words: `vmsvc stop NAME --kill`, or `vmsvc start NAME --despite-unknown RID`",
            )
        if not action:
            self._refuse("which action?", "say `svcmgr -s NAME print status`, for one")
        if action not in _ACTIONS:
            near = difflib.get_close_matches(action, _ACTIONS, n=1)
            guess = f"did you mean {near[0]!r}? " if near else ""
            self._refuse(f"there is no action {action!r}", f"{guess}`vmsvc --help` lists what vmsvc can do")
        if not names and action not in (*_NONE, "status", "print status"):
            self._refuse(f"{action} needs a service", f"say `svcmgr -s NAME {action}`")
        if len(names) > 1 and action in _ONE:
            self._refuse(f"{action} takes one service at a time", f"say `vmsvc {_ACTIONS[action]} NAME` for each")
        if (action in ("get", "set", "unset")) != (asked.param is not None):
            verdict = "needs" if asked.param is None else "takes no"
            self._refuse(f"{action} {verdict} --param", "say `svcmgr -s NAME get --param SECTION.KEY`")
        if (action == "set") != (asked.value is not None):
            verdict = "needs" if asked.value is None else "takes no"
            self._refuse(f"{action} {verdict} --value", "say `svcmgr -s NAME set --param SECTION.KEY --value VALUE`")
        if asked.drp and action not in _STARTING:
            self._refuse(f"{action} takes no --drp", "it is for start and restart")
        if asked.dry_run and action not in _ACTING:
            self._refuse(f"{action} takes no --dry-run", "it is for start, stop and restart")

    @staticmethod
    def _refuse(message: str, hint: str) -> NoReturn:
        from vmsvc.core.errors import UsageError  # noqa: PLC0415

        raise UsageError(message, hint=hint)


def _names(asked: argparse.Namespace) -> list[str]:
    return [name for name in asked.service.split(",") if name]

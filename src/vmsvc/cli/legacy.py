"""``svcmgr -s NAME ACTION``: the grammar that people have in their fingers, translated into that of ``vmsvc``."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from typing import NoReturn

from vmsvc import __version__
from vmsvc.cli import grammar, phrases
from vmsvc.cli.words import Parser, nearest

#: What each action is called in ``vmsvc``.
_ACTIONS = {
    "print status": "print status",
    "status": "status",
    "start": "start",
    "stop": "stop",
    "restart": "restart",
    "migrate": "migrate",
    "boot": "boot",
    "startapp": "startapp",
    "stopapp": "stopapp",
    "info": "appinfo",
    "freeze": "freeze",
    "thaw": "thaw",
    "prstatus": "pr status",
    "prstart": "pr start",
    "prstop": "pr stop",
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
#: Actions of no service at all, and those of all services where none is named.
_NONE = ("ls", "list")
_ALL = ("status", "print status", "boot")
_ACTING = ("start", "stop", "restart", "startapp", "stopapp", "prstart", "prstop")
#: What has to be added, and to which actions; to others it may not be.
_NEEDED = {"param": ("get", "set", "unset"), "value": ("set",)}
#: What an operator may add, and to which actions.
_OPTIONS = {
    "drp": ("start", "restart", "startapp", "prstart"),
    "force": ("start", "restart", "prstart"),
    "kill": ("stop", "restart"),
    "despite-unknown": _ACTING,
    "to": ("migrate",),
    "despite-frozen": ("start", "restart", "startapp", "migrate"),
    "despite-peer": ("start", "restart"),
    "despite-moved": ("start", "restart"),
    "despite-lost-keys": ("start", "restart", "prstart"),
    "dry-run": (*_ACTING, "migrate", "boot", "push", "diskupdate", "freeze", "thaw", "create", "set", "unset"),
    "parallel": (*_ACTING, "migrate"),
    **dict.fromkeys(("rid", "tags", "subsets"), (*_ACTING, "status", "print status", "info")),
}


class Legacy(Parser):
    """Parses ``svcmgr``'s words into what ``vmsvc``'s grammar makes of their translation."""

    def __init__(self) -> None:
        pairs = "".join(f"\n  {old:<16} vmsvc {new}{'' if old in _NONE else ' NAME'}" for old, new in _ACTIONS.items())
        super().__init__(
            prog="svcmgr",
            description="Act on services in the grammar of old. `vmsvc` says the same, and more.",
            epilog=f"actions, and what they are in vmsvc:{pairs}",
        )
        services = self.add_argument(
            "-s",
            "--service",
            action="append",
            default=[],
            metavar="NAME[,NAME…]",
            help="services, or patterns (repeatable)",
        )
        phrases.completed(services, "service_list")
        action = self.add_argument("action", nargs="*", metavar="ACTION", help="what to do; see below")
        action.completer = _next_words  # type: ignore[attr-defined]
        self.set_defaults(more="action")
        param = self.add_argument("--param", metavar="SECTION.KEY", help="the key to get, set or unset")
        phrases.completed(param, "keys")
        self.add_argument("--value", metavar="VALUE", help="the value to set")
        self.add_argument("--format", choices=("text", "json"), help="print text (default) or JSON")
        self.add_argument("--color", choices=("auto", "always", "never"), help="colours")
        to = self.add_argument("--to", metavar="NODE", help="the node to move to")
        phrases.completed(to, "other_nodes")
        self.add_argument("--drp", action="store_true", help="this is the disaster, or its rehearsal")
        self.add_argument("--despite-frozen", action="store_true", help="start services although they are frozen")
        self.add_argument(
            "--despite-lost-keys",
            action="store_true",
            help="reserve disks again under a guest that went on without its keys: no other node has written since",
        )
        self.add_argument("--kill", action="store_true", help="stop guests by force at once, without asking them")
        unknown = self.add_argument(
            "--despite-unknown",
            action="append",
            metavar="RID",
            help="act on this resource although its status is unknown (repeatable)",
        )
        phrases.completed(unknown, "rids")
        peer = self.add_argument(
            "--despite-peer",
            action="append",
            metavar="NODE",
            help="start although this other node cannot be asked: nothing of the service runs there (repeatable)",
        )
        phrases.completed(peer, "other_nodes")
        moved = self.add_argument(
            "--despite-moved",
            action="append",
            metavar="RID",
            help="start this guest although it was moved away to where nobody sees it: it runs nowhere (repeatable)",
        )
        phrases.completed(moved, "rids")
        self.add_argument(
            "--rid", action="append", metavar="RID[,RID…]", help="only these resources, or kinds of them (repeatable)"
        )
        self.add_argument("--tags", action="append", metavar="TAG[,TAG…]", help="only resources with one of these tags")
        self.add_argument(
            "--subsets", "--subset", action="append", metavar="NAME[,NAME…]", help="only resources of these subsets"
        )
        self.add_argument("--dry-run", action="store_true", help="show the plan, and do nothing")
        self.add_argument("--parallel", metavar="N", help="act on so many services at once (default: 10)")
        self.add_argument("--local", action="store_true", help="this node only; so it is in any case")
        holder = self.add_argument(
            "--force",
            action="append",
            nargs="?",
            const="",
            metavar="NODE|KEY",
            help="take disks that this node, or this key (0x…), holds: it is gone for certain (repeatable)",
        )
        phrases.completed(holder, "holders")
        self.add_argument("--version", action="version", version=f"vmsvc {__version__}")
        self.add_argument("-v", "--verbose", action="store_true", help="log what is asked and run to standard error")

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
        translated = self._translated(super().parse(words))
        return grammar.parser(words=translated).parse(translated)

    def _translated(self, asked: argparse.Namespace) -> list[str]:
        action = " ".join(asked.action)
        self._check(asked, action)
        words = _ACTIONS[action].split()
        words += [f"--format={asked.format}"] if asked.format else []
        words += [f"--color={asked.color}"] if asked.color else []
        words += [
            f"--{flag}"
            for flag in ("verbose", "drp", "despite-frozen", "despite-lost-keys", "kill", "dry-run")
            if getattr(asked, flag.replace("-", "_"))
        ]
        words += [f"--parallel={asked.parallel}"] if asked.parallel else []
        words += [f"--to={asked.to}"] if asked.to else []
        words += [f"--despite-unknown={rid}" for rid in asked.despite_unknown or ()]
        words += [f"--despite-moved={rid}" for rid in asked.despite_moved or ()]
        words += [f"--despite-peer={node}" for node in asked.despite_peer or ()]
        words += [f"--force={holder}" for holder in asked.force or ()]
        for option, written in (("rid", asked.rid), ("tags", asked.tags), ("subset", asked.subsets)):
            words += [f"--{option}={word}" for word in written or ()]
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
        if any(not holder or holder in _ACTIONS for holder in asked.force or ()):
            self._refuse(
                "--force would hide which safety rule it is meant to break",
                "say it in words: --kill, --despite-unknown RID, --despite-frozen, or --force NODE for disks that NODE "
                "holds",
            )
        if not action:
            self._refuse("which action?", "say `svcmgr -s NAME print status`, for one")
        if action not in _ACTIONS:
            self._refuse_unknown(asked, action)
        if not names and action not in (*_NONE, *_ALL):
            self._refuse(f"{action} needs a service", f"say `svcmgr -s NAME {action}`")
        if len(names) > 1 and action in _ONE:
            self._refuse(f"{action} takes one service at a time", f"say `vmsvc {_ACTIONS[action]} NAME` for each")
        self._check_settings(asked, action)
        for option, actions in _OPTIONS.items():
            if getattr(asked, option.replace("-", "_")) and action not in actions:
                self._refuse(f"{action} takes no --{option}", f"it is for {', '.join(actions)}")

    def _check_settings(self, asked: argparse.Namespace, action: str) -> None:
        """Refuse an action without what it needs, and what others need."""
        for option, actions in _NEEDED.items():
            is_there = getattr(asked, option) is not None
            if is_there and action not in actions:
                self._refuse(f"{action} takes no --{option}", f"it is for {', '.join(actions)}")
            if not is_there and action in actions:
                value = " --value VALUE" if action in _NEEDED["value"] else ""
                said = f"svcmgr -s {shlex.quote(','.join(_names(asked)))} {action} --param SECTION.KEY{value}"
                self._refuse(f"{action} needs --{option}", f"say `{said}`")

    def _refuse_unknown(self, asked: argparse.Namespace, action: str) -> NoReturn:
        """Refuse an action that is none, or that has services' names behind it, as ``vmsvc`` would have them."""
        for count in range(len(asked.action), 0, -1):
            begin, rest = " ".join(asked.action[:count]), asked.action[count:]
            if begin in _ACTIONS and begin not in _NONE:
                names = shlex.quote(",".join([*_names(asked), *rest]))
                self._refuse(f"{begin} takes its services from -s", f"say `svcmgr -s {names} {begin}`")
        guess = nearest(action, _ACTIONS)
        self._refuse(f"there is no action {action!r}", guess or "`svcmgr --help` lists them")

    @staticmethod
    def _refuse(message: str, hint: str) -> NoReturn:
        from vmsvc.core.errors import UsageError  # noqa: PLC0415

        raise UsageError(message, hint=hint)


def _next_words(*, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """How an action may go on, for shells that complete."""
    written = getattr(parsed_args, "action", None) or []
    actions = [action.split() for action in _ACTIONS]
    return [words[len(written)] for words in actions if words[: len(written)] == written and len(words) > len(written)]


def _names(asked: argparse.Namespace) -> list[str]:
    return [name for written in asked.service for name in written.split(",") if name]

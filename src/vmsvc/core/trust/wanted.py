"""What a guest is to have so that vmsvc's own key permits the verbs alone: a script, and a line. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from attrs import frozen

from vmsvc.core.errors import Refused, UsageError

#: Where the file of permitted keys is that sshd reads unless its configuration says otherwise; see sshd_config(5).
AUTHORIZED_KEYS = "~/.ssh/authorized_keys"

#: One option of a line: what stands in quotation marks may have commas and blanks; see sshd(8).
_OPTION = re.compile(r'(?:[^,"\s]|"(?:\\"|\\(?!")|[^"\\])*")+')
#: Options of an admin that narrow what a key is good for, beyond what vmsvc asks for.
_NARROWING = ("from=", "expiry-time=", "verify-required")


@frozen(kw_only=True)
class Wanted:
    """A script that knows the verbs, and the line that has the key run it and nothing else.

    Attributes:
        name: What the script calls itself.
        script: Its path on the other side.
        text: Its text.
        words: What it is called with.
        public_key: vmsvc's own key, as in ``authorized_keys``.
        comment: What stands behind the key: whose it is.
    """

    name: str
    script: str
    text: str
    words: Sequence[str]
    public_key: str
    comment: str

    @property
    def line(self) -> str:
        """The line for ``authorized_keys``; see AUTHORIZED_KEYS FILE FORMAT in sshd(8).

        ``restrict`` turns off all that a key may do besides, what later versions of sshd invent included.

        Raises:
            UsageError: A word cannot be written on one line.
        """
        command = shlex.join(["/bin/sh", self.script, *self.words])
        if not command.isprintable():
            raise UsageError(
                f"{command!r} cannot stand in authorized_keys", hint="choose a directory without such names"
            )
        quoted = command.replace('"', '\\"')
        return f'restrict,command="{quoted}" {self.public_key} {self.comment}'


def with_line(before: str, wanted: Wanted) -> str:
    """A file of permitted keys that has a line, once. Lines of others stay as they are.

    Other lines with the same key are replaced, since sshd takes the first; what an admin has narrowed it by stays.

    Args:
        before: What the file holds.
        wanted: What the line is for.

    Returns:
        What the file is to hold.

    Raises:
        Refused: The key has another script to run there.
    """
    public_key = wanted.public_key
    lines = re.split(r"(?<=\n)", before)  # by newlines alone, as sshd does
    own = [each for each in lines if _key_in(each, public_key)]
    for each in own:
        _check_script(each, wanted)
    line = ",".join([*(_narrowed(own[0], public_key) if own else ()), wanted.line])
    if [each.rstrip("\r\n") for each in own] == [line]:
        return before
    kept = "".join(each for each in lines if each not in own)
    end = "" if not kept or kept.endswith("\n") else "\n"
    return f"{kept}{end}{line}\n"


def _key_in(line: str, public_key: str) -> re.Match[str] | None:
    """A line whose key it is: the first one in it. A comment behind another key may name any.

    What is encoded tells the key, with any blanks before, and any comment behind.
    """
    kind, encoded, *_ = map(re.escape, public_key.split())
    options = rf"{_OPTION.pattern}(?:,{_OPTION.pattern})*"
    return re.match(rf"\s*(?!#)(?:(?P<options>{options})[ \t]+)?{kind}[ \t]+{encoded}(?!\S)", line)


def _options(line: str, public_key: str) -> list[str]:
    key = _key_in(line, public_key)
    return _OPTION.findall(key["options"] or "") if key else []


def _narrowed(line: str, public_key: str) -> list[str]:
    return [each for each in _options(line, public_key) if each.lower().startswith(_NARROWING)]


def _check_script(line: str, wanted: Wanted) -> None:
    """Refuse to replace a line that has vmsvc's key run anything but an older form of the same script."""
    for option in _options(line, wanted.public_key):
        name, _, command = option.partition("=")
        if name.lower() == "command" and f"/{wanted.name} " not in f"{command.strip(chr(34))} ":
            raise Refused(
                f"{AUTHORIZED_KEYS} has vmsvc's key run something else: {command}",
                code="refused.other-line",
                hint=f"remove that line there first, if {wanted.name} is to have its place",
            )

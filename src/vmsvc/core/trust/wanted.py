"""What a guest is to have so that vmsvc's own key permits the verbs alone: a script, and a line. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from attrs import frozen

from vmsvc.core.errors import UsageError

#: Where the file of permitted keys is that sshd reads unless its configuration says otherwise; see sshd_config(5).
AUTHORIZED_KEYS = "~/.ssh/authorized_keys"


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


def with_line(before: str, line: str, public_key: str) -> str:
    r"""A file of permitted keys that has a line, once. Lines of others stay as they are.

    Args:
        before: What the file holds.
        line: The line.
        public_key: The key in it: other lines with the same one are replaced, since sshd takes the first.

    >>> with_line("ssh-rsa AAAA root@n1", "restrict ssh-ed25519 BBBB n2", "ssh-ed25519 BBBB")
    'ssh-rsa AAAA root@n1\nrestrict ssh-ed25519 BBBB n2\n'
    """
    lines = re.split(r"(?<=\n)", before)  # by newlines alone, as sshd does
    own = [each for each in lines if public_key in each and not each.lstrip().startswith("#")]
    if [each.rstrip("\r\n") for each in own] == [line]:
        return before
    kept = "".join(each for each in lines if each not in own)
    end = "" if not kept or kept.endswith("\n") else "\n"
    return f"{kept}{end}{line}\n"

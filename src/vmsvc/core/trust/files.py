"""Files on the other side of ssh: read as they are, and replaced whole, unless somebody was faster."""

from __future__ import annotations

import difflib
import re

from attrs import frozen

from vmsvc.core.errors import ActionFailed
from vmsvc.core.transport import Host, Outcome
from vmsvc.core.transport.command import said_last

#: A checksum by what there is: POSIX has cksum(1), and small systems, such as busybox of Debian, only others.
_CHECKSUM = r"""
checksum() {
    for tool in cksum sha256sum md5sum; do
        if command -v "$tool" >/dev/null 2>&1; then "$tool"; return; fi
    done
    echo "it has none of cksum, sha256sum and md5sum, by which a change by somebody else would show" >&2
    return 1
}
"""

#: Prints the file's path, its checksum (or `none`), and the file.
_READ = rf"""{_CHECKSUM}
case $1 in
    "~/"*) file=$HOME/${{1#"~/"}} ;;
    *) file=$1 ;;
esac
if [ -h "$file" ]; then file=$(readlink -f "$file") || exit; fi
printf '%s\n' "$file"
if [ -e "$file" ]; then checksum <"$file" && cat "$file"; else echo none; fi
"""

#: Replaces a file that still has a checksum, by a text in parts. Mode and owner stay; a new file gets a mode.
_WRITE = rf"""{_CHECKSUM}
set -e
file=$1 was=$2 mode=$3
shift 3
if [ -e "$file" ]; then now=$(checksum <"$file"); else now=none; fi
if [ "$now" != "$was" ]; then
    echo "$file was changed by somebody else meanwhile" >&2
    exit 1
fi
directory=${{file%/*}}
if [ ! -d "$directory" ]; then
    case $mode in
        600) umask 077 ;;
        *) umask 022 ;;
    esac
    mkdir -p "$directory"
fi
new=$directory/.vmsvc-new-$$
trap 'rm -f "$new"' EXIT
umask 077
if [ "$was" = none ]; then : >"$new"; chmod "$mode" "$new"; else cp -p "$file" "$new"; fi
for part; do printf %b "$part"; done >"$new"
mv -f "$new" "$file"
if command -v restorecon >/dev/null 2>&1; then restorecon "$file" "$directory" || :; fi
"""


#: How many characters one argument has, each of 5 bytes at most when escaped: Linux takes 128 KiB (``MAX_ARG_STRLEN``).
_PART = 16384


@frozen(kw_only=True)
class Change:
    """What a file is to hold.

    Attributes:
        path: The file, on the other side.
        before: What it holds; empty where there is none.
        after: What it is to hold.
        checksum: Of what it holds, as a tool there prints it; ``none`` where there is no file.
        mode: The mode of a new file, in octal digits.
    """

    path: str
    before: str
    after: str
    checksum: str
    mode: str

    @property
    def is_needed(self) -> bool:
        """Whether the file is to change."""
        return self.before != self.after

    @property
    def diff(self) -> str:
        """How it would change, as ``diff -u`` tells it; empty where it would not."""
        lines = self.before.splitlines(keepends=True), self.after.splitlines(keepends=True)
        return "".join(difflib.unified_diff(*lines, self.path, f"{self.path} (vmsvc)"))


def read(host: Host, path: str, *, budget_s: float) -> tuple[str, str, str]:
    """Read a file.

    Args:
        host: Where it is.
        path: The file; ``~/`` is the home of whoever logs in.
        budget_s: How long it may take, in seconds.

    Returns:
        Its path, without ``~`` and symbolic links; its checksum, or ``none``; and its text.

    Raises:
        ActionFailed: It cannot be read, or not as a whole.
    """
    outcome = host.run(["sh", "-c", _READ, "sh", path], budget_s=budget_s)
    if outcome.code or outcome.truncated:
        raise _failed(host, outcome, f"{path} cannot be read" + (", it is too long" if outcome.truncated else ""))
    found, checksum, text = (*outcome.stdout.decode(errors="surrogateescape").split("\n", 2), "")[:3]
    return found, checksum, text


def write(host: Host, change: Change, *, budget_s: float) -> None:
    """Replace a file, atomically.

    Args:
        host: Where it is.
        change: What it is to hold.
        budget_s: How long it may take, in seconds.

    Raises:
        ActionFailed: It could not be written, or was changed meanwhile; it holds what it held.
    """
    parts = [change.after[start : start + _PART] for start in range(0, len(change.after), _PART)]
    words = [change.path, change.checksum, change.mode, *map(_escaped, parts)]
    outcome = host.run(["sh", "-c", _WRITE, "sh", *words], budget_s=budget_s)
    if outcome.code:
        raise _failed(host, outcome, f"{change.path} cannot be written")


def _escaped(text: str) -> str:
    r"""A text as printf's ``%b`` takes it: others may have written what is no UTF-8, which no argument can be.

    >>> _escaped("a\\b \udcfc")
    'a\\\\b \\0374'
    """
    return re.sub("[\\\\\udc80-\udcff]", _as_octal, text)


def _as_octal(match: re.Match[str]) -> str:
    character = match[0]
    return "\\\\" if character == "\\" else f"\\0{ord(character) - 0xDC00:03o}"


def _failed(host: Host, outcome: Outcome, what: str) -> ActionFailed:
    return ActionFailed(
        f"{host.name}: {what}{said_last(outcome.stderr, outcome.stdout)}",
        code="action.not-installed",
        hint="the script and the line can also be put there by hand: `vmsvc trust` without options shows them",
    )

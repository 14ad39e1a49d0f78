"""What is said to a guest's shell, and how its answers are told from what else the shell prints. Pure.

A login shell prints what its start-up files say before it does anything. So it is replaced by ``sh``, which prints a
mark and its process number, and is told the command once that mark has come: until then, nothing was run. The command
takes the place of ``sh``, with the same number; and since it has a session of its own (setsid(2)), that is the
session's number, too, by which all of the command's processes are found.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from vmsvc.core.errors import UsageError
from vmsvc.core.transport import Kept

#: Replaces the login shell, in the words of all shells there are, csh and fish among them. OpenSSH gives each command
#: a session; with dropbear it is made, if setsid(1) is there. The sixth field of /proc/PID/stat is the session.
SHELL = (
    "exec /bin/sh -c '{ read -r a b c d e session rest </proc/$$/stat; } 2>/dev/null; "
    'if [ "$session" ] && [ "$session" != $$ ] && command -v setsid >/dev/null; then exec setsid /bin/sh; fi; '
    "exec /bin/sh'"
)

#: What ``env`` and ``export`` take for a name; POSIX.1-2017, XBD 3.235.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: How much is kept of what is printed before the mark, in bytes, for a message when the mark does not come.
_BEFORE = 4096

#: The exit code of what the shell could not run.
NOT_RUN = 127

NO_SUCH_COMMAND, NOT_EXECUTABLE = "no-such-command", "not-executable"

#: What the shell says instead of running a command, in words, and what to do about it.
WHY_NOT = {
    NO_SUCH_COMMAND: ("there is no such command", "install it there, or give its full path"),
    NOT_EXECUTABLE: ("it is not an executable file", "look at its mode and owner with ls -l"),
}


def greeting(mark: str) -> str:
    """The first lines for ``sh``: it prints the mark to both streams, and its process number to the first.

    Args:
        mark: What nobody else prints.
    """
    return f"echo {mark} $$; echo {mark} . >&2\n"


def command(argv: Sequence[str], environment: Mapping[str, str], mark: str) -> str:
    """The rest of the lines for ``sh``: it becomes the command, or says why not.

    Args:
        argv: The program and its arguments.
        environment: Variables to set.
        mark: The mark.

    Raises:
        UsageError: A variable's name is none.
    """
    for name in environment:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} cannot be the name of a variable in a shell", code="usage.command")
    program = shlex.quote(argv[0])
    if "/" in argv[0]:
        test = (
            f"if [ ! -e {program} ]; then no={NO_SUCH_COMMAND}; "
            f"elif [ -d {program} ] || [ ! -x {program} ]; then no={NOT_EXECUTABLE}; fi"
        )
    else:
        test = f"command -v {program} >/dev/null 2>&1 || no={NO_SUCH_COMMAND}"
    lines = (
        "{",  # what is between the braces is read to its end before it begins: half of a command is never run
        *(f"export {name}={shlex.quote(value)}" for name, value in environment.items()),
        f"no=; {test}",
        f'if [ -n "$no" ]; then echo {mark} $no; exit {NOT_RUN}; fi',
        f"exec {shlex.join(argv)} </dev/null",
        "}",
    )
    return "\n".join((*lines, ""))


class Answer:
    """One stream of a command's output, behind the mark.

    Args:
        mark: The mark; empty where there is none, and all is output.

    Attributes:
        mark: The mark.
        word: What stood behind the mark; empty as long as it has not come.
    """

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self._line = re.compile(rb"%s ([^\n]*)\n" % mark.encode())
        self._window = len(mark) + 64
        self._tail = b""
        self._before = Kept(_BEFORE)
        self._output = Kept()
        self._is_behind = not mark
        self.word = ""

    def add(self, chunk: bytes) -> None:
        """Take what was read.

        Args:
            chunk: What was read.
        """
        if self._is_behind:
            self._output.add(chunk)
            return
        text = self._tail + chunk
        if found := self._line.search(text):
            self._is_behind = True
            self.word = found[1].decode(errors="replace")
            self._output.add(text[found.end() :])
        else:
            self._tail = text[-self._window :]
            self._before.add(chunk)

    @property
    def output(self) -> bytes:
        """What came behind the mark, or as long as it has not come, the beginning of what did."""
        return bytes(self._output if self._is_behind else self._before)

    @property
    def truncated(self) -> bool:
        """Whether some of the output was dropped."""
        return self._output.truncated


def why_not(answer: Answer) -> str:
    """Why the shell has not run a command: a key of :data:`WHY_NOT`, or empty where it has.

    Args:
        answer: What was printed to standard output.
    """
    words = answer.output.decode(errors="replace").split()
    return words[1] if answer.mark and words[:1] == [answer.mark] and words[1:2] and words[1] in WHY_NOT else ""


#: For ``sh -c END sh SESSION TERM KILL``: ends the session's processes, and prints those that do not die. Where
#: there is no /proc as Linux has it, the session's first process group stands for the session. All processes are looked
#: at as seldom as can be: a busy host has thousands, and for each the shell opens a file.
END = r"""
session=$1
all() {
    cd /proc 2>/dev/null && echo [0-9]*
}
members() { # PID...: those of them that are of the session, and live
    if [ -r /proc/self/stat ]; then
        for each; do
            { read -r line <"/proc/$each/stat"; } 2>/dev/null || continue
            set -- ${line##*) }
            if [ "$4" = "$session" ] && [ "$1" != Z ] && [ "$1" != X ]; then
                echo "$each"
            fi
        done
    else
        kill -0 "-$session" 2>/dev/null && echo "-$session"
    fi
}
end() { # SIGNAL TIMES: within so many twentieths of a second
    left=$2
    while [ -n "$them" ]; do
        for each in $them; do kill -"$1" "$each" 2>/dev/null; done
        while them=$(members $them); [ -n "$them" ]; do
            [ "$left" -gt 0 ] || return 1
            sleep 0.05 2>/dev/null || { sleep 1; left=$((left - 19)); }
            left=$((left - 1))
        done
        them=$(members $(all)) # those that were started meanwhile
        [ "$left" -gt 0 ] || return 1
        left=$((left - 1))
    done
}
them=$(members $(all))
end TERM "$2" || end KILL "$3" || members $(all)
"""

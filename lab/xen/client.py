"""Runs commands in a domain 0 of the lab. As a program called `xl`, it is the real one there.

Called `pgrep` or `kill`, or `find` of what is in `/proc`, it means the processes there.
Nothing but the standard library is loaded, since it is started for each command of a driver.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import shlex
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

_GREETING, _GREETED_S = b"hello\n", 30
_LARGEST = 1 << 20
_NO_ANSWER = 255


class Silence(Exception):
    """Domain 0 does not answer."""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: bytes
    err: bytes


def run(directory: str, script: str, timeout: float | None = None) -> Done:
    """Run a shell script in the domain 0 that is known by a directory; it is killed when the caller dies."""
    with _greeted(directory) as connection:
        connection.settimeout(timeout)
        try:
            connection.sendall(base64.b64encode(script.encode(errors="surrogateescape")) + b"\n")
            with connection.makefile("rb") as answer:
                code, out, err = (answer.readline() for _ in range(3))
        except OSError as error:
            raise Silence(str(error)) from None
    if not err.endswith(b"\n"):
        raise Silence("the answer is not whole")
    return Done(int(code), base64.b64decode(out), base64.b64decode(err))


def _greeted(directory: str) -> socket.socket:
    """A connection that has been answered: there is one at a time before that, since few can wait to be."""
    with Path(directory, "port").open("r+") as port:
        fcntl.flock(port, fcntl.LOCK_EX)
        try:
            connection = socket.create_connection(("127.0.0.1", int(port.read())), timeout=_GREETED_S)
        except OSError as error:
            raise Silence(str(error)) from None
        with contextlib.suppress(OSError):
            if connection.recv(len(_GREETING)) == _GREETING:
                return connection
        connection.close()
    raise Silence("it does not greet")


def brought(argv: Sequence[str]) -> str:
    """A script that runs a command with the files of this machine that it names, at the same places."""
    lines = []
    for word in argv:
        file = Path(word)
        if file.is_absolute() and file.is_file() and file.stat().st_size <= _LARGEST:
            content = base64.b64encode(file.read_bytes()).decode()
            place = shlex.quote(word)
            lines.append(f'mkdir -p "$(dirname {place})"; echo {content} | base64 -d > {place}')
    return "\n".join([*lines, shlex.join(argv)])


def _script(argv: Sequence[str]) -> str:
    """What is run in domain 0 for a command; its busybox has no pgrep, and a find without `-printf`."""
    if argv[0] == "pgrep":
        return f"grep -lx {shlex.quote(argv[-1])} /proc/[0-9]*/comm 2>/dev/null | cut -d/ -f3"
    if argv[0] == "find":
        paths = shlex.join(word for word in argv[1:] if word.startswith("/"))
        return f"""
            for path in {paths}; do
                link=$(readlink $path) && printf '%s %s\\0' $path "$link"
            done
            true"""
    return brought(argv)


def main(directory: str) -> NoReturn:
    """Be the command that it is called as."""
    argv = [Path(sys.argv[0]).name, *sys.argv[1:]]
    if argv[0] == "find" and not argv[1].startswith("/proc/"):
        os.execv("/usr/bin/find", argv)
    script = _script(argv)
    try:
        done = run(directory, script)
    except Silence as silence:
        sys.stderr.write(f"the lab's domain 0: {silence}\n")
        sys.exit(_NO_ANSWER)
    sys.stdout.buffer.write(done.out)
    sys.stderr.buffer.write(done.err)
    sys.stdout.buffer.flush()
    sys.exit(done.code)

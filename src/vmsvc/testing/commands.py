"""What every way into a guest or to another host keeps, as a table of commands; and an endless supply of odd ones.

A way is anything that runs a command as :meth:`vmsvc.driver.Host.run` does. A test of one is a few lines:

.. code-block:: python

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_the_way_keeps_the_clauses(case):
        hold(way, case)

The commands need a Linux at the other end, with a POSIX shell, ``env``, ``dd``, ``tr`` and ``grep``.

PYTEST_DONT_REWRITE: what an assertion says is what is told of a clause, and pytest would add to it.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from attrs import field, frozen

from vmsvc.core.errors import ActionFailed, TimedOut, UsageError, VmsvcError
from vmsvc.core.transport import OUTPUT_LIMIT, Outcome

#: How much longer than its budget a command may take to be ended, in seconds.
GRACE_S = 3.0

# Stands for something that no other process on the machine has on its command line.
_TOKEN = "TOKEN"  # noqa: S105 - not a secret
_HOW_MANY_ARE_LEFT = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c '[v]msvc-TOKEN'; true"
_HANG = "trap '' TERM HUP INT; while :; do sleep 1; done"
_MIB = "dd if=/dev/zero bs=65536 count=16 2>/dev/null"
_SHOWN_BYTES = 200
_KILLED = (-9, 137)  # some ways learn of a signal only what a shell makes of it

#: What arguments are made of.
_ALPHABET = (
    *"abcXYZ019 \t\n\r\"'`$\\;&|<>(){}[]*?!~#%=-/,.:@^_",
    *"äßπЖ中\u00a0\u200b\u202e\u2028\ufeff\U0001f600\U0010ffff\ufffe\ufdd0",
    *"\x01\x07\x1b\x7f\x85",
)


class Way(Protocol):
    """Runs a command, as :meth:`vmsvc.driver.Host.run` does."""

    def __call__(self, argv: Sequence[str], *, budget_s: float, environment: dict[str, str] | None = None) -> Outcome:
        """Run a command to its end, or to the end of its budget."""


@frozen(kw_only=True)
class Case:
    """A command, and what is to come of it.

    Attributes:
        name: What it is about.
        argv: The command.
        environment: Variables to set.
        budget_s: How long it may take, in seconds.
        fails: The error to be raised; ``None`` where the command is to come to its end.
        says: What is to be in the error's message.
        codes: The exit codes that it may have.
        stdout: What is to be printed; of a command that does not end, before its time is up.
        stderr: What is to be printed to standard error, alike.
        truncated: Whether more is to be printed than is kept.
        leaves: Whether processes of it are to be left; ``None`` where that is not looked at.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(factory=dict)
    budget_s: float = 30.0
    fails: type[VmsvcError] | None = None
    says: str = ""
    codes: Sequence[int] = (0,)
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: bool = False
    leaves: bool | None = None

    def __str__(self) -> str:
        """Its name, for the names of tests."""
        return self.name


def _sh(text: str, *arguments: str) -> tuple[str, ...]:
    return ("sh", "-c", text, *arguments)


#: What every way keeps.
CASES: tuple[Case, ...] = (
    Case(
        name="arguments arrive as they are",
        argv=_sh(
            'printf "%s\\n" "$#" "$@"', "name", "", "a b", "'\"`$HOME`\"'", "a\n\nb\n", "\\n\\\\", "-x", "%s", "*ä中😀"
        ),
        stdout="8\n\na b\n'\"`$HOME`\"'\na\n\nb\n\n\\n\\\\\n-x\n%s\n*ä中😀\n".encode(),
    ),
    Case(
        name="the program is called as it is",
        argv=("printf", "%s|", "a b", "$(id)"),
        stdout=b"a b|$(id)|",
    ),
    Case(
        name="variables are set in addition",
        argv=_sh('printf "%s|" "$A" "$B_2"; test -n "$PATH"'),
        environment={"A": "1 '2'\n", "B_2": "ä\\n$A"},
        stdout="1 '2'\n|ä\\n$A|".encode(),
    ),
    Case(
        name="there is nothing to read",
        argv=("cat",),
    ),
    Case(
        name="a command that fails, with words",
        argv=_sh("echo out; echo err >&2; exit 3"),
        codes=(3,),
        stdout=b"out\n",
        stderr=b"err\n",
    ),
    Case(name="the largest exit code", argv=_sh("exit 255"), codes=(255,)),
    Case(name="an exit code that looks like a signal", argv=_sh("exit 137"), codes=(137,)),
    Case(
        name="binary output",
        argv=_sh('printf "\\000\\001\\377\\200\\r\\n\\n\\000"; printf "\\376\\n" >&2'),
        stdout=b"\x00\x01\xff\x80\r\n\n\x00",
        stderr=b"\xfe\n",
    ),
    Case(
        name="as much output as is kept",
        argv=_sh(f"{_MIB}; {{ {_MIB}; }} >&2"),
        stdout=bytes(OUTPUT_LIMIT),
        stderr=bytes(OUTPUT_LIMIT),
    ),
    Case(
        name="one byte more than is kept",
        argv=_sh(f"{_MIB}; printf x; echo end >&2"),
        stdout=bytes(OUTPUT_LIMIT),
        stderr=b"end\n",
        truncated=True,
    ),
    Case(
        name="a hundred megabytes",
        argv=_sh("dd if=/dev/zero bs=65536 count=1600 2>/dev/null; echo end >&2; exit 5"),
        budget_s=60.0,
        codes=(5,),
        stdout=bytes(OUTPUT_LIMIT),
        stderr=b"end\n",
        truncated=True,
    ),
    Case(
        name="a command that hangs and hears no signal",
        argv=_sh(f"echo begun; echo slow >&2; {_HANG}", "vmsvc-TOKEN"),
        budget_s=2.0,
        fails=TimedOut,
        stdout=b"begun\n",
        stderr=b"slow\n",
        says="within 2.0 s",
        leaves=False,
    ),
    Case(
        name="a child that hangs",
        argv=_sh('sh -c "$1" vmsvc-TOKEN; echo never', "name", _HANG),
        budget_s=2.0,
        fails=TimedOut,
        says="within 2.0 s",
        leaves=False,
    ),
    Case(
        name="a daemon that holds the output open",
        argv=_sh('sh -c "sleep 60; :" vmsvc-TOKEN & echo started; echo well >&2'),
        budget_s=20.0,
        stdout=b"started\n",
        stderr=b"well\n",
        leaves=True,
    ),
    Case(
        name="a daemon that goes on printing",
        argv=_sh('sh -c "for _ in 1 2 3 4; do sleep 15; echo more; done" vmsvc-TOKEN & echo started'),
        budget_s=20.0,
        stdout=b"started\n",
        leaves=True,
    ),
    Case(name="a command that kills itself", argv=_sh("echo before; kill -9 $$"), codes=_KILLED, stdout=b"before\n"),
    Case(name="a command that kills its group", argv=_sh("echo before; kill -9 0"), codes=_KILLED, stdout=b"before\n"),
    Case(name="no such command", argv=("vmsvc-has-no-such-command", "x"), fails=ActionFailed, says="no such command"),
    Case(name="no such file", argv=("/no/such/file",), fails=ActionFailed, says="no such"),
    Case(name="no command but a directory", argv=("/tmp",), fails=ActionFailed),  # noqa: S108 - nothing is written there
    Case(name="a character that no argument has", argv=("echo", "a\0b"), fails=UsageError, says="NUL"),
)


def hold(way: Way, case: Case) -> None:
    """Hold a way to a case.

    Args:
        way: The way.
        case: The case.

    Raises:
        AssertionError: It does not keep it.
    """
    token = secrets.token_hex(6)
    argv = [word.replace(_TOKEN, token) for word in case.argv]
    began = time.monotonic()
    try:
        done: Outcome | VmsvcError = way(argv, budget_s=case.budget_s, environment=dict(case.environment))
    except VmsvcError as error:
        done = error
    took_s = time.monotonic() - began
    assert took_s < case.budget_s + GRACE_S, f"{case}: it took {took_s:.1f} s"
    if isinstance(done, VmsvcError):
        assert type(done) is case.fails, f"{case}: {type(done).__name__}: {done}"
        assert case.says in str(done), f"{case}: {done}"
        if isinstance(done, TimedOut):
            assert done.stdout.startswith(case.stdout), f"{case}: {done.stdout!r} is not what it had printed"
            assert done.stderr.startswith(case.stderr), f"{case}: {done.stderr!r} is not what it had printed"
    else:
        assert case.fails is None, f"{case}: {done.code}"
        assert done.argv == tuple(argv)
        assert _short(done.stdout) == _short(case.stdout), case.name
        assert _short(done.stderr) == _short(case.stderr), case.name
        assert (done.stdout, done.stderr) == (case.stdout, case.stderr), f"{case}: other bytes of the same length"
        assert done.code in case.codes, f"{case}: exit code {done.code}"
        assert done.truncated is case.truncated, case.name
    if case.leaves is not None:
        until = time.monotonic() + GRACE_S
        count = _sh(_HOW_MANY_ARE_LEFT.replace(_TOKEN, token))
        # What serves a command may need a moment to be gone.
        while (left := int(way(count, budget_s=30.0).out)) and not case.leaves and time.monotonic() < until:
            time.sleep(0.1)
        assert bool(left) is case.leaves, f"{case}: {left} of its processes are left"


def odd_cases(seed: int, count: int) -> Iterator[Case]:
    """Commands with random arguments, output and exit codes, the same for the same seed.

    Args:
        seed: What they are made of.
        count: How many.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible is what it has to be
    text = 'printf %b "$1"; printf %b "$2" >&2; code=$3; shift 3; printf "%s\\n" "$#" "$@"; exit "$code"'
    for number in range(count):
        stdout, stderr = (rng.randbytes(rng.choice((0, 1, 7, 300, 5000))) for _ in range(2))
        code = rng.choice((0, 0, 1, rng.randrange(256)))
        arguments = ["".join(rng.choices(_ALPHABET, k=rng.choice((0, 1, 5, 80)))) for _ in range(rng.randrange(8))]
        told = "".join(f"{word}\n" for word in (str(len(arguments)), *arguments)).encode()
        yield Case(
            name=f"odd case {number} of seed {seed}",
            argv=_sh(text, "name", _octal(stdout), _octal(stderr), str(code), *arguments),
            codes=(code,),
            stdout=stdout + told,
            stderr=stderr,
        )


def _octal(data: bytes) -> str:
    return "".join(f"\\0{byte:03o}" for byte in data)


def _short(data: bytes) -> bytes:
    """So much of it as a failed test can show."""
    return data[:_SHOWN_BYTES] + (b" ... %d bytes" % len(data) if len(data) > _SHOWN_BYTES else b"")

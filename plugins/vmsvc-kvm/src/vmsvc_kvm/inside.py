"""What a guest's agent is asked to run inside of the guest, and what its answers mean. Pure.

The agent (qemu-ga) runs programs and keeps what they print, but knows no sessions, no deadlines and no daemons. So in a
unix guest it runs a small script, ``inside.sh``, that runs the command.

Source: https://www.qemu.org/docs/master/interop/qemu-ga-ref.html
"""

from __future__ import annotations

import binascii
import json
import secrets
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from attrs import field, frozen

from vmsvc.driver import OUTPUT_LIMIT, GuestAddress, Undetermined, printable

_SHELL = "/bin/sh"
_NAME = "vmsvc"  # what the script's processes are called in lists of processes
# Unicode's noncharacters: these, and the last two of each of its planes.
_NONCHARACTERS = range(0xFDD0, 0xFDF0)
_LAST_TWO = 0xFFFE


def _mark() -> tuple[str, str]:
    return secrets.token_hex(8), secrets.token_hex(8)


@frozen(kw_only=True)
class Printed:
    """What a command has left behind.

    Attributes:
        code: Its exit code; ``None`` where it is lost.
        stdout: What it printed, up to the limit.
        stderr: Its errors, alike.
        truncated: Whether there was more than is here.
        refusal: Why it was not started; empty where it was.
    """

    code: int | None
    stdout: bytes
    stderr: bytes
    truncated: bool
    refusal: str = ""


@frozen(kw_only=True)
class UnixCommand:
    """A command for a unix guest, by way of the script.

    Attributes:
        argv: The program and its arguments.
        environment: Variables to set in addition to the agent's own.
    """

    can_be_ended = True

    argv: Sequence[str]
    environment: Mapping[str, str]
    _halves: tuple[str, str] = field(factory=_mark)

    def request(self) -> dict[str, Any]:
        """The arguments of ``guest-exec``."""
        limit = OUTPUT_LIMIT + len(self._end)
        text = _script()
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        # `env` takes a program that has = in its name for one variable more: it runs it by a shell.
        by_shell = [_SHELL, "-c", 'exec "$@"', _NAME] if variables and "=" in self.argv[0] else []
        command = [*(["env", *variables] if variables else []), *by_shell, *self.argv]
        purpose = ["lead", *self._halves, str(limit), self.argv[0], self.environment.get("PATH", "")]
        return _exec([_SHELL, "-c", text, _NAME, text, *purpose, *map(_escaped, command)])

    def printed(self, status: Mapping[str, Any]) -> Printed:
        """Read the answer of ``guest-exec-status`` once the command has ended.

        Args:
            status: The answer.
        """
        (stdout, out_is_whole), (stderr, err_is_whole) = map(self._before_end, _streams(status))
        if stderr.startswith(self._end):
            return Printed(
                code=None,
                stdout=b"",
                stderr=b"",
                truncated=False,
                refusal=stderr[len(self._end) :].decode(errors="backslashreplace"),
            )
        return Printed(
            code=status.get("exitcode"), stdout=stdout, stderr=stderr, truncated=not (out_is_whole and err_is_whole)
        )

    @property
    def _end(self) -> bytes:
        return "".join(self._halves).encode()

    def _before_end(self, stream: bytes) -> tuple[bytes, bool]:
        before, mark, _later = stream.rpartition(self._end)
        return (before, True) if mark else (stream[:OUTPUT_LIMIT], False)


@frozen(kw_only=True)
class PlainCommand:
    """A command for a guest without a POSIX shell: the agent runs it as it is, and it cannot be ended.

    Attributes:
        argv: The program and its arguments.
    """

    can_be_ended = False

    argv: Sequence[str]

    def request(self) -> dict[str, Any]:
        """The arguments of ``guest-exec``."""
        return _exec(self.argv)

    def printed(self, status: Mapping[str, Any]) -> Printed:
        """Read the answer of ``guest-exec-status`` once the command has ended.

        Args:
            status: The answer.
        """
        stdout, stderr = _streams(status)
        is_cut = bool(status.get("out-truncated") or status.get("err-truncated"))
        return Printed(
            code=status["exitcode"] if "exitcode" in status else -int(status.get("signal", 0)) or None,
            stdout=stdout[:OUTPUT_LIMIT],
            stderr=stderr[:OUTPUT_LIMIT],
            truncated=is_cut or max(len(stdout), len(stderr)) > OUTPUT_LIMIT,
        )


def ending(pid: int) -> dict[str, Any]:
    """The arguments of ``guest-exec`` that end a :class:`UnixCommand`; it then tells of its end as any other does.

    Args:
        pid: What the agent has said of it.
    """
    return _exec([_SHELL, "-c", 'kill -TERM "-$1"', _NAME, str(pid)], capture=False)


def answer(text: str) -> Any:
    """What the agent has answered; all that comes from inside of a guest may be anything.

    Args:
        text: The answer, as libvirt hands it over.

    Raises:
        Undetermined: It is no answer.
    """
    try:
        return json.loads(text)["return"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _unreadable(text) from None


def started(answer: Any) -> int:
    """Read the answer of ``guest-exec``: what the agent calls the command by.

    Args:
        answer: The answer.

    Raises:
        Undetermined: It cannot be read.
    """
    pid = answer.get("pid") if isinstance(answer, dict) else None
    if not isinstance(pid, int):
        raise _unreadable(answer)
    return pid


def status(answer: Any) -> Mapping[str, Any]:
    """Check the answer of ``guest-exec-status``.

    Args:
        answer: The answer.

    Raises:
        Undetermined: It cannot be read.
    """
    if not isinstance(answer, dict) or any(
        not isinstance(answer.get(key, kind()), kind)
        for key, kind in {"exited": bool, "exitcode": int, "signal": int, "out-data": str, "err-data": str}.items()
    ):
        raise _unreadable(answer)
    return answer


def has_ended(status: Mapping[str, Any]) -> bool:
    """Whether a command has ended, and all of its output is there.

    Args:
        status: What :func:`status` has checked.
    """
    return bool(status.get("exited"))


def runs_commands(answer: Any) -> bool:
    """Read the answer of ``guest-info``: whether the agent runs commands, or was told not to.

    Args:
        answer: The answer.

    Raises:
        Undetermined: It cannot be read.
    """
    try:
        return any(one["name"] == "guest-exec" and one["enabled"] for one in answer["supported_commands"])
    except (KeyError, TypeError):
        raise _unreadable(answer) from None


def addresses(answer: Any) -> list[GuestAddress]:
    """Read the answer of ``guest-network-get-interfaces``.

    Args:
        answer: The answer.

    Raises:
        Undetermined: It is in no form that the agent's documentation knows.
    """
    if not isinstance(answer, list):
        raise _unreadable(answer)
    try:
        return [
            GuestAddress(
                device=adapter["name"],
                address=told["ip-address"],
                prefix=told.get("prefix"),
                hardware=adapter.get("hardware-address", ""),
            )
            for adapter in answer
            for told in adapter.get("ip-addresses", ())
        ]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _unreadable(answer) from None


def _unreadable(answer: Any) -> Undetermined:
    return Undetermined(f"the agent's answer cannot be read: {printable(str(answer)[:200])}")


@cache
def _script() -> str:
    text = Path(__file__).with_name("inside.sh").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def _exec(argv: Sequence[str], *, capture: bool = True) -> dict[str, Any]:
    return {"path": argv[0], "arg": [*argv[1:]], "capture-output": capture}


def _streams(status: Mapping[str, Any]) -> tuple[bytes, bytes]:
    try:
        return binascii.a2b_base64(status.get("out-data", "")), binascii.a2b_base64(status.get("err-data", ""))
    except ValueError:
        raise _unreadable(status) from None


def _escaped(argument: str) -> str:
    r"""An argument as the script takes it: as ``printf %b`` would be given it.

    qemu-ga's JSON takes all characters but Unicode's noncharacters (its ``mod_utf8_encode``), which so become ASCII.

    >>> _escaped("C:\\ \ufffe")
    'C:\\\\ \\0357\\0277\\0276'
    """
    return "".join("\\\\" if one == "\\" else _as_octal(one) if _is_noncharacter(ord(one)) else one for one in argument)


def _as_octal(character: str) -> str:
    return "".join(f"\\0{byte:03o}" for byte in character.encode())


def _is_noncharacter(point: int) -> bool:
    return point & _LAST_TWO == _LAST_TWO or point in _NONCHARACTERS

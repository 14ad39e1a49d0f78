"""A stand-in for ``sg_persist`` that takes a set time for each call, over a target in memory.

What it prints has the form of sg_persist 1.46 and 1.48; its words for errors are left out. As a process it is a shell
script that hands its arguments to whoever made it, and prints what it is told: so that a call costs a real process, and
little besides.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from vmsvc.core.transport import Outcome
from vmsvc.core.vmdg.seen import Answer, Reading, ReservationType
from vmsvc.testing import Action, Request, San

# "EXIT STATUS" of sg3_utils(8).
_CODES = {Answer.DONE: 0, Answer.ATTENTION: 6, Answer.CONFLICT: 24, Answer.INVALID: 5}
_ACTIONS = {
    "--register": Action.REGISTER,
    "--register-ignore": Action.REGISTER_AND_IGNORE,
    "--reserve": Action.RESERVE,
    "--release": Action.RELEASE,
    "--preempt-abort": Action.PREEMPT_AND_ABORT,
}
_TYPES = {
    ReservationType.WRITE_EXCLUSIVE_REGISTRANTS_ONLY: "Write Exclusive, registrants only",
    ReservationType.WRITE_EXCLUSIVE: "Write Exclusive",
}

_SCRIPT = """\
#!/bin/sh
mkfifo "{directory}/$$"
echo "$$ $*" >"{directory}/requests"
{{
    read -r code
    while IFS= read -r line; do echo "$line"; done
}} <"{directory}/$$"
exit "$code"
"""


class StandIn:
    """What answers instead of ``sg_persist``; as a host, it answers without a process.

    Args:
        san: The target.

    Attributes:
        name: The host's name.
        san: The target; it may be another one for each measurement.
        calls: How many calls there were.
    """

    def __init__(self, san: San) -> None:
        self.name = "stand-in"
        self.san = san
        self.calls = 0

    def run(self, argv: Sequence[str], *, budget_s: float, environment: Mapping[str, str] | None = None) -> Outcome:
        """Answer one call.

        Args:
            argv: The call.
            budget_s: Not used.
            environment: Not used.
        """
        del budget_s, environment
        code, out = self.answer(argv[1:])
        return Outcome(argv=tuple(argv), code=code, stdout=out.encode(), stderr=b"", duration_s=0.0)

    def answer(self, arguments: Sequence[str]) -> tuple[int, str]:
        """What one call prints, and its exit code.

        Args:
            arguments: The call's arguments; the last is the device.
        """
        self.calls += 1
        *options, path = arguments
        time.sleep(self.san.delay_s)
        if "--in" in options:
            told = self.san.ask(path, Request(Action.READ))
            reading = self.san.shown(path)
            return _CODES[told], _full_status(reading) if told is Answer.DONE else ""
        values = dict(option.split("=") for option in options if "=" in option)
        request = Request(
            next(_ACTIONS[option] for option in options if option in _ACTIONS),
            key=int(values.get("--param-rk", "0"), 16),
            action_key=int(values.get("--param-sark", "0"), 16),
            type=int(values.get("--prout-type", "0")),
        )
        return _CODES[self.san.ask(path, request)], ""

    @contextlib.contextmanager
    def as_command(self, directory: Path) -> Iterator[None]:
        """Be the ``sg_persist`` that processes find first in their path, as long as this lasts.

        Args:
            directory: Where the command is put; it is empty.
        """
        command, requests = directory / "sg_persist", directory / "requests"
        command.write_text(_SCRIPT.format(directory=directory))
        command.chmod(0o755)
        os.mkfifo(requests)
        before = os.environ["PATH"]
        os.environ["PATH"] = f"{directory}:{before}"
        # Open for both, so that it has no end while nobody writes.
        with requests.open("r+b", buffering=0) as pipe:
            listener = threading.Thread(target=self._listen, args=(requests, directory), daemon=True)
            listener.start()
            try:
                yield
            finally:
                os.environ["PATH"] = before
                pipe.write(b"\n")
                listener.join()

    def _listen(self, requests: Path, directory: Path) -> None:
        with requests.open() as lines:
            for line in lines:
                if not line.strip():
                    return
                number, *arguments = line.split()
                threading.Thread(target=self._reply, args=(directory / number, arguments), daemon=True).start()

    def _reply(self, pipe: Path, arguments: Sequence[str]) -> None:
        code, out = self.answer(arguments)
        pipe.write_text(f"{code}\n{out}")


def _full_status(reading: Reading) -> str:
    lines = [f"  PR generation=0x{reading.generation:x}"]
    for each in reading.registrations:
        lines += [f"    Key=0x{each.key:x}", "      All target ports bit clear"]
        if each.holds and reading.reservation is not None:
            kind = _TYPES[ReservationType(reading.reservation.type)]
            lines += ["      << Reservation holder >>", f"      scope: LU_SCOPE,  type: {kind}"]
        else:
            lines += ["      not reservation holder"]
        lines += ["      Transport Id of initiator:", f"        iSCSI name: {each.nexus}"]
    if not reading.registrations:
        lines += ["  No full status descriptors"]
    return "\n".join(lines) + "\n"

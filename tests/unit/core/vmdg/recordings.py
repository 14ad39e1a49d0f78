"""Recorded outputs of real tools, and hosts that replay them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from vmsvc.core.transport import Outcome

DIRECTORY = Path(__file__).with_name("recorded")


def recorded(name: str) -> Outcome:
    """What a recorded command left behind: ``1.46/15-full-status-two``, say."""
    head, _, rest = (DIRECTORY / f"{name}.txt").read_text().partition("--- stdout\n")
    out, _, err = rest.partition("--- stderr\n")
    command, _, code = head.splitlines()
    return outcome(tuple(command.removeprefix("$ ").split()), int(code.removeprefix("exit: ")), out, err)


def outcome(argv: Sequence[str] = (), code: int = 0, out: str = "", err: str = "") -> Outcome:
    return Outcome(argv=tuple(argv), code=code, stdout=out.encode(), stderr=err.encode(), duration_s=0.01)


class FakeHost:
    """A host that answers as a function tells it, and keeps what it was asked to run."""

    name = "n1"

    def __init__(self, answer: Callable[[list[str]], Outcome | Exception]) -> None:
        self._answer = answer
        self._guard = threading.Lock()
        self.ran: list[list[str]] = []
        self.environments: list[dict[str, str] | None] = []

    def run(self, argv: Sequence[str], *, budget_s: float, environment: dict[str, str] | None = None) -> Outcome:
        with self._guard:
            self.ran.append([*argv])
            self.environments.append(environment)
        answer = self._answer([*argv])
        if isinstance(answer, Exception):
            raise answer
        return answer


def replaying(*answers: str | Outcome | Exception) -> FakeHost:
    """A host that answers one recording after another."""
    left = iter(answers)

    def answer(_argv: list[str]) -> Outcome | Exception:
        one = next(left)
        return recorded(one) if isinstance(one, str) else one

    return FakeHost(answer)

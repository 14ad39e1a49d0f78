"""The self-test: vmsvc's own key permits the verbs, and nothing else. What is tried does no harm where it is let in."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from vmsvc.core.errors import NoWayIn, Undetermined
from vmsvc.core.inside.verbs import GREETING, NAME, encoded
from vmsvc.core.transport.command import said_last

if TYPE_CHECKING:
    from vmsvc.core.transport.ssh import SshHost
    from vmsvc.core.transport.ssh.trial import Answer, Trial

#: How long one of the trials may take, in seconds.
_BUDGET_S = 10.0

#: What a shell makes of :data:`_EVALUATED`: seen in an answer, it proves that something was evaluated.
_PROOF = b"vmsvc-2*21=42"
_EVALUATED = "echo vmsvc-2*21=$((2 * 21))"

#: A launcher that is nowhere.
_NO_LAUNCHER = "vmsvc-no-such-launcher"


class Verdict(enum.Enum):
    """What became of a trial."""

    WORKS = "works as it should"
    REFUSED = "refused as it should be"
    DOES_NOT_WORK = "does NOT work"
    NOT_REFUSED = "NOT refused"
    UNKNOWN = "unknown"

    @property
    def is_right(self) -> bool | None:
        """Whether it is as it should be; ``None`` where that is not known."""
        return None if self is Verdict.UNKNOWN else self in (Verdict.WORKS, Verdict.REFUSED)


@frozen
class Tried:
    """One trial.

    Attributes:
        name: What was tried.
        verdict: What became of it.
        detail: What was answered; empty where the verdict says it all.
    """

    name: str
    verdict: Verdict
    detail: str = ""


def try_out(host: SshHost, directories: Sequence[str], *, budget_s: float) -> list[Tried]:
    """Try what vmsvc's own key lets in.

    Args:
        host: The guest, where vmsvc's own key is offered first.
        directories: The directories of launchers that the key is for.
        budget_s: How long it may take to get in, in seconds.

    Returns:
        What was tried, in order; where the key is not taken, that alone.

    Raises:
        NoWayIn: The guest cannot be reached at all.
    """
    name = "vmsvc's own key is let in"
    try:
        trial = host.trial(budget_s=budget_s)
    except NoWayIn as error:
        if error.code != "undetermined.ssh-denied":
            raise
        return [Tried(name, Verdict.DOES_NOT_WORK, error.message)]
    if not host.is_restricted:
        return [Tried(name, Verdict.DOES_NOT_WORK, "another key of yours was taken instead")]
    return [Tried(name, Verdict.WORKS), *_verbs(trial, directories), *_refusals(trial, directories)]


def _verbs(trial: Trial, directories: Sequence[str]) -> Iterator[Tried]:
    yield _works(trial, "the verb hello", "hello", proof=GREETING)
    yield _works(trial, "the verb addresses", "addresses", proof="SYSTEM ")
    yield _works(trial, "the verb end", f"end {'0' * 32}", proof=f"{NAME} ended")
    for directory in directories:
        yield _works(trial, f"the verb launchers {directory}", f"launchers {encoded(directory)}", proof=NAME)
        words = f"launch {encoded(directory)} {_NO_LAUNCHER} status"
        yield _works(trial, f"the verb launch {directory}", words, code=125, proof=f"{NAME}: there is no ")


def _works(trial: Trial, name: str, words: str, *, proof: str, code: int = 0) -> Tried:
    """A verb works if it ends as it should, and says what only vmsvc's script says."""

    def judge(answer: Answer) -> Verdict:
        said = answer.stderr.strip().rpartition(b"\n")[2] if code else answer.stdout
        is_right = answer.code == code and said.startswith(proof.encode())
        return Verdict.WORKS if is_right else Verdict.DOES_NOT_WORK

    return _run(trial, name, judge, "exec", f"{NAME} {words}")


def _refusals(trial: Trial, directories: Sequence[str]) -> Iterator[Tried]:
    commands = {
        "rm -rf of a directory that is nowhere": "rm -rf /vmsvc-no-such-directory",
        "another command": _EVALUATED,
        "a command behind ;": f"{NAME} hello; {_EVALUATED}",
        "a command behind &&": f"{NAME} hello && {_EVALUATED}",
        "a command behind a newline": f"{NAME} hello\n{_EVALUATED}",
        "a command in $()": f"{NAME} hello $({_EVALUATED})",
        "a command in backquotes": f"{NAME} hello `{_EVALUATED}`",
        "a verb that is not there": f"{NAME} vmsvc-no-such-verb",
        "launchers of another directory": f"{NAME} launchers /etc",
    }
    for directory in directories:
        commands[f"launchers of {directory}/.."] = f"{NAME} launchers {encoded(directory + '/..')}"
    for name, line in commands.items():
        yield _run(trial, name, _judge_refusal, "exec", line)
    if directories:
        launch = f"{NAME} launch {encoded(directories[0])}"
        yield _run(trial, "a launcher in ../", _judge_literal, "exec", f"{launch} ../{_NO_LAUNCHER} status")
        for what, word in (
            (";", f";{_EVALUATED}"),
            ("$()", f"$({_EVALUATED})"),
            ("backquotes", f"`{_EVALUATED}`"),
            ("a newline", f"x\n{_EVALUATED}"),
        ):
            yield _run(
                trial, f"a launcher with {what} in its name", _judge_literal, "exec", f"{launch} {encoded(word)} status"
            )
    yield _run(trial, "a shell", _judge_refusal, "shell")
    yield _run(trial, "sftp", _judge_subsystem, "subsystem", "sftp")
    yield _grant("a terminal", lambda: trial.grants("pty-req", "vt100", 80, 24, 0, 0, "", budget_s=_BUDGET_S))
    yield _grant("forwarding to elsewhere (ssh -L)", lambda: trial.connects("127.0.0.1", 22, budget_s=_BUDGET_S))
    yield _grant("forwarding from there (ssh -R)", trial.listens)
    yield _grant(
        "forwarding of an agent (ssh -A)", lambda: trial.grants("auth-agent-req@openssh.com", budget_s=_BUDGET_S)
    )
    cookie = ("MIT-MAGIC-COOKIE-1", "0" * 32)
    yield _grant("forwarding of X11 (ssh -X)", lambda: trial.grants("x11-req", False, *cookie, 0, budget_s=_BUDGET_S))


def _judge_refusal(answer: Answer) -> Verdict:
    """Refused is what the host has not run, or what vmsvc's script has answered by its refusal."""
    if answer.code is None and not answer.stdout:
        return Verdict.REFUSED
    return Verdict.REFUSED if _is_ours(answer, 126, f"{NAME}: refused: ") else Verdict.NOT_REFUSED


def _judge_subsystem(answer: Answer) -> Verdict:
    """As a refusal; but sshd passes on nothing that a subsystem prints to its standard error."""
    return Verdict.REFUSED if answer.code in (None, 126) and not answer.stdout else Verdict.NOT_REFUSED


def _judge_literal(answer: Answer) -> Verdict:
    """What is taken for a name that nothing has is as good as refused."""
    is_refused = _is_ours(answer, 126, f"{NAME}: refused: ") or _is_ours(answer, 125, f"{NAME}: there is no ")
    return Verdict.REFUSED if is_refused else Verdict.NOT_REFUSED


def _is_ours(answer: Answer, code: int, words: str) -> bool:
    if _PROOF in answer.stdout + answer.stderr:
        return False
    # A name with a newline takes several lines; the script says nothing else, but a start-up file may have, before.
    return answer.code == code and words.encode() in answer.stderr


def _run(trial: Trial, name: str, judge: Callable[[Answer], Verdict], what: str, *fields: str) -> Tried:
    try:
        answer = trial.run(what, *fields, budget_s=_BUDGET_S)
    except Undetermined as error:
        return Tried(name, Verdict.UNKNOWN, error.message)
    verdict = judge(answer)
    if verdict.is_right:
        return Tried(name, verdict)
    return Tried(name, verdict, f"exit code {answer.code}{said_last(answer.stderr, answer.stdout)}")


def _grant(name: str, asked: Callable[[], bool]) -> Tried:
    try:
        return Tried(name, Verdict.NOT_REFUSED if asked() else Verdict.REFUSED)
    except Undetermined as error:
        return Tried(name, Verdict.UNKNOWN, error.message)
